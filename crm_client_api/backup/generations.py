"""Which backups are kept: the newest of each of the last days, weeks and months that have one. Pure."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import dataclass
from datetime import datetime, tzinfo

from crm_client_api.backup.records import Made


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


def thinned(made: Collection[Made], now: Made, policy: Policy, zone: tzinfo) -> list[Made]:
    """Of the backups at a place, those to remove now that ``now`` is made; never ``now`` itself.

    Backups with and without recordings are two series: neither displaces the other. Those that say they are made after
    ``now`` come from a clock that was wrong, or is: they are series of their own.
    """
    series: dict[Hashable, list[Made]] = {}
    for one in made:
        series.setdefault((bool(one.recordings), one.made_ms > now.made_ms), []).append(one)
    removed = []
    for ones in series.values():
        kept = to_keep([one.made_ms for one in ones], policy, zone)
        removed += [one for one in ones if one.made_ms not in kept and one.name != now.name]
    return removed


def _day(at: datetime) -> Hashable:
    return at.date()


def _week(at: datetime) -> Hashable:
    return at.isocalendar()[:2]


def _month(at: datetime) -> Hashable:
    return at.year, at.month
