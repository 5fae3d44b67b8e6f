"""Clearing customers: what is looked for holds up nobody, and whoever sees them is told as they go."""

from __future__ import annotations

import json

import pytest
from crm_office import hire
from office_records import add_customer_of

from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers import bin as customer_bin
from crm_client_api.domain.customers import search
from crm_client_api.domain.customers.bin import clear
from crm_client_api.domain.customers.search import Filter, list_customers
from crm_client_api.domain.recycling import BackedUp
from crm_client_api.domain.scope import RecordScope
from firmware.store.connection import open_store, write
from recorder.numbers import Site

SITE, ALL, OWN = Site(), RecordScope(everything=True), RecordScope(staff_no="1")


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    monkeypatch.setattr(customer_bin, "_CLEARED_AT_ONCE", 10)
    monkeypatch.setattr(customer_bin, "_LOOKED_FOR_AT_ONCE", 25)
    monkeypatch.setattr(search, "LOOK_AHEAD", 40)


def told(home) -> list[dict[str, object]]:
    """What others see of the office's events at this moment."""
    other = open_store(home.crm_db)
    rows = other.conn.execute("SELECT data FROM events WHERE kind = 'customer_changed' ORDER BY id").fetchall()
    other.conn.close()
    return [json.loads(row[0]) for row in rows]


@pytest.mark.parametrize("wanted", [Filter(), Filter(text="王伟明"), Filter(text="zwm"), Filter(owner="1")])
def test_what_is_rare_is_looked_for_without_the_write_lock(crm, wanted):
    hire(crm, "1")
    rare = int(add_customer_of(crm, "1", "张王伟明 zwm"))
    for n in range(150):
        add_customer_of(crm, "1" if n % 2 else "2", "张王伟明 zwm")
    foreign = int(add_customer_of(crm, "2", "张王伟明 zwm"))
    statements: list[str] = []
    crm.conn.set_trace_callback(statements.append)
    steps = list(clear(crm, wanted, OWN, SITE, Actor("1"), BackedUp([rare, foreign])))
    crm.conn.set_trace_callback(None)
    assert [step for step in steps if step] == [[rare]]
    assert len(steps) > 2, "whoever asked may cancel it meanwhile"
    assert sum(one.startswith("BEGIN") for one in statements) == 1


def test_everything_that_was_backed_up_goes_and_nothing_that_changed(crm, home):
    hire(crm, "1")
    ids = [int(add_customer_of(crm, "1", f"客户{n}")) for n in range(60)]
    going = clear(crm, Filter(text="客户"), OWN, SITE, Actor("1"), BackedUp(ids))
    first = next(going)
    assert first == ids[:-11:-1]
    with write(crm) as connection:
        connection.execute("UPDATE customers SET owner = '2' WHERE id = ?", (ids[45],))
    new = int(add_customer_of(crm, "1", "客户"))
    rest = [one for batch in going for one in batch]
    assert rest == [one for one in ids[49::-1] if one != ids[45]]
    assert {int(one.id) for one in list_customers(crm, Filter(), ALL, SITE)} == {ids[45], new}


def test_who_sees_them_is_told_as_they_go(crm, home):
    hire(crm, "1", "super")
    ids = [int(add_customer_of(crm, "1", f"客户{n}")) for n in range(12)]
    going = clear(crm, Filter(), ALL, SITE, Actor("1"), BackedUp(ids))
    cleared = next(going)
    assert sorted(int(str(one["id"])) for one in told(home)) == sorted(cleared)
    assert {one["what"] for one in told(home)} == {"deleted"}
    going.close()
