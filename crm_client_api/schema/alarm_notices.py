"""Step of the ``crm`` store: alarms on their way out of the box."""

from __future__ import annotations

import sqlite_utils


def add_alarm_notices(db: sqlite_utils.Database) -> None:
    """What is told of alarms, and up to where they are known."""
    for statement in _STATEMENTS:
        db.execute(statement)


_STATEMENTS = (
    # standing: the alarm (alarm_id in calls.db) still stands. mailed_ms NULL: it waits for a mail; 0: none is wanted.
    """
    CREATE TABLE alarm_notices (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at_ms INTEGER NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('alarm_raised', 'alarm_cleared', 'watch_unusual', 'test')),
        alarm_id INTEGER,
        code TEXT NOT NULL,
        subject TEXT NOT NULL,
        raised_ms INTEGER NOT NULL,
        cleared_ms INTEGER,
        details TEXT NOT NULL DEFAULT '{}',
        standing INTEGER NOT NULL DEFAULT 0,
        mailed_ms INTEGER
    ) STRICT
    """,
    "CREATE INDEX alarm_notices_standing ON alarm_notices (alarm_id) WHERE standing = 1",
    "CREATE INDEX alarm_notices_to_mail ON alarm_notices (id) WHERE mailed_ms IS NULL",
    # One row: the last alarm and office event that were noted, each with its store's epoch; how the last mail went.
    """
    CREATE TABLE alarm_marks (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        calls_epoch TEXT NOT NULL DEFAULT '',
        alarm_id INTEGER NOT NULL DEFAULT 0,
        office_epoch TEXT NOT NULL DEFAULT '',
        office_id INTEGER NOT NULL DEFAULT 0,
        sent_ms INTEGER,
        tried_ms INTEGER,
        error TEXT
    ) STRICT
    """,
    "INSERT INTO alarm_marks (id) VALUES (1)",
)
