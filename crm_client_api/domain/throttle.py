"""The brake on guessing passwords, one for each staff number."""

from __future__ import annotations

import sqlite3

import sqlite_utils

from firmware.errors import BoxError
from firmware.store.connection import write

FREE_FAILURES = 5
LONGEST_WAIT_MS = 300_000
_FORGET_FAILURES_MS = 3_600_000


class TooManyFailures(BoxError):
    """Too many wrong passwords: wait. ``wait_ms`` is how long."""

    def __init__(self, wait_ms: int) -> None:
        super().__init__(f"too many wrong passwords: wait {-(-wait_ms // 1000)} s")
        self.wait_ms = wait_ms


def wait_after(failures: int) -> int:
    """How long to wait after so many failures in a row, in ms."""
    return 0 if failures < FREE_FAILURES else min(1000 << min(failures - FREE_FAILURES, 20), LONGEST_WAIT_MS)


def count_try(crm: sqlite_utils.Database, staff_no: str, at_ms: int) -> None:
    """Count a try as a failure until ``forget_failures``. Raises TooManyFailures while one has to wait."""
    key = staff_no[:64]
    with write(crm) as connection:
        connection.execute("DELETE FROM login_failures WHERE last_ms < ?", (at_ms - _FORGET_FAILURES_MS,))
        row = connection.execute("SELECT failures, last_ms FROM login_failures WHERE staff_no = ?", (key,)).fetchone()
        if row is not None:
            # A clock that was set back must not make anybody wait for it to catch up.
            wait_ms = min(row["last_ms"], at_ms) + wait_after(row["failures"]) - at_ms
            if wait_ms > 0:
                raise TooManyFailures(wait_ms)
        connection.execute(
            "INSERT INTO login_failures VALUES (?, 1, ?) ON CONFLICT (staff_no)"
            " DO UPDATE SET failures = failures + 1, last_ms = excluded.last_ms",
            (key, at_ms),
        )


def forget_failures(connection: sqlite3.Connection, staff_no: str) -> None:
    """The password was right, or was reset."""
    connection.execute("DELETE FROM login_failures WHERE staff_no = ?", (staff_no,))
