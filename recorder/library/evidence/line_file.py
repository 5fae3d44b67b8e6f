"""A file of whole lines that only grows, each durable before the next."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from firmware.durable import sync_folder


class LineFile:
    """``end`` is where the whole lines end; what a power cut or a full disk tore behind it is written over.

    Whoever reads the file at opening sets ``end``. Thread: one writer. Every method raises OSError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.end = 0

    def append(self, lines: bytes) -> None:
        """Write whole lines behind the end and bring them to the medium."""
        is_new = not self.path.exists()
        if self.end and (is_new or self.path.stat().st_size < self.end):
            raise OSError(errno.ESTALE, "it was cut off by somebody else", str(self.path))
        with os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o660), "rb+", buffering=0) as file:
            file.truncate(self.end)
            file.seek(self.end)
            if file.write(lines) != len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
        if is_new:
            sync_folder(self.path.parent)
        self.end += len(lines)


LONGEST_LINE_BYTES = 64 * 1024


def last_line(path: Path) -> tuple[bytes, int]:
    """The last whole line without its newline (empty: there is none) and where it ends. Raises OSError."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = max(0, size - 2 * LONGEST_LINE_BYTES)
            file.seek(start)
            tail = file.read()
    except FileNotFoundError:
        return b"", 0
    newline = tail.rfind(b"\n")
    if newline < 0:
        return b"", 0
    return tail[tail.rfind(b"\n", 0, newline) + 1 : newline], start + newline + 1
