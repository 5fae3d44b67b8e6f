"""What goes onto a known stick by itself whenever it is plugged in."""

from __future__ import annotations

import sqlite_utils


def add_auto_exports(db: sqlite_utils.Database) -> None:
    """One row a stick. ``seen_ms``: since when the stick was plugged in that was dealt with last; ``problem``: why
    nothing was begun then, "" when it was."""
    db.execute(
        """
        CREATE TABLE auto_exports (
            medium TEXT PRIMARY KEY,
            staff_no TEXT NOT NULL,
            address TEXT NOT NULL,
            permissions TEXT NOT NULL,
            contents TEXT NOT NULL,
            set_ms INTEGER NOT NULL,
            seen_ms INTEGER NOT NULL,
            ran_ms INTEGER,
            job_id INTEGER,
            problem TEXT NOT NULL
        ) STRICT
        """
    )
