"""What goes for good: nothing that lives again, that a hold protects, or that nobody could have looked at."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from crm_office import hire
from office_belongings import write_note
from office_records import add_customer_of

from crm_client_api.domain.audit import Actor
from crm_client_api.domain.communications import bin as communication_bin
from crm_client_api.domain.customers import bin as customer_bin
from crm_client_api.domain.holds import WantedHold, set_hold
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.domain.scope import RecordScope
from firmware.clock import now_ms
from firmware.errors import Refused
from firmware.store.connection import write
from recorder.numbers import Site

SITE, BOSS, ALL = Site(), Actor("9"), RecordScope(everything=True)
UNSHARED = ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE, Permission.COMMUNICATION_SHARE}
BINS = {"customers": customer_bin, "communications": communication_bin}


@pytest.fixture
def people(crm):
    hire(crm, "9", "super")
    hire(crm, "1", "ordinary", permissions=UNSHARED)
    hire(crm, "2", "ordinary", permissions=UNSHARED)


def living(crm, table):
    return [row[0] for row in crm.conn.execute(f"SELECT id FROM living_{table} ORDER BY id")]


def call_note(crm, customer, owner, **linked):
    note = write_note(crm, customer, owner)
    with write(crm) as connection:
        for column, value in linked.items():
            connection.execute(f"UPDATE communications SET {column} = ? WHERE id = ?", (value, note))
    return note


def before_write(monkeypatch, module, nth, what):
    """Let something happen right before the nth write transaction of a module."""
    turns = iter(range(1, 1000))

    @contextmanager
    def late(crm):
        if next(turns) == nth:
            what()
        with write(crm) as connection:
            yield connection

    monkeypatch.setattr(module, "write", late)


@pytest.mark.parametrize("kind", BINS)
def test_what_is_restored_while_the_old_goes_stays(crm, people, monkeypatch, kind):
    customer = add_customer_of(crm, "1", "王伟")
    one = customer if kind == "customers" else write_note(crm, customer, "1")
    BINS[kind].delete_many(crm, [one], BOSS, ALL)
    before_write(monkeypatch, BINS[kind], 1, lambda: BINS[kind].restore_many(crm, [one], BOSS, ALL))
    assert BINS[kind].purge_old(crm, now_ms() + 1, SITE) == 0
    assert living(crm, kind) == [int(one)]


def test_a_customer_restored_between_two_transactions_of_a_purge_stays(crm, people, monkeypatch):
    monkeypatch.setattr(customer_bin, "PURGED_AT_ONCE", 1)
    first, second = add_customer_of(crm, "1", "王伟"), add_customer_of(crm, "1", "李娜")
    customer_bin.delete_many(crm, [first, second], BOSS, ALL)
    before_write(monkeypatch, customer_bin, 2, lambda: customer_bin.restore_many(crm, [second], BOSS, ALL))
    assert customer_bin.purge_many(crm, [first, second], BOSS, ALL, SITE).count == 1
    assert living(crm, "customers") == [int(second)]


@pytest.mark.parametrize(
    ("kind", "subject", "linked"),
    [
        ("call", "call-7", {"call_id": "call-7"}),
        ("number", "139 0000 1111", {"number": "13900001111", "match_key": "+8613900001111"}),
    ],
)
def test_a_customer_stays_while_a_record_about_it_is_held(crm, people, browse, kind, subject, linked):
    held, free = add_customer_of(crm, "1", "王伟"), add_customer_of(crm, "1", "李娜")
    note = call_note(crm, held, "1", **linked)
    call_note(crm, free, "1", call_id="call-8")
    set_hold(crm, WantedHold(kind, "法院来函", subject), BOSS, SITE)
    customer_bin.delete_many(crm, [held, free], BOSS, ALL)
    with pytest.raises(Refused, match=f"customer {held}"):
        customer_bin.purge_many(crm, [held, free], BOSS, ALL, SITE)
    assert customer_bin.purge_old(crm, now_ms() + 1, SITE) == 1
    assert browse("9").ask("POST", "/customers/purge", {"ids": [held]}).code == "held"
    customer_bin.restore_many(crm, [held], BOSS, ALL)
    assert living(crm, "communications") == [int(note)]


def test_the_box_purges_no_records_that_whoever_deleted_the_customer_could_not_see(crm, people, browse):
    """See docs/decisions/0006: only a super operator, who sees them all, removes those."""
    shared, alone = add_customer_of(crm, "1", "王伟"), add_customer_of(crm, "1", "李娜")
    theirs = write_note(crm, shared, "2", "合同已寄出")
    write_note(crm, alone, "1")
    browse("1").ask("POST", "/customers/delete", {"ids": [shared, alone]})
    assert customer_bin.purge_old(crm, now_ms() + 1, SITE) == 1
    boss = browse("9")
    assert [one["id"] for one in boss.get("/customers/bin")["customers"]] == [shared]
    assert boss.ask("POST", "/customers/restore", {"ids": [shared]}).json == {"count": 1}
    assert browse("2").get(f"/communications/{theirs}")["content"] == "合同已寄出"
    boss.ask("POST", "/customers/delete", {"ids": [shared]})
    assert customer_bin.purge_old(crm, now_ms() + 1, SITE) == 1, "who deleted it saw all of it"
