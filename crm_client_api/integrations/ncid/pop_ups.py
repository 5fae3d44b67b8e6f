"""Which calls an NCID client shows, and how: those that pop up for its operator, now and in its log."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, tzinfo

import msgspec

from crm_client_api.domain.agent_state import is_available
from crm_client_api.domain.call_search import list_calls
from crm_client_api.domain.calls import Call, CallFilter
from crm_client_api.domain.customers import Match
from crm_client_api.domain.operators import Operator
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.popup_causes import DECIDES_NUMBER, first_events
from crm_client_api.domain.popup_circumstances import circumstances_of
from crm_client_api.domain.practice import practice_channels
from crm_client_api.domain.scope import EVERY_CHANNEL, customer_scope
from crm_client_api.domain.settings import Settings, read_settings
from crm_client_api.integrations.ncid import lines
from crm_client_api.integrations.ncid.lines import Shown
from crm_client_api.push.popup_cards import decide_as, decide_for, matches_of, ring_of
from crm_client_api.push.positions import Position
from crm_client_api.stores import Stores

LOG_CALLS = 100
_LOOKED_AT_CALLS = 500
_LOG_WITHIN_S = 2.0


def shown_to(
    stores: Stores, settings: Settings, operator: Operator, call: Call, matches: Sequence[Match]
) -> Shown | None:
    """The call as this operator's client shows it, None when it does not pop up. ``matches``: who has the number."""
    decision = decide_for(stores, settings, operator, ring_of(call), matches)
    return _shown(settings, call, _among(matches, decision.customers)) if decision.shows else None


def shown_handed(settings: Settings, operator: Operator, call: Call, matches: Sequence[Match]) -> Shown | None:
    """The call as it is passed on to this operator: with a customer in scope, if there is one."""
    if Permission.NET_POPUP not in operator.permissions:
        return None
    scope = customer_scope(operator.viewer)
    return _shown(settings, call, [one for one in matches if scope.allows(one.customer.owner, one.owner_group)])


def local_time(zone: tzinfo, at_ms: int) -> datetime:
    """A moment (Unix ms UTC) as clients are told it."""
    return datetime.fromtimestamp(at_ms / 1000, zone)


def call_log(stores: Stores, operator: Operator, position: Position) -> tuple[list[str], dict[str, Shown]]:
    """The last calls that popped up for the operator up to a position, oldest first; those that run, by id."""
    settings = read_settings(stores.crm)
    entries: list[str] = []
    running: dict[str, Shown] = {}
    scope = EVERY_CHANNEL.without(practice_channels(stores.home, stores.calls))
    calls = list_calls(stores.calls, CallFilter(limit=_LOOKED_AT_CALLS), scope, settings.site)
    had = _had(stores, operator.staff_no, [call.id for call in calls])
    until_s = time.monotonic() + _LOG_WITHIN_S
    for call in calls:
        if len(entries) >= LOG_CALLS or time.monotonic() > until_s:
            break
        first = first_events(stores.calls, call.id).get(DECIDES_NUMBER.get(call.direction, ""))
        undecided = first is None and call.state != "ended"
        if undecided or (first is not None and first > position.calls_id):
            continue  # it comes by itself
        shown = _shown_then(stores, settings, operator, call, had=call.id in had)
        if shown is not None:
            entries.append(lines.call_line(shown, log=True))
            if call.state != "ended":
                running[call.id] = shown
    return entries[::-1], running


def _had(stores: Stores, staff_no: str, call_ids: Sequence[str]) -> set[str]:
    """Of some calls those whose pop-up somebody had."""
    rows = stores.crm.conn.execute(
        "SELECT call_id FROM popup_receipts WHERE staff_no = ? AND call_id IN (SELECT value FROM json_each(?))",
        (staff_no, msgspec.json.encode(call_ids).decode()),
    )
    return {row[0] for row in rows}


def _shown_then(stores: Stores, settings: Settings, operator: Operator, call: Call, *, had: bool) -> Shown | None:
    """The call as it popped up. Whether the operator is at work now says nothing of calls that are over; who had a
    pop-up keeps it, with what is in scope now.
    """
    matches = matches_of(stores, settings, ring_of(call))
    available = had or not settings.rules.popup_respects_state or _was_available(stores, operator.staff_no, call)
    decision = decide_as(settings, operator, ring_of(call), matches, available=available)
    if decision.shows:
        return _shown(settings, call, _among(matches, decision.customers))
    return shown_handed(settings, operator, call, matches) if had else None


def _was_available(stores: Stores, staff_no: str, call: Call) -> bool:
    """When the call came up; where nobody noted that, as it is now for one that runs."""
    found = circumstances_of(stores.crm, call.id)
    if found is not None:
        return staff_no not in found.unavailable
    return call.state == "ended" or is_available(stores.crm, staff_no)


def _among(matches: Sequence[Match], customers: Sequence[str]) -> list[Match]:
    return [one for one in matches if one.customer.id in customers]


def _shown(settings: Settings, call: Call, customers: Sequence[Match]) -> Shown:
    fields = customers[0].customer.fields if customers else None
    name = " ".join(filter(None, (fields["name"], fields["company"]))) if fields else call.caller_name or ""
    return Shown(
        incoming=call.direction == "incoming",
        number=call.number,
        absence=call.absence,
        name=name,
        line=settings.channel(call.channel).name or f"CH{call.channel:03d}",
        at=local_time(settings.zone, call.started_ms),
        ended_at=local_time(settings.zone, call.ended_ms) if call.ended_ms else None,
    )
