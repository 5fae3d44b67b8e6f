"""Tables that belong to the box itself: meta, event log and alarms in ``calls``, parameters in ``crm``."""

from __future__ import annotations

import sqlite_utils
from sqlite_utils import Migrations

from firmware.clock import now_ms, uuid7

_calls = Migrations("firmware")
_crm = Migrations("firmware")

migrations = {"calls": _calls, "crm": _crm}


def create_event_log(db: sqlite_utils.Database) -> None:
    """The tables that ``firmware.store.event_log`` works on, with an epoch of their own."""
    db.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT")
    db.execute("INSERT INTO meta VALUES ('epoch', ?)", [uuid7(now_ms())[:13].replace("-", "")])
    db.execute(
        """
        CREATE TABLE events (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            at_ms INTEGER NOT NULL,
            kind TEXT NOT NULL,
            channel INTEGER,
            call_id TEXT,
            card_id TEXT,
            boot_id TEXT,
            seq INTEGER,
            data TEXT NOT NULL DEFAULT '{}',
            UNIQUE (card_id, boot_id, seq)
        ) STRICT
        """
    )
    db.execute("CREATE INDEX events_by_call ON events (call_id) WHERE call_id IS NOT NULL")


@_calls(name="0001_event_log")
def _event_log(db: sqlite_utils.Database) -> None:
    create_event_log(db)
    db.execute(
        """
        CREATE TABLE alarms (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            code TEXT NOT NULL,
            subject TEXT NOT NULL,
            raised_ms INTEGER NOT NULL,
            cleared_ms INTEGER,
            data TEXT NOT NULL DEFAULT '{}'
        ) STRICT
        """
    )
    db.execute("CREATE UNIQUE INDEX alarms_standing ON alarms (code, subject) WHERE cleared_ms IS NULL")


@_crm(name="0001_parameters")
def _parameters(db: sqlite_utils.Database) -> None:
    db.execute(
        """
        CREATE TABLE parameters (
            scope TEXT NOT NULL,
            subject TEXT NOT NULL DEFAULT '',
            key TEXT NOT NULL,
            value TEXT NOT NULL,
            changed_ms INTEGER NOT NULL,
            changed_by TEXT NOT NULL DEFAULT '',
            PRIMARY KEY (scope, subject, key)
        ) STRICT
        """
    )


@_crm(name="0002_known_media")
def _known_media(db: sqlite_utils.Database) -> None:
    """USB sticks that the office remembers, by ``firmware.media.medium.Medium.id``."""
    db.execute(
        """
        CREATE TABLE known_media (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL,
            remembered_ms INTEGER NOT NULL,
            remembered_by TEXT NOT NULL
        ) STRICT
        """
    )
