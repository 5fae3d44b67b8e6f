"""What is in stock: recordings with audio, page by page from the oldest, and how much they take."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import sqlite_utils

PAGE = 500
_COLUMNS = "id, kind, call_id, channel, started_ms, ended_ms, bytes, path, format, encrypted, simulated"


@dataclass(frozen=True, slots=True)
class StoredRecording:
    """A recording whose audio is there. ``path`` is below the recordings folder; times Unix ms UTC."""

    id: str
    kind: str
    call_id: str | None
    channel: int
    started_ms: int
    ended_ms: int
    bytes: int
    path: str
    format: str
    encrypted: bool
    simulated: bool


def _stored(row: sqlite3.Row) -> StoredRecording:
    return StoredRecording(
        row["id"], row["kind"], row["call_id"], row["channel"], row["started_ms"], row["ended_ms"], row["bytes"] or 0,
        row["path"], row["format"], bool(row["encrypted"]), bool(row["simulated"]),
    )  # fmt: skip


Sql = tuple[str, Sequence[object]]
"""A condition for a WHERE clause and its arguments."""
EVERYTHING: Sql = ("1", ())
EVER_MS = -(1 << 62)


def pages(
    calls: sqlite_utils.Database, since_ms: int = EVER_MS, before_ms: int = 1 << 62, condition: Sql = EVERYTHING
) -> Iterator[list[StoredRecording]]:
    """Recordings in stock that began from ``since_ms`` on and before ``before_ms``, oldest first.

    Rows may change or go between two pages.
    """
    last = (since_ms, "")
    while True:
        rows = calls.conn.execute(
            f"SELECT {_COLUMNS} FROM recordings WHERE state = 'ready' AND started_ms < ?"
            f" AND (started_ms, id) > (?, ?) AND ({condition[0]}) ORDER BY started_ms, id LIMIT ?",
            (before_ms, *last, *condition[1], PAGE),
        ).fetchall()
        if not rows:
            return
        last = (rows[-1]["started_ms"], rows[-1]["id"])
        yield [_stored(row) for row in rows]


def find(
    calls: sqlite_utils.Database, recording_ids: Iterable[str], states: Sequence[str] = ("ready",)
) -> list[StoredRecording]:
    """Those of these recordings that are in one of ``states`` and have or had audio, oldest first."""
    wanted = list(recording_ids)
    in_state = f"path IS NOT NULL AND state IN ({','.join('?' * len(states))})"
    found: list[StoredRecording] = []
    for first in range(0, len(wanted), PAGE):
        some = wanted[first : first + PAGE]
        rows = calls.conn.execute(
            f"SELECT {_COLUMNS} FROM recordings WHERE {in_state} AND id IN ({','.join('?' * len(some))})",
            (*states, *some),
        )
        found += map(_stored, rows)
    return sorted(found, key=lambda one: (one.started_ms, one.id))


def used_bytes(calls: sqlite_utils.Database) -> int:
    """What the audio of all recordings in stock takes."""
    row = calls.conn.execute("SELECT coalesce(sum(bytes), 0) FROM recordings WHERE state = 'ready'").fetchone()
    return int(row[0])
