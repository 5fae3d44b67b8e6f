"""Which backups are kept: the newest of each of the last days, weeks and months that have one. Pure."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from crm_client_api.backup.parameters import DAILY, MONTHLY, WEEKLY
from crm_client_api.backup.records import Made
from firmware.parameters import Value


@dataclass(frozen=True, slots=True)
class Policy:
    """So many days, ISO weeks and months, counted by those that have a backup: a box that was off loses none."""

    daily: int
    weekly: int
    monthly: int


def policy_of(system: Mapping[str, Value]) -> Policy:
    """The policy that the system parameters say."""
    counts = [value if isinstance(value := system[name], int) else 0 for name in (DAILY, WEEKLY, MONTHLY)]
    return Policy(*counts)


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
        series.setdefault(series_of(one, now.made_ms), []).append(one)
    removed = []
    for ones in series.values():
        kept = to_keep([one.made_ms for one in ones], policy, zone)
        removed += [one for one in ones if one.made_ms not in kept and one.name != now.name]
    return removed


def series_of(one: Made, now_ms: int) -> Hashable:
    """Backups of one series displace each other."""
    return one.place, bool(one.recordings), one.made_ms > now_ms


def end_of(made_ms: int, series: Collection[int], now_ms: int, policy: Policy, zone: tzinfo) -> date:
    """The day on which the backup of ``made_ms`` is displaced at the latest, if one of its series is made every night
    from now on. ``series``: when those that are there were made.
    """
    at = datetime.fromtimestamp(made_ms / 1000, zone)
    now = max(at, datetime.fromtimestamp(now_ms / 1000, zone))
    newer = [datetime.fromtimestamp(one / 1000, zone) for one in series if one > made_ms]
    tomorrow = now + timedelta(days=1)
    ends = [tomorrow.date()]
    for count, period, begin in (
        (policy.daily, _day, _day_after),
        (policy.weekly, _week, _week_after),
        (policy.monthly, _month, _month_after),
    ):
        known = {period(one) for one in newer}
        missing = count - len(known)  # so many more that have one displace it
        if missing > 0 and period(at) not in {*known, period(tomorrow)}:
            is_new = period(now) not in {*known, period(at)}
            ends.append(begin(now.date(), missing - is_new))
    return max(ends)


def _day_after(day: date, count: int) -> date:
    return day + timedelta(days=count)


def _week_after(day: date, count: int) -> date:
    return day - timedelta(days=day.weekday()) + timedelta(weeks=count)


def _month_after(day: date, count: int) -> date:
    months = day.year * 12 + day.month - 1 + count
    return date(months // 12, months % 12 + 1, 1)


def _day(at: datetime) -> Hashable:
    return at.date()


def _week(at: datetime) -> Hashable:
    return at.isocalendar()[:2]


def _month(at: datetime) -> Hashable:
    return at.year, at.month
