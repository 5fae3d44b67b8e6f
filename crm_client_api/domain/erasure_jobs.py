"""Imports and exports that a number stands in: what was asked and told, and the files beside it.

A workbook cannot lose one row and stay what it was: the files of a job that is over go as a whole, a week before they
would go anyway. So do those that cannot be looked into for certain.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO

import sqlite_utils

from crm_client_api.domain.communications.redaction import number_pattern
from crm_client_api.domain.erasure_texts import without
from firmware.config import Home
from firmware.durable import sync_folder
from firmware.errors import StoreError
from recorder.library.erasure.erase import Found, Subject

JOB = "job"
UPLOAD = "upload that broke off"
_PIECE_BYTES = 1 << 20
_OVERLAP_BYTES = 256
_OLE = b"\xd0\xcf\x11\xe0"
_COLUMNS = ("wanted", "result", "error")


def find_jobs(
    home: Home, crm: sqlite_utils.Database, subject: Subject, digits: list[str], held: Callable[[str], str | None]
) -> Iterator[Found]:
    """Jobs of which the texts or the files mention the number, and files that belong to none."""
    pattern = number_pattern(digits)
    rows = {str(row["id"]): row for row in crm.conn.execute("SELECT * FROM jobs ORDER BY id")}
    for identity, row in rows.items():
        files = _mentioning(home.root / "jobs" / identity, subject, pattern)
        if files or any(without(pattern, row[column] or "") != (row[column] or "") for column in _COLUMNS):
            over = row["state"] in ("done", "failed", "cancelled")
            kept = held("") if over else "it is not over: cancel it, or wait for its end"
            yield Found(JOB, identity, dict(row) | {"files": files}, kept)
    folders = home.root / "jobs"
    for folder in sorted(folders.iterdir()) if folders.is_dir() else ():
        if folder.name not in rows and (files := _mentioning(folder, subject, pattern)):
            yield Found(UPLOAD, folder.name, {"files": files}, held(""))


def erase_job(home: Home, connection: sqlite3.Connection, one: Found, digits: list[str]) -> None:
    """Remove the files of a job that is over, and the number from what it tells. Raises StoreError."""
    pattern = number_pattern(digits)
    folder = home.root / "jobs" / Path(one.id).name
    if one.kind == JOB:
        row = connection.execute("SELECT * FROM jobs WHERE id = ?", (one.id,)).fetchone()
        if row is None or row["state"] not in ("done", "failed", "cancelled"):
            return
        clean = [None if row[name] is None else without(pattern, row[name]) for name in _COLUMNS]
        connection.execute(
            f"UPDATE jobs SET {', '.join(f'{name} = ?' for name in _COLUMNS)} WHERE id = ?", (*clean, one.id)
        )
    try:
        if one.about["files"] and folder.is_dir():
            shutil.rmtree(folder)
            sync_folder(folder.parent)
    except OSError as error:
        raise StoreError(f"the files of a job cannot be removed: {error}") from error


def _mentioning(folder: Path, subject: Subject, pattern: re.Pattern[str]) -> list[str]:
    """The files in which the number stands, and those that nobody can look into."""
    if not folder.is_dir():
        return []
    return sorted(file.name for file in folder.iterdir() if file.is_file() and _may_hold(file, subject, pattern))


def _may_hold(file: Path, subject: Subject, pattern: re.Pattern[str]) -> bool:
    narrow = re.compile(pattern.pattern.replace(r"[\s\-\u00a0]", r"(?:[\s\-]|\xc2\xa0)").encode())
    try:
        with file.open("rb") as opened:
            start = opened.read(16)
        if start.startswith(_OLE):  # numbers are floating point there, and texts in a code of their own
            return True
        if start.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(file) as packed:
                return any(_stands_in(packed, name, narrow) for name in packed.namelist())
        if start == b"SQLite format 3\x00" and _is_staged(file, subject):
            return True
        with file.open("rb") as plain:
            return _reads(plain, narrow)
    except (OSError, zipfile.BadZipFile, sqlite3.Error, zlib.error, RuntimeError, NotImplementedError):
        return True


def _stands_in(packed: zipfile.ZipFile, name: str, pattern: re.Pattern[bytes]) -> bool:
    with packed.open(name) as part:
        return _reads(part, pattern)


def _reads(stream: IO[bytes], pattern: re.Pattern[bytes]) -> bool:
    """Whether the number is in a stream, which is read once and piece by piece; in UTF-16 as well."""
    before = b""
    while piece := stream.read(_PIECE_BYTES):
        text = before + piece
        if pattern.search(text) or (b"\x00" in text and pattern.search(text.replace(b"\x00", b""))):
            return True
        before = text[-_OVERLAP_BYTES:]
    return False


def _is_staged(file: Path, subject: Subject) -> bool:
    """Whether a row of an import has the number."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as stage:
        asked = "SELECT 1 FROM numbers WHERE number = ?"
        return subject.key.startswith("+") and stage.execute(asked, (int(subject.key[1:]),)).fetchone() is not None
