"""The file of figures: counted out of both stores, beside them, and made anew whenever it does not fit them.

What it holds can be lost at any time. It has no telephone numbers in it.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crm_client_api.statistics.cells import SHAPES
from firmware.config import Home
from firmware.errors import StoreError

VERSION = "3"
_BUSY_TIMEOUT_S = 10
_PAGE_BYTES = 16_384
"""Rows are long, and a report reads many in a row."""

_TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    # Local hours (see local_time) whose figures are to be counted again.
    "CREATE TABLE stale_hours (hour INTEGER PRIMARY KEY) STRICT",
    # Missed calls (ids) of other hours that were called back since: these are counted one by one.
    "CREATE TABLE stale_backs (call_id TEXT PRIMARY KEY, hour INTEGER NOT NULL) STRICT",
    "CREATE TABLE operators (id INTEGER PRIMARY KEY, staff_no TEXT NOT NULL UNIQUE) STRICT",
    # One row for each local day (since 1970-01-01) and channel that has any: see cells.
    *(f"CREATE TABLE {kind} (id INTEGER PRIMARY KEY, cells BLOB NOT NULL) STRICT" for kind in SHAPES),
)


class FiguresFile:
    """Connections to the file, with ``calls`` and ``crm`` attached read-only. Thread: any number."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.path = home.root / "figures.db"
        self.counting = threading.Lock()
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()

    @contextmanager
    def use(self) -> Iterator[sqlite3.Connection]:
        """Borrow a connection. Raises StoreError."""
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = self._open()
        healthy = False
        try:
            yield connection
            healthy = True
        except sqlite3.Error as error:
            raise StoreError(f"figures: {error}") from error
        finally:
            if healthy and not connection.in_transaction:
                self._idle.put(connection)
            else:
                connection.close()

    def close(self) -> None:
        """Close what is idle."""
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                return

    def _open(self) -> sqlite3.Connection:
        try:
            connection = _connect(self.path)
            if not _fits(connection):
                connection.close()
                connection = self._make()
            for name, path in (("calls", self.home.calls_db), ("crm", self.home.crm_db)):
                connection.execute(f"ATTACH ? AS {name}", (f"{path.absolute().as_uri()}?mode=ro",))
        except sqlite3.Error as error:
            raise StoreError(f"figures: {error}") from error
        connection.row_factory = sqlite3.Row
        return connection

    def _make(self) -> sqlite3.Connection:
        """An empty file of this version, in the place of whatever is there."""
        connection = _connect(self.path)
        try:
            connection.execute("BEGIN IMMEDIATE")
            if not _fits(connection):
                for (name,) in connection.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
                ).fetchall():
                    connection.execute(f'DROP TABLE "{name}"')
                for statement in _TABLES:
                    connection.execute(statement)
                connection.execute("INSERT INTO meta VALUES ('version', ?)", (VERSION,))
            connection.execute("COMMIT")
        except sqlite3.DatabaseError:
            connection.close()
            raise
        return connection


def _connect(path: Path) -> sqlite3.Connection:
    """A damaged file is no loss: it is removed."""
    for last_try in (False, True):
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rwc",
            uri=True,
            isolation_level=None,
            timeout=_BUSY_TIMEOUT_S,
            check_same_thread=False,
        )
        try:
            connection.execute(f"PRAGMA page_size={_PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA temp_store=MEMORY")
            return connection
        except sqlite3.DatabaseError as error:
            connection.close()
            if last_try or isinstance(error, sqlite3.OperationalError):
                raise
            for ending in ("", "-wal", "-shm"):
                path.with_name(path.name + ending).unlink(missing_ok=True)
    raise AssertionError


def _fits(connection: sqlite3.Connection) -> bool:
    try:
        row = connection.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()
    except sqlite3.OperationalError:
        return False
    return row is not None and row[0] == VERSION
