"""The log that an NCID client gets when it comes back: what popped up then, whatever its operator does now."""

from __future__ import annotations

import pytest
from crm_office import hire
from ncid_client import field_of
from office_records import show_popup

from crm_client_api.domain.agent_state import set_state
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.calls import call_of
from crm_client_api.domain.customers import Phone, add_customer
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.domain.popup_circumstances import note_circumstances
from crm_client_api.domain.settings import read_settings
from crm_client_api.integrations.ncid.pop_ups import call_log
from crm_client_api.push.popup_cards import circumstances_now
from crm_client_api.push.positions import newest
from crm_client_api.stores import StorePool
from firmware.clock import now_ms
from firmware.parameters import set_value
from firmware.store.connection import write
from recorder.numbers import Site


@pytest.fixture
def log_of(home):
    """Numbers and names in the log of an operator who connects now."""
    pool = StorePool(home)

    def read(operator) -> list[tuple[str, str]]:
        with pool.use() as stores:
            entries, _ = call_log(stores, operator, newest(stores))
        return [(field_of(line, "NMBR"), field_of(line, "NAME")) for line in entries]

    yield read
    pool.close()


@pytest.fixture
def note_as_it_is(home, crm):
    """Keep with a call what the rules ask about it at this moment, as the API does when it comes up."""
    pool = StorePool(home)

    def note(call) -> None:
        with pool.use() as stores:
            found = stores.calls.conn.execute("SELECT * FROM calls WHERE id = ?", (call["id"],)).fetchone()
            kept = circumstances_now(stores, read_settings(crm), call_of(found), [], now_ms())
        with write(crm) as connection:
            note_circumstances(connection, [kept])

    yield note
    pool.close()


def be(crm, staff_no: str, state: str) -> None:
    set_state(crm, staff_no, state, "", Actor(staff_no), now_ms(), now_ms())


def test_who_is_busy_now_finds_the_calls_of_before(crm, exchange, log_of):
    """The log came empty: whether somebody is at work now was asked of calls that had long been over."""
    operator = hire(crm, "1", "super")
    set_value(crm, "system", "popup_respects_state", True)
    exchange.wire(1)
    exchange.end(exchange.call(1, "13900000001"))
    running = exchange.call(1, "13900000002")
    show_popup(crm, running["id"], "1")
    be(crm, "1", "busy")
    assert [number for number, _ in log_of(operator)] == ["13900000001", "13900000002"]


def test_what_did_not_pop_up_because_somebody_was_busy_then_is_not_in_the_log(crm, exchange, log_of, note_as_it_is):
    busy, idle = hire(crm, "1", "super"), hire(crm, "2", "super")
    set_value(crm, "system", "popup_respects_state", True)
    exchange.wire(1)
    be(crm, "1", "away")
    over = exchange.call(1, "13900000001")
    note_as_it_is(over)
    exchange.end(over)
    assert (log_of(busy), len(log_of(idle))) == ([], 1)
    exchange.call(1, "13900000002")  # nobody noted how it came up: as it is now
    assert (log_of(busy), len(log_of(idle))) == ([], 2)
    be(crm, "1", "idle")
    assert [number for number, _ in log_of(busy)] == ["13900000002"]


def test_who_had_a_pop_up_keeps_it_with_what_is_in_scope_now(crm, exchange, log_of):
    """A colleague handed it on, or parameters have changed since."""
    hire(crm, "1", "super")
    own = ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE}
    operator = hire(crm, "2", "ordinary", None, (2,), own)
    less = hire(crm, "3", "ordinary", None, (2,), own - {Permission.NET_POPUP})
    for owner, name, number in (("1", "李娜", "13900000001"), ("2", "王伟", "13900000002")):
        add_customer(crm, {"name": name}, (Phone("", number),), Actor(owner), Site())
    exchange.wire(1, 2)
    for number in ("13900000001", "13900000002", "13900000003"):
        call = exchange.call(1, number)
        exchange.end(call)
        if number != "13900000003":
            show_popup(crm, call["id"], "2")
            show_popup(crm, call["id"], "3")
    assert log_of(operator) == [("13900000001", "NO NAME"), ("13900000002", "王伟")]
    assert log_of(less) == []
