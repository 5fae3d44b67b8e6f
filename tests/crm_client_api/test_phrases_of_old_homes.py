"""A home that was made before phrases were handed over: what is handed over may be one, and nothing is lost."""

from __future__ import annotations

from crm_office import hire
from office_belongings import leave_by

from crm_client_api.domain.audit import Actor
from crm_client_api.domain.operators import get_operator
from crm_client_api.domain.phrases import add_phrase
from firmware.store.connection import write
from firmware.store.migrations import migrate

# As it was made then.
OLD_TABLE = """
    CREATE TABLE hand_over_records (
        hand_over_id INTEGER NOT NULL REFERENCES hand_overs (id),
        kind TEXT NOT NULL CHECK (kind IN ('customer', 'communication', 'task', 'call_back', 'draft')),
        record_id TEXT NOT NULL,
        old_owner TEXT NOT NULL,
        outcome TEXT CHECK (outcome IN ('returned', 'moved_on')),
        PRIMARY KEY (hand_over_id, kind, record_id)
    ) STRICT
"""
STEP = "0006_phrases_handed_over"


def schema(crm):
    rows = crm.conn.execute("SELECT type, name, sql FROM sqlite_schema WHERE tbl_name LIKE 'hand_over_records%'")
    return sorted((row[0], row[1], (row[2] or "").split()) for row in rows)


def test_a_leavers_phrases_are_handed_over_in_an_old_home_too(crm, home):
    now = schema(crm)
    with write(crm) as connection:
        connection.execute("DROP TABLE hand_over_records")
        connection.execute(OLD_TABLE)
        connection.execute(
            "CREATE INDEX hand_over_records_by_record ON hand_over_records (kind, record_id, hand_over_id)"
        )
        connection.execute("DELETE FROM _sqlite_migrations WHERE name = ?", (STEP,))
        connection.execute("INSERT INTO hand_overs (id, at_ms, by, to_staff_no) VALUES (7, 0, '9', '2')")
        connection.execute(
            "INSERT INTO hand_over_records (rowid, hand_over_id, kind, record_id, old_owner, outcome)"
            " VALUES (3, 7, 'task', '12', '1', NULL), (5, 7, 'customer', '4', '王', 'returned')"
        )
    assert migrate(home) == [f"crm:crm_client_api:{STEP}"]
    assert schema(crm) == now
    rows = crm.conn.execute("SELECT rowid, * FROM hand_over_records ORDER BY rowid").fetchall()
    assert [tuple(row) for row in rows] == [(3, 7, "task", "12", "1", None), (5, 7, "customer", "4", "王", "returned")]
    hire(crm, "9", "super")
    for staff_no in ("1", "2"):
        hire(crm, staff_no, "ordinary", 1)
    add_phrase(crm, "已转售后", True, Actor("1"))
    leave_by(crm, "1", "2", get_operator(crm, "9"))
    assert [tuple(row) for row in crm.conn.execute("SELECT text, staff_no FROM phrases")] == [("已转售后", "2")]
