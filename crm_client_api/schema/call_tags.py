"""Step of the ``crm`` store: tags (标签) that people give calls."""

from __future__ import annotations

import sqlite_utils


def add_call_tags(db: sqlite_utils.Database) -> None:
    """The tags of calls; ``channel``: that of the call, for the scope."""
    for statement in _STATEMENTS:
        db.execute(statement)


_STATEMENTS = (
    """
    CREATE TABLE call_tags (
        call_id TEXT NOT NULL,
        tag TEXT NOT NULL,
        channel INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        by TEXT NOT NULL,
        PRIMARY KEY (call_id, tag)
    ) STRICT
    """,
    # Ids of calls begin with their time: the newest of a tag stand at its end.
    "CREATE INDEX call_tags_by_tag ON call_tags (tag, call_id, channel)",
)
