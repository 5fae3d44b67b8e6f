"""Deletes recordings whose time is over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import islice

from recorder.library.keeping.task import Library, Stopping
from recorder.library.rebuilding.reconciliation import past_is_missing
from recorder.library.storage.aging import aged_now_ms
from recorder.library.storage.deletion import AT_ONCE, delete_recordings
from recorder.library.storage.judge import Judge, with_audio
from recorder.library.storage.stock import find

RULE = "retention"


class RetentionTask:
    """See ``LibraryTask``."""

    name = "retention"
    every_s = 3600.0

    def run(self, library: Library, stopping: Stopping) -> None:
        """Delete what is over and unprotected, oldest first, in small batches; the reason names the rule."""
        if past_is_missing(library.calls):
            return
        at_ms = aged_now_ms(library.home)
        expired = Judge(library.calls, library.crm).expired(at_ms)
        due = (one.recording.id for one in with_audio(library.home, expired) if one.protection is None)
        while not stopping() and (batch := list(islice(due, AT_ONCE))):
            _delete(library, batch, at_ms)


def _delete(library: Library, ids: Sequence[str], at_ms: int) -> None:
    """Delete what is over by the rules of this very moment: somebody may have changed them since the pass began."""
    over: dict[str, list[str]] = defaultdict(list)
    for one in Judge(library.calls, library.crm).judge(find(library.calls, ids)):
        if one.kept.over(one.recording.ended_ms, at_ms):
            over[str(one.kept)].append(one.recording.id)
    for reason, some in over.items():
        delete_recordings(library, some, RULE, "box", reason)
