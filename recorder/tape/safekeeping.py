"""The threads that bring a tape to the disk, beside the one that reads the card: neither may hold it up."""

from __future__ import annotations

import threading
import time

from recorder.tape.spool import RETRY_S, Spool

SYNC_EVERY_S = 0.75
"""With the block in hand (100 ms) and the sync itself, a power cut costs no more than a second."""


def keep_written(spool: Spool, stop: threading.Event) -> None:
    """Memory → file, until ``stop``."""
    while not stop.is_set():
        spool.wait(RETRY_S)
        if not spool.write_out():
            stop.wait(RETRY_S)


def keep_synced(spool: Spool, stop: threading.Event) -> None:
    """File → medium, until ``stop``."""
    began = time.monotonic()
    while not stop.wait(max(0.0, began + SYNC_EVERY_S - time.monotonic())):
        began = time.monotonic()
        spool.sync()
