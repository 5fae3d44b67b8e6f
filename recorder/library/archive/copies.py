"""Which recordings wait for which target, and what became of each copy: rows of ``archive_copies``."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlite_utils

from firmware.clock import now_ms
from firmware.store.connection import write
from recorder.library.audio import names
from recorder.library.keeping.task import Stopping
from recorder.library.storage.deletion import MUST_GO

PAGE = 200
_ANY = 1 << 31
TOMBSTONE = "tombstone:"
"""Before a recording's id: the row of the tombstone's own copy."""
CHANGED, GONE = "another medium is there", "the copy is gone or damaged"
"""Why a copy that was verified counts no more."""
DAY_MS = 86_400_000
ERASURE = "erasure"
"""``recordings.deleted_rule`` of what was erased because of its number."""
GO_TOO = f"({','.join(repr(rule) for rule in sorted(MUST_GO))})"
"""Rules by which copies go, too, as a list in SQL."""
_AUDIO = tuple(f".{kind}{encrypted}" for kind in ("flac", "wav", "opus", "mp3") for encrypted in ("", ".tde"))


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that a target lacks: a recording, or the tombstone of one. ``path``: the recording's audio."""

    copy_id: str
    path: str
    attempts: int


class Copy(NamedTuple):
    """A copy that was verified. ``path``: its name at the target."""

    recording_id: str
    path: str
    sha256: str


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


VERIFIED_BEHIND = (
    "SELECT recording_id FROM archive_copies WHERE target = ? AND state = 'verified' AND recording_id > ?"
    " ORDER BY recording_id LIMIT ?"
)
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
        f" AND coalesce(r.deleted_rule, '') NOT IN {GO_TOO}"
        " LEFT JOIN archive_copies t ON t.recording_id = ? || c.recording_id AND t.target = c.target"
        " WHERE c.target = ? AND c.state = 'verified' AND coalesce(t.state, '') <> 'verified'"
        " ORDER BY 3, 1 LIMIT ?",
        (TOMBSTONE, TOMBSTONE, target, PAGE),
    )
    return [Waiting(row[0], row[1], row[2]) for row in rows]


def is_wanted(calls: sqlite_utils.Database, one: Waiting) -> bool:
    """Whether nobody deleted, erased or converted it since it was listed."""
    if one.copy_id.startswith(TOMBSTONE):
        condition = f"state = 'deleted' AND coalesce(deleted_rule, '') NOT IN {GO_TOO}"
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


def note_begun(calls: sqlite_utils.Database, target: str, one: Waiting, mark: str) -> None:
    """There may be something of it on the medium ``mark`` of the target from now on. Raises StoreError."""
    earlier = (
        "SELECT mark, path FROM archive_copies WHERE recording_id = ? AND target = ? AND mark <> ? AND path NOTNULL"
    )
    with write(calls) as connection:
        elsewhere = connection.execute(earlier, (one.copy_id, target, mark)).fetchall()
        if one.copy_id.startswith(TOMBSTONE):
            elsewhere.append((mark, one.path))  # its own row counts for nothing that is to be removed
        connection.executemany(
            "INSERT INTO archive_elsewhere (recording_id, target, mark, path) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            [(one.copy_id.removeprefix(TOMBSTONE), target, *found) for found in elsewhere],
        )
        connection.execute(
            "INSERT INTO archive_copies (recording_id, target, state, path, mark) VALUES (?, ?, 'waiting', ?, ?)"
            " ON CONFLICT (recording_id, target) DO UPDATE SET path = excluded.path, mark = excluded.mark",
            (one.copy_id, target, one.path, mark),
        )


def note_verified(calls: sqlite_utils.Database, target: str, one: Waiting, sha256: str) -> None:
    """The target holds it. Raises StoreError."""
    with write(calls) as connection:
        _put(connection, target, one, state="verified", sha256=sha256, error=None, verified_ms=now_ms())


def note_failed(calls: sqlite_utils.Database, target: str, one: Waiting, error: str) -> None:
    """It could not be copied. Raises StoreError."""
    with write(calls) as connection:
        _put(connection, target, one, state="failed", sha256=None, error=error, verified_ms=None)


