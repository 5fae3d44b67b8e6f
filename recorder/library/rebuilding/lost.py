"""Rows against files: recordings whose audio is gone or cut off are lost, and ready again when it is back."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Sequence

import sqlite_utils

from firmware import doorbell
from firmware.clock import now_ms
from firmware.config import Home
from firmware.errors import StoreError
from firmware.store import event_log
from firmware.store.connection import write
from recorder.library.rebuilding.gather import Finding

ROWS = 200
_ROWS = """
SELECT rowid, id, path, bytes, sha256, state FROM recordings
WHERE rowid > ? AND path IS NOT NULL AND state IN ('ready', 'lost') ORDER BY rowid LIMIT ?
"""


def look_at_rows(home: Home, calls: sqlite_utils.Database, after: int) -> tuple[int | None, int, list[Finding]]:
    """Look at the next rows; returns the last one (None: that were all), how many were found again, and what is lost.

    Raises StoreError: the folder of recordings is empty, as if its disk were not mounted; sqlite3.Error, OSError.
    """
    rows = calls.conn.execute(_ROWS, (after, ROWS)).fetchall()
    if not rows:
        return None, 0, []
    there = {row["id"]: _is_there(home, row) for row in rows}
    lost = [row for row in rows if there[row["id"]] is False]
    if len(lost) == len(rows) and not any(home.recordings.iterdir()):
        raise StoreError(f"{home.recordings} is empty: is its disk mounted?")
    again = [row for row in rows if row["state"] == "lost" and there[row["id"]] and _is_whole(home, row)]
    _settle(home, calls, [row for row in lost if row["state"] == "ready"], again)
    findings = [
        Finding("wrong_size" if (home.recordings / row["path"]).exists() else "missing", row["path"]) for row in lost
    ]
    return int(rows[-1]["rowid"]), len(again), findings


def _is_there(home: Home, row: sqlite3.Row) -> bool | None:
    """None: the disk does not say, and the recording stays what it is."""
    try:
        found = os.stat(home.recordings / row["path"])  # noqa: PTH116 - half a million times
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return None
    return row["bytes"] is None or found.st_size == row["bytes"]


def _is_whole(home: Home, row: sqlite3.Row) -> bool:
    try:
        with (home.recordings / row["path"]).open("rb") as file:
            return row["sha256"] is None or hashlib.file_digest(file, "sha256").hexdigest() == row["sha256"]
    except OSError:  # gone again, or unreadable: it stays lost
        return False


def _settle(
    home: Home, calls: sqlite_utils.Database, lost: Sequence[sqlite3.Row], again: Sequence[sqlite3.Row]
) -> None:
    """Change states, unless somebody deleted or converted the recording meanwhile."""
    if not lost and not again:
        return
    with write(calls) as connection:
        for rows, state, kind in ((lost, "lost", "recording_lost"), (again, "ready", "recording_ready")):
            for row in rows:
                changed = connection.execute(
                    "UPDATE recordings SET state = ? WHERE id = ? AND state = ? AND path = ? RETURNING *",
                    (state, row["id"], row["state"], row["path"]),
                ).fetchone()
                if changed is not None:
                    event_log.append(
                        connection, at_ms=now_ms(), kind=kind, channel=changed["channel"],
                        call_id=changed["call_id"], data=dict(changed),
                    )  # fmt: skip
    doorbell.ring(home.doorbells)
