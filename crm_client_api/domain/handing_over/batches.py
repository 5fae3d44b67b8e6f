"""Many small steps, packed into transactions that hold the store for milliseconds."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator

import sqlite_utils

from firmware.store.connection import write

BATCH_S = 0.01
"""So long a transaction takes further steps; the last one may take a little longer."""

_END = object()


def run_in_batches(
    crm: sqlite_utils.Database, steps: Iterator[None], after_batch: Callable[[sqlite3.Connection, bool], None]
) -> None:
    """Take all steps; ``after_batch`` ends each transaction, and is told whether it is the last one."""
    ended = False
    while not ended:
        with write(crm) as connection:
            until = time.monotonic() + BATCH_S
            while True:
                ended = next(steps, _END) is _END
                if ended or time.monotonic() >= until:
                    break
            after_batch(connection, ended)
