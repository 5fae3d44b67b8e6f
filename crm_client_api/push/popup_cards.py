"""Cards: a call's pop-up as one operator sees it, and the rules applied with the stores at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crm_client_api.answers.customers import CustomerInfo
from crm_client_api.answers.push import CardNote, Condition, PopupInfo
from crm_client_api.domain import popup
from crm_client_api.domain.agent_state import IDLE, agent_states, is_available
from crm_client_api.domain.calls import Call, history
from crm_client_api.domain.card_notes import Note, last_notes
from crm_client_api.domain.customers import Match, match_number
from crm_client_api.domain.operators import Operator
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.popup_circumstances import Circumstances
from crm_client_api.domain.practice import held_real_card
from crm_client_api.domain.receipts import Receipt
from crm_client_api.domain.scope import ChannelScope, communication_scope
from crm_client_api.domain.settings import Settings
from crm_client_api.integrations.url_pop import url_for
from crm_client_api.stores import Stores
from crm_client_api.views.calls import Desk, customer_info
from firmware.clock import iso_utc

HISTORY_CALLS = 5
HISTORY_NOTES = 5
_EVERYWHERE = ChannelScope(frozenset(), all_but=True)


@dataclass(frozen=True, slots=True)
class Ring:
    """What the rules ask about a call, real or thought up. ``number``: the other party's."""

    channel: int
    incoming: bool
    number: str | None


def ring_of(call: Call) -> Ring:
    """What the rules ask about a call."""
    return Ring(call.channel, call.direction == "incoming", call.number)


def matches_of(stores: Stores, settings: Settings, ring: Ring) -> list[Match]:
    """Everybody who has the number."""
    return match_number(stores.crm, ring.number, settings.site) if ring.number else []


def decide_for(
    stores: Stores, settings: Settings, operator: Operator, ring: Ring, matches: Sequence[Match]
) -> popup.Decision:
    """Apply the pop-up rules to a call for an operator."""
    available = not settings.rules.popup_respects_state or is_available(stores.crm, operator.staff_no)
    return decide_as(settings, operator, ring, matches, available=available)


def decide_as(
    settings: Settings, operator: Operator, ring: Ring, matches: Sequence[Match], *, available: bool
) -> popup.Decision:
    """The same without a look into the stores."""
    call = popup_call(settings, ring)
    return popup.decide(call, popup_operator(operator, available=available), popup_customers(matches), settings.rules)


def popup_call(settings: Settings, ring: Ring) -> popup.PopupCall:
    """What the rules ask of a call and its channel."""
    channel = settings.channel(ring.channel)
    return popup.PopupCall(ring.channel, channel.group, channel.popup, ring.incoming, bool(ring.number))


def popup_operator(operator: Operator, *, available: bool) -> popup.PopupOperator:
    """What the rules ask of an operator."""
    return popup.PopupOperator(
        staff_no=operator.staff_no,
        level=operator.level.value,
        group=operator.group,
        channels=operator.channels,
        net_popup=Permission.NET_POPUP in operator.permissions,
        customer_share=Permission.CUSTOMER_SHARE in operator.permissions,
        available=available,
    )


def popup_customers(matches: Sequence[Match]) -> tuple[popup.PopupCustomer, ...]:
    """What the rules ask of everybody who has the number."""
    return tuple([popup.PopupCustomer(m.customer.id, m.customer.owner, m.owner_group) for m in matches])


def circumstances_now(
    stores: Stores, settings: Settings, call: Call, matches: Sequence[Match], at_ms: int
) -> Circumstances:
    """All that the rules ask about a call at this moment, but for the operators."""
    unavailable: tuple[str, ...] = ()
    if settings.rules.popup_respects_state:
        unavailable = tuple(sorted(who for who, one in agent_states(stores.crm).items() if one.state != IDLE))
    asked = popup_call(settings, ring_of(call))
    return Circumstances(call.id, at_ms, asked, settings.rules, popup_customers(matches), unavailable)


