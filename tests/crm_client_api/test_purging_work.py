"""Purging many customers under a hold of a period: no transaction of it is long, and none looks at all records."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from crm_office import hire
from office_records import add_customer_of

from crm_client_api.domain.audit import Actor
from crm_client_api.domain.communications import bin as communication_bin
from crm_client_api.domain.customers import bin as customer_bin
from crm_client_api.domain.holds import WantedHold, set_hold
from crm_client_api.domain.scope import RecordScope
from firmware.clock import now_ms, uuid7
from firmware.errors import Refused
from firmware.store.connection import write
from recorder.numbers import Site

SITE, BOSS, ALL = Site(), Actor("9"), RecordScope(everything=True)
FROM_MS, DAY_MS = 1_790_000_000_000, 86_400_000
CUSTOMERS, RECORDS = 100, 12


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(customer_bin, "_RECORDS_AT_ONCE", 60)


@pytest.fixture
def held_period(crm):
    hire(crm, "9", "super")
    return set_hold(crm, WantedHold("period", "法院来函", None, FROM_MS, FROM_MS + DAY_MS, None), BOSS, SITE)


def write_calls(crm, customer: str, count: int, *, first_ms: int = FROM_MS - 900 * DAY_MS) -> None:
    """Records from pop-ups, long before the period: each could be in it by its call alone."""
    with write(crm) as connection:
        connection.executemany(
            "INSERT INTO communications (customer_id, at_ms, call_id, talk_ms, content, author, owner, created_ms,"
            " changed_ms) VALUES (?,?,?,1000,'要求退款','9','9',0,0)",
            [(customer, first_ms + n, uuid7(first_ms + n)) for n in range(count)],
        )


def left(crm) -> tuple[int, int]:
    tables = ("customers", "communications")
    one, two = (crm.conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)
    return one, two


@pytest.fixture
def work_in_locks(crm, monkeypatch):
    """Hundreds of steps that SQLite takes in each write transaction of a purge."""
    taken: list[int] = []

    @contextmanager
    def counted(db):
        with write(db) as connection:
            taken.append(0)

            def step() -> None:
                taken[-1] += 1

            connection.set_progress_handler(step, 100)
            try:
                yield connection
            finally:
                connection.set_progress_handler(None, 0)

    monkeypatch.setattr(customer_bin, "write", counted)
    return taken


def test_the_longest_transaction_does_not_grow_with_the_selection(crm, held_period, work_in_locks):
    longest = []
    for count in (CUSTOMERS // 10, CUSTOMERS):
        ids = [add_customer_of(crm, "9", f"王{n}") for n in range(count)]
        for one in ids:
            write_calls(crm, one, RECORDS)
        customer_bin.delete_many(crm, ids, BOSS, ALL)
        work_in_locks.clear()
        assert customer_bin.purge_many(crm, ids, BOSS, ALL, SITE).count == count
        longest.append(max(work_in_locks))
    assert left(crm) == (0, 0)
    assert longest[1] < 2 * longest[0]


def test_one_of_very_many_records_goes_in_several_transactions(crm, held_period, work_in_locks):
    longest = []
    for count in (60, 900):
        one = add_customer_of(crm, "9", "Siemens 西门子")
        write_calls(crm, one, count)
        customer_bin.delete_many(crm, [one], BOSS, ALL)
        work_in_locks.clear()
        assert customer_bin.purge_many(crm, [one], BOSS, ALL, SITE).count == 1
        longest.append(max(work_in_locks))
    assert left(crm) == (0, 0)
    assert longest[1] < 2 * longest[0]
    told = crm.conn.execute("SELECT data ->> '$.count' FROM audit WHERE action = 'communication.purge'").fetchall()
    assert sum(row[0] for row in told) == 840, "what went before its customer is in the log"


def hold_tenth_record(crm, behind: int = 9) -> None:
    rows = crm.conn.execute("SELECT call_id FROM communications ORDER BY at_ms LIMIT 1 OFFSET ?", [behind])
    call = rows.fetchone()[0]
    set_hold(crm, WantedHold("call", "法院来函", call), BOSS, SITE)


@pytest.mark.parametrize("what", ["restored", "deleted again", "held"])
def test_what_happens_under_way_stops_it_there(crm, held_period, monkeypatch, what):
    one = add_customer_of(crm, "9", "王伟")
    write_calls(crm, one, 200)
    customer_bin.delete_many(crm, [one], BOSS, ALL)
    turns = iter(range(1, 100))

    @contextmanager
    def late(db):
        if next(turns) == 2:
            happen()
        with write(db) as connection:
            yield connection

    def happen() -> None:
        if what == "held":
            hold_tenth_record(crm)
            return
        with write(crm) as connection:
            at_ms = None if what == "restored" else now_ms() + 1
            connection.execute("UPDATE customers SET deleted_ms = ? WHERE id = ?", (at_ms, one))

    monkeypatch.setattr(customer_bin, "write", late)
    assert customer_bin.purge_many(crm, [one], BOSS, ALL, SITE).count == 0
    assert left(crm) == (1, 140)


def test_of_all_together_none_goes_when_one_is_held(crm, held_period):
    free, held = add_customer_of(crm, "9", "李娜"), add_customer_of(crm, "9", "王伟")
    write_calls(crm, free, 200)
    write_calls(crm, held, 200)
    write_calls(crm, held, 1, first_ms=FROM_MS + 1)
    customer_bin.delete_many(crm, [free, held], BOSS, ALL)
    with pytest.raises(Refused, match=f"customer {held}"):
        customer_bin.purge_many(crm, [free, held], BOSS, ALL, SITE)
    assert left(crm) == (2, 401)
    assert customer_bin.purge_old(crm, now_ms() + 1, SITE) == 1
    assert left(crm) == (1, 201)


@pytest.mark.parametrize("what", ["restored", "held"])
def test_records_alone_go_in_several_transactions_too(crm, held_period, monkeypatch, what):
    monkeypatch.setattr(communication_bin, "_PURGED_AT_ONCE", 5)
    write_calls(crm, add_customer_of(crm, "9", "王伟"), 20)
    ids = [str(row[0]) for row in crm.conn.execute("SELECT id FROM communications ORDER BY at_ms")]
    communication_bin.delete_many(crm, ids, BOSS, ALL)
    turns = iter(range(1, 100))

    @contextmanager
    def late(db):
        if next(turns) == 2:
            happen()
        with write(db) as connection:
            yield connection

    def happen() -> None:
        if what == "held":
            hold_tenth_record(crm, 4)  # five are gone
            return
        with write(crm) as connection:
            connection.execute("UPDATE communications SET deleted_ms = NULL WHERE id = ?", (ids[9],))

    monkeypatch.setattr(communication_bin, "write", late)
    assert communication_bin.purge_many(crm, ids, BOSS, ALL, SITE) == 19
    assert [str(row[0]) for row in crm.conn.execute("SELECT id FROM communications")] == [ids[9]]
    assert next(turns) == 5, "four transactions"
