"""Who may work on recordings: one process at a time on the library, one thread at a time on copies in archives."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from firmware.config import Home
from firmware.errors import StoreBusy, StoreError

_LOOK_EVERY_S = 0.05


@contextmanager
def library_lock(home: Home, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the library, its evidence logs and files: the keeper as long as it runs, a command as long as it needs.

    Raises StoreBusy: another process held it for ``wait_s``; StoreError.
    """
    with _lock(home.run / "library.lock", wait_s, "another process is at work on the recordings"):
        yield


@contextmanager
def archive_lock(home: Home, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the archives: for one copy, or as long as copies must not appear. Who waits comes next.

    Raises StoreBusy: somebody held it for ``wait_s``; StoreError.
    """
    busy = "a recording is being archived at this moment"
    with ExitStack() as held:
        with _lock(home.run / "archive.turn", wait_s, busy):
            held.enter_context(_lock(home.run / "archive.lock", wait_s, busy))
        yield


@contextmanager
def _lock(path: Path, wait_s: float, busy: str) -> Iterator[None]:
    """A killed holder lets go."""
    try:
        file = path.open("ab")
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    with file:
        end = time.monotonic() + wait_s
        while not _taken(file.fileno()):
            if time.monotonic() >= end:
                raise StoreBusy(busy)
            time.sleep(_LOOK_EVERY_S)
        yield


def _taken(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
