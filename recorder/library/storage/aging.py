"""The clock by which recordings grow old. It never leaps.

A wall clock that leaps into next year would make every recording too old in an instant. So age is counted by a clock
of its own: it follows the wall clock, but moves forward at most twice as fast as the box has really run. After a wrong
year nothing is lost; after weeks without power it has caught up in as many weeks, or when somebody vouches for the
wall clock (``tapdeck storage trust-clock``).
"""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from firmware.clock import now_ms
from firmware.config import Home
from firmware.durable import write_whole
from firmware.errors import StoreError
from recorder.library.keeping.alarms import clear_alarm, raise_alarm
from recorder.library.keeping.task import Library, Stopping
from recorder.library.storage.retention import DAY_MS, NOT_SET_BEFORE_MS

ALARM = "clock_leapt"
ALARM_BEYOND_MS = 2 * DAY_MS


class _Aging(msgspec.Struct, frozen=True):
    at_ms: int


def advance(last_ms: int | None, wall_ms: int, ran_ms: int) -> int:
    """The next position of the clock, ``ran_ms`` of running after ``last_ms`` (None: it is set for the first time)."""
    return wall_ms if last_ms is None else min(wall_ms, last_ms + 2 * ran_ms)


def aged_now_ms(home: Home) -> int:
    """By which recordings are old now; up to a run of the task late. Raises StoreError."""
    last_ms = _read(home)
    return advance(last_ms, now_ms(), 0)


def trust_wall_clock(home: Home) -> int:
    """Somebody vouches for the wall clock: set ours by it, and return it. Raises StoreError."""
    wall_ms = now_ms()
    write_whole(_file(home), msgspec.json.encode(_Aging(wall_ms)))
    return wall_ms


class AgingTask:
    """Moves the clock; see ``LibraryTask``."""

    name = "aging"
    every_s = 600.0

    def __init__(self) -> None:
        self._boottime_ms: int | None = None

    def run(self, library: Library, stopping: Stopping) -> None:
        """Move it on by the time that the box has run, and raise the alarm when the wall clock is far ahead."""
        boottime_ms = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
        ran_ms = 0 if self._boottime_ms is None else boottime_ms - self._boottime_ms
        wall_ms = now_ms()
        if wall_ms < NOT_SET_BEFORE_MS:
            return
        last_ms = _read(library.home)
        aged_ms = advance(_newest_ms(library, wall_ms) if last_ms is None else last_ms, wall_ms, ran_ms)
        write_whole(_file(library.home), msgspec.json.encode(_Aging(aged_ms)))
        self._boottime_ms = boottime_ms
        if wall_ms - aged_ms > ALARM_BEYOND_MS:
            raise_alarm(library.calls, ALARM, "", {"days": (wall_ms - aged_ms) // DAY_MS})
        else:
            clear_alarm(library.calls, ALARM, "")


def _newest_ms(library: Library, wall_ms: int) -> int | None:
    """Where the clock begins on a box that has recordings already: its wall clock may be wrong at that very moment."""
    row = library.calls.conn.execute(
        "SELECT max(started_ms) FROM recordings WHERE started_ms BETWEEN ? AND ?", (NOT_SET_BEFORE_MS, wall_ms)
    ).fetchone()
    return None if row[0] is None else int(row[0])


def _file(home: Home) -> Path:
    return home.root / "aging.json"


def _read(home: Home) -> int | None:
    try:
        return msgspec.json.decode(_file(home).read_bytes(), type=_Aging).at_ms
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise StoreError(f"{_file(home)}: {error}") from error
