"""Counts call-backs: for every missed call, when its number was called, the first time from each channel."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from datetime import tzinfo

import numpy as np

from crm_client_api.domain.calls import Way, ways_to
from crm_client_api.statistics.cells import SHAPES, put_blobs, replace_cells, row_of
from crm_client_api.statistics.local_time import HOUR_MS, hour_of, spans
from recorder.numbers import Site, match_key

CALL_BACK_WITHIN_MS = 7 * 86_400_000
"""A later call to the same number answers no missed call any more."""
_MOST_BACK_CHANNELS = 16
_MOST_MISSED = (1 << 16) - 1
_MISSED = "result = 'missed' AND direction = 'incoming' AND state = 'ended' AND caller_number IS NOT NULL"
_MISSED_BY_NUMBER = f"+{_MISSED}"
"""The same, found by the number's index: a week has thousands of missed calls."""


def missed_before(connection: sqlite3.Connection, zone: tzinfo, site: Site, key: str, at_ms: int) -> dict[str, int]:
    """The missed calls that a call to the number of this key answers: their ids, each with its hour."""
    rows = [
        row
        for way in _ways(connection, key, site, "incoming")
        for row in connection.execute(
            f"SELECT id, started_ms FROM calls.calls WHERE {way.condition}"
            f" AND started_ms >= ? AND started_ms < ? AND {_MISSED_BY_NUMBER}",
            (way.value, at_ms - CALL_BACK_WITHIN_MS, at_ms),
        )
    ]
    return {str(row[0]): hour_of(zone, row[1]) for row in rows}


def _ways(connection: sqlite3.Connection, key: str, site: Site, direction: str) -> list[Way]:
    return [way for way in ways_to(connection, (key,), site, "calls") if way.direction == direction]


def key_of(number: str, key: str | None, site: Site) -> str:
    """By what a number is found; one from before there were keys has none."""
    return match_key(number, site) if key is None else key


