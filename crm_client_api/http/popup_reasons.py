"""The pop-up rules asked for reasons: of a call that was, and of one that might come.

Whoever asks learns of no customer out of the own scope, not even that there is one: the rules are applied to those in
scope, and ``whole`` says whether that is everybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from crm_client_api.answers.customers import CustomerName
from crm_client_api.answers.push import AsOf, PopupSimulation, PopupTrace, SimulatedLine, TraceLine
from crm_client_api.domain.agent_state import agent_states
from crm_client_api.domain.calls import get_call, list_channels
from crm_client_api.domain.customers import Match
from crm_client_api.domain.operators import Operator, list_operators
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.popup import decide, explain
from crm_client_api.domain.popup_circumstances import circumstances_of, in_scope_now
from crm_client_api.domain.presence import logged_in
from crm_client_api.domain.receipts import receipts_of
from crm_client_api.domain.scope import known_customers
from crm_client_api.domain.staff.people import appointed_at
from crm_client_api.http.routing import Request, route
from crm_client_api.push.popup_cards import (
    Ring,
    circumstances_now,
    conditions_of,
    decide_for,
    matches_of,
    popup_operator,
    ring_of,
)
from crm_client_api.views.calls import Desk
from firmware.clock import iso_utc, now_ms
from firmware.errors import NotFound


class Supposed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call that might come. ``number`` null: without a number."""

    channel: Annotated[int, msgspec.Meta(ge=1, le=9999)]
    number: Annotated[str, msgspec.Meta(max_length=60)] | None = None
    direction: Literal["incoming", "outgoing"] = "incoming"


@route(
    "GET", "/calls/{call_id}/popup-trace", "Why a call popped up or did not, for every operator",
    answer=PopupTrace, permissions=(Permission.OPERATOR_MANAGE,), reads="call",
)  # fmt: skip
def get_popup_trace(request: Request, call_id: str) -> PopupTrace:
    """Apply the pop-up rules for every operator who may log in, or was shown the call: with parameters, channel,
    appointments and customers as they were when the call came up, if that was noted, else as they are now. Also who is
    logged in, and who was shown it."""
    desk, crm = request.desk, request.stores.crm
    call = get_call(request.stores.calls, call_id, desk.channels)
    request.api.hub.receipts.flush()
    shown = receipts_of(crm, call.id)
    found = circumstances_of(crm, call.id)
    as_of: AsOf = "now" if found is None else "call"
    if found is None:
        found = circumstances_now(
            request.stores, desk.settings, call, matches_of(desk.stores, desk.settings, ring_of(call)), now_ms()
        )
    known = known_customers(desk.operator.viewer)
    customers = in_scope_now(crm, found, known)
    here, states = logged_in(crm, now_ms(), desk.settings.idle_logout_ms), agent_states(crm)
    streams = request.api.hub.streams()
    lines: list[TraceLine] = []
    present = {one.staff_no for one in list_operators(crm) if one.may_log_in}
    for one in appointed_at(crm, found.at_ms):
        receipt, state = shown.get(one.staff_no), states.get(one.staff_no)
        if one.staff_no not in present and receipt is None:
            continue
        asked = popup_operator(one, available=one.staff_no not in found.unavailable)
        decision = decide(found.call, asked, customers, found.rules)
        acknowledged_ms = None if receipt is None else receipt.acknowledged_ms
        lines.append(
            TraceLine(
                staff_no=one.staff_no,
                name=one.name,
                shows=decision.shows,
                rows=list(decision.rows),
                reasons=explain(decision),
                conditions=conditions_of(decision),
                logged_in=one.staff_no in here,
                streams=streams.get(one.staff_no, 0),
                state=None if state is None else state.state,
                shown_at=None if receipt is None else iso_utc(receipt.shown_ms),
                acknowledged_at=None if acknowledged_ms is None else iso_utc(acknowledged_ms),
                handed_by=None if receipt is None else receipt.handed_by,
            )
        )
    return PopupTrace(desk.call_infos([call])[0], known.everything, lines, as_of, iso_utc(found.at_ms))


@route(
    "POST", "/popup-simulation", "What if this number rings this channel now",
    answer=PopupSimulation, permissions=(Permission.OPERATOR_MANAGE,),
)  # fmt: skip
def post_simulation(request: Request, body: Supposed) -> PopupSimulation:
    """Apply the pop-up rules as they are now, for every operator who may log in; nothing pops up."""
    desk = request.desk
    known = any(row.number == body.channel for row in list_channels(request.stores.calls))
    if not known or not desk.channels.allows(body.channel):
        raise NotFound("there is no such channel")
    ring = Ring(body.channel, body.direction == "incoming", (body.number or "").strip() or None)
    matches = _visible(desk, ring)
    here = logged_in(request.stores.crm, now_ms(), desk.settings.idle_logout_ms)
    people = [one for one in list_operators(request.stores.crm) if one.may_log_in]
    lines = [_simulate(request, one, ring, matches, one.staff_no in here) for one in people]
    return PopupSimulation(
        ring.channel, body.direction, ring.number, known_customers(desk.operator.viewer).everything, lines
    )


def _visible(desk: Desk, ring: Ring) -> list[Match]:
    """Who has the number, of those in the asker's scope."""
    found, known = matches_of(desk.stores, desk.settings, ring), known_customers(desk.operator.viewer)
    return [one for one in found if known.allows(one.customer.owner, one.owner_group)]


def _simulate(
    request: Request, operator: Operator, ring: Ring, matches: Sequence[Match], is_here: bool
) -> SimulatedLine:
    desk = request.desk
    decision = decide_for(request.stores, desk.settings, operator, ring, matches)
    state = agent_states(request.stores.crm).get(operator.staff_no)
    shown = [m for m in matches if m.customer.id in decision.customers]
    adds = Permission.CUSTOMER_MANAGE in operator.permissions
    return SimulatedLine(
        staff_no=operator.staff_no,
        name=operator.name,
        shows=decision.shows,
        rows=list(decision.rows),
        reasons=explain(decision),
        conditions=conditions_of(decision),
        customers=[CustomerName(m.customer.id, m.customer.fields["name"], m.customer.fields["company"]) for m in shown],
        offers_new_customer=decision.shows and adds and bool(ring.number) and not decision.customer_known,
        logged_in=is_here,
        state=None if state is None else state.state,
    )
