"""Keeps the figures true: follows the recorder's event log and counts again every hour that something happened to.

An hour is marked stale in the same transaction that moves the position in the log, and the mark is taken away in the
one that replaces the hour's figures; so are missed calls of other hours that were called back. So whatever happens,
what is not marked is right.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import tzinfo
from typing import TypeVar

import sqlite_utils

from crm_client_api.domain.settings import read_settings
from crm_client_api.statistics.backs import key_of, missed_before, put_backs_of_calls
from crm_client_api.statistics.cells import SHAPES
from crm_client_api.statistics.counting import count_hours
from crm_client_api.statistics.figures_file import FiguresFile
from crm_client_api.statistics.freeing import give_back_memory
from crm_client_api.statistics.local_time import hour_of, start_ms
from firmware.config import Home
from firmware.errors import BoxError
from recorder.library.keeping.number_keys import keyed_by
from recorder.numbers import Site, reading

_EVENTS_AT_ONCE = 5000
_CALLS_AT_ONCE = 500
_HOURS_AT_ONCE = 7 * 24
_HOURS_TOGETHER = 6
"""Stale hours so near to each other are counted in one go."""
_HOURS_WHILE_SOMEBODY_WAITS = 72
_QUIET_HOURS_WHILE_SOMEBODY_WAITS = 10_000
_MOST_CALLS_OF_QUIET_HOURS = 10_000
_MOST_BACKS_ONE_BY_ONE = 300
"""Of more, the hours are counted."""
_LOOK_EVERY_S = 30.0
_log = logging.getLogger(__name__)

Report = TypeVar("Report")


class Preparing(BoxError):
    """Too many hours are still to be counted; they are being counted now."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Figures that are right: ``connection`` has them as tables, ``zone`` is the one they were counted by."""

    connection: sqlite3.Connection
    zone: tzinfo


