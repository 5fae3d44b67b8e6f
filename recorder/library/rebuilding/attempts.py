"""Manifests without audio: an attempt that a power cut ended, or a recording whose audio was taken away.

The audio of a recording that an evidence log names was there: it is lost. An attempt that none names is made again by
the cutter, so what is left of it is removed after a day, unless it alone still knows its call.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

import msgspec
import sqlite_utils

from firmware.config import Home
from recorder.library.evidence.files import log_folders
from recorder.library.rebuilding.entering import enter
from recorder.library.rebuilding.gather import Found, gather
from recorder.library.rebuilding.shelf import OLD_S, read_shelf

log = logging.getLogger("library")


class _Line(msgspec.Struct):
    manifest_id: str


def settle_attempts(home: Home, calls: sqlite_utils.Database, manifests: Sequence[str]) -> None:
    """Enter what has been a recording as lost, remove what never was one; what cannot be read waits for another pass.

    Raises StoreError.
    """
    identifiers = {PurePosixPath(path).stem.rpartition("_")[2] for path in manifests}
    named, oldest = _named(home, identifiers) if manifests else (set(), None)
    for path in manifests:
        try:
            _settle(home, calls, path, named, oldest)
        except OSError as error:
            log.warning("%s", error)


def _settle(home: Home, calls: sqlite_utils.Database, path: str, named: Collection[str], oldest: float | None) -> None:
    shelf = read_shelf(home.recordings, str(PurePosixPath(path).parent))
    bundle = next((one for one in shelf.bundles if f"{shelf.place}/{one.stem}.json" == path), None)
    if bundle is None or bundle.audio:
        return
    known = {one.identifier for one in shelf.bundles} - {bundle.identifier}
    found = gather(home.recordings, shelf, known).found
    written = (home.recordings / path).stat().st_mtime
    old = written < time.time() - OLD_S
    was_logged = bundle.identifier in named or oldest is None or written < oldest
    if was_logged or (old and not all(_has_call(calls, one) for one in found)):
        enter(calls, found)
    elif old:
        (home.recordings / path).unlink(missing_ok=True)


def _has_call(calls: sqlite_utils.Database, found: Found) -> bool:
    if found.call is None:
        return True
    return calls.conn.execute("SELECT 1 FROM calls WHERE id = ?", (found.call["id"],)).fetchone() is not None


def _named(home: Home, identifiers: Collection[str]) -> tuple[set[str], float | None]:
    """Those that any evidence log names, set-aside ones too; and since when there are logs (Unix s, None: never, or
    one cannot be read: it may name any).
    """
    try:
        return _read_named(home, identifiers)
    except OSError as error:
        log.warning("%s", error)
        return set(), None


def _read_named(home: Home, identifiers: Collection[str]) -> tuple[set[str], float | None]:
    named: set[str] = set()
    oldest: float | None = None
    for log in sorted(one for folder in log_folders(home) for one in folder.glob("*")):
        if log.suffix not in (".log", ".set-aside"):
            continue
        first = _begins(log)
        oldest = first if oldest is None or (first is not None and first < oldest) else oldest
        with log.open("rb") as file:
            for line in file:
                try:
                    identifier = msgspec.json.decode(line, type=_Line).manifest_id
                except (msgspec.DecodeError, UnicodeDecodeError):
                    continue
                if identifier in identifiers:
                    named.add(identifier)
    return named, oldest


class _Begun(msgspec.Struct):
    at_ms: int


def _begins(log: Path) -> float | None:
    with log.open("rb") as file:
        try:
            return msgspec.json.decode(file.readline(1 << 16), type=_Begun).at_ms / 1000
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
