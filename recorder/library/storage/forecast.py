"""How long the room lasts, by what the last two weeks brought and took away."""

from __future__ import annotations

import msgspec
import sqlite_utils

from recorder.library.storage.retention import DAY_MS

WINDOW_DAYS = 14
LEAST_DAYS = 1.0
"""With less than a day of recordings nothing can be said."""


class Forecast(msgspec.Struct, frozen=True):
    """``days_left`` None: nothing can be said yet (``mean_bytes_a_day`` None), or the room never ends."""

    mean_bytes_a_day: int | None
    days_left: float | None


def forecast(added_bytes: int, removed_bytes: int, days: float, room_bytes: int) -> Forecast:
    """From what came and went within ``days``. Deletions for want of room must not be among what went."""
    if days < LEAST_DAYS:
        return Forecast(None, None)
    mean_bytes_a_day = round((added_bytes - removed_bytes) / days)
    if room_bytes <= 0:
        return Forecast(mean_bytes_a_day, 0.0)
    if mean_bytes_a_day <= 0:
        return Forecast(mean_bytes_a_day, None)
    return Forecast(mean_bytes_a_day, round(room_bytes / mean_bytes_a_day, 1))


def read_forecast(calls: sqlite_utils.Database, room_bytes: int, at_ms: int) -> Forecast:
    """The forecast of the store at ``at_ms``."""
    since_ms = at_ms - WINDOW_DAYS * DAY_MS
    first_ms, added_bytes = calls.conn.execute(
        "SELECT min(started_ms), coalesce(sum(bytes), 0) FROM recordings"
        " WHERE started_ms >= ? AND started_ms < ? AND bytes IS NOT NULL",
        (since_ms, at_ms),
    ).fetchone()
    (removed_bytes,) = calls.conn.execute(
        "SELECT coalesce(sum(bytes), 0) FROM recordings"
        " WHERE state = 'deleted' AND deleted_ms >= ? AND deleted_rule <> 'quota'",
        (since_ms,),
    ).fetchone()
    days = 0.0 if first_ms is None else (at_ms - first_ms) / DAY_MS
    return forecast(added_bytes, removed_bytes, days, room_bytes)
