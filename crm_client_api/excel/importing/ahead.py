"""Prepares the next batch of a long import in a second process while the present one is being written."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from crm_client_api.courier.garbage import collect_rarely
from crm_client_api.excel.importing.kind import Preparer
from crm_client_api.excel.importing.stage import Stage, Staged

LONG_ROWS = 5_000
"""From so many rows on a second process is worth its start."""
_LOOK_EVERY_S = 1.0

Batch = tuple[list[Staged], bytes]
"""Staged rows, and what the preparer made of them."""


def prepared_batches(
    stage: Stage, after: int, rows: int, kinds: Sequence[str], preparer: Preparer, batch_rows: Callable[[], int]
) -> Generator[Batch, None, None]:
    """Rows of the new ``kinds`` behind row ``after``, ``rows`` of them or fewer, in batches of ``batch_rows()``.

    Close it (or read it to its end) before the process goes on. Raises Invalid.
    """
    if rows < LONG_ROWS:
        yield from _here(stage, after, kinds, preparer, batch_rows)
        return
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_follow, initargs=(os.getpid(),)) as pool:
        try:
            for batch in _there(stage, after, kinds, preparer, batch_rows, pool):
                after = batch[0][-1].n
                yield batch
            return
        except BrokenProcessPool:  # somebody killed it: slower, then
            pass
    yield from _here(stage, after, kinds, preparer, batch_rows)


def _follow(parent: int) -> None:
    """In the second process: end soon after a courier that was killed. Its pipes do not tell: both hold their ends."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_EVERY_S)
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the courier
    collect_rarely()
    threading.Thread(target=watch, name="parent", daemon=True).start()


def _here(
    stage: Stage, after: int, kinds: Sequence[str], preparer: Preparer, batch_rows: Callable[[], int]
) -> Generator[Batch, None, None]:
    while batch := stage.after(after, kinds, batch_rows()):
        after = batch[-1].n
        yield batch, preparer([one.data for one in batch])


def _there(
    stage: Stage,
    after: int,
    kinds: Sequence[str],
    preparer: Preparer,
    batch_rows: Callable[[], int],
    pool: ProcessPoolExecutor,
) -> Generator[Batch, None, None]:
    waiting: tuple[list[Staged], Future[bytes]] | None = None
    while True:
        batch = stage.after(after, kinds, batch_rows())
        coming = (batch, pool.submit(preparer, [one.data for one in batch])) if batch else None
        if waiting is not None:
            yield waiting[0], waiting[1].result()
        if coming is None:
            return
        waiting, after = coming, batch[-1].n
