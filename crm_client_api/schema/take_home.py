"""What somebody last took home on a stick."""

from __future__ import annotations

import sqlite_utils


def add_take_homes(db: sqlite_utils.Database) -> None:
    """One row a stick, person and choice (``choice``: its hash, times left out)."""
    db.execute(
        """
        CREATE TABLE take_homes (
            medium TEXT NOT NULL,
            staff_no TEXT NOT NULL,
            choice TEXT NOT NULL,
            until_ms INTEGER NOT NULL,
            left_out TEXT NOT NULL,
            bytes_a_s INTEGER NOT NULL,
            at_ms INTEGER NOT NULL,
            PRIMARY KEY (medium, staff_no, choice)
        ) STRICT
        """
    )
