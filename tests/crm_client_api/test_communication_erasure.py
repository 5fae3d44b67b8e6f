"""Erasing a number takes it out of communication records: texts, versions, supplements, index, audit entries."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

import pytest
from crm_office import hire
from office_records import add_customer_of

from crm_client_api.domain import erasure
from crm_client_api.domain.audit import Actor, append
from crm_client_api.domain.audit_chain import verify_chain
from crm_client_api.domain.communications import redaction
from crm_client_api.domain.communications.changes import add_communication, add_supplement, correct_communication
from crm_client_api.domain.communications.lists import Filter, Reach, get_communication, list_communications
from crm_client_api.domain.communications.record import Values
from crm_client_api.domain.scope import RecordScope
from crm_client_api.stores import open_stores
from firmware.clock import now_ms
from firmware.store.connection import write
from recorder.library.erasure.erase import subject_of
from recorder.numbers import Site

NUMBER, OTHER = "13812345678", "13900001111"
SITE, ME = Site(), Actor("1")
ALL = Reach(RecordScope(everything=True), RecordScope(everything=True), True)


class _Library:
    def __init__(self, home, stores):
        self.home, self.crm, self.calls = home, stores.crm, stores.calls


@pytest.fixture
def stores(crm, home):
    hire(crm, "1", "super")
    one = open_stores(home)
    yield one
    one.close()


@pytest.fixture
def records(crm, stores):
    """A record that is all about the number, and one that has nothing to do with it."""
    customer = int(add_customer_of(crm, "1", "王小明"))
    said = Values(customer, now_ms(), NUMBER, subject="回电 +86 138 1234-5678", content=f"他说打{NUMBER}", result="好")
    one = str(add_communication(crm, said, ME, ALL, SITE).id)
    correct_communication(crm, one, {"content": f"他说打{NUMBER}或{OTHER}"}, ME, ALL, SITE, UTC)
    add_supplement(crm, one, "再打 138 1234 5678", ME, ALL, SITE)
    other = str(add_communication(crm, replace(said, number=OTHER, subject="x", content=OTHER), ME, ALL, SITE).id)
    return one, other


def find(stores):
    return erasure.OfficeEraser().find(stores, subject_of(stores.crm, NUMBER))


def erase(home, stores):
    return erasure.OfficeEraser().erase(_Library(home, stores), subject_of(stores.crm, NUMBER), "1")


def test_nothing_of_the_number_is_left(crm, home, stores, records):
    one, other = records
    before = get_communication(crm, other, ALL)
    assert sorted(f.kind for f in find(stores)) == [
        "correction of a communication record", "number of a communication record",
        "supplement of a communication record", "text of a communication record", "version of a communication record",
    ]  # fmt: skip
    assert erase(home, stores) == []
    values = get_communication(crm, one, ALL).values
    assert (values.number, values.subject, values.content, values.result) == ("", "回电 …", f"他说打…或{OTHER}", "好")
    assert get_communication(crm, other, ALL) == before
    assert crm.conn.execute("SELECT content FROM communication_supplements").fetchone()[0] == "再打 …"
    for text in (Filter(number=NUMBER), Filter(number="2345678"), Filter(text=NUMBER), Filter(text="13812345678")):
        assert list_communications(crm, text, ALL, SITE) == []
    assert len(list_communications(crm, Filter(text="再打"), ALL, SITE)) == 1
    assert len(list_communications(crm, Filter(text=OTHER), ALL, SITE)) == 2
    verdict = verify_chain(crm)
    assert (verdict.broken_id, verdict.erased > 0) == (None, True)
    crm.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert NUMBER.encode() not in home.crm_db.read_bytes()


def test_a_hold_on_the_customer_keeps_the_record(crm, home, stores, records):
    customer = crm.conn.execute("SELECT id FROM customers").fetchone()[0]
    with write(crm) as connection:
        connection.execute(
            "INSERT INTO holds (id, kind, subject, reason, set_by, set_ms) VALUES ('h', 'customer', ?, 'x', '1', 0)",
            (str(customer),),
        )
    left = erase(home, stores)
    assert {(one.kind, one.kept) for one in left if one.kept != "hold h"} == set()
    assert len(left) == 5
    assert get_communication(crm, records[0], ALL).values.number == NUMBER


def test_entries_of_the_log_about_many_records_or_an_import_belong_to_no_record(crm, home, stores, records):
    """A list that was read names several records or none; an import's number is no record's."""
    one, _ = records
    with write(crm) as connection:
        connection.execute(
            "INSERT INTO holds (id, kind, subject, reason, set_by, set_ms) VALUES ('h', 'customer', ?, 'x', '1', 0)",
            (str(crm.conn.execute("SELECT customer_id FROM communications WHERE id = ?", (one,)).fetchone()[0]),),
        )
        for verb, subject in (("clear", ""), ("read", ""), ("import", one), ("change", one)):
            append(connection, ME, f"communication.{verb}", subject, {"text": f"他说打{NUMBER}", "ids": [one]})
    kept = {found.about["action"]: found.kept for found in find(stores) if found.kind == redaction.CORRECTION}
    free, held = dict.fromkeys(("communication.clear", "communication.read", "communication.import")), "hold h"
    assert kept == free | {"communication.correct": held, "communication.change": held}
    erase(home, stores)
    left = {found.about["action"] for found in find(stores) if found.kind == redaction.CORRECTION}
    assert left == {"communication.correct", "communication.change"}
    assert verify_chain(crm).broken_id is None
