"""Deletes recordings whose time is over."""

from __future__ import annotations

from collections import defaultdict

from recorder.library.keeping.task import Library, Stopping
from recorder.library.storage.aging import aged_now_ms
from recorder.library.storage.deletion import AT_ONCE, delete_recordings
from recorder.library.storage.judge import Judge

RULE = "retention"


class RetentionTask:
    """See ``LibraryTask``."""

    name = "retention"
    every_s = 3600.0

    def run(self, library: Library, stopping: Stopping) -> None:
        """Delete what is over and unprotected, oldest first, in small batches; the reason names the rule."""
        due: dict[str, list[str]] = defaultdict(list)
        for one in Judge(library.calls, library.crm).expired(aged_now_ms(library.home)):
            if stopping():
                return
            if one.protection is None:
                some = due[str(one.kept)]
                some.append(one.recording.id)
                if len(some) >= AT_ONCE:
                    delete_recordings(library, some, RULE, "box", str(one.kept))
                    some.clear()
        for reason, some in due.items():
            delete_recordings(library, some, RULE, "box", reason)
