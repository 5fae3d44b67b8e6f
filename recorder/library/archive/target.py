"""What every place for copies can do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from firmware.errors import BoxError

COPY_BYTES = 256 * 1024
TIMEOUT_S = 30.0
"""How long a server may say nothing."""


class TargetError(BoxError):
    """A target cannot be reached, refuses, or is full. The text names the target's own words."""


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


def digest(parts: Iterable[bytes]) -> str:
    """SHA-256 of a file's parts in order, in hexadecimal."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part)
    return whole.hexdigest()
