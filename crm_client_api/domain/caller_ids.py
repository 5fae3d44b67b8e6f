"""What was heard of callers, call by call, as the recorder noted it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

import msgspec
import sqlite_utils

from recorder.signals import CallerId


@dataclass(frozen=True, slots=True)
class RingPlace:
    """Where an incoming call rang: samples of the tape with this epoch, up to its answer or end."""

    card_id: str
    tape_epoch: str
    from_sample: int
    duration_ms: int


@dataclass(frozen=True, slots=True)
class HeardCaller:
    """One incoming call. ``heard`` None: no message; ``place`` None: nobody noted where it rang."""

    call_id: str
    started_ms: int
    heard: CallerId | None
    place: RingPlace | None


_ROWS = (
    "SELECT id, card_id, started_ms, answered_ms, ended_ms, caller_id, tape_epoch,"
    " (SELECT data ->> 'started_sample' FROM events WHERE call_id = calls.id AND kind = 'call_started'"
    " ORDER BY events.id LIMIT 1) AS started_sample,"
    # The tape still holds what was deleted: the ringing tells the number, and goes with the recording.
    " coalesce(manifest, '') LIKE '%.tombstone.json'"
    " OR EXISTS (SELECT 1 FROM recordings WHERE call_id = calls.id AND state = 'deleted') AS deleted FROM calls"
)
_LONGEST_RING_MS = 120_000


def heard_on(
    calls: sqlite_utils.Database, channel: int, before: tuple[int, str] | None, limit: int
) -> list[HeardCaller]:
    """Incoming calls of a channel, newest first, that come before (start, id)."""
    rows = calls.conn.execute(
        f"{_ROWS} WHERE channel = ? AND direction = 'incoming' AND (started_ms, id) < (?, ?)"
        " ORDER BY started_ms DESC, id DESC LIMIT ?",
        (channel, *(before or (1 << 62, "")), limit),
    )
    return [_heard(row) for row in rows]


def ring_place(calls: sqlite_utils.Database, call_id: str) -> RingPlace | None:
    """Where this call rang; None for an outgoing one, where nobody noted it, and once it was deleted or erased."""
    row = calls.conn.execute(f"{_ROWS} WHERE id = ? AND direction = 'incoming'", (call_id,)).fetchone()
    return None if row is None else _heard(row).place


def ended_before(calls: sqlite_utils.Database, channel: int, started_ms: int) -> int | None:
    """When the call before that moment ended on the channel (Unix ms UTC); None when there was none."""
    row = calls.conn.execute(
        "SELECT coalesce(ended_ms, started_ms) FROM calls WHERE channel = ? AND started_ms < ?"
        " ORDER BY started_ms DESC LIMIT 1",
        (channel, started_ms),
    ).fetchone()
    return None if row is None else int(row[0])


def _heard(one: sqlite3.Row) -> HeardCaller:
    place = None
    until_ms = one["answered_ms"] or one["ended_ms"]
    if one["started_sample"] is not None and one["tape_epoch"] and until_ms is not None and not one["deleted"]:
        length_ms = min(_LONGEST_RING_MS, max(0, until_ms - one["started_ms"]))
        place = RingPlace(one["card_id"], one["tape_epoch"], one["started_sample"], length_ms)
    return HeardCaller(one["id"], one["started_ms"], _message(one["caller_id"]), place)


def _message(text: str | None) -> CallerId | None:
    """None also for what another version wrote."""
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=CallerId)
    except msgspec.MsgspecError:
        return None
