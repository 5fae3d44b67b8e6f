"""Folders of recordings that cannot be read: what a rebuilt store does not know, and which recordings that concerns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import msgspec
import sqlite_utils

PASS_KEY = "reconciliation"
"""In ``meta``: how far the comparison of store and disk has come."""
_AROUND = timedelta(days=8)
"""So far from its own day a folder's manifests may speak of calls that can be heard in other recordings."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A stretch of time (Unix ms) of which calls may be missing in the store, on ``channel`` or on all (None)."""

    from_ms: float
    to_ms: float
    channel: int | None

    def touches(self, started_ms: int, ended_ms: int, channel: int) -> bool:
        """Whether a recording may hold a call that the store does not know."""
        return self.from_ms <= ended_ms and started_ms <= self.to_ms and self.channel in (None, channel)


def unknown_of(places: Iterable[str]) -> list[Unknown]:
    """What folders hide, by their paths below the recordings: ``""`` all, ``2027/01`` a month."""
    return [_unknown(place.split("/") if place else []) for place in places]


def _unknown(parts: Sequence[str]) -> Unknown:
    numbers = [int(part.removeprefix("CH")) for part in parts]
    try:
        first = date(*[*numbers[:3], 1, 1][:3]) if numbers else date.min
        last = date.max if not numbers else date(numbers[0], 12, 31)
        if len(numbers) > 1:
            last = (date(numbers[0], numbers[1], 28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
        if len(numbers) > 2:
            last = first
        from_ms = datetime.combine(first - _AROUND, time.min).timestamp() * 1000
        to_ms = datetime.combine(last + _AROUND, time.max).timestamp() * 1000
    except (ValueError, OverflowError, OSError):  # no day of ours: it may be any
        from_ms, to_ms = float("-inf"), float("inf")
    return Unknown(from_ms, to_ms, numbers[3] if len(numbers) > 3 else None)


class _Pass(msgspec.Struct):
    missing: dict[str, str] = {}


def read_unknown(calls: sqlite_utils.Database) -> list[Unknown]:
    """What the store does not know since it was made anew. Raises sqlite3.Error."""
    row = calls.conn.execute("SELECT value FROM meta WHERE key = ?", (PASS_KEY,)).fetchone()
    try:
        return [] if row is None else unknown_of(msgspec.json.decode(row[0], type=_Pass).missing)
    except msgspec.DecodeError:
        return []