class Figures:
    """All figures of one box. Thread: any number; ``start`` and ``stop`` once."""

    def __init__(self, home: Home) -> None:
        self.file = FiguresFile(home)
        # One at a time on a thread of its own: reports take tens of megabytes, which every thread that ever made one
        # would keep, and a small box has other things to do beside.
        self._reports = ThreadPoolExecutor(1, "reports")
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._keep_up, name="figures", daemon=True)

    def start(self) -> None:
        """Count in the background what nobody asks for yet."""
        self._thread.start()

    def stop(self) -> None:
        """End after what is being counted."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self._reports.shutdown(cancel_futures=True)
        self.file.close()

    @contextmanager
    def counted(self, from_hour: int | None = None, to_hour: int | None = None) -> Iterator[Counted]:
        """The figures, right at this moment for these local hours. Raises Preparing, StoreError."""
        with self.file.use() as connection:
            zone, site = _site(connection)
            # Who would have to wait long is told so at once, and not when what is being counted is done.
            self._check_ready(connection, zone, _stale(connection, from_hour, to_hour))
            with self.file.counting:
                _follow(connection, zone, site)
                stale = _stale(connection, from_hour, to_hour)
                self._check_ready(connection, zone, stale)
                for first, last in _runs(stale):
                    _count(connection, zone, site, first, last)
                _count_backs(connection, zone, site, from_hour, to_hour)
            yield Counted(connection, zone)

    def _check_ready(self, connection: sqlite3.Connection, zone: tzinfo, stale: list[int]) -> None:
        if _too_many(connection, zone, stale):
            self._wake.set()
            raise Preparing(f"the statistics are being prepared: {len(stale)} hours are still to be counted")

    def report(self, from_hour: int, to_hour: int, make: Callable[[Counted], Report]) -> Report:
        """What ``make`` makes of the figures of these hours, one report after the other. Raises as ``counted``."""

        def run() -> Report:
            try:
                with self.counted(from_hour, to_hour) as counted:
                    return make(counted)
            finally:
                give_back_memory()

        return self._reports.submit(run).result()

    def count_everything(self) -> None:
        """Count all stale hours, the newest first, until done or stopped. Raises StoreError."""
        counted = False
        with self.file.use() as connection:
            zone, site = _site(connection)
            while not self._stopping.is_set():
                with self.file.counting:
                    _follow(connection, zone, site)
                    runs = _runs(_stale(connection, None, None))
                    if not runs:
                        _count_backs(connection, zone, site, None, None)
                        break
                    _count(connection, zone, site, *runs[-1])
                    counted = True
        if counted:
            give_back_memory()

    def _keep_up(self) -> None:
        self._open_ahead()
        while not self._stopping.is_set():
            self._wake.wait(_LOOK_EVERY_S)
            self._wake.clear()
            if self._stopping.is_set():
                return
            try:
                self.count_everything()
            except BoxError as error:
                _log.warning("statistics: %s", error)

    def _open_ahead(self) -> None:
        """Have a connection open before anybody waits for it."""
        try:
            with self.file.use() as connection:
                _site(connection)
        except BoxError as error:
            _log.warning("statistics: %s", error)


def _site(connection: sqlite3.Connection) -> tuple[tzinfo, Site]:
    crm = sqlite_utils.Database(connection, execute_plugins=False)
    settings = read_settings(crm)
    return settings.zone, settings.site


def _follow(connection: sqlite3.Connection, zone: tzinfo, site: Site) -> None:
    epoch = connection.execute("SELECT value FROM calls.meta WHERE key = 'epoch'").fetchone()[0]
    counted_by = f"{epoch} {zone} {keyed_by(connection, 'calls')} {reading(site)}"
    newest = connection.execute("SELECT coalesce(max(seq), 0) FROM calls.sqlite_sequence WHERE name = 'events'")
    newest_id = int(newest.fetchone()[0])
    known = dict(connection.execute("SELECT key, value FROM main.meta").fetchall())
    position = int(known.get("position", -1))
    if known.get("counted_by") != counted_by or not 0 <= position <= newest_id:
        _begin_anew(connection, zone, counted_by, newest_id)
        return
    while position < newest_id:
        connection.execute("BEGIN IMMEDIATE")
        try:
            position = _mark_events(connection, zone, site, position)
            connection.execute("UPDATE main.meta SET value = ? WHERE key = 'position'", (str(position),))
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def _begin_anew(connection: sqlite3.Connection, zone: tzinfo, counted_by: str, newest_id: int) -> None:
    """Everything is stale. What happens from now on comes behind ``newest_id``, and is counted once more."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for table in (*SHAPES, "stale_hours", "stale_backs"):
            connection.execute(f"DELETE FROM main.{table}")
        first, last = connection.execute("SELECT min(started_ms), max(started_ms) FROM calls.calls").fetchone()
        if first is not None:
            hours = range(hour_of(zone, first) - 1, hour_of(zone, last) + 2)
            connection.executemany("INSERT INTO stale_hours VALUES (?)", ((hour,) for hour in hours))
        for key, value in (("counted_by", counted_by), ("position", str(newest_id))):
            connection.execute(
                "INSERT INTO main.meta VALUES (?,?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (key, value),
            )
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _mark_events(connection: sqlite3.Connection, zone: tzinfo, site: Site, position: int) -> int:
    """Mark what the next events concern; the position behind them."""
    rows = connection.execute(
        "SELECT id, kind, call_id FROM calls.events WHERE id > ? ORDER BY id LIMIT ?", (position, _EVENTS_AT_ONCE)
    ).fetchall()
    if not rows:  # numbers that were given to nobody
        return int(connection.execute("SELECT seq FROM calls.sqlite_sequence WHERE name = 'events'").fetchone()[0])
    concerned = sorted({row["call_id"] for row in rows if row["call_id"] and not row["kind"].startswith("recording_")})
    hours: set[int] = set()
    answered: dict[str, int] = {}
    for first in range(0, len(concerned), _CALLS_AT_ONCE):
        some = concerned[first : first + _CALLS_AT_ONCE]
        for call in connection.execute(
            "SELECT direction, started_ms, dialled_number, dialled_key FROM calls.calls"
            f" WHERE id IN ({','.join('?' * len(some))}) AND state = 'ended'",
            some,
        ):
            hours.add(hour_of(zone, call["started_ms"]))
            if call["direction"] == "outgoing" and call["dialled_number"]:
                key = key_of(call["dialled_number"], call["dialled_key"], site)
                answered |= missed_before(connection, zone, site, key, call["started_ms"])
    connection.executemany("INSERT OR IGNORE INTO stale_hours VALUES (?)", [(hour,) for hour in hours])
    connection.executemany("INSERT OR IGNORE INTO stale_backs VALUES (?,?)", answered.items())
    if connection.execute("SELECT count(*) FROM stale_backs").fetchone()[0] > _MOST_BACKS_ONE_BY_ONE:
        connection.execute("INSERT OR IGNORE INTO stale_hours SELECT hour FROM stale_backs")
        connection.execute("DELETE FROM stale_backs")
    return int(rows[-1]["id"])


