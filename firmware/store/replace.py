"""Puts a new store file in the place of a damaged one, which is set aside and never deleted."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from firmware.clock import now_ms
from firmware.durable import sync_folder
from firmware.errors import StoreBusy, StoreError
from firmware.store.health import clear_mark, mark_damaged, marked_damage

# SQLite's lock bytes (https://sqlite.org/fileformat.html, "The Lock-Byte Page"): in WAL mode every open connection
# holds a read lock on the shared range, whatever the state of the file.
_SHARED_FIRST = 0x40000002
_SHARED_BYTES = 510
_WITH_IT = ("-wal", "-shm")


@contextmanager
def nobody_has_it(path: Path) -> Iterator[None]:
    """Keep a store to ourselves. Raises StoreBusy: a process has it open; StoreError.

    This process must not open or close it meanwhile: that gives the lock away (fcntl(2), "Record locking").
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    try:
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, _SHARED_BYTES, _SHARED_FIRST)
        except (BlockingIOError, PermissionError) as error:
            raise StoreBusy(f"{path} is in use: stop the box first") from error
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}") from error
        yield
    finally:
        os.close(fd)


def set_aside_name(path: Path) -> Path:
    """Where the store at ``path`` goes when it is set aside now."""
    stamp = datetime.fromtimestamp(now_ms() / 1000, UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3]
    return path.with_name(f"{path.stem}-{stamp}Z.set-aside")


def newest_set_aside(path: Path) -> Path | None:
    """The store that was set aside last."""
    return max(path.parent.glob(f"{path.stem}-*Z.set-aside"), default=None)


def finish_setting_aside(path: Path) -> None:
    """After a power cut in the middle of ``put_in_place`` the log of the set-aside store may still lie here.

    Raises StoreError.
    """
    aside = newest_set_aside(path)
    if path.exists():
        return
    try:
        _move_companions(path, aside or set_aside_name(path))
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error


def put_in_place(draft: Path, path: Path, aside: Path) -> None:
    """Put the closed store ``draft`` at ``path``; what stood there goes to ``aside``.

    A power cut leaves the old one, or none and a mark beside it, or the new one. Hold ``nobody_has_it``.
    Raises StoreError.
    """
    try:
        _sync(draft)
        if marked_damage(path) is None:
            mark_damaged(path, "it was being replaced")
        if path.exists():
            path.rename(aside)
        _move_companions(path, aside)
        sync_folder(path.parent)
        draft.rename(path)
        sync_folder(path.parent)
        clear_mark(path)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error


def remove_store(path: Path) -> None:
    """Remove a draft of a store with all that belongs to it. Raises OSError."""
    for ending in ("", *_WITH_IT):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _move_companions(path: Path, aside: Path) -> None:
    for ending in _WITH_IT:
        beside = path.with_name(path.name + ending)
        target = aside.with_name(aside.name + ending)
        if beside.exists():
            beside.rename(target if not target.exists() else set_aside_name(path).with_suffix(f".set-aside{ending}"))


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
