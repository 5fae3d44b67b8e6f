"""Calls, and why they popped up."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from crm_client_api.answers import CallInfo, CallPage, Condition, PopupTrace, TraceLine
from crm_client_api.domain.calls import CallFilter, get_call, list_calls
from crm_client_api.domain.operators import list_operators
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.popup import explain
from crm_client_api.http.routing import Request, route
from crm_client_api.views import decide_for


class CallQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which calls. ``number`` finds every spelling of a number, and numbers that contain the digits."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    before: str | None = None
    channel: Annotated[int, msgspec.Meta(ge=1, le=9999)] | None = None
    number: Annotated[str, msgspec.Meta(max_length=60)] | None = None
    direction: Literal["incoming", "outgoing"] | None = None
    result: Literal["answered", "missed", "abandoned"] | None = None
    state: Literal["ringing", "dialling", "talking", "ended"] | None = None
    machine: Literal["fax", "modem"] | None = None


@route("GET", "/calls", "Calls in scope, newest first", answer=CallPage)
def get_calls(request: Request, query: CallQuery) -> CallPage:
    """List calls in scope."""
    desk = request.desk
    wanted = CallFilter(
        limit=query.limit + 1,  # one more tells whether there is a next page
        before=query.before,
        channel=query.channel,
        number=query.number,
        direction=query.direction,
        result=query.result,
        state=query.state,
        machine=query.machine,
    )
    found = list_calls(request.stores.calls, wanted, desk.channels, desk.settings.site)
    page = found[: query.limit]
    return CallPage(desk.call_infos(page), page[-1].id if len(found) > query.limit else None)


@route("GET", "/calls/{call_id}", "One call", answer=CallInfo)
def get_one_call(request: Request, call_id: str) -> CallInfo:
    """Show a call in scope."""
    desk = request.desk
    return desk.call_infos([get_call(request.stores.calls, call_id, desk.channels)])[0]


@route(
    "GET", "/calls/{call_id}/popup-trace", "Why a call pops up, for every operator",
    answer=PopupTrace, permissions=(Permission.OPERATOR_MANAGE,),
)  # fmt: skip
def get_popup_trace(request: Request, call_id: str) -> PopupTrace:
    """Apply the pop-up rules as they are now for every operator who may log in."""
    desk = request.desk
    call = get_call(request.stores.calls, call_id, desk.channels)
    lines: list[TraceLine] = []
    for operator in list_operators(request.stores.crm):
        if operator.may_log_in:
            decision, _ = decide_for(request.stores, desk.settings, operator, call)
            lines.append(
                TraceLine(
                    operator.staff_no,
                    operator.name,
                    decision.shows,
                    list(decision.rows),
                    explain(decision),
                    [Condition(reason.row, reason.condition, reason.holds) for reason in decision.reasons],
                )
            )
    return PopupTrace(desk.call_infos([call])[0], lines)
