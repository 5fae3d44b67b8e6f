"""Clearing communication records looks at each of them once, and decides by what each of them is then."""

from __future__ import annotations

import pytest
from office_records import add_customer_of

from crm_client_api.domain.audit import Actor
from crm_client_api.domain.communications import bin as communication_bin
from crm_client_api.domain.communications.bin import clear
from crm_client_api.domain.communications.lists import Filter, Reach, list_communications
from crm_client_api.domain.communications.record import Values
from crm_client_api.domain.communications.write import insert, update
from crm_client_api.domain.recycling import BackedUp
from crm_client_api.domain.scope import RecordScope
from firmware.store.connection import write
from recorder.numbers import Site

SITE = Site()
EVERYTHING = RecordScope(everything=True)
ALL = Reach(EVERYTHING, EVERYTHING, True)
OWN = Reach(RecordScope(staff_no="1"), RecordScope(staff_no="1"), True)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(communication_bin, "_CLEARED_AT_ONCE", 10)


def write_records(crm, count: int, subject: str = "投诉 complaint", owner: str = "1") -> list[int]:
    customer = int(add_customer_of(crm, "1", "王伟明"))
    with write(crm) as connection:
        return [
            insert(
                connection,
                Values(customer, 1000 * n, subject=subject, next_contact_ms=7000 + n),
                owner,
                owner,
                5,
                site=SITE,
            )
            for n in range(count)
        ]


def all_of(crm) -> BackedUp:
    """A backup of all that there is."""
    return BackedUp(row[0] for row in crm.conn.execute("SELECT id FROM communications"))


def clear_all(crm, wanted: Filter) -> tuple[int, int]:
    """How many records were cleared, and how many hundreds of steps SQLite took for it."""
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    crm.conn.set_progress_handler(count, 100)
    cleared = sum(map(len, clear(crm, wanted, OWN, SITE, Actor("1"), all_of(crm))))
    crm.conn.set_progress_handler(None, 0)
    return cleared, steps


@pytest.mark.parametrize("wanted", [Filter(), Filter(text="投诉"), Filter(next_from_ms=0)])
def test_three_times_as_many_take_three_times_the_work(crm, wanted):
    write_records(crm, 400)
    few, some = clear_all(crm, wanted)
    with write(crm) as connection:
        connection.execute("DELETE FROM communications")
    write_records(crm, 1200)
    many, more = clear_all(crm, wanted)
    assert (few, many) == (400, 1200)
    assert more < 4 * some


def test_what_is_changed_meanwhile_is_cleared_as_it_is_then(crm):
    ids = write_records(crm, 30)
    other = write_records(crm, 3, subject="问价")
    going = clear(crm, Filter(text="投诉"), OWN, SITE, Actor("1"), all_of(crm))
    assert next(going) == ids[:-11:-1]
    with write(crm) as connection:
        connection.execute("UPDATE communications SET owner = '2' WHERE id = ?", (ids[15],))
        update(connection, ids[14], Values(1, 14_000, subject="问价"), "1", 6, site=SITE)
    added = write_records(crm, 1)
    assert [one for batch in going for one in batch] == [one for one in ids[19::-1] if one not in (ids[14], ids[15])]
    left = {one.id for one in list_communications(crm, Filter(limit=100), ALL, SITE)}
    assert left == {ids[14], ids[15], *other, *added}


def test_what_is_rare_is_looked_for_without_the_write_lock(crm, monkeypatch):
    monkeypatch.setattr(communication_bin, "LOOK_AHEAD", 50)
    [rare] = write_records(crm, 1)
    write_records(crm, 300)
    statements: list[str] = []
    crm.conn.set_trace_callback(statements.append)
    steps = list(clear(crm, Filter(), ALL, SITE, Actor("1"), BackedUp([rare])))
    crm.conn.set_trace_callback(None)
    assert [step for step in steps if step] == [[rare]]
    assert len(steps) > 5, "whoever asked may cancel it meanwhile"
    assert sum(one.startswith("BEGIN") for one in statements) == 1
