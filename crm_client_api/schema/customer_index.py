"""Statements of the ``crm`` store: the index by which customers are found and sorted; ``domain.customers`` keeps it."""

from __future__ import annotations

_NOTE = "BEGIN INSERT OR IGNORE INTO customer_stale VALUES ({row}); END"
_INDEXED = "name, company, wechat, email, note, category, level, status, source, owner, custom, deleted_ms"

STATEMENTS = (
    # Numbers that are older than their kinds: mainland mobile numbers are known by their digits.
    "UPDATE customer_phones SET kind = 'mobile' WHERE match_key GLOB '+861[3-9]*' AND length(match_key) = 14",
    # No cascade: a customer leaves the index before the row goes, or its pieces would stay in it.
    """
    CREATE TABLE customer_index (
        customer_id INTEGER PRIMARY KEY REFERENCES customers (id),
        version INTEGER NOT NULL,
        words TEXT NOT NULL,
        facets TEXT NOT NULL,
        sort_name TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX customer_index_by_name ON customer_index (sort_name)",
    "CREATE VIRTUAL TABLE customer_pieces USING fts5"
    " (pieces, content = '', detail = none, columnsize = 0, tokenize = 'ascii')",
    # Merging the index's parts later costs searches little, and imports a third less.
    "INSERT INTO customer_pieces (customer_pieces, rank) VALUES ('automerge', 8)",
    # Customers that were written and not indexed yet.
    "CREATE TABLE customer_stale (customer_id INTEGER PRIMARY KEY) STRICT",
    "INSERT INTO customer_stale SELECT id FROM customers WHERE deleted_ms IS NULL",
    # None where rows are added: a trigger makes SQLite guard every such statement by itself, and FTS5 then writes its
    # part of the index out row by row (75 of 250 µs a customer). Who adds rows indexes them.
    f"CREATE TRIGGER customers_stale AFTER UPDATE OF {_INDEXED} ON customers {_NOTE.format(row='NEW.id')}",
    f"CREATE TRIGGER phones_stale AFTER UPDATE ON customer_phones {_NOTE.format(row='NEW.customer_id')}",
    f"CREATE TRIGGER phones_stale_gone AFTER DELETE ON customer_phones {_NOTE.format(row='OLD.customer_id')}",
    f"CREATE TRIGGER tags_stale_gone AFTER DELETE ON customer_tags {_NOTE.format(row='OLD.customer_id')}",
    "CREATE INDEX customers_by_change ON customers (changed_ms) WHERE deleted_ms IS NULL",
    "CREATE INDEX customers_by_creation ON customers (created_ms) WHERE deleted_ms IS NULL",
    "CREATE INDEX customers_binned ON customers (owner, deleted_ms) WHERE deleted_ms IS NOT NULL",
    "CREATE INDEX customers_by_import ON customers (import_id)",
    # Two for what some customers lack: they come last in both directions.
    "CREATE INDEX customers_by_contact ON customers (coalesce(next_contact_ms, 9007199254740992))"
    " WHERE deleted_ms IS NULL",
    "CREATE INDEX customers_by_company ON customers (CASE company WHEN '' THEN char(1114111) ELSE company END)"
    " WHERE deleted_ms IS NULL",
    "CREATE INDEX customers_by_company_down ON customers (company) WHERE deleted_ms IS NULL",
    "CREATE INDEX customers_by_contact_down ON customers (coalesce(next_contact_ms, -1)) WHERE deleted_ms IS NULL",
)
