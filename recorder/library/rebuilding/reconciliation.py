"""Store and disk compared, both ways, step by step: what a rebuild does at once, and the keeper once a day.

First every folder, newest first: what the store does not know is entered, what writers left behind is cleared away.
Then every row: audio that is gone is ``lost``, audio that is back is ``ready`` again. Audio is never removed. How far
it has come stands in the store, so a pass that was cut off goes on where it was.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Literal

import msgspec
import sqlite_utils

from firmware.clock import now_ms
from firmware.config import Home
from firmware.store.connection import write
from recorder.library.keeping.alarms import clear_alarm, let_stand, raise_alarm
from recorder.library.rebuilding.attempts import settle_attempts
from recorder.library.rebuilding.entering import enter, known_ids
from recorder.library.rebuilding.gather import Finding, gather
from recorder.library.rebuilding.lost import look_at_rows
from recorder.library.rebuilding.outlines import make_outlines
from recorder.library.rebuilding.shelf import Shelf, places, read_shelf
from recorder.library.rebuilding.unread import PASS_KEY

log = logging.getLogger("library")

STORE_REBUILT = "store_rebuilt"
"""The alarm of a store that was made anew; it ends with the first pass of another day."""
_ALARMS = {
    "recording_missing": ("missing", "wrong_size"),
    "manifest_missing": ("without_manifest", "damaged", "unreadable"),
}
_EXAMPLES = 20
UNREADABLE = "folder_unreadable"
"""The alarm of a folder that could not be read, named by its path; it ends with a pass that can."""
MOST_FOLDERS_TOLD = 20
MOST_FINDINGS = 100
MOST_ATTEMPTS = 1000
MOST_OUTLINES = 20
"""So many of a folder are made again in one pass."""


class Pass(msgspec.Struct):
    """How far a pass has come, and what it found. ``counts`` by kind of finding; ``findings``: the first of them.

    ``cursor``: the last folder, or the last row, that was looked at. ``rebuilding``: the store was made anew, and
    until ``phase`` is ``done`` some of the past is missing in it. ``unread``: folders that could not be read, or not
    all of it, with the reason; ``missing``: those whose recordings a store that was made anew does not know.
    """

    began_ms: int
    rebuilding: bool = False
    phase: Literal["disk", "store", "done"] = "disk"
    cursor: str = ""
    finished_ms: int | None = None
    folders: int = 0
    new_calls: int = 0
    new_recordings: int = 0
    found_again: int = 0
    cleared: int = 0
    counts: dict[str, int] = {}
    findings: list[Finding] = []
    attempts: list[str] = []
    unread: dict[str, str] = {}
    missing: dict[str, str] = {}

    def note(self, *findings: Finding) -> None:
        """Count findings, and keep the first."""
        for one in findings:
            self.counts[one.kind] = self.counts.get(one.kind, 0) + 1
            if len(self.findings) < MOST_FINDINGS:
                self.findings.append(one)


def load_pass(calls: sqlite_utils.Database) -> Pass | None:
    """The pass that is under way, or the last one. Raises sqlite3.Error."""
    row = calls.conn.execute("SELECT value FROM meta WHERE key = ?", (PASS_KEY,)).fetchone()
    with contextlib.suppress(msgspec.DecodeError):
        return None if row is None else msgspec.json.decode(row[0], type=Pass)
    return None


def save_pass(calls: sqlite_utils.Database, now: Pass) -> None:
    """Raises StoreError."""
    with write(calls) as connection:
        connection.execute(
            "INSERT INTO meta VALUES (?,?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (PASS_KEY, msgspec.json.encode(now).decode()),
        )


def past_is_missing(calls: sqlite_utils.Database) -> bool:
    """Whether a rebuild has not read everything back yet: then the oldest known is not the oldest, calls that a hold
    names may be unknown, and no rule may delete or convert anything. Raises sqlite3.Error.
    """
    last = load_pass(calls)
    return last is not None and last.rebuilding and last.phase == "disk"


def begin_pass(calls: sqlite_utils.Database) -> Pass:
    """Begin anew. A rebuild that is under way goes on instead. Raises StoreError, sqlite3.Error."""
    last = load_pass(calls)
    if last is not None and last.rebuilding and last.phase != "done":
        return last
    save_pass(calls, now := Pass(now_ms(), missing={} if last is None else last.missing))
    return now


def advance(home: Home, calls: sqlite_utils.Database, now: Pass, enough: Callable[[], bool]) -> bool:
    """Go on until ``enough``; True when the pass is done. Raises StoreError, OSError, sqlite3.Error."""
    try:
        if now.phase == "disk":
            for place in places(home.recordings, now.unread, now.cursor or None):
                if enough():
                    return False
                _look_at_folder(home, calls, now, place)
                now.folders, now.cursor = now.folders + 1, place
            settle_attempts(home, calls, now.attempts)
            now.missing = _still_missing(now)
            _tell_of_unread(calls, now)
            now.phase, now.cursor, now.attempts = "store", "0", []
        while now.phase == "store":
            if enough():
                return False
            rowid, again, findings = look_at_rows(home, calls, int(now.cursor))
            now.note(*findings)
            now.found_again += again
            if rowid is None:
                now.phase, now.finished_ms = "done", now_ms()
                _tell(calls, now)
            else:
                now.cursor = str(rowid)
        return True
    finally:
        save_pass(calls, now)


def _still_missing(now: Pass) -> dict[str, str]:
    """A store that was not made anew knows what is in a folder that cannot be read today."""
    if now.rebuilding:
        return dict(now.unread)
    return {
        place: why
        for place, why in now.unread.items()
        if any(f"{place}/".startswith(f"{one}/") or f"{one}/".startswith(f"{place}/") or not (one and place)
               for one in now.missing)
    }  # fmt: skip


def _tell_of_unread(calls: sqlite_utils.Database, now: Pass) -> None:
    told = sorted(now.unread.items(), reverse=True)[:MOST_FOLDERS_TOLD]
    let_stand(calls, UNREADABLE, {place or "recordings": {"error": why} for place, why in told})


def _tell(calls: sqlite_utils.Database, done: Pass) -> None:
    """Let alarms stand for what the pass found, and end those for what it found no longer."""
    for code, kinds in _ALARMS.items():
        count = sum(done.counts.get(kind, 0) for kind in kinds)
        if count:
            examples = [one.path for one in done.findings if one.kind in kinds][:_EXAMPLES]
            raise_alarm(calls, code, "recordings", {"count": count, "examples": examples})
        else:
            clear_alarm(calls, code, "recordings")
    if not done.rebuilding:
        clear_alarm(calls, STORE_REBUILT, "calls.db")


def _look_at_folder(home: Home, calls: sqlite_utils.Database, now: Pass, place: str) -> None:
    try:
        shelf = read_shelf(home.recordings, place)
        gathered = gather(home.recordings, shelf, known_ids(calls, shelf))
    except OSError as error:
        now.unread[place] = str(error.strerror)
        return
    if gathered.unread is not None:
        now.unread[place] = gathered.unread
    attempts = {one.path for one in gathered.findings if one.kind == "attempt"}
    now.attempts += sorted(attempts)[: MOST_ATTEMPTS - len(now.attempts)]
    new_calls, new_recordings, findings = enter(calls, [one for one in gathered.found if one.path not in attempts])
    now.new_calls += new_calls
    now.new_recordings += new_recordings
    now.note(*(one for one in gathered.findings if one.kind != "attempt"), *findings)
    now.note(*_without_manifest(shelf, gathered.findings))
    now.cleared += _clear(home, shelf)
    if not now.rebuilding:
        bare = [name for bundle in shelf.bundles if not bundle.peaks for name in sorted(bundle.audio)]
        if bare:
            make_outlines(home, [f"{place}/{name}" for name in bare[:MOST_OUTLINES]])


def _without_manifest(shelf: Shelf, told: list[Finding]) -> list[Finding]:
    """Audio that the store knows and whose manifest is gone."""
    known = {one.path for one in told}
    names = (name for bundle in shelf.bundles if not bundle.papers for name in sorted(bundle.audio))
    return [Finding("without_manifest", path) for name in names if (path := f"{shelf.place}/{name}") not in known]


def _clear(home: Home, shelf: Shelf) -> int:
    if any((home.root / "removals").glob("*.json")):
        return 0  # what is written down there may still want its files
    cleared = 0
    for name in shelf.leftovers:
        try:
            (home.recordings / shelf.place / name).unlink(missing_ok=True)
            cleared += 1
        except OSError as error:  # a disk that only reads: another day
            log.warning("%s", error)
    return cleared
