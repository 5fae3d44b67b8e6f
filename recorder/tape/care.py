"""What a recorder does about its tape beside writing it: tells of a disk that fails, of a store that refuses and of a
clock that was set, and removes tapes that are done with.

Thread: one of its own, which may wait for store and disk.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlite_utils
from msgspec.structs import replace

from firmware.config import Home
from firmware.errors import StoreError, StoreFull
from firmware.store.connection import open_store
from recorder.library.keeping.alarms import clear_alarm, raise_alarm
from recorder.sample_clock import SampleClock
from recorder.tape.format import Geometry
from recorder.tape.reader import TapeReader, spill_folder
from recorder.tape.spool import Spool
from recorder.tape.writer import TapeWriter

log = logging.getLogger("recorder")

ALARM, CLOCK_ALARM, UNREADABLE_ALARM = "tape_failing", "clock_set", "tape_unreadable"
STORE_ALARM = "store_refuses"
AUDIO_LOST = "audio is lost"
LOOK_EVERY_S = 1.0
TIDY_EVERY_S = 3600.0
KEPT_ASIDE_S = 86_400
"""A tape that was set aside stays so long, in case somebody wants it, unless its room is needed."""
SHORT_BYTES = 2 << 30
"""Less than this free on the disk is short."""


class OwedAlarm:
    """A standing alarm with the card as subject: a store that cannot take it now is told later, in order."""

    def __init__(self, code: str, card_id: str) -> None:
        self._code, self._card_id = code, card_id
        self._last: Mapping[str, Any] | None = None
        self._owed: deque[Mapping[str, Any] | None] = deque(
            [None]
        )  # an earlier process may have left its alarm standing

    @property
    def owed(self) -> bool:
        """Whether there is something to tell."""
        return bool(self._owed)

    def see(self, data: Mapping[str, Any] | None) -> None:
        """How it is: what to say, None: all is well."""
        if data == self._last:
            return
        if self._owed and (self._owed[-1] is None) == (data is None):
            self._owed.pop()
        self._owed.append(data)
        self._last = data

    def tell(self, calls: sqlite_utils.Database) -> None:
        """Write it down. Raises StoreError."""
        while self._owed:
            data = self._owed[0]
            if data is None:
                clear_alarm(calls, self._code, self._card_id)
            else:
                raise_alarm(calls, self._code, self._card_id, data)
            self._owed.popleft()


class TapeAlarm(OwedAlarm):
    """The standing alarm ``tape_failing``."""

    def __init__(self, card_id: str) -> None:
        super().__init__(ALARM, card_id)
        self._reason, self._given_up_blocks = AUDIO_LOST, 0

    def see_tape(self, reason: str | None, given_up_blocks: int) -> None:
        """How the tape is; ``reason`` None: it is well."""
        if reason is None and given_up_blocks > self._given_up_blocks:  # it was over before anybody looked
            self.see_tape(self._reason, given_up_blocks)
        self._reason, self._given_up_blocks = reason or AUDIO_LOST, given_up_blocks
        self.see(None if reason is None else {"reason": reason, "given_up_blocks": given_up_blocks})


def keep_watch(
    home: Home,
    tape: Path,
    card_id: str,
    spool: Spool,
    clock: SampleClock,
    refused: Callable[[], str | None],
    stop: threading.Event,
) -> None:
    """Look after the tape and its clock until ``stop``; a store that refuses is asked again.

    ``refused``: why the store has taken nothing for some time, None: it takes what it gets.
    """
    alarm, tidy_at, sets = TapeAlarm(card_id), time.monotonic(), 0
    store_alarm = OwedAlarm(STORE_ALARM, card_id)
    while not stop.wait(LOOK_EVERY_S):
        alarm.see_tape(spool.trouble, spool.given_up)
        reason = refused()
        store_alarm.see(None if reason is None else {"reason": reason})
        tidy = time.monotonic() >= tidy_at
        if not alarm.owed and not store_alarm.owed and not tidy and sets == clock.sets:
            continue
        try:
            calls = open_store(home.calls_db, busy_timeout_ms=1000)
            with closing(calls.conn):
                alarm.tell(calls)
                store_alarm.tell(calls)
                if sets != clock.sets:
                    raise_alarm(calls, CLOCK_ALARM, card_id, {"by_ms": clock.set_by_ms})
                    clear_alarm(calls, CLOCK_ALARM, card_id)  # it is set now: only to be looked up
                    sets = clock.sets
                if tidy:
                    remove_set_aside(calls, tape, time.time())
                    tell_of_unreadable(calls, tape, card_id)
                    tidy_at = time.monotonic() + TIDY_EVERY_S
        except (StoreError, sqlite3.Error, OSError) as error:
            log.debug("the store cannot be told of the tape: %s", error)
        except Exception:  # whatever it is, the tape goes on
            log.exception("looking after the tape")


def open_in_little_room(home: Home, tape: Path, geometry: Geometry, card_id: str) -> TapeWriter:
    """Open a tape for which the disk has no room: tapes set aside must go, else it keeps the size that it has.

    Raises StoreError.
    """
    try:
        calls = open_store(home.calls_db)
        with closing(calls.conn):
            remove_set_aside(calls, tape, time.time(), geometry.file_bytes)
    except (StoreError, sqlite3.Error, OSError) as error:
        log.warning("tapes that were set aside stay: %s", error)
    try:
        return TapeWriter(tape, geometry, card_id)
    except StoreFull as full:
        try:
            with closing(TapeReader(tape)) as reader:
                present = reader.geometry
        except StoreError:
            raise full from None
        if replace(present, slots=geometry.slots) != geometry:
            raise
        log.error("%s: no room for a tape of %d MB, it keeps its size", tape, geometry.file_bytes >> 20)
        return TapeWriter(tape, present, card_id)


def remove_set_aside(calls: sqlite_utils.Database, tape: Path, now_s: float, room_bytes: int = SHORT_BYTES) -> None:
    """Remove tapes that once stood at ``tape``: a day old, or at once when less than ``room_bytes`` are free.

    One stays while the store has a recording to cut from it or a checkpoint on it, and one that nobody can read until
    its room is needed. So it is with files of single blocks that nobody can read. Raises StoreError, OSError.
    """
    for aside in _set_aside(tape):
        old = now_s - aside.stat().st_ctime > KEPT_ASIDE_S
        short = shutil.disk_usage(tape.parent).free < room_bytes
        epoch = _epoch_of(aside) if old or short else None
        if short if epoch is None else not _is_wanted(calls, epoch):
            log.info("removed %s, nothing waits to be cut from it", aside)
            shutil.rmtree(spill_folder(aside), ignore_errors=True)
            aside.unlink()
    for file in _unreadable_blocks(tape):
        if shutil.disk_usage(tape.parent).free < room_bytes:
            log.warning("removed %s, which nobody can read: its room is needed", file)
            file.unlink(missing_ok=True)


def _unreadable_blocks(tape: Path) -> list[Path]:
    try:
        with closing(TapeReader(tape)) as reader:
            return reader.unreadable_spills()
    except StoreError:  # there is no tape
        return []


def _set_aside(tape: Path) -> list[Path]:
    return sorted(tape.parent.glob(f"{tape.stem}-*.set-aside"))


def _epoch_of(aside: Path) -> str | None:
    """None: nobody can read it."""
    try:
        with closing(TapeReader(aside)) as reader:
            return reader.epoch
    except StoreError:
        return None


def tell_of_unreadable(calls: sqlite_utils.Database, tape: Path, card_id: str) -> None:
    """Of a tape or the file of a block: calls may be on it that were not cut yet; the alarm stands until the file is
    gone, or can be read. Raises StoreError, OSError.
    """
    files = [aside.name for aside in _set_aside(tape) if _epoch_of(aside) is None]
    files += [f"{file.parent.name}/{file.name}" for file in _unreadable_blocks(tape)]
    if files:
        raise_alarm(calls, UNREADABLE_ALARM, card_id, {"files": ", ".join(files)})
    else:
        clear_alarm(calls, UNREADABLE_ALARM, card_id)


def _is_wanted(calls: sqlite_utils.Database, epoch: str) -> bool:
    wanted = (
        "SELECT EXISTS (SELECT 1 FROM recordings WHERE state = 'pending' AND tape_epoch = :epoch)"
        " OR EXISTS (SELECT 1 FROM recorder_state WHERE tape_epoch = :epoch)"
    )
    return bool(calls.conn.execute(wanted, {"epoch": epoch}).fetchone()[0])
