"""The threads that bring a tape to the disk, beside the one that reads the card: neither may hold it up."""

from __future__ import annotations

import threading
import time
from collections import deque

from recorder.tape.spool import RETRY_S, Spool

SYNCED_WITHIN_S = 0.6
"""From one sync's beginning to the next one's end: with the block in hand (100 ms), what the card has not handed over
yet and a thread that waits 0.2 s for its turn, a power cut costs no more than a second."""
LEAST_APART_S = 0.1
"""A disk that is slower than that all the same is synced once a block."""
REMEMBERED_SYNCS = 60


class SyncPace:
    """When to sync next: a disk that takes longer is asked earlier, one not known yet at once."""

    def __init__(self) -> None:
        self._took_s: deque[float] = deque(maxlen=REMEMBERED_SYNCS)

    def took(self, seconds: float) -> None:
        """A sync took so long."""
        self._took_s.append(seconds)

    @property
    def apart_s(self) -> float:
        """From the beginning of one sync to that of the next."""
        return max(LEAST_APART_S, SYNCED_WITHIN_S - max(self._took_s, default=SYNCED_WITHIN_S))


def keep_written(spool: Spool, stop: threading.Event) -> None:
    """Memory → file, until ``stop``."""
    while not stop.is_set():
        spool.wait(RETRY_S)
        if not spool.write_out():
            stop.wait(RETRY_S)


def keep_synced(spool: Spool, stop: threading.Event) -> None:
    """File → medium, until ``stop``."""
    pace, began = SyncPace(), time.monotonic()
    while not stop.wait(max(0.0, began + pace.apart_s - time.monotonic())):
        spool.wait_written(SYNCED_WITHIN_S)
        began = time.monotonic()
        spool.sync()
        pace.took(time.monotonic() - began)
