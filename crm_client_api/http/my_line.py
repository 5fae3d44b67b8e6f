"""My line (我的线路): the channels at which somebody sits, and why their calls popped up there or did not."""

from __future__ import annotations

from typing import Annotated

import msgspec

from crm_client_api.answers.lines import ChannelInfo
from crm_client_api.answers.push import MyCall, MyLine, MyLines, PopupCause
from crm_client_api.domain.call_search import search_calls
from crm_client_api.domain.calls import Call, CallFilter, list_channels
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.popup import Decision
from crm_client_api.domain.practice import shown_channels
from crm_client_api.domain.receipts import receipts_of
from crm_client_api.http.channels import channel_infos, channels_in_scope
from crm_client_api.http.routing import Request, route
from crm_client_api.push.popup_cards import decide_for, ring_of
from crm_client_api.views.calls import Desk
from firmware.clock import iso_utc, now_ms

LAST_CALLS = 5
MOST_LINES = 32
_GENERAL: dict[str, PopupCause] = {
    "channel_popup": "channel_popup",
    "incoming": "direction",
    "direction": "direction",
    "number_present": "number_present",
    "net_popup": "net_popup",
    "available": "available",
}
_OF_THE_CHANNEL = frozenset({"channel_is_associated", "operator_group_is_channel_group"})


class MyLineQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``channel``: another one in scope in place of the associated ones."""

    channel: Annotated[int, msgspec.Meta(ge=1, le=9999)] | None = None


@route("GET", "/my-line", "One's own lines, and why their calls popped up or not", answer=MyLines, reads="call",
       also=(404,))  # fmt: skip
def get_my_line(request: Request, query: MyLineQuery) -> MyLines:
    """Show the associated channels in scope, with the last incoming calls of each. When the rules show a card to nobody
    but the owner of the caller's customer, it says that much and not whose it is."""
    desk, operator = request.desk, request.operator
    if query.channel is not None:
        rows = channels_in_scope(request, [query.channel])
    else:
        mine = [row for row in list_channels(request.stores.calls) if row.number in operator.channels]
        allowed = [row for row in mine if desk.channels.allows(row.number)]
        rows = shown_channels(request.api.home, allowed, now_ms())[:MOST_LINES]
    request.api.hub.receipts.flush()
    return MyLines(
        [_line(desk, info) for info in channel_infos(request, desk, rows)],
        Permission.NET_POPUP in operator.permissions,
        request.api.hub.streams().get(operator.staff_no, 0),
    )


def _line(desk: Desk, channel: ChannelInfo) -> MyLine:
    wanted = CallFilter(limit=LAST_CALLS, channel=channel.number, direction="incoming")
    calls, _ = search_calls(desk.stores.calls, wanted, desk.channels, desk.settings.site, None, LAST_CALLS)
    return MyLine(
        channel=channel,
        last_ring_at=iso_utc(calls[0].started_ms) if calls else None,
        last_number=next((call.caller_number for call in calls if call.caller_number), None),
        calls=[_my_call(desk, call) for call in calls],
    )


def _my_call(desk: Desk, call: Call) -> MyCall:
    matches = desk.matches(call.key(desk.settings.site))
    decision = decide_for(desk.stores, desk.settings, desk.operator, ring_of(call), matches)
    receipt = receipts_of(desk.stores.crm, call.id).get(desk.operator.staff_no)
    (info,) = desk.call_infos([call])
    if receipt is None:
        return MyCall(info, _cause(decision), None, None)
    return MyCall(info, "handed" if receipt.handed_by else "shown", iso_utc(receipt.shown_ms), receipt.handed_by)


def _cause(decision: Decision) -> PopupCause:
    """Why a call never popped up: the first condition that does not hold now, or nobody's page was open here."""
    if decision.shows:
        return "not_here"
    failed = [reason for reason in decision.reasons if not reason.holds]
    general = next((_GENERAL[reason.condition] for reason in failed if reason.row is None), None)
    if general is not None:
        return general
    if decision.customer_known and not any(reason.condition in _OF_THE_CHANNEL for reason in failed):
        return "customer_of_others"
    return "not_my_channel"