def _stale(connection: sqlite3.Connection, from_hour: int | None, to_hour: int | None) -> list[int]:
    rows = connection.execute(
        "SELECT hour FROM stale_hours WHERE hour >= ? AND hour < ? ORDER BY hour", _between(from_hour, to_hour)
    )
    return [int(row[0]) for row in rows]


def _between(from_hour: int | None, to_hour: int | None) -> tuple[int, int]:
    return -(1 << 62) if from_hour is None else from_hour, (1 << 62) if to_hour is None else to_hour


def _too_many(connection: sqlite3.Connection, zone: tzinfo, stale: list[int]) -> bool:
    """Whether counting these hours would keep somebody waiting."""
    if len(stale) <= _HOURS_WHILE_SOMEBODY_WAITS:
        return False
    if len(stale) > _QUIET_HOURS_WHILE_SOMEBODY_WAITS:
        return True
    found = connection.execute(
        "SELECT count(*) FROM (SELECT 1 FROM calls.calls WHERE started_ms >= ? AND started_ms < ? LIMIT ?)",
        (start_ms(zone, stale[0]), start_ms(zone, stale[-1] + 1), _MOST_CALLS_OF_QUIET_HOURS + 1),
    )
    return int(found.fetchone()[0]) > _MOST_CALLS_OF_QUIET_HOURS


def _runs(hours: Iterable[int]) -> list[tuple[int, int]]:
    """First (with) and last (without) of what is counted in one go, oldest first."""
    runs: list[tuple[int, int]] = []
    for hour in hours:
        if runs and hour - runs[-1][1] <= _HOURS_TOGETHER and hour + 1 - runs[-1][0] <= _HOURS_AT_ONCE:
            runs[-1] = (runs[-1][0], hour + 1)
        else:
            runs.append((hour, hour + 1))
    return runs


def _count(connection: sqlite3.Connection, zone: tzinfo, site: Site, first: int, last: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for table in ("stale_hours", "stale_backs"):
            connection.execute(f"DELETE FROM {table} WHERE hour >= ? AND hour < ?", (first, last))
        count_hours(connection, zone, site, first, last)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _count_backs(
    connection: sqlite3.Connection, zone: tzinfo, site: Site, from_hour: int | None, to_hour: int | None
) -> None:
    """Behind the stale hours: a missed call is known by its place in its hour."""
    condition, hours = "hour >= ? AND hour < ?", _between(from_hour, to_hour)
    found = connection.execute(f"SELECT call_id FROM stale_backs WHERE {condition}", hours).fetchall()
    if not found:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(f"DELETE FROM stale_backs WHERE {condition}", hours)
        put_backs_of_calls(connection, zone, site, (row[0] for row in found))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
