"""Files that are there whole and on the medium, or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from firmware.errors import StoreError


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a file beside its place, sync it and rename it; makes the folder. Raises StoreError."""
    part = path.with_suffix(f"{path.suffix}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise StoreError(f"{path}: {error.strerror}") from error


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to the medium (fsync(2): a new name needs it). Raises OSError."""
    fd = os.open(folder, os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
