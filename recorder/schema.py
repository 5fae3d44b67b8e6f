"""Tables of line cards, channels, calls and recordings, and the recorder's own checkpoint."""

from __future__ import annotations

import sqlite_utils
from sqlite_utils import Migrations

_calls = Migrations("recorder")
_crm = Migrations("recorder")

migrations = {"calls": _calls, "crm": _crm}


@_calls(name="0001_calls")
def _calls_0001(db: sqlite_utils.Database) -> None:
    for statement in _STATEMENTS:
        db.execute(statement)


@_calls(name="0002_recording_path")
def _calls_0002(db: sqlite_utils.Database) -> None:
    for statement in _RECORDING_PATH:
        db.execute(statement)


@_calls(name="0003_calls_by_tape")
def _calls_0003(db: sqlite_utils.Database) -> None:
    db.execute("CREATE INDEX calls_by_tape ON calls (tape_epoch, channel, from_sample)")


@_calls(name="0004_machine")
def _calls_0004(db: sqlite_utils.Database) -> None:
    db.execute("ALTER TABLE calls ADD COLUMN machine TEXT CHECK (machine IN ('fax', 'modem'))")
    db.execute("CREATE INDEX calls_by_machine ON calls (machine, started_ms) WHERE machine IS NOT NULL")


@_calls(name="0005_calls_by_handler")
def _calls_0005(db: sqlite_utils.Database) -> None:
    db.execute("CREATE INDEX calls_by_handler ON calls (handled_by, started_ms) WHERE handled_by IS NOT NULL")


@_calls(name="0006_recordings_by_channel")
def _calls_0006(db: sqlite_utils.Database) -> None:
    db.execute("CREATE INDEX recordings_by_channel ON recordings (channel, started_ms)")
    db.execute("CREATE INDEX recordings_by_duration ON recordings (duration_ms)")


@_calls(name="0007_walked_indexes")
def _calls_0007(db: sqlite_utils.Database) -> None:
    for name, what in _WALKED:
        db.execute(f"DROP INDEX IF EXISTS {name}")
        db.execute(f"CREATE INDEX {name} ON {what}")


@_calls(name="0008_number_keys")
def _calls_0008(db: sqlite_utils.Database) -> None:
    for statement in _NUMBER_KEYS:
        db.execute(statement)


@_calls(name="0009_marked_recordings")
def _calls_0009(db: sqlite_utils.Database) -> None:
    db.execute(_MARKED_INDEX)


@_calls(name="0010_copies_by_target")
def _calls_0010(db: sqlite_utils.Database) -> None:
    db.execute("CREATE INDEX copies_by_target ON archive_copies (target, state, recording_id)")


@_calls(name="0011_archive_media")
def _calls_0011(db: sqlite_utils.Database) -> None:
    for statement in _ARCHIVE_MEDIA:
        db.execute(statement)


@_crm(name="0001_storage_rules")
def _crm_0001(db: sqlite_utils.Database) -> None:
    for statement in _STORAGE_RULES:
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

