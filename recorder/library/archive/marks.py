"""Whether a target is still the one that holds the copies: each has a file of its own, which a blank disk lacks."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path

import msgspec
import sqlite_utils

from firmware.errors import StoreError
from firmware.store.connection import write
from recorder.library.archive.target import Target, TargetError

MARK = "tapdeck-archive"
"""The name of the file at the target; what the box remembers of it is its hash."""
_KEY = "archive_mark:"


def known_mark(calls: sqlite_utils.Database, name: str) -> str | None:
    """The mark that the target had; None before it was marked. Raises sqlite3.Error."""
    row = calls.conn.execute("SELECT value FROM meta WHERE key = ?", (_KEY + name,)).fetchone()
    return None if row is None else str(row[0])


def is_another(calls: sqlite_utils.Database, name: str, target: Target) -> bool:
    """Whether it may be another target than before: then its copies are to be made again, and the mark settled.

    Raises TargetError, sqlite3.Error.
    """
    known, found = known_mark(calls, name), target.sha256(MARK)
    return found is None or (known is not None and found != known)


def settle_mark(calls: sqlite_utils.Database, name: str, target: Target) -> str:
    """Remember the target by its mark, and return it; one that has none gets one. Raises TargetError, StoreError."""
    found = target.sha256(MARK) or _put(target, name)
    if found != known_mark(calls, name):
        with write(calls) as connection:
            connection.execute(
                "INSERT INTO meta VALUES (?,?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (_KEY + name, found),
            )
    return found


def _put(target: Target, name: str) -> str:
    try:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / MARK
            source.write_bytes(msgspec.json.encode({"archive": name, "mark": secrets.token_hex(16)}) + b"\n")
            target.put(MARK, source)
    except OSError as error:
        raise StoreError(f"{error.filename}: {error.strerror}") from error
    found = target.sha256(MARK)
    if found is None:
        raise TargetError(f"{MARK} cannot be read back")
    return found
