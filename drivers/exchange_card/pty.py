"""A pseudo-terminal with a fixed name that looks like the card's serial port."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
import tty
from pathlib import Path

from firmware.errors import ConfigError

_READ_BYTES = 65_536


class PtyLink:
    """The card's end of a pseudo-terminal; ``path`` becomes a symbolic link to the host's end.

    The host's end is kept open here too, so that a host that comes and goes causes no hang-up. Never blocks.
    Raises ConfigError when the link cannot be made. Thread: one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._card_fd, self._host_fd = pty.openpty()
        tty.setraw(self._host_fd)
        os.set_blocking(self._card_fd, False)
        self.device = os.ttyname(self._host_fd)
        try:
            self._link()
        except OSError as error:
            self._close_fds()
            raise ConfigError(f"link = {path}: {error}") from error

    def fileno(self) -> int:
        """Descriptor to poll: readable when the host wrote, writable when it read."""
        return self._card_fd

    def read(self) -> bytes:
        """What the host has written; empty when nothing."""
        try:
            return os.read(self._card_fd, _READ_BYTES)
        except BlockingIOError:
            return b""

    def write(self, data: memoryview) -> int:
        """Hand over as much as fits; how many bytes that was."""
        try:
            return os.write(self._card_fd, data)
        except BlockingIOError:
            return 0

    def unread_bytes(self) -> int:
        """Bytes that the host could read at once."""
        count = fcntl.ioctl(self._host_fd, termios.FIONREAD, b"\0" * 4)
        return int(struct.unpack("i", count)[0])

    def close(self) -> None:
        """Take the link away, if it is still ours, and hang up. Idempotent."""
        if self._card_fd < 0:
            return
        if self._path.is_symlink() and str(self._path.readlink()) == self.device:
            self._path.unlink(missing_ok=True)
        self._close_fds()

    def _link(self) -> None:
        if self._path.exists() and not self._path.is_symlink():
            raise FileExistsError("exists and is no link")
        fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(self.device)
        fresh.replace(self._path)

    def _close_fds(self) -> None:
        os.close(self._card_fd)
        os.close(self._host_fd)
        self._card_fd = self._host_fd = -1
