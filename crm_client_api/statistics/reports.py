"""What is read out of the figures: calls by time and by whom, heat map, call-backs. The scope is in every query."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from crm_client_api.domain.scope import ChannelScope, RecordScope
from crm_client_api.statistics.buckets import Buckets, By, make_buckets
from crm_client_api.statistics.cells import Array, Longs, read_cells
from crm_client_api.statistics.figures import Counted

SUMS = ("calls", "incoming", "answered", "incoming_answered", "missed", "abandoned", "ring_ms", "answer_ms", "talk_ms")
MAXIMA = ("ring_max_ms", "talk_max_ms")
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reach:
    """What a viewer's statistics are made of: calls of these channels; among operators, these are told apart."""

    channels: ChannelScope
    operators: RecordScope


@dataclass(frozen=True, slots=True)
class Wanted:
    """Days ``from_day`` (with) to ``to_day`` (without), since 1970-01-01; ``outgoing`` and ``operator`` narrow."""

    from_day: int
    to_day: int
    outgoing: bool | None = None
    operator: str | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums and maxima of calls; durations in ms. ``answer_ms``: the ringing of answered incoming calls."""

    calls: int = 0
    incoming: int = 0
    answered: int = 0
    incoming_answered: int = 0
    missed: int = 0
    abandoned: int = 0
    ring_ms: int = 0
    answer_ms: int = 0
    talk_ms: int = 0
    ring_max_ms: int = 0
    talk_max_ms: int = 0


@dataclass(slots=True)
class _Table:
    """Totals by bucket and key, filled a piece at a time."""

    buckets: Buckets
    keys: int
    sums: dict[str, Doubles] = field(default_factory=dict)
    maxima: dict[str, Longs] = field(default_factory=dict)

    def __post_init__(self) -> None:
        size = len(self.buckets.names) * self.keys
        self.sums = {name: np.zeros(size) for name in SUMS}
        self.maxima = {name: np.zeros(size, np.int64) for name in MAXIMA}

    def add(self, days: Longs, cells: Array, keys: Longs) -> None:
        hours = cells["hour"].astype(np.int64)
        place = self.buckets.places(days, hours) * self.keys + keys
        incoming = cells["outgoing"] == 0
        for name in SUMS:
            values = cells["calls" if name == "incoming" else "answered" if name == "incoming_answered" else name]
            if name in ("incoming", "incoming_answered"):
                values = np.where(incoming, values, 0)
            self.sums[name] += np.bincount(place, values, len(self.sums[name]))
        for name in MAXIMA:
            np.maximum.at(self.maxima[name], place, cells[name].astype(np.int64))

    def totals(self, place: int) -> Totals:
        sums = {name: int(self.sums[name][place]) for name in SUMS}
        return Totals(**sums, **{name: int(self.maxima[name][place]) for name in MAXIMA})


KeyOf = Callable[[Longs, Array], Longs]
"""Which key (by its place) each cell belongs to, from channels and cells."""


def operator_ids(counted: Counted, scope: RecordScope) -> dict[int, str]:
    """The operators whose calls are told apart, by the number that stands for them in the figures."""
    condition, arguments = scope.sql("staff_no")
    rows = counted.connection.execute(
        f"SELECT id, staff_no FROM main.operators WHERE {condition} ORDER BY staff_no", arguments
    )
    return {int(row[0]): str(row[1]) for row in rows}


def calls_table(
    counted: Counted, wanted: Wanted, reach: Reach, by: By | None, keys: int, key_of: KeyOf
) -> list[tuple[str, int, Totals]]:
    """Totals of every bucket (one for everything with ``by`` None) and key that has calls, in their order."""
    buckets = (
        make_buckets(by, wanted.from_day, wanted.to_day) if by else Buckets([""], lambda day, hour: np.zeros_like(day))
    )
    table = _Table(buckets, keys)
    allowed = _wanted_operator(counted, wanted, reach)
    for days, channels, cells in read_cells(
        counted.connection, "calls", wanted.from_day, wanted.to_day, reach.channels
    ):
        chosen = np.ones(len(cells), bool)
        if wanted.outgoing is not None:
            chosen &= (cells["outgoing"] == 1) == wanted.outgoing
        if allowed is not None:
            chosen &= cells["operator"] == allowed
        days, channels, cells = days[chosen], channels[chosen], cells[chosen]
        table.add(days, cells, key_of(channels, cells))
    filled = np.flatnonzero(table.sums["calls"]).tolist()
    return [(buckets.names[place // keys], place % keys, table.totals(place)) for place in filled]


def _wanted_operator(counted: Counted, wanted: Wanted, reach: Reach) -> int | None:
    """The number of the only operator wanted (-1: out of scope, or not there), None: whoever."""
    if wanted.operator is None:
        return None
    known = {staff_no: number for number, staff_no in operator_ids(counted, reach.operators).items()}
    return known.get(wanted.operator, -1)


def heat_map(counted: Counted, wanted: Wanted, reach: Reach) -> list[list[Totals]]:
    """Totals of every weekday (Monday first) and hour of the day."""
    hours = calls_table(counted, wanted, reach, "weekday", 24, lambda _, cells: cells["hour"].astype(np.int64))
    found = [[Totals()] * 24 for _ in range(7)]
    for name, hour, totals in hours:
        found[int(name) - 1][hour] = totals
    return found


@dataclass(frozen=True, slots=True)
class CallBacks:
    """Missed calls; how many of them were called back within a week, and how long the callers waited (ms)."""

    missed: int = 0
    called_back: int = 0
    wait_ms: int = 0
    wait_max_ms: int = 0


def call_backs(
    counted: Counted, wanted: Wanted, reach: Reach, by: By, keys: int, key_of_channel: Callable[[Longs], Longs]
) -> tuple[list[tuple[str, int, CallBacks]], Sequence[int]]:
    """Every bucket and key with missed calls, and how long every caller waited (ms). A call back from a channel out of
    scope is none.
    """
    buckets = make_buckets(by, wanted.from_day, wanted.to_day)
    size = len(buckets.names) * keys
    missed, back, waited = np.zeros(size), np.zeros(size), np.zeros(size)
    longest = np.zeros(size, np.int64)
    every: list[Longs] = []
    for days, channels, cells in read_cells(
        counted.connection, "calls", wanted.from_day, wanted.to_day, reach.channels
    ):
        place = buckets.places(days, cells["hour"].astype(np.int64)) * keys + key_of_channel(channels)
        missed += np.bincount(place, cells["missed"], size)
    scope = np.array(sorted(reach.channels.channels), np.int64)
    for days, channels, cells in read_cells(
        counted.connection, "backs", wanted.from_day, wanted.to_day, reach.channels
    ):
        mine = np.isin(cells["back_channel"], scope, invert=reach.channels.all_but)
        days, channels, cells = days[mine], channels[mine], cells[mine]
        hours, wait = cells["hour"].astype(np.int64), cells["wait_ms"].astype(np.int64)
        call = ((days * 10_000 + channels) * 24 + hours) << 16 | cells["missed"].astype(np.int64)
        order = np.lexsort((wait, call))
        first = order[np.flatnonzero(np.diff(call[order], prepend=-1))]  # each call's shortest wait
        place = buckets.places(days[first], hours[first]) * keys + key_of_channel(channels[first])
        back += np.bincount(place, minlength=size)
        waited += np.bincount(place, wait[first], size)
        np.maximum.at(longest, place, wait[first])
        every.append(wait[first])
    rows = [
        (
            buckets.names[place // keys],
            place % keys,
            CallBacks(int(missed[place]), int(back[place]), int(waited[place]), int(longest[place])),
        )
        for place in np.flatnonzero(missed).tolist()
    ]
    return rows, np.concatenate(every).tolist() if every else []
