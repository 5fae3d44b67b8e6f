"""Calls."""

from __future__ import annotations

from typing import Annotated

import msgspec

from crm_client_api.answers.calls import CallInfo, CallPage
from crm_client_api.domain.call_backs import State
from crm_client_api.domain.call_search import held_among, position_of, search_calls
from crm_client_api.domain.call_tags import tags_of
from crm_client_api.domain.calls import get_call
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.practice import practice_channels
from crm_client_api.http.call_filters import WantedCalls, call_filter, standing_holds
from crm_client_api.http.routing import Request, route
from crm_client_api.views.call_backs import missed_calls


class CallQuery(WantedCalls, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which calls (see WantedCalls), and ``call_back``: missed calls whose call-back is in this state.

    ``backwards``: the oldest first.
    """

    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    before: str | None = None
    call_back: State | None = None
    backwards: bool = False


@route("GET", "/calls", "Calls in scope, newest first", answer=CallPage, reads="call", also=(404,))
def get_calls(request: Request, query: CallQuery) -> CallPage:
    """List calls in scope."""
    stores, desk = request.stores, request.desk
    scope, site = desk.channels, desk.settings.site
    wanted = call_filter(request, query)
    position = position_of(stores.calls, query.before, scope) if query.before else None
    if query.before and position is None:
        return CallPage([], None)
    if query.call_back is None:
        found, after = search_calls(stores.calls, wanted, scope, site, position, query.limit, backwards=query.backwards)
    else:
        waiting = scope.without(practice_channels(request.api.home, stores.calls))
        found, after = missed_calls(
            stores, wanted, query.call_back, waiting, site, position, query.limit, backwards=query.backwards
        )
    tags: dict[str, list[str]] = {}
    if Permission.RECORDING_QUERY in request.operator.permissions:
        tags = tags_of(stores.crm, [call.id for call in found], scope)
    held: list[str] = []
    if Permission.HOLD_MANAGE in request.operator.permissions:
        held = held_among(stores.calls, [call.id for call in found], standing_holds(request))
    return CallPage(desk.call_infos(found), None if after is None else str(after), tags, held)


@route("GET", "/calls/{call_id}", "One call", answer=CallInfo, reads="call")
def get_one_call(request: Request, call_id: str) -> CallInfo:
    """Show a call in scope."""
    desk = request.desk
    return desk.call_infos([get_call(request.stores.calls, call_id, desk.channels)])[0]
