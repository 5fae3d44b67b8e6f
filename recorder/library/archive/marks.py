"""The media of a target: each has a file of its own, which a blank disk lacks, and the box remembers them all."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path
from typing import NamedTuple

import msgspec
import sqlite_utils

from firmware.clock import now_ms
from firmware.errors import NotFound, Refused, StoreError
from firmware.store.connection import write
from recorder.library.archive.target import Target, TargetError

MARK = "tapdeck-archive"
"""The name of the file at the target; what the box remembers of it is its hash."""


class Medium(NamedTuple):
    """A disk or share that was a target's. ``until_ms``: when another was found in its place; None: it is there."""

    mark: str
    until_ms: int | None


def known_mark(calls: sqlite_utils.Database, name: str) -> str | None:
    """The mark that the target had; None before it was marked. Raises sqlite3.Error."""
    return next((one.mark for one in media(calls, name) if one.until_ms is None), None)


def media(calls: sqlite_utils.Database, name: str) -> list[Medium]:
    """Every medium that the target had, the present one first. Raises sqlite3.Error."""
    rows = calls.conn.execute(
        "SELECT mark, until_ms FROM archive_media WHERE target = ? ORDER BY until_ms IS NOT NULL, until_ms DESC",
        (name,),
    )
    return [Medium(*row) for row in rows]


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
                "UPDATE archive_media SET until_ms = ? WHERE target = ? AND until_ms IS NULL", (now_ms(), name)
            )
            connection.execute(
                "INSERT INTO archive_media (target, mark) VALUES (?, ?) ON CONFLICT DO UPDATE SET until_ms = NULL",
                (name, found),
            )
    return found


def forget_medium(calls: sqlite_utils.Database, name: str, mark: str) -> None:
    """A medium is gone for good: nothing is to be removed from it any more. ``mark``: its beginning is enough.

    Raises NotFound: the target had none, or several such; Refused: it is there; StoreError.
    """
    found = [one for one in media(calls, name) if one.mark.startswith(mark)]
    if len(found) != 1:
        raise NotFound(f"{name} had {len(found) or 'no'} media with a mark that begins with {mark!r}")
    if found[0].until_ms is None:
        raise Refused(f"{found[0].mark} is the medium that {name} has now")
    with write(calls) as connection:
        connection.execute("DELETE FROM archive_media WHERE target = ? AND mark = ?", (name, found[0].mark))


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
