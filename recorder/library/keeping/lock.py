"""One process at a time works on the library: its evidence logs and the files of recordings that are there."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager

from firmware.config import Home
from firmware.errors import StoreBusy, StoreError

_LOOK_EVERY_S = 0.05


@contextmanager
def library_lock(home: Home, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the library: the keeper as long as it runs, a command as long as it needs. A killed holder lets go.

    Raises StoreBusy: another process held it for ``wait_s``; StoreError.
    """
    path = home.run / "library.lock"
    try:
        file = path.open("ab")
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    with file:
        end = time.monotonic() + wait_s
        while not _taken(file.fileno()):
            if time.monotonic() >= end:
                raise StoreBusy("another process is at work on the recordings")
            time.sleep(_LOOK_EVERY_S)
        yield


def _taken(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
