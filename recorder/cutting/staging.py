"""Files of a batch on their way to the medium: written beside their places, synced, named, folders synced.

As ``firmware.durable.write_whole``, step by step, so that the disk does each step for many files at once. Functions
raise StoreError.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from firmware.durable import sync_folder
from firmware.errors import StoreError


def part_path(path: Path) -> Path:
    """Where a file is before it has its name."""
    return path.with_name(f"{path.name}.part")


def stage(path: Path, content: bytes) -> None:
    """Write a file beside its place, not synced; makes the folder."""
    with _told(path):
        _make_folder(path.parent)
        part_path(path).write_bytes(content)


def sync(path: Path) -> None:
    """Bring the content of a staged file to the medium."""
    with _told(path), part_path(path).open("rb") as file:
        os.fsync(file.fileno())


def give_name(path: Path) -> None:
    """Put a staged file in its place."""
    with _told(path):
        part_path(path).rename(path)


def sync_names(folder: Path) -> None:
    """Bring the names in a folder to the medium."""
    with _told(folder):
        sync_folder(folder)


def drop(path: Path) -> None:
    """Give up a staged file; never raises."""
    with suppress(OSError):
        part_path(path).unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
