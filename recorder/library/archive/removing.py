"""Removing copies of recordings that must not exist, from every medium that an archive ever had.

Which media a copy may be on follows from when they were an archive's: a recording is on none that was gone before it.
"""

from __future__ import annotations

import sqlite3

import sqlite_utils

from firmware.clock import iso_utc
from firmware.config import Home
from firmware.errors import BoxError, StoreBusy
from firmware.store.connection import write
from recorder.library.archive.copies import CHANGED, DAY_MS, GO_TOO, PAGE, TOMBSTONE, all_names
from recorder.library.archive.marks import MARK, Medium, known_mark, media, settle_mark
from recorder.library.archive.owed import owed, settle
from recorder.library.archive.places import open_place, read_places
from recorder.library.archive.target import Target, TargetError
from recorder.library.keeping.lock import archive_lock
from recorder.library.keeping.task import Stopping

COPY_S = 10.0
"""So long the removal of copies waits for one that is being made."""
ANYWHERE = "*"
"""In the place of a target: wherever there may be a copy."""
_CLOCK_MS = DAY_MS
"""So far the box's clock may have been wrong between a recording and the change of a medium."""


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


def to_remove(home: Home, calls: sqlite_utils.Database, target: str | None) -> list[tuple[str, str, str]]:
    """Copies, not removed yet, of recordings that must not exist: recording, target, path. ``target`` None: all.

    Also those that only a note beside the store still knows.
    """
    rows = calls.conn.execute(
        "SELECT c.recording_id, c.target, c.path FROM recordings r JOIN archive_copies c ON c.recording_id = r.id"
        # A lost recording that somebody holds may have its last copy there.
        f" WHERE r.deleted_rule IN {GO_TOO}"
        " AND (r.state = 'deleted' OR r.state = 'lost' AND r.deleted_rule = 'erasure')"
        " AND c.state <> 'removed' AND c.path IS NOT NULL"
        " AND coalesce(?, c.target) = c.target ORDER BY 1, 2",
        (target,),
    )
    found = {(row[0], row[1]): str(row[2]) for row in rows}
    for note in owed(home):
        found |= {(note.recording_id, one): note.path for one in note.targets if target in (None, one)}
    return [(recording_id, at, path) for (recording_id, at), path in sorted(found.items())]


def media_left(calls: sqlite_utils.Database, recording_id: str, target: str) -> list[Medium]:
    """The media of a target that may hold a copy that is to be removed, the present one first."""
    row = calls.conn.execute("SELECT started_ms FROM recordings WHERE id = ?", (recording_id,)).fetchone()
    since_ms = 0 if row is None else int(row[0]) - _CLOCK_MS
    done = {
        str(row[0])
        for row in calls.conn.execute(
            "SELECT mark FROM archive_removals WHERE recording_id = ? AND target = ?", (recording_id, target)
        )
    }
    return [
        one
        for one in media(calls, target)
        if one.mark not in done and (one.until_ms is None or one.until_ms >= since_ms)
    ]


def note_removed(home: Home, calls: sqlite_utils.Database, recording_id: str, target: str, mark: str) -> None:
    """This medium has no copy; after the last one, the name that told the number goes, too. Raises StoreError."""
    with write(calls) as connection:
        connection.execute(
            "INSERT INTO archive_removals VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (recording_id, target, mark)
        )
    settle_removal(home, calls, recording_id, target)


def settle_removal(home: Home, calls: sqlite_utils.Database, recording_id: str, target: str) -> None:
    """Forget the copies when there is no medium left that may hold one. Raises StoreError."""
    if media_left(calls, recording_id, target):
        return
    with write(calls) as connection:
        connection.execute(
            "UPDATE archive_copies SET state = 'removed', path = NULL, sha256 = NULL, error = NULL"
            " WHERE recording_id IN (?, ?) AND target = ?",
            (recording_id, TOMBSTONE + recording_id, target),
        )
        connection.execute("DELETE FROM archive_removals WHERE recording_id = ? AND target = ?", (recording_id, target))
    settle(home, recording_id, target)


def remove_erased(
    home: Home, calls: sqlite_utils.Database, name: str, target: Target, mark: str, stopping: Stopping
) -> None:
    """Remove the copies of erased recordings from the medium ``mark``, which is at a target, their keys first.

    One that stays does not keep the others. Raises TargetError: the first reason why one stays; StoreError.
    """
    reason: TargetError | None = None
    for recording_id, _, path in to_remove(home, calls, name):
        if stopping():
            return
        left = {one.mark for one in media_left(calls, recording_id, name)}
        if not left:
            settle_removal(home, calls, recording_id, name)
        elif mark in left:
            try:
                _remove(target, path, mark)
            except TargetError as error:
                reason = reason or error
            else:
                note_removed(home, calls, recording_id, name, mark)
    if reason:
        raise reason


def _remove(target: Target, path: str, mark: str) -> None:
    """Remove what there is of a recording. Raises TargetError, also when the medium was changed meanwhile."""
    for file in all_names(path):
        target.remove(file)
    if target.sha256(MARK) != mark:
        raise TargetError(CHANGED)


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
    for name in sorted({target for _, target, _ in to_remove(home, calls, None)}):
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
            if elsewhere := _elsewhere(home, calls, name):
                left[name] = elsewhere
        except BoxError as error:
            left[name] = str(error)
    return left


def _elsewhere(home: Home, calls: sqlite_utils.Database, name: str) -> str:
    """Which media that are not there may have a copy that is to be removed, "" for none."""
    found = {
        one
        for recording_id, target, _ in to_remove(home, calls, name)
        for one in media_left(calls, recording_id, target)
    }
    told = sorted(f"{one.mark[:8]}, here until {iso_utc(one.until_ms)}" for one in found if one.until_ms is not None)
    return f"another medium may have one: {'; '.join(told)}" if told else ""
