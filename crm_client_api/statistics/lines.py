"""How much the lines are in use: traffic, busy hour, occupancy, minutes without a free line, lines needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crm_client_api.domain.scope import ChannelScope
from crm_client_api.statistics.cells import CHANNELS, Longs, read_cells
from crm_client_api.statistics.counting import LONGEST_CALL_DAYS
from crm_client_api.statistics.figures import Counted
from crm_client_api.statistics.local_time import HOUR_MS

_MINUTES = 60
Bits = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Use of the channels ``channels`` in the local hours from ``from_hour`` on.

    ``erlangs`` of each hour; ``all_busy``: minutes of each at whose beginning no channel was free; ``most`` channels in
    use at the same time, at the beginning of some minute; ``busy_ms`` by channel.
    """

    from_hour: int
    channels: list[int]
    erlangs: list[float]
    all_busy: list[int]
    most: int
    busy_ms: dict[int, int]

    @property
    def busiest_hour(self) -> int | None:
        """The local hour with the most traffic, the first of several; None without any."""
        if not any(self.erlangs):
            return None
        return self.from_hour + int(np.argmax(self.erlangs))

    @property
    def busy_hour_of_day(self) -> tuple[int, float] | None:
        """The hour of the day with the most traffic and its mean, over the days that had any (ITU-T E.500: time
        consistent busy hour)."""
        by_day = np.array(self.erlangs).reshape(-1, 24)
        by_day = by_day[by_day.sum(axis=1) > 0]
        if not len(by_day):
            return None
        means = by_day.mean(axis=0)
        return int(np.argmax(means)), float(means.max())


def traffic(counted: Counted, from_day: int, to_day: int, scope: ChannelScope) -> Traffic:
    """The traffic of the channels in scope on the days ``from_day`` (with) to ``to_day`` (without)."""
    condition, arguments = scope.sql("number")
    rows = counted.connection.execute(f"SELECT number FROM calls.channels WHERE {condition} ORDER BY number", arguments)
    channels = [int(row[0]) for row in rows]
    from_hour, hours = from_day * 24, (to_day - from_day) * 24
    busy = np.zeros(hours)
    in_use = np.zeros((hours, _MINUTES), np.int32)
    by_channel = np.zeros(CHANNELS)
    for days, owners, cells in read_cells(counted.connection, "busy", from_day - LONGEST_CALL_DAYS - 1, to_day, scope):
        place = days * 24 + cells["in_hour"] - from_hour
        inside = (place >= 0) & (place < hours)
        place, owners, cells = place[inside], owners[inside], cells[inside]
        if not len(place):
            continue
        busy_ms = cells["busy_ms"].astype(np.float64)
        by_channel += np.bincount(owners, busy_ms, CHANNELS)
        earliest = int(place.min())
        piece = slice(earliest, int(place.max()) + 1)
        busy[piece] += np.bincount(place - earliest, busy_ms)
        hour, minutes = _once_a_channel(place, owners, cells["minutes"])
        begins = np.flatnonzero(np.diff(hour, prepend=-1))
        bits = np.unpackbits(minutes.astype("<u8").view(np.uint8).reshape(-1, 8), axis=1, bitorder="little")
        in_use[hour[begins]] += np.add.reduceat(bits[:, :_MINUTES], begins, axis=0, dtype=np.int32)
    busy_ms_of = dict.fromkeys(channels, 0) | {n: int(by_channel[n]) for n in np.flatnonzero(by_channel).tolist()}
    all_busy = (in_use >= len(channels)).sum(axis=1) if channels else np.zeros(hours, np.int64)
    return Traffic(
        from_hour, channels, (busy / HOUR_MS).tolist(), all_busy.tolist(), int(in_use.max(initial=0)), busy_ms_of
    )


def _once_a_channel(place: Longs, owners: Longs, minutes: Bits) -> tuple[Longs, Bits]:
    """Hours in their order and the minutes in use of each channel: two calls at the same time on one use it once."""
    spot = place * CHANNELS + owners
    order = np.argsort(spot, kind="stable")
    spot = spot[order]
    first = np.flatnonzero(np.diff(spot, prepend=-1))
    return spot[first] // CHANNELS, np.bitwise_or.reduceat(minutes[order], first)
