"""The office's own event log, in the ``crm`` store: what people did that others should see at once.

The recorder's log tells of calls; this one of all else (tasks, takings, hand-overs). Streams follow both.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

import sqlite_utils

from firmware.clock import now_ms
from firmware.store import event_log
from firmware.store.connection import write
from firmware.store.event_log import Event

CALLER_UNKNOWN = "caller_unknown"
"""A call rings, and its number will not come any more. For whoever has its channel in scope, not for staff numbers."""
POPUP_HANDED = "popup_handed"
"""Somebody passed the pop-up of a call on. ``again``: the colleague had it already."""
KEPT_MS = 7 * 86_400_000
_TRIM_ROWS = 500


def tell(
    connection: sqlite3.Connection,
    kind: str,
    data: Mapping[str, object],
    *,
    to: Iterable[str],
    call_id: str | None = None,
) -> None:
    """Add an event for the operators ``to`` (staff numbers), inside the caller's write transaction.

    ``data`` names people and records by their ids only: what an id stands for is looked up in the reader's scope.
    Ring the doorbells after the commit, else the streams notice within a second.
    """
    event_log.append(connection, at_ms=now_ms(), kind=kind, call_id=call_id, data={"to": sorted(set(to)), **data})


def tell_caller_unknown(connection: sqlite3.Connection, channel: int, call_id: str) -> None:
    """Add the event that a call's number will not come, inside the caller's write transaction."""
    event_log.append(connection, at_ms=now_ms(), kind=CALLER_UNKNOWN, channel=channel, call_id=call_id)


def is_for(event: Event, staff_no: str) -> bool:
    """Whether an event of this log was told to somebody by staff number."""
    to = event.data.get("to")
    return isinstance(to, list) and staff_no in to


def is_caller_unknown(crm: sqlite_utils.Database, call_id: str) -> bool:
    """Whether it was told that the call's number will not come."""
    row = crm.conn.execute("SELECT 1 FROM events WHERE call_id = ? AND kind = ?", (call_id, CALLER_UNKNOWN)).fetchone()
    return row is not None


def trim(crm: sqlite_utils.Database, at_ms: int, kept_ms: int = KEPT_MS) -> int:
    """Forget events older than ``kept_ms``, in short transactions; how many. Who stands before them is reset."""
    gone = 0
    while True:
        row = crm.conn.execute("SELECT min(id), max(id) FROM events").fetchone()
        if row[0] is None:
            return gone
        upto = row[0] + _TRIM_ROWS
        with write(crm) as connection:
            # From the oldest on and never from the middle: a clock that was set back must not tear a hole.
            young = connection.execute(
                "SELECT min(id) FROM events WHERE id < ? AND at_ms >= ?", (upto, at_ms - kept_ms)
            ).fetchone()[0]
            done = connection.execute("DELETE FROM events WHERE id < ?", (upto if young is None else young,)).rowcount
        gone += done
        if young is not None or done == 0:
            return gone
