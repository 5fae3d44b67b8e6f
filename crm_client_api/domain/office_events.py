"""The office's own event log, in the ``crm`` store: what people did that others should see at once.

The recorder's log tells of calls; this one of all else (tasks, takings, hand-overs). Streams follow both.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

from firmware.clock import now_ms
from firmware.store import event_log


def tell(
    connection: sqlite3.Connection,
    kind: str,
    data: Mapping[str, object],
    *,
    to: Iterable[str],
    call_id: str | None = None,
) -> None:
    """Add an event for the operators ``to`` (staff numbers), inside the caller's write transaction.

    Ring the doorbells after the commit, else the streams notice within a second.
    """
    event_log.append(connection, at_ms=now_ms(), kind=kind, call_id=call_id, data={"to": sorted(to), **data})
