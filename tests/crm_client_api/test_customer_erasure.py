"""Erasing a number takes it out of everything that the office wrote about a customer: histories, merges, indexes."""

from __future__ import annotations

import pytest
from crm_office import hire

from crm_client_api.domain import erasure
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.audit_chain import verify_chain
from crm_client_api.domain.customers import Phone, Values, add_customer, change_customer, get_customer
from crm_client_api.domain.customers.merge import merge
from crm_client_api.domain.customers.search import Filter, list_customers
from crm_client_api.domain.holds import WantedHold, set_hold
from crm_client_api.domain.scope import RecordScope
from crm_client_api.stores import open_stores
from firmware.errors import StoreError
from firmware.store.connection import write
from recorder.library.erasure.erase import Subject, subject_of
from recorder.numbers import Site

NUMBER, OTHER = "13812345678", "13900001111"
SITE = Site()
ALL = RecordScope(everything=True)
ME = Actor("1")


def add(crm, name, *numbers, **fields):
    values = Values({"name": name, **fields}, tuple(Phone("", number) for number in numbers))
    return add_customer(crm, {}, (), ME, SITE, values).id


class _Library:
    """What the office's eraser needs of the keeper's library."""

    def __init__(self, home, stores):
        self.home, self.crm, self.calls = home, stores.crm, stores.calls


@pytest.fixture
def stores(crm, home):
    hire(crm, "1", "super")
    one = open_stores(home)
    yield one
    one.close()


def subject(crm) -> Subject:
    return subject_of(crm, NUMBER)


def erase(home, stores):
    return erasure.OfficeEraser().erase(_Library(home, stores), subject(stores.crm), "1")


def kinds(stores):
    return sorted((one.kind, one.kept) for one in erasure.OfficeEraser().find(stores, subject(stores.crm)))


def test_nothing_of_the_number_is_left_in_the_store(crm, home, stores):
    gone = add(crm, "龘龘", "138 1234-5678", note="生僻字")
    both = add(crm, "李四", OTHER)
    change_customer(crm, both, {}, (Phone("", OTHER), Phone("家", "+86 138 1234 5678")), ME, ALL, SITE)
    had = add(crm, "王五", NUMBER)
    change_customer(crm, had, {}, (Phone("", "13700002222"),), ME, ALL, SITE)
    merge(crm, both, add(crm, "赵六", NUMBER), ME, ALL, SITE)
    with write(crm) as connection:
        connection.execute(
            "INSERT INTO communications (customer_id, at_ms, number, match_key, author, owner, created_ms, changed_ms)"
            " VALUES (?, 1, ?, ?, '1', '1', 1, 1)", (both, NUMBER, "+86" + NUMBER),
        )  # fmt: skip
    assert ("entry of a customer's history", None) in kinds(stores)
    assert ("number of a communication record", None) in kinds(stores)
    assert erase(home, stores) == []
    assert [one.id for one in list_customers(crm, Filter(), ALL, SITE)] == [had, both]
    assert [phone.number for phone in get_customer(crm, both, ALL).phones] == [OTHER]
    assert list_customers(crm, Filter(text="1234567"), ALL, SITE) == []
    assert [one.id for one in list_customers(crm, Filter(text="0000"), ALL, SITE)] == [had, both]
    verdict = verify_chain(crm)
    assert (verdict.broken_id, verdict.erased > 0) == (None, True)
    stored = b"".join(file.read_bytes() for file in home.crm_db.parent.glob("crm.db*"))
    for trace in (NUMBER, "1234-5678", "138 1234", "龘", "2345678"):
        assert trace.encode() not in stored, trace
    assert OTHER.encode() in stored
    assert gone


def test_what_a_hold_protects_keeps_its_history(crm, home, stores):
    held = add(crm, "张三", NUMBER)
    had = add(crm, "王五", NUMBER)
    change_customer(crm, had, {}, (Phone("", OTHER),), ME, ALL, SITE)
    set_hold(crm, WantedHold("customer", "法院", held), ME, SITE)
    left = erase(home, stores)
    assert [(one.kind, one.id) for one in left if one.kind == "customer"] == [("customer", held)]
    assert NUMBER in crm.conn.execute(
        "SELECT data FROM audit WHERE subject = ? AND action = 'customer.add'", (held,)
    ).fetchone()[0]  # fmt: skip
    assert NUMBER not in crm.conn.execute(
        "SELECT data FROM audit WHERE subject = ? AND action = 'customer.add'", (had,)
    ).fetchone()[0]  # fmt: skip


def test_the_audit_log_gives_up_nothing_else(crm, stores):
    add(crm, "张三", NUMBER)
    for change in (
        "data = '{}'", "salt = NULL", "action = 'x'", "hash = NULL", "salt = NULL, data = '{\"erased\":\"\"}'",
        "salt = NULL, actor = '2', data = '{\"erased\":\"' || printf('%064d', 1) || '\"}'",
    ):  # fmt: skip
        with pytest.raises(StoreError, match="only grows"), write(crm) as connection:
            connection.execute(f"UPDATE audit SET {change} WHERE id = 1")
