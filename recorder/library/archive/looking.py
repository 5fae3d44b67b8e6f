"""Copies that were verified once, looked at again: a slice of them every day, oldest look first."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import sqlite_utils

from recorder.library.archive import copies
from recorder.library.archive.marks import MARK
from recorder.library.archive.target import Target, TargetError
from recorder.library.keeping.alarms import clear_alarm, raise_alarm
from recorder.library.keeping.lock import archive_lock
from recorder.library.keeping.task import Stopping, Stores

log = logging.getLogger("library")

CHANGED_ALARM = "archive_changed"
LOOK_EVERY_S = 86_400.0
COPIES_A_DAY = 100
_LOCK_S = 600.0


@dataclass(slots=True)
class Look:
    """The day's look at one target, in as many turns as it takes: ``left`` copies are to be read yet today."""

    left: int = 0
    next_s: float = 0.0

    def is_due(self) -> bool:
        """Whether copies are to be read; a new day begins when it is time (monotonic)."""
        now = time.monotonic()
        if now >= self.next_s:
            self.left, self.next_s = COPIES_A_DAY, now + LOOK_EVERY_S
        return self.left > 0


def look_at_copies(stores: Stores, name: str, target: Target, look: Look, stopping: Stopping) -> None:
    """Read some copies back; one that is gone or differs counts no more. Raises TargetError, StoreError."""
    due = copies.longest_unseen(stores.calls, name, look.left)
    look.left = len(due)
    for one in due:
        if stopping():
            return
        look.left -= 1
        with archive_lock(stores.home, _LOCK_S):
            is_there = _is_there(target, one)
            copies.note_look(stores.calls, name, one.recording_id, is_there=is_there)
        if not is_there:
            log.error("archive %s: the copy of %s is gone or damaged", name, one.recording_id)


def _is_there(target: Target, one: copies.Copy) -> bool:
    """A target that answers, but not about this copy, has lost it. Raises TargetError."""
    try:
        return target.sha256(one.path) == one.sha256
    except TargetError as error:
        if target.sha256(MARK) is None:
            raise
        log.warning("%s", error)
        return False


def tell_of_doubts(calls: sqlite_utils.Database, name: str) -> None:
    """The alarm stands while copies are missing that were there. Raises StoreError."""
    doubted, problem = copies.doubted(calls, name)
    if doubted:
        raise_alarm(calls, CHANGED_ALARM, name, {"recordings": doubted, "problem": problem})
    else:
        clear_alarm(calls, CHANGED_ALARM, name)
