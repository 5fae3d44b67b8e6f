"""A doorbell wakes the readers of the event log. It carries no data; a lost ring costs at most a second."""

from __future__ import annotations

import contextlib
import os
import select
import socket
from pathlib import Path
from types import TracebackType

from firmware.clock import now_ms, uuid7


class ShortPath:
    """Reaches a folder through its descriptor, because AF_UNIX paths end at 107 bytes (unix(7))."""

    def __init__(self, folder: Path) -> None:
        self._fd = os.open(folder, os.O_DIRECTORY | os.O_RDONLY)

    def path(self, name: str) -> str:
        """A short path of a socket in the folder."""
        return f"/proc/self/fd/{self._fd}/{name}"

    def close(self) -> None:
        """Its paths end with it."""
        os.close(self._fd)


class Doorbell:
    """The reader's side: a datagram socket in the doorbell folder.

    Thread: one reader. ``close`` may come from another thread.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = ShortPath(folder)
        self._file = folder / f"{name}-{os.getpid()}-{uuid7(now_ms())[-12:]}.sock"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(self._folder.path(self._file.name))

    def wait(self, timeout_s: float = 1.0) -> bool:
        """Sleep until it rings or ``timeout_s`` has passed; True when it rang."""
        try:
            ready, _, _ = select.select([self._socket], [], [], timeout_s)
        except (OSError, ValueError):  # closed meanwhile
            return False
        if ready:
            with contextlib.suppress(OSError):
                while self._socket.recv(1):
                    pass
        return bool(ready)

    def close(self) -> None:
        """Idempotent."""
        if self._socket.fileno() >= 0:
            self._socket.close()
            self._folder.close()
            self._file.unlink(missing_ok=True)

    def __enter__(self) -> Doorbell:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def listens(folder: Path, name: str) -> bool:
    """Whether a living process has a doorbell of this name; its bell is not rung."""
    try:
        short = ShortPath(folder)
    except OSError:
        return False
    try:
        for entry in folder.glob(f"{name}-*.sock"):
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
                bell.connect(short.path(entry.name))
                return True
        return False
    finally:
        short.close()


def ring(folder: Path) -> None:
    """Wake every reader; never blocks, never fails. Sockets whose reader died are cleared away."""
    try:
        short = ShortPath(folder)
    except OSError:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
            bell.setblocking(False)
            for entry in folder.glob("*.sock"):
                try:
                    bell.sendto(b"!", short.path(entry.name))
                except ConnectionRefusedError:
                    entry.unlink(missing_ok=True)
                except OSError:  # full queue: it is ringing already
                    continue
    finally:
        short.close()
