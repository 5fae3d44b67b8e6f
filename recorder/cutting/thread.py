"""Runs the cutter on a thread of its own, at low priority behind everything else."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from firmware.config import Home
from firmware.errors import BoxError
from firmware.store.connection import open_store
from recorder.cutting.cutter import MOST_AT_ONCE, RETRY_S, Cutter
from recorder.library.keeping.alarms import clear_alarm, raise_alarm
from recorder.tape.reader import TapeReader

log = logging.getLogger("recorder")

GATHER_S = 0.5
"""So long what ends meanwhile is gathered, so that the disk syncs once for all of it."""


ALARM = "cutting_waits"
ALARM_AFTER_S = 20.0
"""The tape waits, but not for ever: somebody must know before it has gone round."""


class CuttingThread:
    """``wake`` after every news; ``stop`` lets the recording in hand be finished.

    Whatever keeps it from cutting, it tries again: the tape waits. The alarm ``cutting_waits`` stands while something
    could not be cut for ``ALARM_AFTER_S``.
    """

    def __init__(
        self, home: Home, card_id: str, tape_path: Path, simulated: bool, held_from: Callable[[], int | None]
    ) -> None:
        """``held_from``: the first sample that is not on the medium yet, None when all is there."""
        self._home, self._card_id, self._tape_path, self._simulated = home, card_id, tape_path, simulated
        self._held_from = held_from
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self.oldest_pending: int | None = None
        self._broken_since: float | None = None
        self._told: bool | None = None
        self._thread = threading.Thread(target=self._work, name="cutting", daemon=True)

    def start(self) -> None:
        """Start; orders that wait since before are carried out first."""
        self._thread.start()

    def wake(self) -> None:
        """There may be new orders."""
        self._wanted.set()

    def stop(self) -> None:
        """Finish the recording in hand and end."""
        self._stopping.set()
        self._wanted.set()
        self._thread.join()

    def _work(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
        while not self._stopping.is_set():
            try:
                with (
                    closing(TapeReader(self._tape_path)) as tape,
                    closing(Cutter(self._home, self._card_id, tape, self._simulated)) as cutter,
                ):
                    self._cut_with(cutter)
            except Exception as error:  # a full disk, a damaged log: nothing of it may stop the tape
                log.exception("cutting waits")
                if self._broken_since is None:
                    self._broken_since = time.monotonic()
                self._tell((self._broken_since, str(error)))
                self._stopping.wait(RETRY_S)

    def _cut_with(self, cutter: Cutter) -> None:
        while not self._stopping.is_set():
            self.oldest_pending = cutter.oldest_pending_sample()
            done = cutter.work(self._stopping.is_set, self._held_from)
            self._broken_since = None
            self._tell(cutter.failing())
            if not done:
                self._wanted.wait(1.0)
                self._wanted.clear()
            elif done < MOST_AT_ONCE:
                self._stopping.wait(GATHER_S)

    def _tell(self, failing: tuple[float, str] | None) -> None:
        """Raise or end the alarm; one may stand since before a restart. A store that cannot take it is told later."""
        overdue = failing is not None and time.monotonic() - failing[0] >= ALARM_AFTER_S
        if overdue == self._told or (failing is not None and not overdue and self._told is None):
            return
        try:
            db = open_store(self._home.calls_db)
            with closing(db.conn):
                if failing is not None and overdue:
                    raise_alarm(db, ALARM, self._card_id, {"error": failing[1]})
                else:
                    clear_alarm(db, ALARM, self._card_id)
        except (BoxError, sqlite3.Error) as error:
            log.warning("the alarm of the cutter cannot be told: %s", error)
        else:
            self._told = overdue
