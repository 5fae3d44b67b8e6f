"""The event log is the outbox: rows with a rising id that every reader follows by the last id it handled.

Ids are given under the write lock, so the order of ids is the order of commits and readers never see gaps
fill up behind them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlite_utils

from firmware.errors import BadInput


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the event log. ``at_ms`` is Unix ms UTC; ``data`` is a JSON object."""

    id: int
    at_ms: int
    kind: str
    channel: int | None
    call_id: str | None
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Origin:
    """Who wrote an event, so that writing it twice leaves one row."""

    card_id: str
    boot_id: str
    seq: int


def append(
    connection: sqlite3.Connection,
    *,
    at_ms: int,
    kind: str,
    channel: int | None = None,
    call_id: str | None = None,
    origin: Origin | None = None,
    data: Mapping[str, Any] | None = None,
) -> None:
    """Add an event inside the caller's write transaction; one with a known origin is left out."""
    connection.execute(
        "INSERT INTO events (at_ms, kind, channel, call_id, card_id, boot_id, seq, data) VALUES (?,?,?,?,?,?,?,?)"
        " ON CONFLICT (card_id, boot_id, seq) DO NOTHING",
        (
            at_ms,
            kind,
            channel,
            call_id,
            origin.card_id if origin else None,
            origin.boot_id if origin else None,
            origin.seq if origin else None,
            msgspec.json.encode(data or {}).decode(),
        ),
    )


def read_after(db: sqlite_utils.Database, last_id: int, limit: int = 500) -> list[Event]:
    """Events with an id above ``last_id``, oldest first."""
    rows = db.conn.execute(
        "SELECT id, at_ms, kind, channel, call_id, data FROM events WHERE id > ? ORDER BY id LIMIT ?", (last_id, limit)
    )
    return [Event(row[0], row[1], row[2], row[3], row[4], msgspec.json.decode(row[5])) for row in rows]


def last_id(db: sqlite_utils.Database) -> int:
    """The newest id, 0 for an empty log. An id once given is never given again."""
    return int(db.conn.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'").fetchone()[0])


def epoch(db: sqlite_utils.Database) -> str:
    """Changes when the log was rebuilt: positions of another epoch mean nothing."""
    return str(db.conn.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()[0])


def format_position(epoch_name: str, event_id: int) -> str:
    """A stream position as clients keep it: ``epoch-id``."""
    return f"{epoch_name}-{event_id}"


def parse_position(text: str) -> tuple[str, int]:
    """Split a stream position. Raises BadInput."""
    name, dash, number = text.rpartition("-")
    if not dash or not name or not number.isascii() or not number.isdigit() or len(number) > 18:
        raise BadInput(f"not a stream position: {text[:40]!r}")
    return name, int(number)
