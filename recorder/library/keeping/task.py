"""What the keeper does for recordings while nobody waits: one task a job, each with its own pace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import sqlite_utils

from firmware.config import Home
from recorder.library.evidence.log import EvidenceLog

Stopping = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Library:
    """What tasks work with. ``calls`` is written through ``firmware.store.connection.write``; ``crm`` is read only.

    ``device_log`` and ``practice_log`` are the evidence logs named ``library``. Thread: the library's only.
    """

    home: Home
    calls: sqlite_utils.Database
    crm: sqlite_utils.Database
    device_log: EvidenceLog
    practice_log: EvidenceLog

    def log(self, simulated: bool) -> EvidenceLog:
        """The evidence log that a recording's later life is entered in."""
        return self.practice_log if simulated else self.device_log


class LibraryTask(Protocol):
    """One job. ``run`` may raise BoxError, OSError or sqlite3.Error: it is tried again after ``every_s``.

    ``every_s`` may change from one run to the next. A failure that repeats raises the alarm ``library_task_failed``.
    """

    name: str
    every_s: float

    def run(self, library: Library, stopping: Stopping) -> None:
        """Do what is due and return; look at ``stopping`` between steps, none of which takes more than a second.

        True means: return at once. The keeper ends, or the other tasks have waited long enough; then this one is run
        again a second later and goes on where it was.
        """
