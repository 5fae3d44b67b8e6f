"""Keeps recordings within quota and disk."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from itertools import islice
from pathlib import Path

from recorder.library.keeping.alarms import clear_alarm, raise_alarm
from recorder.library.keeping.task import Library, Stopping
from recorder.library.rebuilding.reconciliation import past_is_missing
from recorder.library.storage.deletion import AT_ONCE, delete_recordings
from recorder.library.storage.judge import Judge, with_audio
from recorder.library.storage.quota import Limits, excess_bytes, full_flag, measure, read_limits, surplus, to_free_bytes

RULE = "quota"
ALARM = "storage_full"
REST_S = 600.0
SETTLE_S = 60.0
"""So long a disk has to show what was deleted as free: btrfs does it at its next commit."""
BALLAST_BYTES = 4 << 20


class QuotaTask:
    """Deletes the oldest, or stops the cutting of new recordings; see ``LibraryTask``."""

    name = "quota"
    every_s = 30.0

    def __init__(self) -> None:
        self._rest_until_s = self._settles_until_s = 0.0

    def run(self, library: Library, stopping: Stopping) -> None:
        """Make room if there is too little; tell the cutters and raise the alarm when there is none to be made."""
        _trim(library.home.root / "ballast")
        if time.monotonic() < self._settles_until_s:
            return
        flag = full_flag(library.home)
        limits = read_limits(library.crm)
        need_bytes = to_free_bytes(limits, measure(library.home, library.calls), flag.exists())
        enough = False
        if need_bytes and not past_is_missing(library.calls):
            enough = self._make_room(library, limits, need_bytes, stopping)
        if not excess_bytes(limits, measure(library.home, library.calls), flag.exists()):
            flag.unlink(missing_ok=True)
            clear_alarm(library.calls, ALARM, "")
        elif enough:
            self._settles_until_s = time.monotonic() + SETTLE_S
        else:
            flag.touch()
            raise_alarm(library.calls, ALARM, "", {"action": limits.action})

    def _make_room(self, library: Library, limits: Limits, need_bytes: int, stopping: Stopping) -> bool:
        """Whether so much was deleted. Where nothing may go, the whole stock is not looked through again at once."""
        if limits.action == "stop_and_alarm" or time.monotonic() < self._rest_until_s:
            return False
        stock = with_audio(library.home, Judge(library.calls, library.crm).all())
        going = surplus(stock, need_bytes, limits.action)
        freed_bytes = 0
        while not stopping() and (batch := {one.recording.id: one.recording.bytes for one in islice(going, AT_ONCE)}):
            deleted = delete_recordings(library, list(batch), RULE, "box", limits.action).deleted
            freed_bytes += sum(batch[one] for one in deleted)
        self._rest_until_s = 0.0 if freed_bytes else time.monotonic() + REST_S
        return freed_bytes >= need_bytes


def _trim(ballast: Path) -> None:
    """Some room for the deletions themselves – tombstones, log, store – when the disk is full to the last byte."""
    disk = os.statvfs(ballast.parent)
    free_bytes = disk.f_bavail * disk.f_frsize
    if free_bytes < BALLAST_BYTES:
        ballast.unlink(missing_ok=True)
    elif free_bytes > 4 * BALLAST_BYTES and not ballast.exists():
        with suppress(OSError), ballast.open("wb") as file:  # room must be made without it, too
            os.posix_fallocate(file.fileno(), 0, BALLAST_BYTES)
