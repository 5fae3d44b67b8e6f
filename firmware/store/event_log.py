"""The event log is the outbox: rows with a rising id that every reader follows by the last id it handled.

Ids are given under the write lock, so the order of ids is the order of commits and readers never see gaps
fill up behind them.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec
import sqlite_utils

from firmware.errors import BadInput

_DATA = msgspec.json.Decoder(dict[str, Any])
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the event log. ``at_ms`` is Unix ms UTC; ``data`` is a JSON object.

    ``damaged``: the row's data is not what it must be, and is empty here; one row must not hold up those behind it.
    """

    id: int
    at_ms: int
    kind: str
    channel: int | None
    call_id: str | None
    data: Mapping[str, Any]
    damaged: bool = False


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
    return select(db, "id > ? ORDER BY id LIMIT ?", last_id, limit)


def select(db: sqlite_utils.Database, condition: str, *given: object) -> list[Event]:
    """Events by what stands behind WHERE. A damaged one is told once, and is among them."""
    rows = db.conn.execute(  # as bytes: SQLite refuses all rows for one text that is not UTF-8
        "SELECT id, at_ms, CAST(kind AS BLOB), channel, CAST(call_id AS BLOB), CAST(data AS BLOB)"
        f" FROM events WHERE {condition}",
        given,
    )
    return [_event(db, row) for row in rows]


def _event(db: sqlite_utils.Database, row: sqlite3.Row) -> Event:
    call_id = None if row[4] is None else row[4].decode(errors="replace")
    try:
        data, damaged = _DATA.decode(row[5]), False
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        data, damaged = {}, True
        _tell_damage(db.conn.execute("PRAGMA database_list").fetchone()[2], row[0], str(error))
    return Event(row[0], row[1], row[2].decode(errors="replace"), row[3], call_id, data, damaged)


@lru_cache(maxsize=1024)
def _tell_damage(store: str, event_id: int, why: str) -> None:
    """Once a process, however often the row is read."""
    _log.error("%s: event %d is damaged: %s", store, event_id, why)


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
