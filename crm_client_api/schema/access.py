"""Step of the ``crm`` store: tokens, second factor, the chained audit log, what operators are told."""

from __future__ import annotations

import sqlite_utils

from crm_client_api.domain.permissions import Permission
from firmware.store.schema import create_event_log


def add_access(db: sqlite_utils.Database) -> None:
    """API tokens, one-time codes, audit chain, the office's own event log, agent states, receipts of pop-ups."""
    for statement in _STATEMENTS:
        db.execute(statement)
    for permission in Permission:
        db.execute("INSERT INTO known_permissions VALUES (?, 0)", [permission.value])
    create_event_log(db)


_STATEMENTS = (
    # A group that was deleted keeps its number: former operators and their records stay with it.
    "ALTER TABLE groups ADD COLUMN deleted_ms INTEGER",
    # Permissions that this box has heard of; a later one was introduced when the operators up to an id were there.
    """
    CREATE TABLE known_permissions (
        permission TEXT PRIMARY KEY,
        last_operator_id INTEGER NOT NULL
    ) STRICT
    """,
    # What an operator was granted after the appointment: permissions that a software update introduced.
    """
    CREATE TABLE granted_permissions (
        operator_id INTEGER NOT NULL REFERENCES operators (id),
        permission TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        by TEXT NOT NULL,
        PRIMARY KEY (operator_id, permission)
    ) STRICT
    """,
    """
    CREATE TABLE api_tokens (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        staff_no TEXT NOT NULL,
        name TEXT NOT NULL,
        token_hash TEXT NOT NULL UNIQUE,
        scopes TEXT NOT NULL,
        read_only INTEGER NOT NULL,
        addresses TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        expires_ms INTEGER,
        last_used_ms INTEGER,
        last_address TEXT,
        revoked_ms INTEGER
    ) STRICT
    """,
    "CREATE INDEX api_tokens_by_staff_no ON api_tokens (staff_no)",
    # What lists of sessions name them by (the hash is the key to the session itself), and the browser.
    "ALTER TABLE sessions ADD COLUMN id TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE sessions ADD COLUMN agent TEXT NOT NULL DEFAULT ''",
    # Wrong passwords in a row, counted for staff numbers, for addresses, and for a person at an address where that
    # person has logged in before: guessing from elsewhere must not lock out who sits at the usual desk.
    "DROP TABLE login_failures",
    """
    CREATE TABLE login_failures (
        kind TEXT NOT NULL CHECK (kind IN ('staff_no', 'address', 'desk', 'inside')),
        key TEXT NOT NULL,
        failures INTEGER NOT NULL,
        last_ms INTEGER NOT NULL,
        PRIMARY KEY (kind, key)
    ) STRICT
    """,
    """
    CREATE TABLE login_desks (
        staff_no TEXT NOT NULL,
        address TEXT NOT NULL,
        last_ms INTEGER NOT NULL,
        PRIMARY KEY (staff_no, address)
    ) STRICT
    """,
    # Time-based one-time codes (RFC 6238). last_step: a code is taken once.
    """
    CREATE TABLE second_factors (
        staff_no TEXT PRIMARY KEY,
        secret TEXT NOT NULL,
        confirmed_ms INTEGER,
        last_step INTEGER NOT NULL DEFAULT 0,
        recovery_hashes TEXT NOT NULL DEFAULT '[]'
    ) STRICT
    """,
    # Each entry's hash covers that of the one before; NULL in entries older than the chain.
    "ALTER TABLE audit ADD COLUMN salt TEXT",
    "ALTER TABLE audit ADD COLUMN hash TEXT",
    # What `customer.change` is about: `customer`.
    "ALTER TABLE audit ADD COLUMN thing TEXT NOT NULL AS (substr(action, 1, instr(action || '.', '.') - 1)) VIRTUAL",
    *(
        f"CREATE INDEX audit_by_{name} ON audit ({column}at_ms)"
        for name, column in (
            ("time", ""),
            ("subject", "subject, "),
            ("actor", "actor, "),
            ("action", "action, "),
            ("thing", "thing, "),
            ("actor_and_thing", "actor, thing, "),
            ("actor_and_action", "actor, action, "),
        )
    ),
    """
    CREATE TABLE agent_states (
        staff_no TEXT PRIMARY KEY,
        state TEXT NOT NULL CHECK (state IN ('idle', 'busy', 'wrap_up', 'away')),
        reason TEXT NOT NULL DEFAULT '',
        since_ms INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE agent_state_log (
        staff_no TEXT NOT NULL,
        state TEXT NOT NULL,
        reason TEXT NOT NULL DEFAULT '',
        from_ms INTEGER NOT NULL,
        to_ms INTEGER NOT NULL
    ) STRICT
    """,
    "CREATE INDEX agent_state_log_by_time ON agent_state_log (from_ms, staff_no)",
    # Who was shown which call: they may open it again from the call's row. by: who handed it over, else NULL.
    """
    CREATE TABLE popup_receipts (
        call_id TEXT NOT NULL,
        staff_no TEXT NOT NULL,
        shown_ms INTEGER NOT NULL,
        acknowledged_ms INTEGER,
        handed_by TEXT,
        PRIMARY KEY (call_id, staff_no)
    ) STRICT
    """,
    "CREATE INDEX popup_receipts_by_staff_no ON popup_receipts (staff_no, shown_ms)",
    # What the pop-up rules asked when a call came up: see domain/popup_circumstances.py.
    """
    CREATE TABLE popup_circumstances (
        call_id TEXT PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        circumstances TEXT NOT NULL
    ) STRICT
    """,
    # Who said "I take it" first.
    """
    CREATE TABLE call_takings (
        call_id TEXT PRIMARY KEY,
        staff_no TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        how TEXT NOT NULL CHECK (how IN ('taken', 'only_one'))
    ) STRICT
    """,
    # Other programs that are told of events; what is on its way to each.
    """
    CREATE TABLE webhooks (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        url TEXT NOT NULL,
        secret TEXT NOT NULL,
        events TEXT NOT NULL,
        staff_no TEXT NOT NULL,
        active INTEGER NOT NULL DEFAULT 1,
        position TEXT NOT NULL,
        created_ms INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE webhook_deliveries (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        webhook_id INTEGER NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
        position TEXT NOT NULL,
        kind TEXT NOT NULL,
        body TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'failed')),
        tries INTEGER NOT NULL DEFAULT 0,
        next_try_ms INTEGER NOT NULL,
        last_status INTEGER,
        last_error TEXT,
        created_ms INTEGER NOT NULL,
        delivered_ms INTEGER,
        UNIQUE (webhook_id, position)
    ) STRICT
    """,
    "CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (next_try_ms) WHERE state = 'waiting'",
    # An entry never changes; only what it says of a person may be taken out, leaving what its hash was made of.
    "DROP TRIGGER audit_no_update",
    """
    CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
    WHEN NOT (
        new.id IS old.id AND new.at_ms IS old.at_ms AND new.actor IS old.actor AND new.action IS old.action
        AND new.subject IS old.subject AND new.address IS old.address AND new.hash IS old.hash
        AND old.salt IS NOT NULL AND new.salt IS NULL AND new.data GLOB '{"erased":"*"}' AND length(new.data) = 77
    )
    BEGIN SELECT raise(ABORT, 'the audit log only grows'); END
    """,
)
