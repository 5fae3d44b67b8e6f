"""How figures lie in the file: for each local day and channel three arrays of small cells."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt

from crm_client_api.domain.scope import ChannelScope

Kind = Literal["calls", "busy", "backs"]
Array = npt.NDArray[np.void]
Longs = npt.NDArray[np.int64]

SHAPES: dict[Kind, np.dtype[np.void]] = {
    # Ended calls by the hour of the day in which they began, who handled them (0: nobody) and their direction.
    # answer_ms: the ringing of incoming calls that were answered.
    "calls": np.dtype(
        [
            ("hour", "u1"), ("outgoing", "u1"), ("operator", "<u4"), ("calls", "<u2"), ("answered", "<u2"),
            ("missed", "<u2"), ("abandoned", "<u2"), ("ring_ms", "<u4"), ("ring_max_ms", "<u4"), ("answer_ms", "<u4"),
            ("talk_ms", "<u4"), ("talk_max_ms", "<u4"),
        ]
    ),
    # How long the channel was in use by calls that began in ``hour``, during ``in_hour`` (both from the day's start).
    # Bit m of minutes: in use at the beginning of the hour's minute m.
    "busy": np.dtype([("hour", "u1"), ("in_hour", "<i2"), ("busy_ms", "<u4"), ("minutes", "<u8")]),
    # Missed calls, numbered within their hour, that somebody called back: the first time from each channel.
    "backs": np.dtype([("hour", "u1"), ("missed", "<u2"), ("back_channel", "<u2"), ("wait_ms", "<u4")]),
}  # fmt: skip

_ROWS_AT_ONCE = 2048


def row_of(day: int, channel: int) -> int:
    """The row's number; days since 1970-01-01."""
    return day * 10_000 + channel


def read_cells(
    connection: sqlite3.Connection, kind: Kind, from_day: int, to_day: int, scope: ChannelScope
) -> Iterator[tuple[Longs, Longs, Array]]:
    """Day, channel and cell of everything in scope on the days ``from_day`` (with) to ``to_day`` (without).

    Some thousand rows at a time, oldest first.
    """
    condition, arguments = scope.sql("channel")
    rows = connection.execute(
        f"SELECT day, channel, {kind} FROM main.days WHERE id >= ? AND id < ? AND {condition} ORDER BY id",
        (row_of(from_day, 0), row_of(to_day, 0), *arguments),
    )
    rows.row_factory = None
    shape = SHAPES[kind]
    while some := rows.fetchmany(_ROWS_AT_ONCE):
        counts = [len(row[2]) // shape.itemsize for row in some]
        cells = np.frombuffer(b"".join(row[2] for row in some), shape)
        days = np.repeat(np.array([row[0] for row in some], np.int64), counts)
        channels = np.repeat(np.array([row[1] for row in some], np.int64), counts)
        yield days, channels, cells


def replace_cells(
    connection: sqlite3.Connection, kind: Kind, from_hour: int, to_hour: int, hour: Longs, channel: Longs, cells: Array
) -> None:
    """Put new cells in the place of all those of these local hours, inside a write transaction.

    ``hour`` and ``channel`` say where each cell belongs.
    """
    first_day, last_day = from_hour // 24, (to_hour - 1) // 24
    old = connection.execute(
        f"SELECT id, {kind} FROM main.days WHERE id >= ? AND id < ? AND length({kind}) > 0",
        (row_of(first_day, 0), row_of(last_day + 1, 0)),
    ).fetchall()
    merged: dict[int, bytes] = {}
    for identity, blob in old:
        kept = np.frombuffer(blob, SHAPES[kind])
        at = identity // 10_000 * 24 + kept["hour"].astype(np.int64)
        merged[identity] = kept[(at < from_hour) | (at >= to_hour)].tobytes()
    row = hour // 24 * 10_000 + channel
    order = np.argsort(row, kind="stable")
    row, cells = row[order], cells[order]
    places = np.flatnonzero(np.diff(row, prepend=-1)).tolist()
    for place, end in zip(places, [*places[1:], len(row)][: len(places)], strict=True):
        identity = int(row[place])
        merged[identity] = merged.get(identity, b"") + cells[place:end].tobytes()
    connection.executemany(
        f"INSERT INTO main.days (id, day, channel, {kind}) VALUES (?,?,?,?)"
        f" ON CONFLICT (id) DO UPDATE SET {kind} = excluded.{kind}",
        [(identity, identity // 10_000, identity % 10_000, blob) for identity, blob in merged.items()],
    )
