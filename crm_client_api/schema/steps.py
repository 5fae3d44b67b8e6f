"""Tables of the office: groups, operators, sessions, customers, audit. All in the ``crm`` store."""

from __future__ import annotations

import sqlite_utils
from sqlite_utils import Migrations

from crm_client_api.schema.access import add_access
from crm_client_api.schema.alarm_notices import add_alarm_notices
from crm_client_api.schema.auto_exports import add_auto_exports
from crm_client_api.schema.backups import add_backups
from crm_client_api.schema.call_notes import add_call_notes
from crm_client_api.schema.call_tags import add_call_tags
from crm_client_api.schema.phrases import add_phrases, hand_over_phrases
from crm_client_api.schema.purged_customers import add_purged_customers
from crm_client_api.schema.records import add_records
from crm_client_api.schema.take_home import add_take_homes, seal_take_homes
from firmware.clock import now_ms

_crm = Migrations("crm_client_api")

migrations = {"crm": _crm}


@_crm(name="0001_office")
def _office(db: sqlite_utils.Database) -> None:
    for statement in _STATEMENTS:
        db.execute(statement)
    # A fresh box has one group; the default of the channel parameter `group` puts every channel into it.
    db.execute("INSERT INTO groups VALUES (1, '', ?)", [now_ms()])


@_crm(name="0002_records")
def _records(db: sqlite_utils.Database) -> None:
    add_records(db)


@_crm(name="0003_access")
def _access(db: sqlite_utils.Database) -> None:
    add_access(db)


@_crm(name="0004_phrases")
def _phrases(db: sqlite_utils.Database) -> None:
    add_phrases(db)


@_crm(name="0004_setup_done")
def _setup_done(db: sqlite_utils.Database) -> None:
    """A box that people work with already needs no guided set-up."""
    db.execute(
        "INSERT INTO parameters (scope, subject, key, value, changed_ms)"
        " SELECT 'system', '', 'setup_done', 'true', ? WHERE EXISTS (SELECT 1 FROM operators)",
        [now_ms()],
    )


@_crm(name="0004_call_notes")
def _call_notes(db: sqlite_utils.Database) -> None:
    add_call_notes(db)


@_crm(name="0004_alarm_notices")
def _alarm_notices(db: sqlite_utils.Database) -> None:
    add_alarm_notices(db)


@_crm(name="0005_take_homes")
def _take_homes(db: sqlite_utils.Database) -> None:
    add_take_homes(db)


@_crm(name="0006_sealed_take_homes")
def _sealed_take_homes(db: sqlite_utils.Database) -> None:
    seal_take_homes(db)


@_crm(name="0006_call_tags")
def _call_tags(db: sqlite_utils.Database) -> None:
    add_call_tags(db)


@_crm(name="0006_tasks_of_purged")
def _tasks_of_purged(db: sqlite_utils.Database) -> None:
    add_purged_customers(db)


@_crm(name="0006_backups")
def _backups(db: sqlite_utils.Database) -> None:
    add_backups(db)


@_crm(name="0006_auto_exports")
def _auto_exports(db: sqlite_utils.Database) -> None:
    add_auto_exports(db)


@_crm(name="0006_phrases_handed_over")
def _phrases_handed_over(db: sqlite_utils.Database) -> None:
    hand_over_phrases(db)


_STATEMENTS = (
    """
    CREATE TABLE groups (
        number INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        created_ms INTEGER NOT NULL
    ) STRICT
    """,
    # One row for each appointment of a person: replacing an operator adds a row, the newest one counts.
    """
    CREATE TABLE operators (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        staff_no TEXT NOT NULL,
        name TEXT NOT NULL,
        level TEXT NOT NULL CHECK (level IN ('super', 'leader', 'ordinary')),
        group_number INTEGER REFERENCES groups (number),
        channels TEXT NOT NULL,
        permissions TEXT NOT NULL,
        active INTEGER NOT NULL DEFAULT 1,
        password_hash TEXT NOT NULL,
        must_change_password INTEGER NOT NULL DEFAULT 1,
        created_ms INTEGER NOT NULL,
        deleted_ms INTEGER
    ) STRICT
    """,
    "CREATE UNIQUE INDEX operators_present ON operators (staff_no) WHERE deleted_ms IS NULL",
    "CREATE INDEX operators_by_staff_no ON operators (staff_no, id)",
    """
    CREATE TRIGGER operators_set_once
    BEFORE UPDATE OF id, staff_no, level, group_number, channels, permissions, created_ms ON operators
    BEGIN
        SELECT raise(ABORT, 'level, group, channels and permissions of an operator are set once');
    END
    """,
    "CREATE TRIGGER operators_stay BEFORE DELETE ON operators BEGIN SELECT raise(ABORT, 'operators stay'); END",
    """
    CREATE VIEW staff AS
    SELECT * FROM operators o WHERE id = (SELECT max(id) FROM operators WHERE staff_no = o.staff_no)
    """,
    """
    CREATE TABLE sessions (
        token_hash TEXT PRIMARY KEY,
        staff_no TEXT NOT NULL,
        address TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        last_used_ms INTEGER NOT NULL
    ) STRICT
    """,
    "CREATE INDEX sessions_by_staff_no ON sessions (staff_no)",
    """
    CREATE TABLE login_failures (
        staff_no TEXT PRIMARY KEY,
        failures INTEGER NOT NULL,
        last_ms INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE customers (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL,
        company TEXT NOT NULL,
        title TEXT NOT NULL,
        category TEXT NOT NULL,
        level TEXT NOT NULL,
        note TEXT NOT NULL,
        author TEXT NOT NULL,
        owner TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        changed_ms INTEGER NOT NULL,
        deleted_ms INTEGER,
        deleted_by TEXT
    ) STRICT
    """,
    "CREATE INDEX customers_by_owner ON customers (owner)",
    """
    CREATE TABLE customer_phones (
        customer_id INTEGER NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        label TEXT NOT NULL,
        number TEXT NOT NULL,
        match_key TEXT NOT NULL,
        PRIMARY KEY (customer_id, position)
    ) STRICT
    """,
    "CREATE INDEX customer_phones_by_key ON customer_phones (match_key)",
    """
    CREATE TABLE audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at_ms INTEGER NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        subject TEXT NOT NULL,
        address TEXT NOT NULL,
        data TEXT NOT NULL
    ) STRICT
    """,
    "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'the audit log only grows'); END",
    "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, 'the audit log only grows'); END",
)
