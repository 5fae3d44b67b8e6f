"""Which backups are kept: the newest of each of the last days, weeks and months that have one. Pure."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import dataclass
from datetime import datetime, tzinfo


@dataclass(frozen=True, slots=True)
class Policy:
    """So many days, ISO weeks and months, counted by those that have a backup: a box that was off loses none."""

    daily: int
    weekly: int
    monthly: int


def to_keep(made_ms: Collection[int], policy: Policy, zone: tzinfo) -> frozenset[int]:
    """Of backups made then (Unix ms UTC), those to keep; always the newest. Days are those of ``zone``."""
    newest_first = sorted(set(made_ms), reverse=True)
    at = {one: datetime.fromtimestamp(one / 1000, zone) for one in newest_first}
    kept = set(newest_first[:1])
    for count, period in ((policy.daily, _day), (policy.weekly, _week), (policy.monthly, _month)):
        newest: dict[Hashable, int] = {}
        for one in newest_first:
            newest.setdefault(period(at[one]), one)
        kept |= set(list(newest.values())[:count])
    return frozenset(kept)


def _day(at: datetime) -> Hashable:
    return at.date()


def _week(at: datetime) -> Hashable:
    return at.isocalendar()[:2]


def _month(at: datetime) -> Hashable:
    return at.year, at.month
