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


def hand_over_phrases(db: sqlite_utils.Database) -> None:
    """``hand_over_records`` takes shared phrases too. SQLite changes no CHECK: the table is made anew."""
    for statement in (
        """
        CREATE TABLE hand_over_records_now (
            hand_over_id INTEGER NOT NULL REFERENCES hand_overs (id),
            kind TEXT NOT NULL CHECK (kind IN ('customer', 'communication', 'task', 'call_back', 'draft', 'phrase')),
            record_id TEXT NOT NULL,
            old_owner TEXT NOT NULL,
            outcome TEXT CHECK (outcome IN ('returned', 'moved_on')),
            PRIMARY KEY (hand_over_id, kind, record_id)
        ) STRICT
        """,
        "INSERT INTO hand_over_records_now (rowid, hand_over_id, kind, record_id, old_owner, outcome)"
        " SELECT rowid, hand_over_id, kind, record_id, old_owner, outcome FROM hand_over_records ORDER BY rowid",
        "DROP TABLE hand_over_records",
        "ALTER TABLE hand_over_records_now RENAME TO hand_over_records",
        "CREATE INDEX hand_over_records_by_record ON hand_over_records (kind, record_id, hand_over_id)",
    ):
        db.execute(statement)
