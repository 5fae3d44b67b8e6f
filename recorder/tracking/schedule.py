"""Recording hours and holidays: texts that people write, read once, and asked of any moment of the box's local time.

Hours: items separated by ``;``, each days and times, such as ``mon-fri 08:30-12:00,13:00-18:00; sat 09:00-12:00``.
Days are ``mon`` … ``sun``, a span of them, several separated by commas, or ``daily``. Times may pass midnight
(``22:00-06:00`` belongs to the day on which it begins) and end at ``24:00``.

Holidays: items separated by ``;``, each a date, or two joined by ``..``, and ``off`` or ``work``, such as
``2027-02-05..2027-02-11 off; 2027-02-14 work``. They override the calendar of China's State Council, as far as the
library ``chinese_calendar`` knows it; a year that it does not know has no holidays but these.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Literal

from firmware.errors import ConfigError

DayKind = Literal["ordinary", "holiday", "makeup"]
"""``makeup``: a Saturday or Sunday that is worked in exchange for a holiday (调休)."""
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONDAY = 0
_DAY_MINUTES = 24 * 60
_LONGEST_HOLIDAY_DAYS = 366
_TIMES = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")
_HOLIDAY = re.compile(r"(\d{4}-\d{2}-\d{2})(?:\.\.(\d{4}-\d{2}-\d{2}))? (off|work)")


@dataclass(frozen=True, slots=True)
class Hours:
    """One span of every one of ``days`` (Monday is 0), in minutes of that day; above 1440 it reaches into the next."""

    days: frozenset[int]
    from_min: int
    to_min: int


@lru_cache(maxsize=256)
def parse_hours(text: str) -> tuple[Hours, ...]:
    """Raises ConfigError naming the item. Empty: no hours are set."""
    found: list[Hours] = []
    for item in filter(None, (part.strip().lower() for part in text.split(";"))):
        days, _, times = item.partition(" ")
        found += [Hours(_days(days, item), *_times(one, item)) for one in times.replace(" ", "").split(",")]
    return tuple(found)


def _days(text: str, item: str) -> frozenset[int]:
    if text == "daily":
        return frozenset(range(7))
    days: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if first not in _DAYS or (dash and last not in _DAYS):
            raise ConfigError(f"{item!r}: {part!r} is no day; days are {', '.join(_DAYS)} or daily")
        begin, end = _DAYS.index(first), _DAYS.index(last or first)
        days |= {day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)}
    return frozenset(days)


def _times(text: str, item: str) -> tuple[int, int]:
    match = _TIMES.fullmatch(text)
    if match is None:
        raise ConfigError(f"{item!r}: {text!r} is no span of time such as 08:30-18:00")
    hour, minute, end_hour, end_minute = (int(group) for group in match.groups())
    begin, end = hour * 60 + minute, end_hour * 60 + end_minute
    if minute > 59 or end_minute > 59 or begin >= _DAY_MINUTES or end > _DAY_MINUTES or begin == end:
        raise ConfigError(f"{item!r}: {text!r} is no span of time within 00:00-24:00")
    return begin, end if end > begin else end + _DAY_MINUTES


@lru_cache(maxsize=8)
def parse_holidays(text: str) -> dict[date, DayKind]:
    """Days that differ from the calendar. Raises ConfigError naming the item."""
    found: dict[date, DayKind] = {}
    for item in filter(None, (" ".join(part.split()) for part in text.split(";"))):
        match = _HOLIDAY.fullmatch(item.lower())
        try:
            if match is None:
                raise ValueError
            first, last = date.fromisoformat(match[1]), date.fromisoformat(match[2] or match[1])
            if not 0 <= (last - first).days < _LONGEST_HOLIDAY_DAYS:
                raise ValueError
        except ValueError:
            raise ConfigError(f"{item!r} is no date with off or work, such as 2027-02-05..2027-02-11 off") from None
        for offset in range((last - first).days + 1):
            day = first + timedelta(offset)
            found[day] = "holiday" if match[3] == "off" else "makeup" if day.weekday() > 4 else "ordinary"
    return found


def day_kind(day: date, holidays: str) -> DayKind:
    """What kind of day it is; ``holidays`` as in the module's docstring."""
    told = parse_holidays(holidays).get(day)
    return told if told is not None else _official(day)


@lru_cache(maxsize=64)
def _official(day: date) -> DayKind:
    import chinese_calendar  # type: ignore[import-untyped]

    try:
        off, name = chinese_calendar.get_holiday_detail(day)
    except NotImplementedError:  # a year that the library does not know
        return "ordinary"
    if name is None:
        return "ordinary"
    return "holiday" if off else "makeup"


@dataclass(frozen=True, slots=True)
class When:
    """Whether a moment lies in the hours, and if so whether only on public holidays."""

    in_hours: bool
    holiday: bool


def look_up(local: datetime, hours: str, holidays: str) -> When:
    """Look a local time up. A day that is worked in exchange for a holiday has Monday's hours beside its own.

    Raises ConfigError for texts that are none.
    """
    spans = parse_hours(hours) or parse_hours("daily 00:00-24:00")
    minute = local.hour * 60 + local.minute
    kinds = [
        kind
        for day, at_min in ((local.date(), minute), (local.date() - timedelta(1), minute + _DAY_MINUTES))
        for kind in (day_kind(day, holidays),)
        if _covers(spans, day.weekday(), at_min) or (kind == "makeup" and _covers(spans, _MONDAY, at_min))
    ]
    return When(bool(kinds), bool(kinds) and all(kind == "holiday" for kind in kinds))


def _covers(spans: tuple[Hours, ...], day: int, at_min: int) -> bool:
    return any(day in span.days and span.from_min <= at_min < span.to_min for span in spans)
