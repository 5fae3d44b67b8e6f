"""Removing copies of recordings that must not exist, from every medium that an archive had them on."""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from pathlib import PurePosixPath
from typing import NamedTuple
from urllib.parse import quote

import sqlite_utils

from firmware.config import Home
from firmware.errors import BoxError, NotFound, Refused, StoreBusy
from firmware.store.connection import write
from recorder.library.archive.copies import CHANGED, GO_TOO, PAGE, TOMBSTONE, all_names
from recorder.library.archive.marks import MARK, known_mark, settle_mark
from recorder.library.archive.owed import owed, settle
from recorder.library.archive.places import open_place, read_places
from recorder.library.archive.target import Target, TargetError
from recorder.library.audio import names
from recorder.library.keeping.lock import archive_lock
from recorder.library.keeping.task import Stopping

log = logging.getLogger("library")

COPY_S = 10.0
"""So long the removal of copies waits for one that is being made."""
ELSEWHERE = "on a medium that is not there now"
"""Why a copy is left at a target that had the others removed."""
ANYWHERE = "*"
"""In the place of a target: wherever there may be a copy."""


def expect_removal(connection: sqlite3.Connection, targets: list[str], recording_id: str, path: str) -> None:
    """Let the copies of a recording be removed, also those that a rebuilt store knows nothing of.

    Inside the caller's write transaction, which sets ``deleted_rule`` to ``ERASURE``.
    """
    connection.executemany(
        "INSERT INTO archive_copies (recording_id, target, state, path) VALUES (?, ?, 'waiting', ?)"
        " ON CONFLICT (recording_id, target) DO NOTHING",
        [(recording_id, target, path) for target in targets],
    )


def expect_removal_anywhere(connection: sqlite3.Connection, recording_id: str, path: str) -> None:
    """The same at whatever targets there are, for a store that was made anew: ``spread`` names them."""
    expect_removal(connection, [ANYWHERE], recording_id, path)


def spread(calls: sqlite_utils.Database, targets: list[str]) -> None:
    """Give what is to be removed anywhere a row for each target. Raises StoreError."""
    while targets:
        rows = calls.conn.execute(
            "SELECT recording_id, path FROM archive_copies WHERE target = ? LIMIT ?", (ANYWHERE, PAGE)
        ).fetchall()
        if not rows:
            return
        with write(calls) as connection:
            for row in rows:
                expect_removal(connection, targets, row["recording_id"], row["path"])
                connection.execute(
                    "DELETE FROM archive_copies WHERE recording_id = ? AND target = ?", (row["recording_id"], ANYWHERE)
                )


_GONE_FIRST = "FROM recordings r INDEXED BY recordings_gone CROSS JOIN"
"""Not one copy after the other: nearly all of them may stay."""


class Going(NamedTuple):
    """A copy that is to be removed. ``path``: of the recording's audio; ``mark``: its medium's, None: any there."""

    recording_id: str
    target: str
    path: str
    mark: str | None


def to_remove(home: Home, calls: sqlite_utils.Database, target: str | None) -> list[Going]:
    """Copies, not removed yet, of recordings that must not exist, by recording. ``target`` None: at all of them.

    Also those that only a note beside the store still knows.
    """
    here = "" if target is None else " AND c.target = :target"
    gone = (
        f"r.deleted_rule IN {GO_TOO}"
        # A lost recording that somebody holds may have its last copy there.
        " AND (r.state = 'deleted' OR r.state = 'lost' AND r.deleted_rule = 'erasure')"
    )
    rows = calls.conn.execute(
        f"SELECT c.recording_id, c.target, c.path, c.mark {_GONE_FIRST} archive_copies c"
        f" ON c.recording_id = r.id WHERE {gone} AND c.state <> 'removed' AND c.path IS NOT NULL{here}"
        f" UNION SELECT c.recording_id, c.target, c.path, c.mark {_GONE_FIRST} archive_elsewhere c"
        f" ON c.recording_id = r.id WHERE {gone}{here}",
        {"target": target} if target is not None else {},
    )
    found = [Going(*row) for row in rows]
    known = {(one.recording_id, one.target) for one in found}
    for note in owed(home):
        found += [
            Going(note.recording_id, at, note.path, None)
            for at in note.targets
            if target in (None, at) and (note.recording_id, at) not in known
        ]
    return sorted(found, key=lambda one: (one.recording_id, one.target, one.mark or ""))


