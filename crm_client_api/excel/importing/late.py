"""Rows of an import that do nothing, for what happened since the preview.

They are noted in the store, in the transaction that passes them by, and go into the import's own file at its end: that
file is synced, and nobody shall wait for it with the store locked.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import sqlite_utils

from crm_client_api.excel.importing.reasons import Problem
from crm_client_api.excel.importing.stage import Stage, Staged
from firmware.store.connection import write

_AT_ONCE = 500


def note_late(connection: sqlite3.Connection, import_id: int, rows: Iterable[tuple[Staged, Problem]]) -> None:
    """Note rows inside the caller's write transaction."""
    connection.executemany(
        "INSERT INTO import_late_rows VALUES (?,?,?,?,?) ON CONFLICT DO NOTHING",
        [(import_id, one.n, why.column, why.code, why.detail) for one, why in rows],
    )


def move_late(crm: sqlite_utils.Database, stage: Stage, import_id: int) -> None:
    """Move all into the import's file; cut off anywhere, it is done again. Raises StoreError."""
    last = 0
    while rows := crm.conn.execute(
        "SELECT n, field, code, detail FROM import_late_rows WHERE import_id = ? AND n > ? ORDER BY n LIMIT ?",
        (import_id, last, _AT_ONCE),
    ).fetchall():
        last = rows[-1][0]
        stage.note_late([(row[0], Problem(row[1], row[2], row[3])) for row in rows])
    forget_late(crm, import_id)


def forget_late(crm: sqlite_utils.Database, import_id: int) -> None:
    """Remove what was noted of an import, in short transactions. Raises StoreError."""
    gone = 1
    while gone:
        with write(crm) as connection:
            gone = connection.execute(
                "DELETE FROM import_late_rows WHERE rowid IN"
                " (SELECT rowid FROM import_late_rows WHERE import_id = ? LIMIT ?)",
                (import_id, _AT_ONCE),
            ).rowcount
