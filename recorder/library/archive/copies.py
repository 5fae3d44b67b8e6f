"""Which recordings wait for which target, and what became of each copy: rows of ``archive_copies``."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

import sqlite_utils

from firmware.clock import now_ms
from firmware.store.connection import write
from recorder.library.audio import names
from recorder.library.storage.deletion import MUST_GO

PAGE = 200
_ANY = 1 << 31
TOMBSTONE = "tombstone:"
"""Before a recording's id: the row of the tombstone's own copy."""
ERASURE = "erasure"
"""``recordings.deleted_rule`` of what was erased because of its number."""
_GO_TOO = f"({','.join(repr(rule) for rule in sorted(MUST_GO))})"
"""Rules by which copies go, too, as a list in SQL."""
_AUDIO = tuple(f".{kind}{encrypted}" for kind in ("flac", "wav", "opus", "mp3") for encrypted in ("", ".tde"))


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that a target lacks: a recording, or the tombstone of one. ``path``: the recording's audio."""

    copy_id: str
    path: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a target lacks. ``oldest_ms``: since when the oldest waits; ``error``: the last one, "" for none."""

    recordings: int = 0
    bytes: int = 0
    oldest_ms: int | None = None
    failed: int = 0
    error: str = ""


def all_names(path: str) -> list[str]:
    """Every name that a recording may have in an archive, its master and conversions alike; the key first."""
    stem = names.stem_of(path)
    return [f"{stem}.key.json", *(f"{stem}{ending}" for ending in _AUDIO), *names.papers(path)]


_LACKS = """
FROM recordings r LEFT JOIN archive_copies c ON c.recording_id = r.id AND c.target = ?
WHERE r.state = 'ready' AND r.deleted_rule IS NULL AND r.path IS NOT NULL
AND (c.state IS NULL OR c.state IN ('waiting', 'failed'))
"""


def lacking(calls: sqlite_utils.Database, target: str, since_ms: int) -> list[Waiting]:
    """What a target lacks, of the recordings that began at ``since_ms`` or later; the seldom tried, then the oldest.

    With ``since_ms`` 0 also what failed before, and tombstones.
    """
    most_attempts = 0 if since_ms else _ANY
    rows = calls.conn.execute(
        f"SELECT r.id, r.path, coalesce(c.attempts, 0) AS attempts {_LACKS} AND r.started_ms >= ?"
        " AND coalesce(c.attempts, 0) <= ? ORDER BY 3, r.started_ms, r.id LIMIT ?",
        (target, since_ms, most_attempts, PAGE),
    )
    found = [Waiting(row[0], row[1], row[2]) for row in rows]
    return found if since_ms else found + _lacking_tombstones(calls, target)


def _lacking_tombstones(calls: sqlite_utils.Database, target: str) -> list[Waiting]:
    """Tombstones of recordings that the target holds and the box has deleted."""
    rows = calls.conn.execute(
        "SELECT ? || c.recording_id, c.path, coalesce(t.attempts, 0) FROM archive_copies c"
        " JOIN recordings r ON r.id = c.recording_id AND r.state = 'deleted'"
        f" AND coalesce(r.deleted_rule, '') NOT IN {_GO_TOO}"
        " LEFT JOIN archive_copies t ON t.recording_id = ? || c.recording_id AND t.target = c.target"
        " WHERE c.target = ? AND c.state = 'verified' AND coalesce(t.state, '') <> 'verified'"
        " ORDER BY 3, 1 LIMIT ?",
        (TOMBSTONE, TOMBSTONE, target, PAGE),
    )
    return [Waiting(row[0], row[1], row[2]) for row in rows]


def is_wanted(calls: sqlite_utils.Database, one: Waiting) -> bool:
    """Whether nobody deleted, erased or converted it since it was listed."""
    if one.copy_id.startswith(TOMBSTONE):
        condition = f"state = 'deleted' AND coalesce(deleted_rule, '') NOT IN {_GO_TOO}"
    else:
        condition = "state = 'ready' AND deleted_rule IS NULL AND path = :path"
    row = calls.conn.execute(
        f"SELECT 1 FROM recordings WHERE id = :id AND {condition}",
        {"id": one.copy_id.removeprefix(TOMBSTONE), "path": one.path},
    ).fetchone()
    return row is not None


def backlog(calls: sqlite_utils.Database, target: str, set_ms: int) -> Backlog:
    """What a target that was added at ``set_ms`` lacks."""
    row = calls.conn.execute(
        "SELECT count(*), coalesce(sum(r.bytes), 0), min(max(r.ended_ms, ?)), coalesce(sum(c.state = 'failed'), 0)"
        f" {_LACKS}",
        (set_ms, target),
    ).fetchone()
    failed = calls.conn.execute(
        "SELECT error FROM archive_copies WHERE target = ? AND state = 'failed' ORDER BY attempts LIMIT 1", (target,)
    ).fetchone()
    return Backlog(row[0], row[1], row[2], row[3], str(failed[0] or "") if failed else "")


def verified(calls: sqlite_utils.Database, target: str) -> int:
    """How many recordings a target holds."""
    row = calls.conn.execute(
        "SELECT count(*) FROM archive_copies WHERE target = ? AND state = 'verified' AND recording_id NOT LIKE ?",
        (target, f"{TOMBSTONE}%"),
    ).fetchone()
    return int(row[0])


def note_verified(calls: sqlite_utils.Database, target: str, one: Waiting, sha256: str) -> None:
    """The target holds it. Raises StoreError."""
    with write(calls) as connection:
        _put(connection, target, one, state="verified", sha256=sha256, error=None, verified_ms=now_ms())


def note_failed(calls: sqlite_utils.Database, target: str, one: Waiting, error: str) -> None:
    """It could not be copied. Raises StoreError."""
    with write(calls) as connection:
        _put(connection, target, one, state="failed", sha256=None, error=error, verified_ms=None)


def _put(connection: sqlite3.Connection, target: str, one: Waiting, **found: Any) -> None:
    row = {"recording_id": one.copy_id, "target": target, "path": one.path, "attempts": one.attempts + 1, **found}
    updates = ", ".join(f"{name} = excluded.{name}" for name in row if name not in {"recording_id", "target"})
    connection.execute(
        f"INSERT INTO archive_copies ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
        f" ON CONFLICT (recording_id, target) DO UPDATE SET {updates}",
        list(row.values()),
    )


def expect_removal(connection: sqlite3.Connection, targets: list[str], recording_id: str, path: str) -> None:
    """Let the copies of a recording be removed, also those that a rebuilt store knows nothing of.

    Inside the caller's write transaction, which sets ``deleted_rule`` to ``ERASURE``.
    """
    connection.executemany(
        "INSERT INTO archive_copies (recording_id, target, state, path) VALUES (?, ?, 'waiting', ?)"
        " ON CONFLICT (recording_id, target) DO NOTHING",
        [(recording_id, target, path) for target in targets],
    )


def to_remove(calls: sqlite_utils.Database, target: str | None) -> list[tuple[str, str, str]]:
    """Copies, not removed yet, of recordings that must not exist: recording, target, path. ``target`` None: all."""
    rows = calls.conn.execute(
        "SELECT c.recording_id, c.target, c.path FROM recordings r JOIN archive_copies c ON c.recording_id = r.id"
        f" WHERE r.deleted_rule IN {_GO_TOO} AND r.state <> 'ready' AND c.state <> 'removed' AND c.path IS NOT NULL"
        " AND coalesce(?, c.target) = c.target ORDER BY 1, 2",
        (target,),
    )
    return [(row[0], row[1], row[2]) for row in rows]


def note_removed(calls: sqlite_utils.Database, recording_id: str, target: str) -> None:
    """The copy is gone, and the name that told the number with it. Raises StoreError."""
    with write(calls) as connection:
        connection.execute(
            "UPDATE archive_copies SET state = 'removed', path = NULL, sha256 = NULL, error = NULL"
            " WHERE recording_id IN (?, ?) AND target = ?",
            (recording_id, TOMBSTONE + recording_id, target),
        )
