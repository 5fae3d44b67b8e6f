"""What people ask of recorders and of the keeper: rows in ``crm.db`` that each reader carries out once, in order.

The API adds orders and never waits for them; what became of one stands in ``order_results`` of ``calls.db``, written
in the same transaction as its effect.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec
import sqlite_utils

RecorderVerb = Literal["pause", "resume", "record", "stop", "keep", "discard"]
"""``pause``, ``resume``: all that is recorded on the channel, while a call or a recording by hand runs; a pause ends
with the call. ``record``, ``stop``: begin and end a recording by hand on a channel without a call, or keep the running
call. ``keep``: keep a call, running or ended, whatever the record mode said. ``discard``: do not keep the running call.
Each holds from ``at_ms`` on, for at most 10 s of the past, and for nothing that was cut already."""
LibraryVerb = Literal["delete", "erase", "handle"]
"""``delete``: delete the recording ``recording_id``, or all recordings of ``call_id``. ``handle``: ``data`` holds the
``staff_no`` of who handled ``call_id``, null for nobody."""

REFUSALS: Mapping[str, str] = {
    "held": "a hold protects it",
    "order_hold_unread": "a folder of that time cannot be read, so a hold may protect it",
    "order_unarchived": "an archive does not hold it yet",
    "order_no_audio": "it has no audio",
    "order_folder_away": "its folder cannot be read",
    "order_archive_away": "its copy in an archive could not be looked at",
    "order_recording_unknown": "there is no such recording",
    "order_recording_unfinished": "the recording is not finished yet",
    "order_call_unknown": "there is no such call",
    "order_call_over": "this call is not running any more",
    "order_no_call": "no call is running",
    "order_nothing_runs": "nothing is running that could be paused: no call, and no recording that was asked for",
    "order_paused": "the recording is paused already",
    "order_not_paused": "the recording is not paused",
    "order_channel_off": "this channel is switched off",
    "order_recording_runs": "a recording that was asked for is running already",
    "order_no_recording": "no recording that was asked for is running",
    "order_never_record": "a number that must never be recorded",
    "order_late": "the order came too late",
    "order_call_silent": "the call has no audio",
    "order_deleted": "a recording of this call was deleted",
    "order_kept": "the call is kept already",
    "order_tape_unread": "the tape cannot be read",
    "order_tape_past": "the tape no longer holds it",
    "order_dealt_with": "it was dealt with already",
    "order_rebuilding": "the store is being rebuilt",
    "order_unsearchable": "older calls are not searchable by number yet",
}
"""Why an order is refused: a code for programs, and the words that stand in its message. No words hold others."""


class Order(msgspec.Struct, frozen=True):
    """One order. ``channel`` says which recorder it is for; None: the keeper. ``data``: a JSON object."""

    id: int
    at_ms: int
    asked_by: str
    verb: str
    channel: int | None
    call_id: str | None
    recording_id: str | None
    reason: str
    data: Mapping[str, Any]


def add_order(
    crm: sqlite3.Connection,
    *,
    at_ms: int,
    asked_by: str,
    verb: RecorderVerb | LibraryVerb,
    channel: int | None = None,
    call_id: str | None = None,
    recording_id: str | None = None,
    reason: str = "",
    data: Mapping[str, Any] | None = None,
) -> int:
    """Add an order inside the caller's write transaction on ``crm.db``; returns its id."""
    row = crm.execute(
        "INSERT INTO orders (at_ms, asked_by, verb, channel, call_id, recording_id, reason, data)"
        " VALUES (?,?,?,?,?,?,?,?) RETURNING id",
        (at_ms, asked_by, verb, channel, call_id, recording_id, reason, msgspec.json.encode(data or {}).decode()),
    ).fetchone()
    return int(row[0])


def read_orders(crm: sqlite_utils.Database, after_id: int, channels: Iterable[int] | None) -> list[Order]:
    """Orders above ``after_id`` for these channels (None: for the keeper), oldest first."""
    if channels is None:
        condition, arguments = "channel IS NULL", []
    else:
        arguments = list(channels)
        condition = f"channel IN ({','.join('?' * len(arguments))})"
    rows = crm.conn.execute(
        "SELECT id, at_ms, asked_by, verb, channel, call_id, recording_id, reason, data FROM orders"
        f" WHERE id > ? AND {condition} ORDER BY id LIMIT 500",
        (after_id, *arguments),
    )
    return [msgspec.convert({**row, "data": msgspec.json.decode(row["data"])}, Order) for row in rows]


def settle_order(
    calls: sqlite3.Connection, reader: str, order_id: int, done_ms: int, *, ok: bool, message: str
) -> None:
    """Note that an order was carried out (or could not be), inside the transaction of its effect on ``calls.db``."""
    calls.execute("INSERT INTO order_results VALUES (?,?,?,?) ON CONFLICT DO NOTHING", (order_id, done_ms, ok, message))
    calls.execute(
        "INSERT INTO order_marks VALUES (?,?)"
        " ON CONFLICT (reader) DO UPDATE SET last_id = max(last_id, excluded.last_id)",
        (reader, order_id),
    )


def refusal_code(message: str) -> str:
    """The code of what the message of a refused order says, of several the first; ``order_refused``: another reason."""
    return next((code for code, words in REFUSALS.items() if words in message), "order_refused")


def last_settled(calls: sqlite_utils.Database, reader: str) -> int:
    """The last order that ``reader`` (a card id, or ``library``) has carried out; 0 before the first."""
    row = calls.conn.execute("SELECT last_id FROM order_marks WHERE reader = ?", (reader,)).fetchone()
    return 0 if row is None else int(row[0])
