"""What the keeper does for recordings while nobody waits: one task a job, each with its own pace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import sqlite_utils

from firmware.config import Home
from recorder.library.evidence.log import EvidenceLog

Stopping = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Stores:
    """``calls`` is written through ``firmware.store.connection.write`` or read only, ``crm`` read only. Thread: one."""

    home: Home
    calls: sqlite_utils.Database
    crm: sqlite_utils.Database


@dataclass(frozen=True, slots=True)
class Library(Stores):
    """What most tasks work with. ``device_log`` and ``practice_log`` are the evidence logs named ``library``.

    Thread: the library's only.
    """

    device_log: EvidenceLog
    practice_log: EvidenceLog

    def log(self, simulated: bool) -> EvidenceLog:
        """The evidence log that a recording's later life is entered in."""
        return self.practice_log if simulated else self.device_log


Works = TypeVar("Works", bound=Stores, contravariant=True)


class LibraryTask(Protocol[Works]):
    """One job, with the library or only its stores. ``run`` may raise BoxError, OSError or sqlite3.Error: it is tried
    again after ``every_s``.

    ``every_s`` may change from one run to the next. A failure that repeats raises the alarm ``library_task_failed``.
    """

    name: str
    every_s: float

    def run(self, library: Works, stopping: Stopping) -> None:
        """Do what is due and return; look at ``stopping`` between steps, none of which takes more than a second.

        True means: return at once. The keeper ends, or the other tasks have waited long enough; then this one is run
        again a second later and goes on where it was.
        """
