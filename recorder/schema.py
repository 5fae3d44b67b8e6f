"""Tables of line cards, channels, calls and recordings, and the recorder's own checkpoint."""

from __future__ import annotations

import sqlite_utils
from sqlite_utils import Migrations

_calls = Migrations("recorder")

migrations = {"calls": _calls}


@_calls(name="0001_calls")
def _calls_0001(db: sqlite_utils.Database) -> None:
    for statement in _STATEMENTS:
        db.execute(statement)


_STATEMENTS = (
    """
    CREATE TABLE cards (
        card_id TEXT PRIMARY KEY,
        driver TEXT NOT NULL,
        address TEXT NOT NULL,
        model TEXT NOT NULL DEFAULT '',
        ports INTEGER NOT NULL,
        sample_rate_hz INTEGER NOT NULL,
        simulated INTEGER NOT NULL DEFAULT 0,
        first_seen_ms INTEGER NOT NULL,
        last_seen_ms INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE channels (
        number INTEGER PRIMARY KEY,
        card_id TEXT NOT NULL,
        port INTEGER NOT NULL,
        simulated INTEGER NOT NULL DEFAULT 0,
        UNIQUE (card_id, port)
    ) STRICT
    """,
    """
    CREATE TABLE calls (
        id TEXT PRIMARY KEY,
        channel INTEGER NOT NULL,
        card_id TEXT NOT NULL,
        direction TEXT NOT NULL CHECK (direction IN ('incoming', 'outgoing')),
        state TEXT NOT NULL CHECK (state IN ('ringing', 'dialling', 'talking', 'ended')),
        result TEXT CHECK (result IN ('answered', 'missed', 'abandoned')),
        caller_number TEXT,
        caller_name TEXT,
        absence TEXT,
        dialled_number TEXT,
        caller_id TEXT,
        answer_basis TEXT,
        end_reason TEXT,
        started_ms INTEGER NOT NULL,
        answered_ms INTEGER,
        ended_ms INTEGER,
        ring_ms INTEGER NOT NULL DEFAULT 0,
        talk_ms INTEGER NOT NULL DEFAULT 0,
        simulated INTEGER NOT NULL DEFAULT 0,
        handled_by TEXT,
        manifest TEXT
    ) STRICT
    """,
    "CREATE INDEX calls_by_start ON calls (started_ms)",
    "CREATE INDEX calls_by_channel ON calls (channel, started_ms)",
    "CREATE INDEX calls_by_caller ON calls (caller_number, started_ms) WHERE caller_number IS NOT NULL",
    "CREATE INDEX calls_by_dialled ON calls (dialled_number, started_ms) WHERE dialled_number IS NOT NULL",
    "CREATE INDEX calls_by_result ON calls (result, started_ms)",
    "CREATE INDEX calls_running ON calls (state) WHERE state <> 'ended'",
    "CREATE INDEX calls_without_manifest ON calls (card_id) WHERE manifest IS NULL",
    """
    CREATE TABLE recordings (
        id TEXT PRIMARY KEY,
        call_id TEXT NOT NULL,
        channel INTEGER NOT NULL,
        segment INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('pending', 'ready', 'lost')),
        card_id TEXT NOT NULL,
        tape_epoch TEXT NOT NULL,
        from_sample INTEGER NOT NULL,
        to_sample INTEGER NOT NULL,
        sample_rate_hz INTEGER NOT NULL,
        started_ms INTEGER NOT NULL,
        duration_ms INTEGER NOT NULL,
        path TEXT,
        missing_samples INTEGER NOT NULL DEFAULT 0,
        bytes INTEGER,
        sha256 TEXT,
        simulated INTEGER NOT NULL DEFAULT 0,
        UNIQUE (call_id, segment)
    ) STRICT
    """,
    "CREATE INDEX recordings_pending ON recordings (card_id) WHERE state = 'pending'",
    """
    CREATE TABLE recorder_state (
        card_id TEXT PRIMARY KEY,
        tape_epoch TEXT NOT NULL,
        position INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        state TEXT NOT NULL
    ) STRICT
    """,
)