def conditions_of(decision: popup.Decision) -> list[Condition]:
    """The reasons for programs."""
    return [Condition(reason.row, reason.condition, reason.holds) for reason in decision.reasons]


def card_by_rules(desk: Desk, call: Call) -> PopupInfo | None:
    """The pop-up of a call for this operator, None when the rules show none."""
    matches = desk.matches(call.key(desk.settings.site))
    decision = decide_for(desk.stores, desk.settings, desk.operator, ring_of(call), matches)
    if not decision.shows:
        return None
    shown = set(decision.customers)
    return _card(desk, call, [m for m in matches if m.customer.id in shown], bool(matches), list(decision.rows), None)


def card_handed(desk: Desk, call: Call, handed_by: str) -> PopupInfo | None:
    """The pop-up that a colleague passed on: the matching customers in the reader's scope. Needs net_popup only."""
    return _in_scope(desk, call, handed_by) if Permission.NET_POPUP in desk.operator.permissions else None


def _in_scope(desk: Desk, call: Call, handed_by: str | None) -> PopupInfo:
    matches = desk.matches(call.key(desk.settings.site))
    shown = [m for m in matches if desk.customers.allows(m.customer.owner, m.owner_group)]
    return _card(desk, call, shown, bool(matches), [], handed_by)


def card_again(desk: Desk, call: Call, receipt: Receipt) -> PopupInfo:
    """The card of a call that this operator was shown: as the rules are now, else what of it is in scope now.

    Whoever had it keeps it, whatever parameters and availability have become; that the reader holds net_popup is the
    caller's to check.
    """
    return card_by_rules(desk, call) or _in_scope(desk, call, receipt.handed_by)


def _card(
    desk: Desk, call: Call, shown: Sequence[Match], known: bool, rows: list[str], handed_by: str | None
) -> PopupInfo:
    permissions, stores, ids = desk.operator.permissions, desk.stores, tuple(m.customer.id for m in shown)
    notes: list[Note] = []
    if Permission.COMMUNICATION_MANAGE in permissions and ids:
        scope = communication_scope(desk.operator.viewer)
        notes = desk.once.get(("notes", scope, ids), lambda: last_notes(stores.crm, ids, scope, HISTORY_NOTES))
    earlier = _earlier(desk, call, call.key(desk.settings.site)) if call.number else []
    first = shown[0].customer.id if shown else None
    is_made_up = call.simulated and held_real_card(stores.home)
    return PopupInfo(
        call=desk.call_infos([call])[0],
        customers=[_customer(desk, m) for m in shown],
        rows=rows,
        offers_new_customer=Permission.CUSTOMER_MANAGE in permissions and bool(call.number) and not known,
        offers_note=Permission.COMMUNICATION_MANAGE in permissions,
        history=desk.call_infos(earlier) if earlier else [],
        communications=[_note(one) for one in notes],
        handed_by=handed_by,
        url=None if is_made_up else url_for(desk.settings.url_pop, call, desk.settings.site, first),
    )


def _customer(desk: Desk, match: Match) -> CustomerInfo:
    return desk.once.get(("customer", match.customer.id), lambda: customer_info(match.customer))


def _earlier(desk: Desk, call: Call, number: str) -> list[Call]:
    """The last calls with this number in the reader's scope. With most numbers nobody has spoken before: that is found
    out once for all who see the card."""
    calls, site = desk.stores.calls, desk.settings.site
    is_known = desk.once.get(
        ("spoken", call.id), lambda: bool(history(calls, number, _EVERYWHERE, site, 1, without=call.id))
    )
    if not is_known:
        return []
    key = ("history", call.id, desk.channels)
    return desk.once.get(key, lambda: history(calls, number, desk.channels, site, HISTORY_CALLS, without=call.id))


def _note(one: Note) -> CardNote:
    return CardNote(
        one.id, one.customer_id, one.call_id, iso_utc(one.at_ms), one.method, one.subject, one.content, one.result,
        one.author,
    )  # fmt: skip
