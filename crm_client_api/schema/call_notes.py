"""Step of the ``crm`` store: what people note about calls."""

from __future__ import annotations

import sqlite_utils


def add_call_notes(db: sqlite_utils.Database) -> None:
    """Comments, bookmarks and scores of calls."""
    for statement in _STATEMENTS:
        db.execute(statement)


_STATEMENTS = (
    # channel: that of the call, for the scope. position_ms: a bookmark, counted from the call's beginning.
    """
    CREATE TABLE call_notes (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        call_id TEXT NOT NULL,
        channel INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        author TEXT NOT NULL,
        position_ms INTEGER,
        text TEXT NOT NULL DEFAULT '',
        score INTEGER CHECK (score BETWEEN 1 AND 5)
    ) STRICT
    """,
    "CREATE INDEX call_notes_by_call ON call_notes (call_id, id)",
)