def verified_copies(calls: sqlite_utils.Database, target: str, recording_ids: Collection[str]) -> list[Copy]:
    """Of these recordings, those that the target holds as far as the store knows."""
    ids = list(recording_ids)
    rows = calls.conn.execute(
        "SELECT recording_id, path, sha256 FROM archive_copies WHERE target = ? AND state = 'verified'"
        f" AND path IS NOT NULL AND sha256 IS NOT NULL AND recording_id IN ({','.join('?' * len(ids))})",
        (target, *ids),
    )
    return [Copy(*row) for row in rows]


def longest_unseen(calls: sqlite_utils.Database, target: str, most: int) -> list[Copy]:
    """Copies that nobody has read for a day, those that nobody has read for longest first.

    Also those that were gone, of recordings that the box has no more: nobody can make them again, but they may be back.
    """
    rows = calls.conn.execute(
        "SELECT c.recording_id, c.path, c.sha256 FROM archive_copies c LEFT JOIN recordings r ON r.id = c.recording_id"
        " WHERE c.target = ? AND c.path IS NOT NULL AND c.sha256 IS NOT NULL AND c.recording_id NOT LIKE ?"
        " AND coalesce(c.verified_ms, 0) < ?"
        f" AND coalesce(r.deleted_rule, '') NOT IN {GO_TOO}"
        " AND (c.state = 'verified' OR (c.state = 'failed' AND c.error = ? AND coalesce(r.state, '') <> 'ready'))"
        " ORDER BY c.verified_ms, c.recording_id LIMIT ?",
        (target, f"{TOMBSTONE}%", now_ms() - DAY_MS, GONE, most),
    )
    return [Copy(*row) for row in rows]


def note_look(calls: sqlite_utils.Database, target: str, recording_id: str, *, is_there: bool) -> None:
    """What was seen of a copy just now; one that is not there is made again. Raises StoreError."""
    with write(calls) as connection:
        connection.execute(
            "UPDATE archive_copies SET state = ?, error = ?, attempts = 0, verified_ms = ?"
            " WHERE recording_id = ? AND target = ? AND state IN ('verified', 'failed')",
            ("verified" if is_there else "failed", None if is_there else GONE, now_ms(), recording_id, target),
        )


def doubt_all(calls: sqlite_utils.Database, target: str, stopping: Stopping) -> bool:
    """Another medium is there: what the box still has is to be copied again. Whether all of it was seen to.

    One short transaction after the other, with as long a rest as each took. Raises StoreError.
    """
    place: str | None = ""
    while place is not None:
        if stopping():
            return False
        begun_s = time.monotonic()
        place = doubt_next(calls, target, place)
        time.sleep(time.monotonic() - begun_s)
    return True


def doubt_next(calls: sqlite_utils.Database, target: str, after: str = "") -> str | None:
    """Doubt some copies, of recordings behind ``after``; the last of these, None when there was none.

    What the target alone has left stays as it is: nobody can make it again. Raises StoreError.
    """
    ids = [row[0] for row in calls.conn.execute(VERIFIED_BEHIND, (target, after, PAGE))]
    if not ids:
        return None
    with write(calls) as connection:
        connection.executemany(
            "UPDATE archive_copies SET state = 'failed', error = ?, attempts = 0"
            " WHERE recording_id = ? AND target = ? AND state = 'verified'"
            " AND EXISTS (SELECT 1 FROM recordings WHERE id = recording_id AND state = 'ready')",
            [(CHANGED, recording_id, target) for recording_id in ids],
        )
    return str(ids[-1])


def doubted(calls: sqlite_utils.Database, target: str) -> tuple[int, str]:
    """How many copies that were verified once are missing, and why one of them is."""
    row = calls.conn.execute(
        "SELECT count(*), min(error) FROM archive_copies WHERE target = ? AND state = 'failed' AND error IN (?, ?)",
        (target, CHANGED, GONE),
    ).fetchone()
    return int(row[0]), str(row[1] or "")


def _put(connection: sqlite3.Connection, target: str, one: Waiting, **found: Any) -> None:
    row = {"recording_id": one.copy_id, "target": target, "path": one.path, "attempts": one.attempts + 1, **found}
    updates = ", ".join(f"{name} = excluded.{name}" for name in row if name not in {"recording_id", "target"})
    connection.execute(
        f"INSERT INTO archive_copies ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
        f" ON CONFLICT (recording_id, target) DO UPDATE SET {updates}",
        list(row.values()),
    )
