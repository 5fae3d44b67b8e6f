"""Keeps recordings within quota and disk."""

from __future__ import annotations

import os
import time
from itertools import islice
from pathlib import Path

from recorder.library.keeping.alarms import clear_alarm, raise_alarm
from recorder.library.keeping.task import Library, Stopping
from recorder.library.storage.deletion import AT_ONCE, delete_recordings
from recorder.library.storage.judge import Judge
from recorder.library.storage.quota import Limits, excess_bytes, full_flag, measure, read_limits, surplus

RULE = "quota"
ALARM = "storage_full"
REST_S = 600.0
BALLAST_BYTES = 4 << 20


class QuotaTask:
    """Deletes the oldest, or stops the cutting of new recordings; see ``LibraryTask``."""

    name = "quota"
    every_s = 30.0

    def __init__(self) -> None:
        self._rest_until_s = 0.0

    def run(self, library: Library, stopping: Stopping) -> None:
        """Make room if there is too little; tell the cutters and raise the alarm when there is none to be made."""
        _trim(library.home.root / "ballast")
        flag = full_flag(library.home)
        limits = read_limits(library.crm)
        need_bytes = excess_bytes(limits, measure(library.home, library.calls), flag.exists())
        if need_bytes:
            self._make_room(library, limits, need_bytes, stopping)
        if excess_bytes(limits, measure(library.home, library.calls), flag.exists()):
            flag.touch()
            raise_alarm(library.calls, ALARM, "", {"action": limits.action})
        else:
            flag.unlink(missing_ok=True)
            clear_alarm(library.calls, ALARM, "")

    def _make_room(self, library: Library, limits: Limits, need_bytes: int, stopping: Stopping) -> None:
        """Where nothing may go, the whole stock is not looked through again at once."""
        if limits.action == "stop_and_alarm" or time.monotonic() < self._rest_until_s:
            return
        going = surplus(Judge(library.calls, library.crm).all(), need_bytes, limits.action)
        deleted = 0
        while not stopping() and (batch := [one.recording.id for one in islice(going, AT_ONCE)]):
            deleted += len(delete_recordings(library, batch, RULE, "box", limits.action).deleted)
        self._rest_until_s = 0.0 if deleted else time.monotonic() + REST_S


def _trim(ballast: Path) -> None:
    """Some room for the deletions themselves – tombstones, log, store – when the disk is full to the last byte."""
    disk = os.statvfs(ballast.parent)
    free_bytes = disk.f_bavail * disk.f_frsize
    if free_bytes < BALLAST_BYTES:
        ballast.unlink(missing_ok=True)
    elif free_bytes > 4 * BALLAST_BYTES and not ballast.exists():
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, BALLAST_BYTES)
