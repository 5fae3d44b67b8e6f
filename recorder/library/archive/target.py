"""What every place for copies can do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from firmware.errors import BoxError

COPY_BYTES = 256 * 1024
TIMEOUT_S = 30.0
"""How long a server may say nothing."""


class TargetError(BoxError):
    """A target cannot be reached, refuses, or is full. The text names the target's own words."""


class Reading:
    """A file of a target, from its beginning. ``more``: gives the next bytes, none at the end only. Thread: one."""

    def __init__(self, more: Callable[[int], bytes]) -> None:
        self._more, self._at = more, 0

    def read(self, size: int) -> bytes:
        """So many bytes, fewer at the end only. Raises TargetError."""
        parts = []
        while size and (part := self._more(min(size, COPY_BYTES))):
            parts.append(part)
            size -= len(part)
            self._at += len(part)
        return b"".join(parts)

    def tell(self) -> int:
        """How many were read."""
        return self._at


class Target(Protocol):
    """A place for copies, open. Names are POSIX paths as below ``recordings/``. Thread: one.

    Every method raises TargetError; ``put`` also OSError when ``source`` itself cannot be read.
    """

    def put(self, name: str, source: Path) -> None:
        """Copy a file there, durably; under its name there is all of it or nothing. Replaces what is there."""

    def sha256(self, name: str) -> str | None:
        """Read a file back and hash it, in hexadecimal; None when it is not there."""

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is removed already."""

    def sizes(self, folder: str) -> dict[str, int]:
        """The bytes of each file in a folder, by its name there; none where there is no such folder."""

    def reading(self, name: str) -> AbstractContextManager[Reading | None]:
        """A file to be read from its beginning, for the length of a block; None when it is not there."""


def digest(parts: Iterable[bytes]) -> str:
    """SHA-256 of a file's parts in order, in hexadecimal."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part)
    return whole.hexdigest()
