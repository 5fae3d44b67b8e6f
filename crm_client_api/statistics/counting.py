"""Counts the calls of whole local hours anew: the same calls always give the same figures."""

from __future__ import annotations

import sqlite3
from datetime import tzinfo

import numpy as np

from crm_client_api.statistics.backs import put_backs
from crm_client_api.statistics.cells import SHAPES, Longs, replace_cells
from crm_client_api.statistics.local_time import HOUR_MS, spans
from recorder.numbers import Site

LONGEST_CALL_DAYS = 17
"""Beyond this, a call counts as not being in use any more."""
_MINUTE_MS = 60_000
_ROWS_AT_ONCE = 2000
"""Others wait for the interpreter while so many rows become an array."""
_MOST_MS = (1 << 32) - 1

_COLUMNS = (
    "channel, direction = 'outgoing', started_ms, coalesce(ended_ms, started_ms),"
    " CASE result WHEN 'answered' THEN 1 WHEN 'missed' THEN 2 WHEN 'abandoned' THEN 3 ELSE 0 END, ring_ms, talk_ms,"
    " coalesce((SELECT id FROM main.operators WHERE staff_no = handled_by), 0)"
)
_CHANNEL, _OUTGOING, _STARTED, _ENDED, _RESULT, _RING, _TALK, _OPERATOR, _HOUR = range(9)


def count_hours(connection: sqlite3.Connection, zone: tzinfo, site: Site, from_hour: int, to_hour: int) -> None:
    """Replace the figures of the hours ``from_hour`` (with) to ``to_hour`` (without), inside a write transaction."""
    connection.execute(
        "INSERT INTO main.operators (staff_no) SELECT DISTINCT staff_no FROM crm.operators WHERE true"
        " ON CONFLICT (staff_no) DO NOTHING"
    )
    calls = _calls(connection, zone, from_hour, to_hour)
    _put_calls(connection, from_hour, to_hour, calls)
    _put_busy(connection, zone, from_hour, to_hour, calls)
    put_backs(connection, zone, site, from_hour, to_hour)


def _calls(connection: sqlite3.Connection, zone: tzinfo, from_hour: int, to_hour: int) -> Longs:
    found = []
    for begin_ms, end_ms, offset in spans(zone, from_hour, to_hour):
        rows = connection.execute(
            f"SELECT {_COLUMNS}, (started_ms + ?) / {HOUR_MS} FROM calls.calls"
            " WHERE started_ms >= ? AND started_ms < ? AND state = 'ended'",
            (offset, begin_ms, end_ms),
        )
        rows.row_factory = None
        while some := rows.fetchmany(_ROWS_AT_ONCE):
            found.append(np.array(some, np.int64))
    return np.concatenate(found) if found else np.zeros((0, 9), np.int64)


def _put_calls(connection: sqlite3.Connection, from_hour: int, to_hour: int, calls: Longs) -> None:
    order = np.lexsort((calls[:, _OUTGOING], calls[:, _OPERATOR], calls[:, _HOUR], calls[:, _CHANNEL]))
    calls = calls[order]
    keys = calls[:, [_CHANNEL, _HOUR, _OPERATOR, _OUTGOING]]
    new = np.ones(len(calls), bool)
    new[1:] = (keys[1:] != keys[:-1]).any(axis=1)
    places = np.flatnonzero(new)
    cells = np.zeros(len(places), SHAPES["calls"])
    if len(places):
        result, ring, talk = calls[:, _RESULT], np.minimum(calls[:, _RING], _MOST_MS), calls[:, _TALK]
        cells["hour"] = calls[places, _HOUR] % 24
        cells["outgoing"], cells["operator"] = calls[places, _OUTGOING], calls[places, _OPERATOR]
        cells["calls"] = np.diff(places, append=len(calls))
        for code, name in enumerate(("answered", "missed", "abandoned"), 1):
            cells[name] = np.add.reduceat((result == code).astype(np.int64), places)
        answer = np.where((result == 1) & (calls[:, _OUTGOING] == 0), ring, 0)
        for name, values in (("ring_ms", ring), ("answer_ms", answer), ("talk_ms", talk)):
            cells[name] = np.minimum(np.add.reduceat(values, places), _MOST_MS)
        for name, values in (("ring_max_ms", ring), ("talk_max_ms", talk)):
            cells[name] = np.minimum(np.maximum.reduceat(values, places), _MOST_MS)
    replace_cells(connection, "calls", from_hour, to_hour, calls[places, _HOUR], calls[places, _CHANNEL], cells)


def _put_busy(connection: sqlite3.Connection, zone: tzinfo, from_hour: int, to_hour: int, calls: Longs) -> None:
    """Cut calls at the ends of the local hours that they are in."""
    begun, channel, start = calls[:, _HOUR], calls[:, _CHANNEL], calls[:, _STARTED]
    end = np.minimum(calls[:, _ENDED], start + LONGEST_CALL_DAYS * 24 * HOUR_MS)
    pieces: list[Longs] = []
    if len(calls):
        first, last = int(start.min()) // HOUR_MS - 24, int(end.max()) // HOUR_MS + 24
        for begin_ms, end_ms, offset in spans(zone, first, last):
            low, high = np.maximum(start, begin_ms) + offset, np.minimum(end, end_ms) + offset
            inside = low < high
            pieces += _hours_of(begun[inside], channel[inside], low[inside], high[inside])
    table = np.concatenate(pieces) if pieces else np.zeros((0, 5), np.int64)
    order = np.lexsort((table[:, 2], table[:, 0], table[:, 1]))
    table = table[order]
    new = np.ones(len(table), bool)
    new[1:] = (table[1:, :3] != table[:-1, :3]).any(axis=1)
    places = np.flatnonzero(new)
    cells = np.zeros(len(places), SHAPES["busy"])
    if len(places):
        cells["hour"] = table[places, 0] % 24
        cells["in_hour"] = table[places, 2] - table[places, 0] // 24 * 24
        cells["busy_ms"] = np.add.reduceat(table[:, 3], places)
        cells["minutes"] = np.bitwise_or.reduceat(table[:, 4], places)
    replace_cells(connection, "busy", from_hour, to_hour, table[places, 0], table[places, 1], cells)


def _hours_of(begun: Longs, channel: Longs, begin: Longs, end: Longs) -> list[Longs]:
    """Rows ``hour begun, channel, hour, busy ms, minutes``. ``begin`` and ``end`` are local ms."""
    rows: list[Longs] = []
    hour = begin // HOUR_MS
    while len(begun):
        upto = np.minimum(end, (hour + 1) * HOUR_MS)
        low, high = (-(-(moment - hour * HOUR_MS) // _MINUTE_MS) for moment in (begin, upto))
        minutes = (1 << high) - (1 << low)
        rows.append(np.stack([begun, channel, hour, upto - begin, minutes], axis=1))
        more = end > upto
        begun, channel, begin, end, hour = begun[more], channel[more], upto[more], end[more], hour[more] + 1
    return rows
