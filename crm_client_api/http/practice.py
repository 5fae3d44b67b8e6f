"""Practice beside real lines: turned on for a stated time, and off."""

from __future__ import annotations

from typing import Annotated

import msgspec

from crm_client_api.answers.practice import PracticeInfo
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.practice import begin, end, held_real_card, running_practice
from crm_client_api.http.errors import ApiError
from crm_client_api.http.routing import Request, route
from firmware.clock import iso_utc, now_ms
from firmware.practice import LONGEST_MIN, MOST_LINES, SHORTEST_MIN, practice_for

_SETUP = (Permission.SYSTEM_SETUP,)


class WantedPractice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long from now on, and on how many simulated lines."""

    minutes: Annotated[int, msgspec.Meta(ge=SHORTEST_MIN, le=LONGEST_MIN)]
    lines: Annotated[int, msgspec.Meta(ge=1, le=MOST_LINES)]


@route("GET", "/practice", "Whether practice is on beside real lines, until when, and who turned it on",
       answer=PracticeInfo)  # fmt: skip
def get_practice(request: Request) -> PracticeInfo:
    """Tell everybody: made-up calls may pop up meanwhile."""
    home = request.api.home
    if not held_real_card(home):
        return PracticeInfo(needed=False)
    found = running_practice(home, now_ms())
    if found is None:
        return PracticeInfo(needed=True)
    row = request.stores.crm.conn.execute("SELECT name FROM staff WHERE staff_no = ?", (found.by,)).fetchone()
    name = None if row is None else row[0]
    return PracticeInfo(True, iso_utc(found.until_ms), iso_utc(found.since_ms), found.lines, found.by, name)


@route("PUT", "/practice", "Turn practice on beside real lines, or change its end",
       answer=PracticeInfo, permissions=_SETUP, also=(409,))  # fmt: skip
def put_practice(request: Request, body: WantedPractice) -> PracticeInfo:
    """Have simulated lines beside the real ones for a stated time."""
    home = request.api.home
    if not held_real_card(home):
        raise ApiError(
            409, "practice_not_needed", "this box never held a line card: its simulated lines run by themselves"
        )
    begin(home, request.stores.crm, practice_for(body.minutes, body.lines, request.actor.staff_no, now_ms()),
          request.actor)  # fmt: skip
    return get_practice(request)


@route("DELETE", "/practice", "Turn practice off", status=204, permissions=_SETUP)
def delete_practice(request: Request) -> None:
    """End practice; the real lines go on as they do."""
    end(request.api.home, request.stores.crm, request.actor, now_ms())