# Recordings with a deleted_rule (and deleted_by) but another state than 'deleted' are for the keeper to delete: so the
# recorder marks what a late rule or an order takes back.
# SQLite cannot loosen a constraint of a table in place: recordings are copied into a table of the new shape.
_RECORDING_PATH = (
    "ALTER TABLE calls ADD COLUMN tape_epoch TEXT",
    "ALTER TABLE calls ADD COLUMN from_sample INTEGER",
    "ALTER TABLE calls ADD COLUMN to_sample INTEGER",
    "ALTER TABLE calls ADD COLUMN kept INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE calls ADD COLUMN kept_reason TEXT",
    "ALTER TABLE calls ADD COLUMN pauses TEXT NOT NULL DEFAULT '[]'",
    "DROP INDEX recordings_pending",
    "ALTER TABLE recordings RENAME TO recordings_before_0002",
    """
    CREATE TABLE recordings (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL DEFAULT 'call' CHECK (kind IN ('call', 'continuous', 'manual')),
        call_id TEXT,
        channel INTEGER NOT NULL,
        segment INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('pending', 'ready', 'lost', 'deleted')),
        card_id TEXT NOT NULL,
        tape_epoch TEXT NOT NULL,
        from_sample INTEGER NOT NULL,
        to_sample INTEGER NOT NULL,
        sample_rate_hz INTEGER NOT NULL,
        started_ms INTEGER NOT NULL,
        duration_ms INTEGER NOT NULL,
        tracks INTEGER NOT NULL DEFAULT 1,
        pauses TEXT NOT NULL DEFAULT '[]',
        wanted_format TEXT NOT NULL DEFAULT 'flac' CHECK (wanted_format IN ('flac', 'g711')),
        format TEXT CHECK (format IN ('flac', 'alaw', 'ulaw', 'opus', 'mp3')),
        path TEXT,
        missing_samples INTEGER NOT NULL DEFAULT 0,
        bytes INTEGER,
        sha256 TEXT,
        encrypted INTEGER NOT NULL DEFAULT 0,
        converted_from TEXT,
        ended_ms INTEGER GENERATED ALWAYS AS (started_ms + duration_ms) VIRTUAL,
        deleted_ms INTEGER,
        deleted_rule TEXT,
        deleted_by TEXT,
        simulated INTEGER NOT NULL DEFAULT 0,
        UNIQUE (call_id, segment)
    ) STRICT
    """,
    "INSERT INTO recordings (id, call_id, channel, segment, state, card_id, tape_epoch, from_sample, to_sample,"
    " sample_rate_hz, started_ms, duration_ms, format, path, missing_samples, bytes, sha256, simulated)"
    " SELECT id, call_id, channel, segment, state, card_id, tape_epoch, from_sample, to_sample, sample_rate_hz,"
    " started_ms, duration_ms, CASE WHEN state = 'ready' THEN 'flac' END, path, missing_samples, bytes, sha256,"
    " simulated FROM recordings_before_0002",
    "DROP TABLE recordings_before_0002",
    "CREATE INDEX recordings_pending ON recordings (card_id) WHERE state = 'pending'",
    "CREATE INDEX recordings_by_start ON recordings (started_ms)",
    "CREATE UNIQUE INDEX recordings_without_call ON recordings (card_id, tape_epoch, channel, kind, from_sample)"
    " WHERE call_id IS NULL",
    # The last order of crm.db that a reader (a card id, or 'library') has carried out, with what became of each.
    "CREATE TABLE order_marks (reader TEXT PRIMARY KEY, last_id INTEGER NOT NULL) STRICT",
    """
    CREATE TABLE order_results (
        order_id INTEGER PRIMARY KEY,
        done_ms INTEGER NOT NULL,
        ok INTEGER NOT NULL,
        message TEXT NOT NULL DEFAULT ''
    ) STRICT
    """,
    """
    CREATE TABLE archive_copies (
        recording_id TEXT NOT NULL,
        target TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('waiting', 'verified', 'failed', 'removed')),
        path TEXT,
        sha256 TEXT,
        attempts INTEGER NOT NULL DEFAULT 0,
        error TEXT,
        verified_ms INTEGER,
        PRIMARY KEY (recording_id, target)
    ) STRICT
    """,
)

# Lists are walked along an index, and what does not match or is not in scope is passed over there, without a look into
# the table: see crm_client_api.domain.walk. Behind the start stand the columns by which that is decided.
_WALKED = (
    ("calls_by_start", "calls (started_ms, channel, caller_number, dialled_number)"),
    ("calls_by_channel", "calls (channel, started_ms, caller_number, dialled_number)"),
    ("calls_by_caller", "calls (caller_number, started_ms, channel) WHERE caller_number IS NOT NULL"),
    ("calls_by_dialled", "calls (dialled_number, started_ms, channel) WHERE dialled_number IS NOT NULL"),
    ("calls_by_machine_channel", "calls (machine, channel, started_ms) WHERE machine IS NOT NULL"),
    ("calls_by_handler", "calls (handled_by, channel, started_ms) WHERE handled_by IS NOT NULL"),
    ("recordings_by_start", "recordings (started_ms, channel, duration_ms)"),
    ("recordings_by_channel", "recordings (channel, started_ms, duration_ms)"),
    ("recordings_by_length", "recordings (channel, duration_ms)"),
)

