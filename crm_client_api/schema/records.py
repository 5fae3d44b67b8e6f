"""Step of the ``crm`` store: all that the office writes about customers and contacts with them."""

from __future__ import annotations

import sqlite_utils

from crm_client_api.schema import customer_index


def add_records(db: sqlite_utils.Database) -> None:
    """Customers whole, communication records, tasks, call-backs, saved views, imports, hand-overs."""
    for statement in (*_STATEMENTS, *customer_index.STATEMENTS):
        db.execute(statement)


_TEXTS = ("gender", "wechat", "email", "region", "address", "postcode", "status", "source", "consent")
_STATEMENTS = (
    *(f"ALTER TABLE customers ADD COLUMN {name} TEXT NOT NULL DEFAULT ''" for name in _TEXTS),
    "ALTER TABLE customers ADD COLUMN next_contact_ms INTEGER",
    # Values of the fields that an administrator defined, by field id: {"3": "blue"}.
    "ALTER TABLE customers ADD COLUMN custom TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE customers ADD COLUMN merged_into INTEGER",
    # Rows of an import count as absent until the import has a published_ms; see `imports`.
    "ALTER TABLE customers ADD COLUMN import_id INTEGER",
    "CREATE INDEX customers_by_next_contact ON customers (next_contact_ms) WHERE next_contact_ms IS NOT NULL",
    "CREATE INDEX customers_by_owners_next_contact ON customers (owner, next_contact_ms)"
    " WHERE next_contact_ms IS NOT NULL",
    "CREATE INDEX customers_deleted ON customers (deleted_ms) WHERE deleted_ms IS NOT NULL",
    "ALTER TABLE customer_phones ADD COLUMN kind TEXT NOT NULL DEFAULT 'phone'"
    " CHECK (kind IN ('phone', 'mobile', 'fax', 'other'))",
    """
    CREATE TABLE customer_tags (
        customer_id INTEGER NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
        tag TEXT NOT NULL,
        PRIMARY KEY (customer_id, tag)
    ) STRICT
    """,
    "CREATE INDEX customer_tags_by_tag ON customer_tags (tag, customer_id)",
    """
    CREATE TABLE custom_fields (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name_en TEXT NOT NULL,
        name_zh TEXT NOT NULL,
        type TEXT NOT NULL CHECK (type IN ('text', 'number', 'date', 'choice', 'yes_no')),
        choices TEXT NOT NULL DEFAULT '[]',
        required INTEGER NOT NULL DEFAULT 0,
        position INTEGER NOT NULL,
        removed_ms INTEGER
    ) STRICT
    """,
    # Two rows that one person merged: `before` holds both as they were, to take it back.
    """
    CREATE TABLE customer_merges (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kept_id INTEGER NOT NULL,
        merged_id INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        by TEXT NOT NULL,
        before TEXT NOT NULL,
        undone_ms INTEGER
    ) STRICT
    """,
    """
    CREATE TABLE communications (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        customer_id INTEGER NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
        call_id TEXT,
        at_ms INTEGER NOT NULL,
        number TEXT NOT NULL DEFAULT '',
        match_key TEXT NOT NULL DEFAULT '',
        method TEXT NOT NULL DEFAULT '',
        subject TEXT NOT NULL DEFAULT '',
        content TEXT NOT NULL DEFAULT '',
        result TEXT NOT NULL DEFAULT '',
        next_contact_ms INTEGER,
        channel INTEGER,
        direction TEXT,
        talk_ms INTEGER,
        author TEXT NOT NULL,
        owner TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        changed_ms INTEGER NOT NULL,
        deleted_ms INTEGER,
        deleted_by TEXT,
        import_id INTEGER
    ) STRICT
    """,
    "CREATE INDEX communications_by_customer ON communications (customer_id, at_ms)",
    "CREATE INDEX communications_by_time ON communications (at_ms)",
    "CREATE INDEX communications_by_owner ON communications (owner, at_ms)",
    "CREATE INDEX communications_written ON communications (author, created_ms, owner)"
    " WHERE import_id IS NULL AND deleted_ms IS NULL",
    "CREATE INDEX communications_by_call ON communications (call_id) WHERE call_id IS NOT NULL",
    "CREATE INDEX communications_by_key ON communications (match_key, at_ms) WHERE match_key <> ''",
    # Written while the call ran: its length is filled in when it has ended.
    "CREATE INDEX communications_unended ON communications (id) WHERE call_id IS NOT NULL AND talk_ms IS NULL",
    # These hold the time as well: lists of what they find are brought into its order without a look at the rows.
    "CREATE INDEX communications_by_next_contact ON communications (next_contact_ms, at_ms)"
    " WHERE next_contact_ms IS NOT NULL",
    "CREATE INDEX communications_by_owners_next_contact ON communications (owner, next_contact_ms, at_ms)"
    " WHERE next_contact_ms IS NOT NULL",
    "CREATE INDEX communications_deleted ON communications (deleted_ms, at_ms) WHERE deleted_ms IS NOT NULL",
    # The texts as words, and marks of people, customer, method (see domain/communications/words.py). The row's number
    # is `at` in seconds and the record's id in one: so the newest are found first. Triggers follow what happens to a
    # record without its texts being touched; U+E000 begins a mark.
    """
    CREATE VIRTUAL TABLE communication_words USING fts5 (
        subject, content, result, digits, marks, tokenize = 'unicode61', prefix = '1', columnsize = 0
    )
    """,
    """
    CREATE TRIGGER communication_words_go AFTER DELETE ON communications BEGIN
        DELETE FROM communication_words WHERE rowid = (old.at_ms / 1000 << 31) + old.id;
    END
    """,
    """
    CREATE TRIGGER communication_words_follow AFTER UPDATE OF owner, customer_id ON communications
    WHEN new.owner <> old.owner OR new.customer_id <> old.customer_id BEGIN
        UPDATE communication_words SET marks = replace(
            replace(marks, char(57344) || 'o' || old.owner || ' ', char(57344) || 'o' || new.owner || ' '),
            char(57344) || 'k' || old.customer_id || ' ', char(57344) || 'k' || new.customer_id || ' '
        ) WHERE rowid = (old.at_ms / 1000 << 31) + old.id;
    END
    """,
    # What an author corrected on the day of writing; what anybody adds later.
    """
    CREATE TABLE communication_versions (
        communication_id INTEGER NOT NULL REFERENCES communications (id) ON DELETE CASCADE,
        version INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        by TEXT NOT NULL,
        fields TEXT NOT NULL,
        PRIMARY KEY (communication_id, version)
    ) STRICT
    """,
    """
    CREATE TABLE communication_supplements (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        communication_id INTEGER NOT NULL REFERENCES communications (id) ON DELETE CASCADE,
        at_ms INTEGER NOT NULL,
        author TEXT NOT NULL,
        content TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX communication_supplements_by_record ON communication_supplements (communication_id, id)",
    """
    CREATE TABLE tasks (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        subject TEXT NOT NULL,
        note TEXT NOT NULL DEFAULT '',
        customer_id INTEGER REFERENCES customers (id) ON DELETE CASCADE,
        communication_id INTEGER REFERENCES communications (id) ON DELETE SET NULL,
        call_id TEXT,
        author TEXT NOT NULL,
        owner TEXT NOT NULL,
        due_ms INTEGER,
        done_ms INTEGER,
        done_by TEXT,
        notified_ms INTEGER,
        created_ms INTEGER NOT NULL,
        changed_ms INTEGER NOT NULL,
        deleted_ms INTEGER
    ) STRICT
    """,
    "CREATE INDEX tasks_open ON tasks (owner, due_ms) WHERE done_ms IS NULL AND deleted_ms IS NULL",
    "CREATE INDEX tasks_due ON tasks (due_ms) WHERE done_ms IS NULL AND deleted_ms IS NULL AND notified_ms IS NULL",
    "CREATE INDEX tasks_by_customer ON tasks (customer_id) WHERE customer_id IS NOT NULL",
    # Missed calls with a number, found by following the recorder's event log, and what became of each. first_try_ms:
    # when somebody first called back; closed_by_call: the call by which it was settled without anybody saying so.
    """
    CREATE TABLE call_backs (
        call_id TEXT PRIMARY KEY,
        channel INTEGER NOT NULL,
        match_key TEXT NOT NULL,
        missed_ms INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('open', 'taken', 'done', 'dismissed')),
        owner TEXT,
        note TEXT NOT NULL DEFAULT '',
        reason TEXT NOT NULL DEFAULT '',
        tries INTEGER NOT NULL DEFAULT 0,
        first_try_ms INTEGER,
        closed_ms INTEGER,
        closed_by_call TEXT,
        changed_ms INTEGER NOT NULL,
        changed_by TEXT NOT NULL
    ) STRICT
    """,
    # Walked as those of calls are (see recorder/schema.py); what waits is a few of years of missed calls.
    "CREATE INDEX call_backs_by_state ON call_backs (state, missed_ms, channel)",
    "CREATE INDEX call_backs_by_time ON call_backs (missed_ms, channel)",
    "CREATE INDEX call_backs_by_channel ON call_backs (channel, missed_ms, state)",
    "CREATE INDEX call_backs_waiting ON call_backs (missed_ms, channel) WHERE state IN ('open', 'taken')",
    "CREATE INDEX call_backs_waiting_by_channel ON call_backs (channel, missed_ms) WHERE state IN ('open', 'taken')",
    "CREATE INDEX call_backs_by_key ON call_backs (match_key, missed_ms, channel, state)",
    "CREATE INDEX call_backs_by_owner ON call_backs (owner, missed_ms, channel, state) WHERE owner IS NOT NULL",
    # Typed text that was not saved yet, and views of lists, kept under a staff number for ever.
    """
    CREATE TABLE drafts (
        staff_no TEXT NOT NULL,
        key TEXT NOT NULL,
        body TEXT NOT NULL,
        changed_ms INTEGER NOT NULL,
        PRIMARY KEY (staff_no, key)
    ) STRICT
    """,
    """
    CREATE TABLE saved_views (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        staff_no TEXT NOT NULL,
        list TEXT NOT NULL,
        name TEXT NOT NULL,
        body TEXT NOT NULL,
        shared INTEGER NOT NULL DEFAULT 0,
        changed_ms INTEGER NOT NULL
    ) STRICT
    """,
    "CREATE INDEX saved_views_by_list ON saved_views (list, staff_no)",
    # Rows that carry the id of an import without published_ms do not exist for anybody. Its staged rows lie in the
    # job's folder; `inserted` and `applied` are the last of them that were added, and whose changes were made;
    # kept_newer: fields of those that stayed, because somebody changed them since the preview.
    """
    CREATE TABLE imports (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        by TEXT NOT NULL,
        begun_ms INTEGER NOT NULL,
        published_ms INTEGER,
        job_id INTEGER,
        first_id INTEGER,
        last_id INTEGER,
        inserted INTEGER NOT NULL DEFAULT 0,
        applied INTEGER NOT NULL DEFAULT 0,
        kept_newer INTEGER NOT NULL DEFAULT 0,
        finished_ms INTEGER
    ) STRICT
    """,
    # Rows of running imports that do nothing, for what happened since the preview; at its end they go into its file.
    """
    CREATE TABLE import_late_rows (
        import_id INTEGER NOT NULL,
        n INTEGER NOT NULL,
        field TEXT NOT NULL,
        code TEXT NOT NULL,
        detail TEXT NOT NULL,
        PRIMARY KEY (import_id, n)
    ) STRICT
    """,
    "CREATE INDEX imports_unfinished ON imports (job_id) WHERE finished_ms IS NULL",
    "CREATE INDEX imports_unpublished ON imports (id) WHERE published_ms IS NULL",
    """
    CREATE VIEW unpublished AS SELECT id FROM imports WHERE published_ms IS NULL
    """,
    # The condition of every list and look-up: alive, and not of an import that is still running.
    """
    CREATE VIEW living_customers AS
    SELECT * FROM customers WHERE deleted_ms IS NULL AND (import_id IS NULL OR import_id NOT IN unpublished)
    """,
    """
    CREATE VIEW living_communications AS
    SELECT * FROM communications WHERE deleted_ms IS NULL AND (import_id IS NULL OR import_id NOT IN unpublished)
      AND EXISTS (SELECT 1 FROM living_customers WHERE id = customer_id)
    """,
    # finished_ms: all was moved. place: how far it is; outcomes: how much of it came back; job_id: who goes on with it.
    """
    CREATE TABLE hand_overs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at_ms INTEGER NOT NULL,
        by TEXT NOT NULL,
        to_staff_no TEXT NOT NULL,
        reason TEXT NOT NULL DEFAULT '',
        old_owners TEXT NOT NULL DEFAULT '[]',
        counts TEXT NOT NULL DEFAULT '{}',
        place TEXT NOT NULL DEFAULT '{}',
        finished_ms INTEGER,
        undone_ms INTEGER,
        undone_by TEXT,
        outcomes TEXT NOT NULL DEFAULT '{}',
        job_id INTEGER
    ) STRICT
    """,
    # outcome: what became of the record when the hand-over was taken back.
    """
    CREATE TABLE hand_over_records (
        hand_over_id INTEGER NOT NULL REFERENCES hand_overs (id),
        kind TEXT NOT NULL CHECK (kind IN ('customer', 'communication', 'task', 'call_back', 'draft')),
        record_id TEXT NOT NULL,
        old_owner TEXT NOT NULL,
        outcome TEXT CHECK (outcome IN ('returned', 'moved_on')),
        PRIMARY KEY (hand_over_id, kind, record_id)
    ) STRICT
    """,
    "CREATE INDEX hand_over_records_by_record ON hand_over_records (kind, record_id, hand_over_id)",
    # Long work: imports, exports, clearing. Done by the courier, one after the other.
    """
    CREATE TABLE jobs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        staff_no TEXT NOT NULL,
        address TEXT NOT NULL DEFAULT '',
        state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'needs_answer', 'done', 'failed', 'cancelled')),
        phase TEXT NOT NULL DEFAULT '',
        tries INTEGER NOT NULL DEFAULT 0,
        wanted TEXT NOT NULL DEFAULT '{}',
        -- What who asked could do then: a token may have less than its operator.
        permissions TEXT NOT NULL,
        done_rows INTEGER NOT NULL DEFAULT 0,
        all_rows INTEGER,
        result TEXT NOT NULL DEFAULT '{}',
        error_code TEXT,
        error TEXT,
        created_ms INTEGER NOT NULL,
        changed_ms INTEGER NOT NULL,
        cancel_asked INTEGER NOT NULL DEFAULT 0,
        -- Why it waits for somebody to go on: '' when it does not.
        held TEXT NOT NULL DEFAULT ''
    ) STRICT
    """,
    "CREATE INDEX jobs_open ON jobs (id) WHERE state IN ('waiting', 'running')",
    "CREATE INDEX jobs_by_staff_no ON jobs (staff_no, id)",
)
