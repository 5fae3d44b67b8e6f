"""Which event of a call makes it pop up: the first that decides the other party's number, or that it will not come."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sqlite_utils

from crm_client_api.domain.calls import Call, call_of
from crm_client_api.domain.office_events import is_caller_unknown
from firmware.store.event_log import Event

_KINDS = ("caller_id", "dialled_number", "call_answered", "call_ended")
_WITHOUT_NUMBER = ("call_answered", "call_ended")
"""By then an incoming call's number, or the reason of its absence, would have been there."""
_LATEST: Mapping[bool, tuple[str, ...]] = {True: _WITHOUT_NUMBER, False: ()}
"""What else decides, by whether calls without a number pop up."""
DECIDES_NUMBER: Mapping[str, str] = {"incoming": "caller_id", "outgoing": "dialled_number"}


def first_events(calls: sqlite_utils.Database, call_id: str) -> dict[str, int]:
    """The id of the first event of each kind that matters here."""
    marks = ",".join("?" * len(_KINDS))
    rows = calls.conn.execute(
        f"SELECT kind, min(id) FROM events WHERE call_id = ? AND kind IN ({marks}) GROUP BY kind", (call_id, *_KINDS)
    )
    return {row[0]: row[1] for row in rows}


def causes_popup(
    calls: sqlite_utils.Database, crm: sqlite_utils.Database, event: Event, call: Call, popup_withheld: bool
) -> bool:
    """Whether an event of the recorder's log is the one that pops its call up; at most one event of a call is."""
    deciding = DECIDES_NUMBER.get(call.direction)
    waits = popup_withheld and call.direction == "incoming"
    if event.kind != deciding and not (waits and event.kind in _WITHOUT_NUMBER):
        return False
    first = first_events(calls, call.id)
    if event.id != min(first[kind] for kind in (deciding, *_LATEST[waits]) if kind in first):
        return False
    return not (waits and is_caller_unknown(crm, call.id))


def popped_up_calls(
    calls: sqlite_utils.Database,
    crm: sqlite_utils.Database,
    upto_id: int,
    popup_withheld: bool,
    had: Collection[str] = (),
) -> list[Call]:
    """Running calls whose pop-up was caused by an event up to ``upto_id`` or by the office's log, oldest first.

    ``had``: calls whose pop-up was shown already, by the rules as they were or by a colleague.
    """
    rows = calls.conn.execute(
        # Without statistics SQLite walks through all calls by their start instead of taking the few that run.
        "SELECT * FROM calls INDEXED BY calls_running WHERE state <> 'ended' ORDER BY started_ms, id"
    )
    running = [call_of(row) for row in rows]
    return [call for call in running if call.id in had or _popped_up(calls, crm, call, upto_id, popup_withheld)]


def _popped_up(
    calls: sqlite_utils.Database, crm: sqlite_utils.Database, call: Call, upto_id: int, popup_withheld: bool
) -> bool:
    first = first_events(calls, call.id)
    waits = popup_withheld and call.direction == "incoming"
    decided = [first[kind] for kind in (DECIDES_NUMBER.get(call.direction), *_LATEST[waits]) if kind in first]
    if decided and min(decided) <= upto_id:
        return True
    return waits and is_caller_unknown(crm, call.id)
