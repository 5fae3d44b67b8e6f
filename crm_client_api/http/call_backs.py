"""Missed calls with the state of their call-backs."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from crm_client_api.answers.communications import CallBackInfo, CallBackPage
from crm_client_api.domain.call_backs import (
    ALL_STATES,
    WAITING,
    CallBack,
    CallBackFilter,
    Change,
    State,
    change_call_back,
    get_call_back,
    list_call_backs,
    position_of,
)
from crm_client_api.domain.practice import practice_channels
from crm_client_api.domain.scope import ChannelScope
from crm_client_api.domain.tasks import TaskScope
from crm_client_api.http.moments import Moment, unix_ms
from crm_client_api.http.routing import Request, route
from crm_client_api.views.call_backs import call_back_infos
from firmware.errors import NotFound

_StaffNo = Annotated[str, msgspec.Meta(pattern="^[0-9A-Za-z]{1,16}$")]


class CallBackQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which missed calls. ``state`` ``waiting``: open or taken. ``from``, ``to``: when the call was missed."""

    state: State | Literal["waiting", "all"] = "waiting"
    owner: _StaffNo | None = None
    channel: Annotated[int, msgspec.Meta(ge=1, le=9999)] | None = None
    number: Annotated[str, msgspec.Meta(max_length=60)] = ""
    from_: Moment | None = msgspec.field(default=None, name="from")
    to: Moment | None = None
    order: Literal["oldest", "newest"] = "oldest"
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50
    after: Annotated[str, msgspec.Meta(max_length=60)] | None = None


class CallBackChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change; what is left out stays.

    ``state``: ``taken`` (by oneself, or by ``owner``), ``open`` again, ``done``, or ``dismissed`` with a ``reason``.
    ``of_number``: it holds for all missed calls of the number in scope that wait; where this one was settled, for those
    that were settled with it.
    """

    state: State | None = None
    owner: _StaffNo | None = None
    note: str | None = None
    reason: str | None = None
    of_number: bool = False


@route("GET", "/call-backs", "Missed calls in scope and their call-backs", answer=CallBackPage, reads="call")
def get_call_backs(request: Request, query: CallBackQuery) -> CallBackPage:
    """List missed calls, the longest waiting first unless the newest are asked for."""
    desk = request.desk
    states: dict[str, tuple[State, ...]] = {"waiting": WAITING, "all": ALL_STATES}
    wanted = CallBackFilter(
        states=states.get(query.state) or (query.state,),  # type: ignore[arg-type]
        owner=query.owner,
        channel=query.channel,
        number=query.number.strip(),
        from_ms=unix_ms(query.from_),
        to_ms=unix_ms(query.to),
        newest_first=query.order == "newest",
    )
    crm, scope = request.stores.crm, _scope(request)
    position = position_of(crm, query.after, scope) if query.after else None
    if query.after and position is None:
        return CallBackPage([], None)
    found, behind = list_call_backs(crm, wanted, scope, desk.settings.site, position, query.limit)
    return CallBackPage(call_back_infos(desk, found), None if behind is None else str(behind))


@route("GET", "/call-backs/{call_id}", "One missed call and its call-back", answer=CallBackInfo, reads="call")
def get_one_call_back(request: Request, call_id: str) -> CallBackInfo:
    """Show a missed call in scope."""
    return _info(request, get_call_back(request.stores.crm, call_id, _scope(request)))


@route("PATCH", "/call-backs/{call_id}", "Take, release, note or settle a call-back", answer=CallBackInfo)
def patch_call_back(request: Request, call_id: str, body: CallBackChange) -> CallBackInfo:
    """Change the call-back of a missed call in scope; settling one settles the number's earlier ones too."""
    changed = change_call_back(
        request.stores.crm,
        call_id,
        Change(body.state, body.owner, body.note, body.reason, body.of_number),
        request.actor,
        _scope(request),
        TaskScope(request.operator.viewer),
        request.settings,
    )
    return _info(request, changed)


def _scope(request: Request) -> ChannelScope:
    """Nobody has to call back a practice call."""
    return request.desk.channels.without(practice_channels(request.api.home, request.stores.calls))


def _info(request: Request, call_back: CallBack) -> CallBackInfo:
    infos = call_back_infos(request.desk, [call_back])
    if not infos:
        raise NotFound("there is no such missed call")
    return infos[0]
