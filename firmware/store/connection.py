"""One way to open a store file, one way to write to it.

SQLite in WAL mode through sqlite-utils. Every commit is synced before readers see it: an event that somebody was
told must not be undone by a power cut, and its id given again. Writers take the write lock at once (``BEGIN
IMMEDIATE``): a deferred transaction that upgrades fails with "database is locked" without waiting.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlite_utils

from firmware.errors import StoreBusy, StoreError, StoreFull

BUSY_TIMEOUT_MS = 5000


def _translate(error: sqlite3.Error) -> StoreError:
    text = str(error)
    if "locked" in text or "busy" in text:
        return StoreBusy(text)
    if "full" in text:
        return StoreFull(text)
    return StoreError(text)


def open_store(path: Path, *, readonly: bool = False, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> sqlite_utils.Database:
    """Open a store file (made when absent, unless ``readonly``).

    Thread: the connection may move between threads, but only one may use it at a time.
    Raises: StoreError.
    """
    try:
        if not readonly:
            _make_for_the_group(path)
        mode = "ro" if readonly else "rwc"
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=busy_timeout_ms / 1000, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        if not readonly:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        return sqlite_utils.Database(connection, execute_plugins=False)
    except sqlite3.Error as error:
        raise _translate(error) from error


def _make_for_the_group(path: Path) -> None:
    """SQLite makes files that only their owner may write, and every daemon of the box has a user of its own.

    Only a new file is opened: closing any descriptor of a store that is in use drops this process's locks on it
    (POSIX, fcntl), and two writers at once then spoil it (sqlite.org/howtocorrupt.html, section 2.2).
    """
    with suppress(OSError):  # it is there; or SQLite says it better
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o660))


@contextmanager
def write(db: sqlite_utils.Database) -> Iterator[sqlite3.Connection]:
    """A write transaction: all of it or nothing. Keep it below 50 ms.

    Raises: StoreBusy, StoreFull, StoreError; errors of the body roll back and go on.
    """
    connection = db.conn
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        raise _translate(error) from error
    try:
        yield connection
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise _translate(error) from error
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
