"""Hours by the clock on the office's wall, as numbers: hours since 1970-01-01 00:00 of local time.

Days, weekdays and hours of the day follow from such a number by division. The hour that a clock change repeats is one
hour that lasts two; the one that it skips has no calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo

HOUR_MS = 3_600_000
_DAY_ZERO = date(1970, 1, 1)
_STEP_MS = 6 * HOUR_MS


def offset_ms(zone: tzinfo, at_ms: int) -> int:
    """Local time minus UTC at that moment (Unix ms)."""
    shift = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone).utcoffset() or timedelta()
    return round(shift.total_seconds() * 1000)


def hour_of(zone: tzinfo, at_ms: int) -> int:
    """The local hour of a moment (Unix ms)."""
    return (at_ms + offset_ms(zone, at_ms)) // HOUR_MS


def first_hour(day: date) -> int:
    """The first hour of a local day."""
    return (day - _DAY_ZERO).days * 24


def day_of(hour: int) -> date:
    """The local day of an hour."""
    return _DAY_ZERO + timedelta(days=hour // 24)


def start_ms(zone: tzinfo, hour: int) -> int:
    """When a local hour begins (Unix ms); of a repeated one the first time, of a skipped one when it would have."""
    local = datetime(1970, 1, 1) + timedelta(hours=hour)
    return round(local.replace(tzinfo=zone).timestamp() * 1000)


def spans(zone: tzinfo, from_hour: int, to_hour: int) -> Iterator[tuple[int, int, int]]:
    """The moments of the local hours ``from_hour`` (with) to ``to_hour`` (without), as ``(from_ms, to_ms, offset_ms)``.

    The offset does not change within one; together they hold exactly these hours' moments, oldest first.
    """
    for first, last, offset in _steady(zone, from_hour * HOUR_MS - 16 * HOUR_MS, to_hour * HOUR_MS + 16 * HOUR_MS):
        begin, end = max(first, from_hour * HOUR_MS - offset), min(last, to_hour * HOUR_MS - offset)
        if begin < end:
            yield begin, end, offset


def _steady(zone: tzinfo, from_ms: int, to_ms: int) -> Iterator[tuple[int, int, int]]:
    """Spans of one offset each, from ``from_ms`` to ``to_ms``."""
    begin, offset, at = from_ms, offset_ms(zone, from_ms), from_ms
    while at < to_ms:
        step = min(at + _STEP_MS, to_ms)
        if offset_ms(zone, step) != offset:
            low, high = at, step
            while high - low > 1000:  # changes happen at whole seconds
                middle = (low + high) // 2
                low, high = (middle, high) if offset_ms(zone, middle) == offset else (low, middle)
            change = high // 1000 * 1000
            yield begin, change, offset
            begin, offset = change, offset_ms(zone, change)
        at = step
    yield begin, to_ms, offset
