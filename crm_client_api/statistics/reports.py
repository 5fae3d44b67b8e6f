"""What is read out of the figures: calls by time and by whom, heat map, call-backs. The scope is in every query."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from crm_client_api.domain.scope import ChannelScope, RecordScope
from crm_client_api.statistics.buckets import BY_HOUR, Buckets, By, make_buckets
from crm_client_api.statistics.cells import CHANNELS, Array, Kind, Longs, read_cells
from crm_client_api.statistics.figures import Counted
from crm_client_api.statistics.table import BackTable, Table, Totals


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


KeyOf = Callable[[Longs, Array], Longs]
"""Which key (by its place) each cell belongs to, from channels and cells."""


def operator_ids(counted: Counted, scope: RecordScope) -> dict[int, str]:
    """The operators whose calls are told apart, by the number that stands for them in the figures."""
    condition, arguments = scope.sql("staff_no")
    rows = counted.connection.execute(
        f"SELECT id, staff_no FROM main.operators WHERE {condition} ORDER BY staff_no", arguments
    )
    return {int(row[0]): str(row[1]) for row in rows}


def calls_table(counted: Counted, wanted: Wanted, reach: Reach, by: By | None, keys: int, key_of: KeyOf) -> Table:
    """Totals of every bucket (one for everything with ``by`` None) and key."""
    buckets = (
        make_buckets(by, wanted.from_day, wanted.to_day) if by else Buckets([""], lambda day, hour: np.zeros_like(day))
    )
    return _fill(Table(buckets, keys), counted, wanted, reach, key_of, fine=by in BY_HOUR)


def _fill(table: Table, counted: Counted, wanted: Wanted, reach: Reach, key_of: KeyOf, *, fine: bool) -> Table:
    allowed = _wanted_operator(counted, wanted, reach)
    for days, channels, hours, cells in _read_calls(counted, wanted, reach, fine=fine):
        if wanted.outgoing is not None or allowed is not None:
            chosen = np.ones(len(cells), bool)
            if wanted.outgoing is not None:
                chosen &= (cells["outgoing"] == 1) == wanted.outgoing
            if allowed is not None:
                chosen &= cells["operator"] == allowed
            days, channels, hours, cells = days[chosen], channels[chosen], hours[chosen], cells[chosen]
        table.add(days, hours, cells, key_of(channels, cells))
    return table


def _read_calls(
    counted: Counted, wanted: Wanted, reach: Reach, *, fine: bool
) -> Iterator[tuple[Longs, Longs, Longs, Array]]:
    """Day, channel, hour of the day (0 unless ``fine``) and cell."""
    kind: Kind = "calls" if fine else "totals"
    for days, channels, cells in read_cells(counted.connection, kind, wanted.from_day, wanted.to_day, reach.channels):
        yield days, channels, cells["hour"].astype(np.int64) if fine else np.zeros_like(days), cells


def _wanted_operator(counted: Counted, wanted: Wanted, reach: Reach) -> int | None:
    """The number of the only operator wanted (-1: out of scope, or not there), None: whoever."""
    if wanted.operator is None:
        return None
    known = {staff_no: number for number, staff_no in operator_ids(counted, reach.operators).items()}
    return known.get(wanted.operator, -1)


def heat_map(counted: Counted, wanted: Wanted, reach: Reach) -> list[list[Totals]]:
    """Totals of every weekday (Monday first) and hour of the day."""
    weekdays = make_buckets("weekday", wanted.from_day, wanted.to_day)
    buckets = Buckets([str(n) for n in range(7 * 24)], lambda day, hour: weekdays.places(day, hour) * 24 + hour)
    table = _fill(Table(buckets, 1), counted, wanted, reach, lambda channels, _: np.zeros_like(channels), fine=True)
    found = [[Totals()] * 24 for _ in range(7)]
    for name, _, totals in table:
        found[int(name) // 24][int(name) % 24] = totals
    return found


def call_backs(
    counted: Counted, wanted: Wanted, reach: Reach, by: By, keys: int, key_of_channel: Callable[[Longs], Longs]
) -> BackTable:
    """Missed calls of every bucket and key, and their call-backs. One from a channel out of scope is none."""
    table = BackTable(make_buckets(by, wanted.from_day, wanted.to_day), keys)
    for days, channels, hours, calls in _read_calls(counted, wanted, reach, fine=by in BY_HOUR):
        table.add_missed(days, hours, calls["missed"].astype(np.int64), key_of_channel(channels))
    in_scope = np.full(CHANNELS, reach.channels.all_but)
    in_scope[list(reach.channels.channels)] = not reach.channels.all_but
    for days, channels, cells in read_cells(
        counted.connection, "backs", wanted.from_day, wanted.to_day, reach.channels
    ):
        mine = in_scope[cells["back_channel"]]
        days, channels, cells = days[mine], channels[mine], cells[mine]
        hours = cells["hour"].astype(np.int64)
        call = ((days * CHANNELS + channels) * 24 + hours) << 16 | cells["missed"].astype(np.int64)
        first = np.flatnonzero(np.diff(call, prepend=-1))  # the cells of a call stand together, its shortest wait first
        days, hours, channels = days[first], hours[first], channels[first]
        table.add_backs(days, hours, cells["wait_ms"][first].astype(np.int64), key_of_channel(channels))
    return table