def note_removed(home: Home, calls: sqlite_utils.Database, one: Going, mark: str | None) -> None:
    """It is gone from the medium ``mark``, and after the last one the name that told the number. Raises StoreError."""
    where = (one.recording_id, TOMBSTONE + one.recording_id, one.target, one.mark, mark)
    with write(calls) as connection:
        connection.execute(
            "UPDATE archive_copies SET state = 'removed', path = NULL, sha256 = NULL, error = NULL, mark = NULL"
            " WHERE recording_id IN (?, ?) AND target = ? AND (mark IS ? OR mark IS ?)",
            where,
        )
        connection.execute(
            "DELETE FROM archive_elsewhere WHERE recording_id IN (?, ?) AND target = ? AND mark IN (?, ?)",
            where,
        )
        left = connection.execute(
            "SELECT 1 FROM archive_elsewhere WHERE recording_id = ?1 AND target = ?2 UNION ALL SELECT 1"
            " FROM archive_copies WHERE recording_id = ?1 AND target = ?2 AND path IS NOT NULL",
            (one.recording_id, one.target),
        ).fetchone()
    if left is None:
        settle(home, one.recording_id, one.target)


def remove_erased(
    home: Home, calls: sqlite_utils.Database, name: str, target: Target, mark: str, stopping: Stopping
) -> None:
    """Remove the copies of erased recordings from the medium ``mark``, which is at a target, their keys first.

    One that stays does not keep the others. Raises TargetError: the first reason why one stays; StoreError.
    """
    reason: TargetError | None = None
    for one in to_remove(home, calls, name):
        if stopping():
            return
        if one.mark in (None, mark):
            try:
                _remove(target, one.path, mark)
            except TargetError as error:
                reason = reason or _nameless(error, one)
            else:
                note_removed(home, calls, one, mark)
    if reason:
        raise reason


def _remove(target: Target, path: str, mark: str) -> None:
    """Remove what there is of a recording. Raises TargetError, also when the medium was changed meanwhile."""
    for file in all_names(path):
        target.remove(file)
    if target.sha256(MARK) != mark:
        raise TargetError(CHANGED)


def _nameless(error: TargetError, one: Going) -> TargetError:
    """The same without the file's name, which tells the number: a certificate and alarms keep the words for ever."""
    name, words = PurePosixPath(names.stem_of(one.path)).name, str(error)
    for written in (name, quote(name), quote(name, safe="")):  # as addresses of servers have it, too
        words = words.replace(written, one.recording_id)
    return TargetError(words)


def remove_copies(home: Home, calls: sqlite_utils.Database, crm: sqlite_utils.Database) -> dict[str, str]:
    """Remove the copies of erased recordings everywhere, now; the reasons why some are left, by target.

    What is left the archive task removes as soon as it can. Raises StoreError.
    """
    try:
        with archive_lock(home, COPY_S):
            return _remove_copies(home, calls, crm)
    except StoreBusy as error:
        return dict.fromkeys({place.name for place in read_places(crm)}, str(error))


def _remove_copies(home: Home, calls: sqlite_utils.Database, crm: sqlite_utils.Database) -> dict[str, str]:
    places = {place.name: place for place in read_places(crm)}
    left: dict[str, str] = {}
    for name in sorted({one.target for one in to_remove(home, calls, None)}):
        if name not in places:
            left[name] = "no longer a target of this box"
            continue
        try:
            with open_place(home, name, places[name].url) as target:
                mark = known_mark(calls, name) or settle_mark(calls, name, target)
                if target.sha256(MARK) != mark:
                    left[name] = CHANGED
                    continue
                remove_erased(home, calls, name, target, mark, lambda: False)
                left[name] = ELSEWHERE
        except BoxError as error:
            left[name] = str(error)
    return left


def awaited_media(home: Home, calls: sqlite_utils.Database, name: str) -> dict[str, int]:
    """How many copies are to be removed yet from each medium of a target, by its mark; "": from any that is there."""
    return dict(Counter(one.mark or "" for one in to_remove(home, calls, name)))


def forget_media(home: Home, calls: sqlite_utils.Database, crm: sqlite_utils.Database, name: str, mark: str) -> int:
    """A medium is gone for good: nothing waits any more to be removed from it; how many copies did.

    ``mark``: its beginning; "" of a target that is none any more: all that it had. Raises Refused: it is the medium
    that a target has now; NotFound: there is none such; StoreError.
    """
    is_there = any(place.name == name for place in read_places(crm))
    going = [one for one in to_remove(home, calls, name) if (one.mark or "").startswith(mark)]
    marks = {one.mark for one in going}
    if is_there and (not mark or known_mark(calls, name) in marks):
        raise Refused(f"{name} has this medium now: remove the target first, or put another in its place")
    if mark and len(marks) != 1:
        raise NotFound(f"copies at {name} wait for {len(marks) or 'no'} media with a mark that begins with {mark!r}")
    with archive_lock(home, COPY_S):
        for one in going:
            note_removed(home, calls, one, one.mark)
        with write(calls) as connection:
            for gone in marks - {None}:
                connection.execute("DELETE FROM archive_elsewhere WHERE target = ? AND mark = ?", (name, gone))
                connection.execute("UPDATE archive_copies SET mark = NULL WHERE target = ? AND mark = ?", (name, gone))
    log.warning("archive %s: %d copies on media that are gone for good are given up", name, len(going))
    return len(going)
