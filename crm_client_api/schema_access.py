"""Step of the ``crm`` store: tokens, second factor, the chained audit log, what operators are told."""

from __future__ import annotations

import sqlite_utils

from firmware.store.schema import create_event_log


def add_access(db: sqlite_utils.Database) -> None:
    """API tokens, one-time codes, audit chain, the office's own event log, agent states, receipts of pop-ups."""
    for statement in _STATEMENTS:
        db.execute(statement)
    create_event_log(db)


_STATEMENTS = (
    """
    CREATE TABLE api_tokens (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        staff_no TEXT NOT NULL,
        name TEXT NOT NULL,
        token_hash TEXT NOT NULL UNIQUE,
        scopes TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        expires_ms INTEGER,
        last_used_ms INTEGER,
        last_address TEXT,
        revoked_ms INTEGER
    ) STRICT
    """,
    "CREATE INDEX api_tokens_by_staff_no ON api_tokens (staff_no)",
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
    # Each entry carries the hash of the one before; NULL in entries older than the chain.
    "ALTER TABLE audit ADD COLUMN salt TEXT",
    "ALTER TABLE audit ADD COLUMN hash TEXT",
    "CREATE INDEX audit_by_subject ON audit (subject, id)",
    "CREATE INDEX audit_by_actor ON audit (actor, id)",
    "CREATE INDEX audit_by_action ON audit (action, id)",
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
)
