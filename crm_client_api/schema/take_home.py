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


def seal_take_homes(db: sqlite_utils.Database) -> None:
    """``choice`` and ``numbers`` (those that it names) sealed with a ``salt``: a bare hash told numbers.

    What was remembered is forgotten.
    """
    for statement in (
        "DROP TABLE take_homes",
        """
        CREATE TABLE take_homes (
            medium TEXT NOT NULL,
            staff_no TEXT NOT NULL,
            salt TEXT NOT NULL,
            choice TEXT NOT NULL,
            numbers TEXT NOT NULL,
            until_ms INTEGER NOT NULL,
            left_out TEXT NOT NULL,
            bytes_a_s INTEGER NOT NULL,
            at_ms INTEGER NOT NULL
        ) STRICT
        """,
        "CREATE INDEX take_homes_by_medium ON take_homes (medium, staff_no, at_ms)",
    ):
        db.execute(statement)
