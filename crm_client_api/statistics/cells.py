"""How figures lie in the file: for each local day and channel arrays of small cells, each kind in its own table."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt

from crm_client_api.domain.scope import ChannelScope

Kind = Literal["calls", "totals", "busy", "backs"]
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
    # The same without the hour: a year by day, month or weekday is read from a tenth of the cells.
    "totals": np.dtype(
        [
            ("outgoing", "u1"), ("operator", "<u4"), ("calls", "<u4"), ("answered", "<u4"), ("missed", "<u4"),
            ("abandoned", "<u4"), ("ring_ms", "<u8"), ("ring_max_ms", "<u4"), ("answer_ms", "<u8"), ("talk_ms", "<u8"),
            ("talk_max_ms", "<u4"),
        ]
    ),
    # How long the channel was in use by calls that began in ``hour``, during ``in_hour`` (both from the day's start).
    # Bit m of minutes: in use at the beginning of the hour's minute m.
    "busy": np.dtype([("hour", "u1"), ("in_hour", "<i2"), ("busy_ms", "<u4"), ("minutes", "<u8")]),
    # Missed calls, numbered within their hour, that somebody called back: the first time from each channel, the
    # shortest wait first; the cells of one call stand together.
    "backs": np.dtype([("hour", "u1"), ("missed", "<u2"), ("back_channel", "<u2"), ("wait_ms", "<u4")]),
}  # fmt: skip

CHANNELS = 10_000
"""Channel numbers are below."""
_ROWS_AT_ONCE: dict[Kind, int] = {"calls": 1024, "totals": 4096, "busy": 2048, "backs": 4096}
_COUNTS = ("calls", "answered", "missed", "abandoned", "ring_ms", "answer_ms", "talk_ms")
_LONGEST = ("ring_max_ms", "talk_max_ms")


def row_of(day: int, channel: int) -> int:
    """The row's number; days since 1970-01-01."""
    return day * CHANNELS + channel


def read_cells(
    connection: sqlite3.Connection, kind: Kind, from_day: int, to_day: int, scope: ChannelScope
) -> Iterator[tuple[Longs, Longs, Array]]:
    """Day, channel and cell of everything in scope on the days ``from_day`` (with) to ``to_day`` (without).

    Some thousand rows at a time, oldest first.
    """
    condition, arguments = scope.sql(f"id % {CHANNELS}")
    rows = connection.execute(
        f"SELECT id, cells FROM main.{kind} WHERE id >= ? AND id < ? AND {condition} ORDER BY id",
        (row_of(from_day, 0), row_of(to_day, 0), *arguments),
    )
    rows.row_factory = None
    shape = SHAPES[kind]
    while some := rows.fetchmany(_ROWS_AT_ONCE[kind]):
        identities, blobs = zip(*some, strict=True)
        counts = np.fromiter(map(len, blobs), np.int64, len(blobs)) // shape.itemsize
        owners = np.repeat(np.array(identities, np.int64), counts)
        yield owners // CHANNELS, owners % CHANNELS, np.frombuffer(b"".join(blobs), shape)


def replace_cells(
    connection: sqlite3.Connection, kind: Kind, from_hour: int, to_hour: int, hour: Longs, channel: Longs, cells: Array
) -> None:
    """Put new cells in the place of all those of these local hours, inside a write transaction.

    ``hour`` and ``channel`` say where each cell belongs. Of kind ``calls``, the totals follow.
    """
    first_day, last_day = from_hour // 24, (to_hour - 1) // 24
    old = connection.execute(
        f"SELECT id, cells FROM main.{kind} WHERE id >= ? AND id < ?",
        (row_of(first_day, 0), row_of(last_day + 1, 0)),
    ).fetchall()
    merged: dict[int, bytes] = {}
    for identity, blob in old:
        kept = np.frombuffer(blob, SHAPES[kind])
        at = identity // CHANNELS * 24 + kept["hour"].astype(np.int64)
        merged[identity] = kept[(at < from_hour) | (at >= to_hour)].tobytes()
    row = hour // 24 * CHANNELS + channel
    order = np.argsort(row, kind="stable")
    row, cells = row[order], cells[order]
    places = np.flatnonzero(np.diff(row, prepend=-1)).tolist()
    for place, end in zip(places, [*places[1:], len(row)][: len(places)], strict=True):
        identity = int(row[place])
        merged[identity] = merged.get(identity, b"") + cells[place:end].tobytes()
    put_blobs(connection, kind, merged)
    if kind == "calls":
        put_blobs(connection, "totals", _totals(merged))


def put_blobs(connection: sqlite3.Connection, kind: Kind, blobs: dict[int, bytes]) -> None:
    """Replace whole rows, inside a write transaction; without any cells they go."""
    empty = [(identity,) for identity, blob in blobs.items() if not blob]
    connection.executemany(f"DELETE FROM main.{kind} WHERE id = ?", empty)
    connection.executemany(
        f"INSERT INTO main.{kind} (id, cells) VALUES (?,?) ON CONFLICT (id) DO UPDATE SET cells = excluded.cells",
        [(identity, blob) for identity, blob in blobs.items() if blob],
    )


def _totals(blobs: dict[int, bytes]) -> dict[int, bytes]:
    """Whole days without their hours."""
    identities = np.array(list(blobs), np.int64)
    cells = np.frombuffer(b"".join(blobs.values()), SHAPES["calls"])
    counts = np.fromiter(map(len, blobs.values()), np.int64, len(blobs)) // SHAPES["calls"].itemsize
    owner = np.repeat(np.arange(len(blobs)), counts)
    order = np.lexsort((cells["outgoing"], cells["operator"], owner))
    cells, owner = cells[order], owner[order]
    keys = np.stack([owner, cells["operator"].astype(np.int64), cells["outgoing"].astype(np.int64)], axis=1)
    new = np.ones(len(keys), bool)
    new[1:] = (keys[1:] != keys[:-1]).any(axis=1)
    places = np.flatnonzero(new)
    found = np.zeros(len(places), SHAPES["totals"])
    if len(places):
        found["outgoing"], found["operator"] = cells["outgoing"][places], cells["operator"][places]
        for name in _COUNTS:
            found[name] = np.add.reduceat(cells[name].astype(np.int64), places)
        for name in _LONGEST:
            found[name] = np.maximum.reduceat(cells[name], places)
    ends = np.searchsorted(owner[places], np.arange(len(blobs) + 1)).tolist()
    return {
        identity: found[begin:end].tobytes()
        for identity, begin, end in zip(identities.tolist(), ends[:-1], ends[1:], strict=True)
    }
