"""Why a call popped up or did not is answered by what held then, whatever has changed since."""

from __future__ import annotations

import pytest
from crm_office import ROOT, Browser, hire
from office_records import add_customer_of

from crm_client_api.domain.operators import delete_operator
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.parameters import set_value
from firmware.store.connection import write

NO_SHARE = ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE}


@pytest.fixture
def people(crm, exchange):
    exchange.wire(1)
    hire(crm, "S", "super")
    hire(crm, "L", "leader", 1, permissions=NO_SHARE)
    hire(crm, "A", "ordinary", 1, (1,), NO_SHARE)
    hire(crm, "B", "ordinary", 1, (1,), ALL_PERMISSIONS)


def trace(browser, call, *, until="call"):
    """When the call's circumstances were noted, which is a moment behind its events."""
    while (found := browser.get(f"/calls/{call['id']}/popup-trace"))["as_of"] != until:
        pass
    return {one["staff_no"]: one["rows"] for one in found["operators"]}, found


def test_parameters_channel_owner_and_appointments_are_those_of_the_call(crm, exchange, people, browse):
    boss = browse("S")
    set_value(crm, "system", "customers_shared_by_all", True)
    known = add_customer_of(crm, "A", "王小明", "", ("+8613812345678",))
    call = exchange.call(1, "13812345678")
    then, found = trace(boss, call)
    assert then == {"S": ["A"], "L": ["B"], "A": ["D"], "B": ["E"]}
    assert found["whole"]

    set_value(crm, "system", "customers_shared_by_all", False)
    set_value(crm, "channel", "popup", False, subject="1")
    with write(crm) as connection:
        connection.execute("UPDATE customers SET owner = 'B' WHERE id = ?", (known,))
    delete_operator(crm, "B", ROOT, None)
    hire(crm, "C", "ordinary", 1, (1,))
    after, again = trace(boss, call)
    assert after == {"S": ["A"], "L": ["B"], "A": ["D"]}, "B works here no more, and C did not yet"
    assert again["judged_at"] == found["judged_at"]
    assert not any(one["shows"] for one in simulated(boss)), "by what holds now nothing pops up"


def simulated(browser):
    return browser.ask("POST", "/popup-simulation", {"channel": 1, "number": "13812345678"}).json["operators"]


def test_who_had_the_number_then_is_told_within_the_scope_of_now(crm, exchange, people, browse):
    leader = browse("L")
    mine = add_customer_of(crm, "A", "王小明", "", ("+8613812345678",))
    call = exchange.call(1, "13812345678")
    then, found = trace(leader, call)
    assert (then["A"], found["whole"]) == (["D"], False)
    with write(crm) as connection:  # it is nobody's of the group any more
        connection.execute("UPDATE customers SET owner = 'S' WHERE id = ?", (mine,))
    after, _ = trace(leader, call)
    assert after["A"] == ["H"], "as if there were no such customer"


def test_a_call_that_came_up_while_nobody_looked_is_judged_by_now(crm, exchange, people, serve):
    call = exchange.call(1, "13812345678")
    browser = Browser(serve().port)
    assert browser.log_in("S").status == 200
    rows, found = trace(browser, call, until="now")
    assert rows["S"] == ["F"]
    exchange.end(call)
    rows, found = trace(browser, call)
    set_value(crm, "channel", "popup", False, subject="1")
    assert trace(browser, call) == (rows, found)
