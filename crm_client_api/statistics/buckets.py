"""Spans of time that figures are put into, and their names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import numpy as np
import numpy.typing as npt

By = Literal["hour", "day", "month", "weekday", "hour_of_day"]
BY_HOUR: frozenset[By | None] = frozenset({"hour", "hour_of_day"})
"""What cannot be told from whole days."""
Longs = npt.NDArray[np.int64]
_ZERO = date(1970, 1, 1)
_ZERO_WEEKDAY = 3  # a Thursday; Monday is 0


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - _ZERO).days


def day_of(number: int) -> date:
    """The day with that number."""
    return _ZERO + timedelta(days=number)


@dataclass(frozen=True, slots=True)
class Buckets:
    """``names`` in their order; ``places`` says for days (numbers) and hours of the day which bucket they are in."""

    names: list[str]
    places: Callable[[Longs, Longs], Longs]


def make_buckets(by: By, from_day: int, to_day: int) -> Buckets:
    """Buckets for the days ``from_day`` (with) to ``to_day`` (without)."""
    if by == "hour":
        names = [f"{day_of(day).isoformat()}T{hour:02d}" for day in range(from_day, to_day) for hour in range(24)]
        return Buckets(names, lambda day, hour: (day - from_day) * 24 + hour)
    if by == "day":
        return Buckets([day_of(day).isoformat() for day in range(from_day, to_day)], lambda day, hour: day - from_day)
    if by == "weekday":
        return Buckets([str(n) for n in range(1, 8)], lambda day, hour: (day + _ZERO_WEEKDAY) % 7)
    if by == "hour_of_day":
        return Buckets([str(n) for n in range(24)], lambda day, hour: hour)
    months = [day_of(day).isoformat()[:7] for day in range(from_day, to_day)]
    names = sorted(set(months))
    of_day = np.array([names.index(one) for one in months], np.int64)
    return Buckets(names, lambda day, hour: of_day[day - from_day])