# Numbers as E.164, else the literal digits, by the settings of the site at which they were heard (recorder.numbers).
# Calls from before get theirs by and by: see recorder.library.keeping.number_keys.
_NUMBER_KEYS = (
    "ALTER TABLE calls ADD COLUMN caller_key TEXT",
    "ALTER TABLE calls ADD COLUMN dialled_key TEXT",
    "CREATE INDEX calls_by_caller_key ON calls (caller_key, started_ms, channel) WHERE caller_key IS NOT NULL",
    "CREATE INDEX calls_by_dialled_key ON calls (dialled_key, started_ms, channel) WHERE dialled_key IS NOT NULL",
    "INSERT INTO meta SELECT 'calls_without_key', '0' WHERE EXISTS (SELECT 1 FROM calls)",
)

# What the keeper is to delete is looked for every minute.
_MARKED_INDEX = (
    "CREATE INDEX recordings_marked ON recordings (started_ms, id) WHERE state = 'ready' AND deleted_rule IS NOT NULL"
)

# On which medium of its target a copy is, by the medium's mark (NULL: on the present one, if anywhere), and on which
# others an earlier copy may be: two disks take turns.
_ARCHIVE_MEDIA = (
    "ALTER TABLE archive_copies ADD COLUMN mark TEXT",
    "UPDATE archive_copies SET mark = (SELECT value FROM meta WHERE key = 'archive_mark:' || target)"
    " WHERE coalesce(error, '') <> 'another medium is there'",
    """
    CREATE TABLE archive_elsewhere (
        recording_id TEXT NOT NULL,
        target TEXT NOT NULL,
        mark TEXT NOT NULL,
        path TEXT NOT NULL,
        PRIMARY KEY (recording_id, target, mark)
    ) STRICT
    """,
    "CREATE INDEX recordings_gone ON recordings (id) WHERE deleted_rule IN ('discarded','erasure','never_list')",
)

# What people in the office decide; the recorder and the keeper only read it.
_STORAGE_RULES = (
    # Asked of a recorder (by channel) or of the keeper (channel NULL). verb: see recorder.orders.
    """
    CREATE TABLE orders (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at_ms INTEGER NOT NULL,
        asked_by TEXT NOT NULL,
        verb TEXT NOT NULL,
        channel INTEGER,
        call_id TEXT,
        recording_id TEXT,
        reason TEXT NOT NULL DEFAULT '',
        data TEXT NOT NULL DEFAULT '{}'
    ) STRICT
    """,
    """
    CREATE TABLE holds (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL CHECK (kind IN ('call', 'number', 'customer', 'period')),
        subject TEXT,
        from_ms INTEGER,
        to_ms INTEGER,
        channel INTEGER,
        reason TEXT NOT NULL,
        set_by TEXT NOT NULL,
        set_ms INTEGER NOT NULL,
        release_asked_by TEXT,
        release_asked_ms INTEGER,
        released_by TEXT,
        released_ms INTEGER
    ) STRICT
    """,
    """
    CREATE TABLE retention_rules (
        kind TEXT NOT NULL CHECK (kind IN ('channel', 'group', 'customer', 'operator')),
        subject TEXT NOT NULL,
        days INTEGER NOT NULL CHECK (days >= 0),
        set_by TEXT NOT NULL,
        set_ms INTEGER NOT NULL,
        PRIMARY KEY (kind, subject)
    ) STRICT
    """,
    """
    CREATE TABLE archive_targets (
        name TEXT PRIMARY KEY,
        url TEXT NOT NULL,
        enabled INTEGER NOT NULL DEFAULT 1,
        required INTEGER NOT NULL DEFAULT 1,
        set_by TEXT NOT NULL,
        set_ms INTEGER NOT NULL
    ) STRICT
    """,
)
