"""What people do with a pop-up: open it again, acknowledge it, hand it on, and take the call."""

from __future__ import annotations

from typing import Annotated

import msgspec

from crm_client_api.answers.push import PopupInfo, TakingInfo
from crm_client_api.domain import audit, office_events, receipts, takings
from crm_client_api.domain.calls import Call, calls_by_id, get_call
from crm_client_api.domain.operators import get_operator
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.receipts import Receipt
from crm_client_api.http.routing import Request, route
from crm_client_api.push.popup_cards import card_again
from crm_client_api.views.people import is_here, may_be_handed
from firmware.clock import iso_utc, now_ms
from firmware.errors import BadInput, NotFound, Refused
from firmware.store.connection import write

_NET_POPUP = (Permission.NET_POPUP,)


class HandOn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The colleague who gets the pop-up."""

    staff_no: Annotated[str, msgspec.Meta(min_length=1, max_length=16)]


@route(
    "GET", "/calls/{call_id}/popup", "The card of a call once more",
    answer=PopupInfo, permissions=_NET_POPUP, reads="call",
)  # fmt: skip
def get_popup(request: Request, call_id: str) -> PopupInfo:
    """Show the card again to an operator who was shown this call, with what is in scope now."""
    call, receipt = _shown(request, call_id)
    return card_again(request.desk, call, receipt)


@route(
    "POST", "/calls/{call_id}/popup/acknowledge", "Say that one has seen the card", status=204, permissions=_NET_POPUP
)
def post_acknowledge(request: Request, call_id: str) -> None:
    """Note it, and tell one's other clients."""
    call, _ = _shown(request, call_id)
    staff_no = request.operator.staff_no
    with write(request.stores.crm) as connection:
        if receipts.acknowledge(connection, call.id, staff_no, now_ms()):
            audit.append(connection, request.actor, "popup.acknowledge", call.id)
            office_events.tell(connection, "popup_acknowledged", {}, to=[staff_no], call_id=call.id)


@route("POST", "/calls/{call_id}/popup/hand", "Hand a pop-up to a colleague", status=204, permissions=_NET_POPUP)
def post_hand(request: Request, call_id: str, body: HandOn) -> None:
    """Pass it on to somebody who is logged in and gets pop-ups; the colleague sees what is in the own scope.

    Whoever was shown it before, by whatever way, is told and gets no second card.
    """
    call, _ = _shown(request, call_id)
    by = request.operator
    if body.staff_no == by.staff_no:
        raise BadInput("hand it to somebody else")
    colleague = get_operator(request.stores.crm, body.staff_no)
    if not may_be_handed(colleague):
        raise Refused(f"operator {colleague.staff_no} gets no pop-ups")
    if not is_here(request.desk, request.api.hub, colleague.staff_no):
        raise Refused(f"operator {colleague.staff_no} is not logged in")
    with write(request.stores.crm) as connection:
        fresh = receipts.add_handed(connection, call.id, colleague.staff_no, by.staff_no, now_ms())
        data = {"by": by.staff_no, "name": by.name, "again": not fresh}
        office_events.tell(connection, office_events.POPUP_HANDED, data, to=[colleague.staff_no], call_id=call.id)
        audit.append(connection, request.actor, "popup.hand", call.id, {"to": colleague.staff_no})


@route("POST", "/calls/{call_id}/take", "I take it", answer=TakingInfo)
def post_take(request: Request, call_id: str) -> TakingInfo:
    """Say that one handles this call, while it runs or within a day after its end. The first wins, others get 409
    ``taken``; everybody who was shown the call is told. For who was shown the call, or has its channel in scope."""
    call = _reachable(request, call_id)
    takings.require_recent(call, now_ms())
    request.api.hub.receipts.flush()  # everybody who was shown the call is told
    taking = takings.take(request.stores.crm, call.id, request.actor)
    return TakingInfo(taking.call_id, taking.staff_no, iso_utc(taking.at_ms), taking.how)


@route("DELETE", "/calls/{call_id}/take", "Take back that one took it", status=204)
def delete_take(request: Request, call_id: str) -> None:
    """Give a call back to the others, as long as it could be taken."""
    call = _reachable(request, call_id)
    takings.require_recent(call, now_ms())
    request.api.hub.receipts.flush()
    takings.release(request.stores.crm, call.id, request.actor)


def customers_on_card(request: Request, call_id: str | None) -> frozenset[int]:
    """The customers whom the one who asks knows by the card of a call alone: none without net_popup, or for whom it is
    no card that tells. Raises NotFound: it was not shown."""
    held = request.operator.permissions
    if call_id is None or Permission.NET_POPUP not in held or Permission.CUSTOMER_MANAGE in held:
        return frozenset()
    return frozenset(int(one.id) for one in card_again(request.desk, *_shown(request, call_id)).customers)


def _reachable(request: Request, call_id: str) -> Call:
    """A call that the one who asks was shown, or has in scope. Raises NotFound."""
    try:
        return get_call(request.stores.calls, call_id, request.desk.channels)
    except NotFound:
        return _shown(request, call_id)[0]


def _shown(request: Request, call_id: str) -> tuple[Call, Receipt]:
    """A call that was shown to the one who asks, whatever its channel. Raises NotFound."""
    request.api.hub.receipts.flush()
    receipt = receipts.receipts_of(request.stores.crm, call_id).get(request.operator.staff_no)
    call = calls_by_id(request.stores.calls, [call_id]).get(call_id)
    if receipt is None or call is None:
        raise NotFound("there is no such call, or it did not pop up for you")
    return call, receipt
