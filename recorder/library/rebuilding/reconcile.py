"""The daily comparison of store and disk, in small slices, and the rest of a rebuild at full pace."""

from __future__ import annotations

import time

from firmware.clock import now_ms
from recorder.library.keeping.task import Library, Stopping
from recorder.library.rebuilding.channel_map import keep_channels
from recorder.library.rebuilding.reconciliation import advance, begin_pass, load_pass

EVERY_MS = 86_400_000
AGAIN_MS = 3_600_000
"""When a folder could not be read, it is looked at again so soon."""
SLICE_S = 0.5
IDLE_S, PAUSE_S, HURRY_S = 60.0, 2.0, 0.05
"""Between looks when nothing is due, between slices, between slices of a rebuild."""


class ReconcileTask:
    """See ``LibraryTask``."""

    name = "reconcile"
    every_s = IDLE_S

    def run(self, library: Library, stopping: Stopping) -> None:
        """One slice of the pass that is due."""
        keep_channels(library.home, library.calls)
        now = load_pass(library.calls)
        if now is None or now.phase == "done":
            if now is not None and 0 <= now_ms() - now.began_ms < (AGAIN_MS if now.unread else EVERY_MS):
                self.every_s = IDLE_S
                return
            now = begin_pass(library.calls)
        until = time.monotonic() + SLICE_S
        if advance(library.home, library.calls, now, lambda: stopping() or time.monotonic() > until):
            self.every_s = IDLE_S
        else:
            self.every_s = HURRY_S if now.rebuilding else PAUSE_S
