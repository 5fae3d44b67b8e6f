"""Calls."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from crm_client_api.answers.calls import CallInfo, CallPage
from crm_client_api.domain.call_backs import State
from crm_client_api.domain.call_search import position_of, search_calls
from crm_client_api.domain.calls import CallFilter, get_call
from crm_client_api.http.moments import Moment, unix_ms
from crm_client_api.http.routing import Request, route
from crm_client_api.views.call_backs import missed_calls


class CallQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which calls. ``number`` finds every spelling of a number, and numbers that contain the digits.

    ``from``, ``to``: when it began (ISO 8601 with an offset). ``handled_by``: a staff number. ``call_back``: missed
    calls whose call-back is in this state.
    """

    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    before: str | None = None
    channel: Annotated[int, msgspec.Meta(ge=1, le=9999)] | None = None
    number: Annotated[str, msgspec.Meta(max_length=60)] | None = None
    direction: Literal["incoming", "outgoing"] | None = None
    result: Literal["answered", "missed", "abandoned"] | None = None
    state: Literal["ringing", "dialling", "talking", "ended"] | None = None
    machine: Literal["fax", "modem"] | None = None
    handled_by: Annotated[str, msgspec.Meta(pattern="^[0-9A-Za-z]{1,16}$")] | None = None
    call_back: State | None = None
    from_: Moment | None = msgspec.field(default=None, name="from")
    to: Moment | None = None


@route("GET", "/calls", "Calls in scope, newest first", answer=CallPage, reads="call")
def get_calls(request: Request, query: CallQuery) -> CallPage:
    """List calls in scope."""
    stores, desk = request.stores, request.desk
    scope, site = desk.channels, desk.settings.site
    wanted = CallFilter(
        channel=query.channel,
        number=query.number,
        direction=query.direction,
        result=query.result,
        state=query.state,
        machine=query.machine,
        handled_by=query.handled_by,
        from_ms=unix_ms(query.from_),
        to_ms=unix_ms(query.to),
    )
    position = position_of(stores.calls, query.before, scope) if query.before else None
    if query.before and position is None:
        return CallPage([], None)
    if query.call_back is None:
        found, after = search_calls(stores.calls, wanted, scope, site, position, query.limit)
    else:
        found, after = missed_calls(stores, wanted, query.call_back, scope, site, position, query.limit)
    return CallPage(desk.call_infos(found), None if after is None else str(after))


@route("GET", "/calls/{call_id}", "One call", answer=CallInfo, reads="call")
def get_one_call(request: Request, call_id: str) -> CallInfo:
    """Show a call in scope."""
    desk = request.desk
    return desk.call_infos([get_call(request.stores.calls, call_id, desk.channels)])[0]
