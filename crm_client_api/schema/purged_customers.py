"""Open tasks stay when their customer is removed for good."""

from __future__ import annotations

import sqlite_utils


def add_purged_customers(db: sqlite_utils.Database) -> None:
    """When a task lost its customer, and whose customer that was: by that owner it is in somebody's scope or not."""
    db.execute("ALTER TABLE tasks ADD COLUMN customer_purged_ms INTEGER")
    db.execute("ALTER TABLE tasks ADD COLUMN customer_purged_owner TEXT")
