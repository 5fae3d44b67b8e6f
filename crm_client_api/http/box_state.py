"""How the box is: standing alarms, and whether its processes are at work."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import msgspec

from crm_client_api.answers.box import Alarms, DaemonInfo, Daemons
from crm_client_api.domain.box_alarms import list_alarms
from crm_client_api.domain.permissions import Permission
from crm_client_api.http.routing import Request, route
from crm_client_api.integrations.webhooks.bodies import alarm_info
from firmware.clock import iso_utc, now_ms


class AlarmQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``past``: those that are over, too."""

    past: bool = False
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 200


@route(
    "GET", "/alarms", "Alarms of the box, standing ones first", answer=Alarms, permissions=(Permission.SYSTEM_SETUP,)
)  # fmt: skip
def get_alarms(request: Request, query: AlarmQuery) -> Alarms:
    """List what recorders and keeper found wrong."""
    found = list_alarms(request.api.home, request.stores.calls, past=query.past, limit=query.limit)
    return Alarms([alarm_info(one) for one in found])


@route(
    "GET", "/daemons", "Whether the processes of the box are at work",
    answer=Daemons, permissions=(Permission.SYSTEM_SETUP,),
)  # fmt: skip
def get_daemons(request: Request) -> Daemons:
    """List them with when each last told of itself."""
    from crm_client_api.domain.daemons import daemon_states

    states = daemon_states(request.api.home, now_ms())
    return Daemons(
        version("tapdeck"),
        [
            DaemonInfo(one.name, one.subject, one.running, None if one.seen_ms is None else iso_utc(one.seen_ms))
            for one in states
        ],
    )
