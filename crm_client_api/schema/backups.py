"""Step of the ``crm`` store: by which key backups are sealed, and which ones were made."""

from __future__ import annotations

import sqlite_utils


def add_backups(db: sqlite_utils.Database) -> None:
    """Keys, backups, and the recordings that lie beside them."""
    for statement in _STATEMENTS:
        db.execute(statement)


_STATEMENTS = (
    # key: JSON of backup.keys.OwnKey: what opens backups is wrapped in it by the passphrase, what signs them is not.
    # The newest one is used.
    """
    CREATE TABLE backup_keys (
        id TEXT PRIMARY KEY,
        made_ms INTEGER NOT NULL,
        made_by TEXT NOT NULL,
        key TEXT NOT NULL
    ) STRICT
    """,
    # place: an address, # and the medium there; name: of the file there. Only such as were tried out. removed_ms: a
    # newer one took its place, or it was found to be gone.
    """
    CREATE TABLE backups (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        made_ms INTEGER NOT NULL,
        tried_ms INTEGER NOT NULL,
        place TEXT NOT NULL,
        name TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        key_id TEXT NOT NULL,
        recordings INTEGER,
        removed_ms INTEGER,
        UNIQUE (place, name)
    ) STRICT
    """,
    "CREATE INDEX backups_present ON backups (place, made_ms) WHERE removed_ms IS NULL",
    # Recordings that a place has, sealed; content_sha256: of the audio as it lies on the box;
    # named_ms: when the last backup was made that names it.
    """
    CREATE TABLE backup_recordings (
        place TEXT NOT NULL,
        object TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        content_bytes INTEGER NOT NULL,
        content_sha256 TEXT NOT NULL,
        named_ms INTEGER NOT NULL,
        PRIMARY KEY (place, object)
    ) STRICT
    """,
)
