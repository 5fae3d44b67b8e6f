"""Counts call-backs: for every missed call, when its number was called, the first time from each channel."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from datetime import tzinfo

import numpy as np

from crm_client_api.domain.numbers import Site, match_key, spellings
from crm_client_api.statistics.cells import SHAPES, put_blobs, replace_cells, row_of
from crm_client_api.statistics.local_time import HOUR_MS, hour_of, spans

CALL_BACK_WITHIN_MS = 7 * 86_400_000
"""A later call to the same number answers no missed call any more."""
_MATCHING_DIGITS = 7  # two spellings of one number end alike at least so far
_MOST_BACK_CHANNELS = 16
_MOST_MISSED = (1 << 16) - 1
_MISSED = "result = 'missed' AND direction = 'incoming' AND state = 'ended' AND caller_number IS NOT NULL"
_MISSED_BY_NUMBER = f"+{_MISSED}"
"""The same, found by the number's index: a week has thousands of missed calls."""


def missed_before(connection: sqlite3.Connection, zone: tzinfo, site: Site, number: str, at_ms: int) -> dict[str, int]:
    """The missed calls that a call to this number answers: their ids, each with its hour."""
    known = spellings(number, site)
    rows = connection.execute(
        f"SELECT id, started_ms FROM calls.calls WHERE caller_number IN ({','.join('?' * len(known))})"
        f" AND started_ms >= ? AND started_ms < ? AND {_MISSED_BY_NUMBER}",
        (*known, at_ms - CALL_BACK_WITHIN_MS, at_ms),
    )
    return {str(row[0]): hour_of(zone, row[1]) for row in rows}


def put_backs_of_calls(connection: sqlite3.Connection, zone: tzinfo, site: Site, calls: Iterable[str]) -> None:
    """Replace the call-backs of some missed calls (ids) of hours that are counted, inside a write transaction."""
    for identity in calls:
        call = connection.execute(
            f"SELECT channel, started_ms, caller_number, rowid FROM calls.calls WHERE id = ? AND {_MISSED}", (identity,)
        ).fetchone()
        if call is None:
            continue
        channel, started_ms, number, row = call
        hour = hour_of(zone, started_ms)
        found = _first_of_each_channel(_calls_to(connection, site, number, started_ms), started_ms, number, site)
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


def _calls_to(connection: sqlite3.Connection, site: Site, number: str, after_ms: int) -> list[tuple[int, int, str]]:
    """Outgoing calls to a number in time to answer a missed one, oldest first: start, channel, number."""
    known = spellings(number, site)
    rows = connection.execute(
        "SELECT started_ms, channel, dialled_number FROM calls.calls"
        f" WHERE dialled_number IN ({','.join('?' * len(known))}) AND started_ms > ? AND started_ms <= ?"
        " AND direction = 'outgoing' ORDER BY started_ms",
        (*known, after_ms, after_ms + CALL_BACK_WITHIN_MS),
    )
    rows.row_factory = None
    return rows.fetchall()


def _replace(connection: sqlite3.Connection, row: int, hour: int, place: int, found: list[tuple[int, int]]) -> None:
    old = connection.execute("SELECT cells FROM main.backs WHERE id = ?", (row,)).fetchone()
    cells = np.frombuffer(old[0] if old else b"", SHAPES["backs"])
    kept = cells[(cells["hour"] != hour) | (cells["missed"] != place)]
    new = np.array([(hour, place, back_channel, wait_ms) for back_channel, wait_ms in found], SHAPES["backs"])
    put_blobs(connection, "backs", {row: kept.tobytes() + new.tobytes()})


def put_backs(connection: sqlite3.Connection, zone: tzinfo, site: Site, from_hour: int, to_hour: int) -> None:
    """Replace the call-backs of the missed calls of these hours, inside a write transaction."""
    missed: list[tuple[int, int, int, str]] = []
    for begin_ms, end_ms, offset in spans(zone, from_hour, to_hour):
        rows = connection.execute(
            f"SELECT (started_ms + ?) / {HOUR_MS}, channel, started_ms, caller_number FROM calls.calls"
            f" WHERE started_ms >= ? AND started_ms < ? AND {_MISSED} ORDER BY started_ms, rowid",
            (offset, begin_ms, end_ms),
        )
        rows.row_factory = None
        missed += rows.fetchall()
    back = _calls_back(connection, missed)
    found: list[tuple[int, int, int, int, int]] = []
    order: dict[int, int] = defaultdict(int)
    for hour, channel, started_ms, number in missed:
        order[hour] += 1
        candidates = back.get(number[-_MATCHING_DIGITS:], [])
        for back_channel, wait_ms in _first_of_each_channel(candidates, started_ms, number, site):
            found.append((hour, channel, order[hour], back_channel, wait_ms))
    table = np.array(found, np.int64).reshape(-1, 5)
    cells = np.zeros(len(table), SHAPES["backs"])
    cells["hour"], cells["missed"] = table[:, 0] % 24, np.minimum(table[:, 2], _MOST_MISSED)
    cells["back_channel"], cells["wait_ms"] = table[:, 3], table[:, 4]
    replace_cells(connection, "backs", from_hour, to_hour, table[:, 0], table[:, 1], cells)


def _calls_back(
    connection: sqlite3.Connection, missed: list[tuple[int, int, int, str]]
) -> dict[str, list[tuple[int, int, str]]]:
    """Outgoing calls by the end of their number, oldest first: start, channel, number."""
    back: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    if not missed:
        return back
    endings = {number[-_MATCHING_DIGITS:] for _, _, _, number in missed}
    rows = connection.execute(
        f"SELECT started_ms, channel, dialled_number, substr(dialled_number, -{_MATCHING_DIGITS}) FROM calls.calls"
        " WHERE started_ms > ? AND started_ms <= ? AND direction = 'outgoing' AND dialled_number IS NOT NULL"
        " ORDER BY started_ms",
        (min(one[2] for one in missed), max(one[2] for one in missed) + CALL_BACK_WITHIN_MS),
    )
    rows.row_factory = None
    for started_ms, channel, number, ending in rows:
        if ending in endings:
            back[ending].append((started_ms, channel, number))
    return back


def _first_of_each_channel(
    candidates: list[tuple[int, int, str]], missed_ms: int, number: str, site: Site
) -> list[tuple[int, int]]:
    """Channel and how long the caller waited, the earliest first."""
    first: dict[int, int] = {}
    for started_ms, channel, dialled in candidates:
        if started_ms > missed_ms + CALL_BACK_WITHIN_MS or len(first) == _MOST_BACK_CHANNELS:
            break
        same = dialled == number or match_key(dialled, site) == match_key(number, site) != ""
        if started_ms > missed_ms and channel not in first and same:
            first[channel] = started_ms - missed_ms
    return list(first.items())