def put_backs_of_calls(connection: sqlite3.Connection, zone: tzinfo, site: Site, calls: Iterable[str]) -> None:
    """Replace the call-backs of some missed calls (ids) of hours that are counted, inside a write transaction."""
    for identity in calls:
        call = connection.execute(
            f"SELECT channel, started_ms, caller_number, caller_key, rowid FROM calls.calls WHERE id = ? AND {_MISSED}",
            (identity,),
        ).fetchone()
        if call is None:
            continue
        channel, started_ms, number, key, row = call
        hour = hour_of(zone, started_ms)
        candidates = _calls_to(connection, site, key_of(number, key, site), started_ms)
        found = _first_of_each_channel(candidates, started_ms)
        place = min(_place_in_hour(connection, zone, hour, started_ms, row), _MOST_MISSED)
        _replace(connection, row_of(hour // 24, channel), hour % 24, place, found)


def _place_in_hour(connection: sqlite3.Connection, zone: tzinfo, hour: int, started_ms: int, row: int) -> int:
    """How many calls of the hour were missed up to this one, this one with."""
    return sum(
        int(
            connection.execute(
                f"SELECT count(*) FROM calls.calls WHERE {_MISSED} AND started_ms >= ? AND started_ms < ?"
                " AND (started_ms, rowid) <= (?, ?)",
                (begin_ms, min(end_ms, started_ms + 1), started_ms, row),
            ).fetchone()[0]
        )
        for begin_ms, end_ms, _ in spans(zone, hour, hour + 1)
    )


def _calls_to(connection: sqlite3.Connection, site: Site, key: str, after_ms: int) -> list[tuple[int, int]]:
    """Outgoing calls to a number in time to answer a missed one, oldest first: start, channel."""
    return sorted(
        (row[0], row[1])
        for way in _ways(connection, key, site, "outgoing")
        for row in connection.execute(
            "SELECT started_ms, channel FROM calls.calls"
            f" WHERE {way.condition} AND started_ms > ? AND started_ms <= ? AND direction = 'outgoing'",
            (way.value, after_ms, after_ms + CALL_BACK_WITHIN_MS),
        )
    )


def _replace(connection: sqlite3.Connection, row: int, hour: int, place: int, found: list[tuple[int, int]]) -> None:
    old = connection.execute("SELECT cells FROM main.backs WHERE id = ?", (row,)).fetchone()
    cells = np.frombuffer(old[0] if old else b"", SHAPES["backs"])
    kept = cells[(cells["hour"] != hour) | (cells["missed"] != place)]
    new = np.array([(hour, place, back_channel, wait_ms) for back_channel, wait_ms in found], SHAPES["backs"])
    put_blobs(connection, "backs", {row: kept.tobytes() + new.tobytes()})


def put_backs(connection: sqlite3.Connection, zone: tzinfo, site: Site, from_hour: int, to_hour: int) -> None:
    """Replace the call-backs of the missed calls of these hours, inside a write transaction."""
    missed: list[tuple[int, int, int, str]] = []  # hour, channel, start, key
    for begin_ms, end_ms, offset in spans(zone, from_hour, to_hour):
        rows = connection.execute(
            f"SELECT (started_ms + ?) / {HOUR_MS}, channel, started_ms, caller_number, caller_key FROM calls.calls"
            f" WHERE started_ms >= ? AND started_ms < ? AND {_MISSED} ORDER BY started_ms, rowid",
            (offset, begin_ms, end_ms),
        )
        rows.row_factory = None
        missed += [(hour, channel, at_ms, key_of(number, key, site)) for hour, channel, at_ms, number, key in rows]
    back = _calls_back(connection, site, missed)
    found: list[tuple[int, int, int, int, int]] = []
    order: dict[int, int] = defaultdict(int)
    for hour, channel, started_ms, key in missed:
        order[hour] += 1
        for back_channel, wait_ms in _first_of_each_channel(back.get(key, []), started_ms):
            found.append((hour, channel, order[hour], back_channel, wait_ms))
    table = np.array(found, np.int64).reshape(-1, 5)
    cells = np.zeros(len(table), SHAPES["backs"])
    cells["hour"], cells["missed"] = table[:, 0] % 24, np.minimum(table[:, 2], _MOST_MISSED)
    cells["back_channel"], cells["wait_ms"] = table[:, 3], table[:, 4]
    replace_cells(connection, "backs", from_hour, to_hour, table[:, 0], table[:, 1], cells)


def _calls_back(
    connection: sqlite3.Connection, site: Site, missed: list[tuple[int, int, int, str]]
) -> dict[str, list[tuple[int, int]]]:
    """Outgoing calls to the numbers of missed ones by their key, oldest first: start, channel."""
    back: dict[str, list[tuple[int, int]]] = defaultdict(list)
    wanted = {key for _, _, _, key in missed if key}
    if not wanted:
        return back
    rows = connection.execute(
        "SELECT started_ms, channel, dialled_number, dialled_key FROM calls.calls"
        " WHERE started_ms > ? AND started_ms <= ? AND direction = 'outgoing' AND dialled_number IS NOT NULL"
        " ORDER BY started_ms",
        (min(one[2] for one in missed), max(one[2] for one in missed) + CALL_BACK_WITHIN_MS),
    )
    rows.row_factory = None
    for started_ms, channel, number, stored in rows:
        key = key_of(number, stored, site)
        if key in wanted:
            back[key].append((started_ms, channel))
    return back


def _first_of_each_channel(candidates: list[tuple[int, int]], missed_ms: int) -> list[tuple[int, int]]:
    """Channel and how long the caller waited, the earliest first."""
    first: dict[int, int] = {}
    for started_ms, channel in candidates:
        if started_ms > missed_ms + CALL_BACK_WITHIN_MS or len(first) == _MOST_BACK_CHANNELS:
            break
        if started_ms > missed_ms and channel not in first:
            first[channel] = started_ms - missed_ms
    return list(first.items())
