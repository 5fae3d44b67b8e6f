"""A head of the library's evidence logs every minute, so that a log that was rolled back shows a hole."""

from __future__ import annotations

from firmware.clock import now_ms
from recorder.library.keeping.alarms import raise_alarm
from recorder.library.keeping.task import Library, Stopping

DAMAGED_ALARM = "evidence_damaged"


class HeartbeatTask:
    """See ``LibraryTask``."""

    name = "heartbeat"
    every_s = 60.0

    def run(self, library: Library, stopping: Stopping) -> None:
        """Write a heartbeat into both logs; tell what was found wrong with one when it was opened."""
        for log in (library.device_log, library.practice_log):
            log.heartbeat(now_ms())
            for problem in log.untold:
                raise_alarm(library.calls, DAMAGED_ALARM, f"{log.path.parent.name}/{log.name}", {"problem": problem})
            log.told()
