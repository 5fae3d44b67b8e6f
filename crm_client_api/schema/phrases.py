"""Template phrases (常用语): sentences that people put into notes, their own and those shared with everybody."""

from __future__ import annotations

import sqlite_utils


def add_phrases(db: sqlite_utils.Database) -> None:
    """The table of phrases; like drafts and views they stay under a staff number for ever."""
    for statement in _STATEMENTS:
        db.execute(statement)


_STATEMENTS = (
    """
    CREATE TABLE phrases (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        staff_no TEXT NOT NULL,
        text TEXT NOT NULL,
        shared INTEGER NOT NULL DEFAULT 0,
        changed_ms INTEGER NOT NULL
    ) STRICT
    """,
    "CREATE INDEX phrases_by_staff_no ON phrases (staff_no)",
    "CREATE INDEX phrases_shared ON phrases (id) WHERE shared",
)
