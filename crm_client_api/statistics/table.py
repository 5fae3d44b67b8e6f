"""Sums of calls in columns, by span of time and by key."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np

from crm_client_api.statistics.buckets import Buckets
from crm_client_api.statistics.cells import Array, Longs

SUMS = ("calls", "incoming", "answered", "incoming_answered", "missed", "abandoned", "ring_ms", "answer_ms", "talk_ms")
MAXIMA = ("ring_max_ms", "talk_max_ms")
_INCOMING = {"incoming": "calls", "incoming_answered": "answered"}
"""What is summed for them, of incoming calls only."""


class Totals(NamedTuple):
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


class Table:
    """Totals by bucket and key, in columns: a year by day and channel has a hundred thousand of them.

    Filled a piece at a time, and read afterwards; one that has no calls is left out.
    """

    def __init__(self, buckets: Buckets, keys: int) -> None:
        size = len(buckets.names) * keys
        self.buckets = buckets
        self.keys = keys
        self._sums = {name: np.zeros(size) for name in SUMS}
        self._maxima = {name: np.zeros(size, np.int64) for name in MAXIMA}

    def add(self, days: Longs, hours: Longs, cells: Array, keys: Longs) -> None:
        """More calls, on these days in these hours of the day, each cell under its key."""
        place = self.buckets.places(days, hours) * self.keys + keys
        outgoing = cells["outgoing"] != 0
        for name in SUMS:
            values = cells[_INCOMING.get(name, name)]
            if name in _INCOMING:
                values = np.where(outgoing, 0, values)
            self._sums[name] += np.bincount(place, values, len(self._sums[name]))
        for name in MAXIMA:
            np.maximum.at(self._maxima[name], place, cells[name].astype(np.int64))

    @cached_property
    def places(self) -> Longs:
        """Where there are calls: bucket times ``keys`` plus key, in their order."""
        return np.flatnonzero(self._sums["calls"])

    def column(self, name: str, places: Longs) -> list[int]:
        """One of the sums or maxima there."""
        column = self._sums[name] if name in self._sums else self._maxima[name]
        found: list[int] = column[places].astype(np.int64).tolist()
        return found

    def totals(self, places: Longs) -> Iterator[Totals]:
        """What is there."""
        return map(Totals, *(self.column(name, places) for name in (*SUMS, *MAXIMA)))

    def total(self) -> Totals:
        """All of it together."""
        sums = [int(self._sums[name].sum()) for name in SUMS]
        return Totals(*sums, *(int(self._maxima[name].max(initial=0)) for name in MAXIMA))

    def __iter__(self) -> Iterator[tuple[str, int, Totals]]:
        """Bucket, key and totals."""
        places = self.places
        for place, totals in zip(places.tolist(), self.totals(places), strict=True):
            yield self.buckets.names[place // self.keys], place % self.keys, totals


class CallBacks(NamedTuple):
    """Missed calls; how many of them were called back within a week, and how long the callers waited (ms)."""

    missed: int = 0
    called_back: int = 0
    wait_ms: int = 0
    wait_max_ms: int = 0


class BackTable:
    """Call-backs by bucket and key, in columns, filled as a Table is."""

    def __init__(self, buckets: Buckets, keys: int) -> None:
        size = len(buckets.names) * keys
        self.buckets = buckets
        self.keys = keys
        self._missed, self._back, self._waited = np.zeros(size), np.zeros(size), np.zeros(size)
        self._longest = np.zeros(size, np.int64)
        self._waits: list[Longs] = []

    def add_missed(self, days: Longs, hours: Longs, missed: Longs, keys: Longs) -> None:
        """Missed calls, on these days in these hours of the day."""
        self._missed += np.bincount(self._place(days, hours, keys), missed, len(self._missed))

    def add_backs(self, days: Longs, hours: Longs, wait_ms: Longs, keys: Longs) -> None:
        """Missed calls of these days and hours that were called back so much later."""
        place = self._place(days, hours, keys)
        self._back += np.bincount(place, minlength=len(self._back))
        self._waited += np.bincount(place, wait_ms, len(self._waited))
        np.maximum.at(self._longest, place, wait_ms)
        self._waits.append(wait_ms)

    def _place(self, days: Longs, hours: Longs, keys: Longs) -> Longs:
        return self.buckets.places(days, hours) * self.keys + keys

    @cached_property
    def places(self) -> Longs:
        """Where there are missed calls: bucket times ``keys`` plus key, in their order."""
        return np.flatnonzero(self._missed)

    def all(self) -> Iterator[CallBacks]:
        """What is at the places."""
        columns = (self._missed, self._back, self._waited, self._longest)
        return map(CallBacks, *(one[self.places].astype(np.int64).tolist() for one in columns))

    def total(self) -> CallBacks:
        """All of it together."""
        missed, back, waited = (int(one.sum()) for one in (self._missed, self._back, self._waited))
        return CallBacks(missed, back, waited, int(self._longest.max(initial=0)))

    def by_bucket(self) -> tuple[list[int], list[int]]:
        """Missed calls that were called back, and those that were not, of every bucket."""
        shape = (len(self.buckets.names), self.keys)
        missed, back = (one.astype(np.int64).reshape(shape).sum(axis=1) for one in (self._missed, self._back))
        return back.tolist(), (missed - back).tolist()

    @property
    def waits(self) -> Longs:
        """How long every caller waited (ms)."""
        return np.concatenate(self._waits) if self._waits else np.zeros(0, np.int64)

    @property
    def median_wait_ms(self) -> int | None:
        """The middle one of all waits, of an even number the lower of the two; None without any."""
        waits = self.waits
        middle = (len(waits) - 1) // 2
        return int(np.partition(waits, middle)[middle]) if len(waits) else None
