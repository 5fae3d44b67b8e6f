"""A page of calls names the customers of all its numbers at once, and as it would name those of each call."""

from __future__ import annotations

import pytest
from crm_office import hire
from office_records import add_customer_of

from crm_client_api.domain.call_search import search_calls
from crm_client_api.domain.calls import CallFilter
from crm_client_api.domain.operators import get_operator
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.domain.scope import EVERY_CHANNEL
from crm_client_api.stores import Stores, open_stores
from crm_client_api.views.calls import open_desk
from firmware.store.connection import write
from recorder.numbers import Site

UNSHARED = ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE}
PEOPLE = {
    "1": ("super", None, UNSHARED), "20": ("leader", 2, UNSHARED), "21": ("ordinary", 2, UNSHARED),
    "31": ("ordinary", 3, UNSHARED), "39": ("ordinary", 3, ALL_PERMISSIONS),
    "40": ("super", None, ALL_PERMISSIONS - {Permission.CUSTOMER_MANAGE}),
}  # fmt: skip


@pytest.fixture
def stores(home, crm, exchange):
    for staff_no, (level, group, permissions) in PEOPLE.items():
        hire(crm, staff_no, level, group, (1,), permissions)
    exchange.wire(1)
    for n in range(24):
        number = f"138000000{n:02d}"
        owners = ("21", "31", "1")[: n % 4]
        for owner in owners:
            add_customer_of(crm, owner, f"王{n} of {owner}", numbers=(f"+86{number}", f"+86{number}"))
        exchange.end(exchange.call(1, number, "outgoing" if n % 2 else "incoming"))
    exchange.end(exchange.call(1, None))
    exchange.end(exchange.call(1, "8001"))
    add_customer_of(crm, "31", "分机", numbers=("8001",))
    with write(crm) as connection:
        connection.execute("UPDATE customers SET deleted_ms = 5 WHERE id % 5 = 0")
    one = open_stores(home)
    yield one
    one.close()


def page_of(stores: Stores, limit: int):
    return search_calls(stores.calls, CallFilter(limit=limit), EVERY_CHANNEL, Site(), None, limit)[0]


@pytest.mark.parametrize("staff_no", PEOPLE)
def test_a_page_names_whom_each_call_names(stores, staff_no):
    operator = get_operator(stores.crm, staff_no)
    calls = page_of(stores, 50)
    assert len(calls) == 26
    together = open_desk(stores, operator).call_infos(calls)
    assert together == [open_desk(stores, operator).call_infos([one])[0] for one in calls]
    assert any(info.customers for info in together) == (staff_no != "40")


def test_a_longer_page_asks_no_more_questions(stores):
    operator = get_operator(stores.crm, "1")
    asked: list[int] = []
    for limit in (4, 26):
        calls, statements = page_of(stores, limit), list[str]()
        desk = open_desk(stores, operator)
        stores.crm.conn.set_trace_callback(statements.append)
        desk.call_infos(calls)
        stores.crm.conn.set_trace_callback(None)
        asked.append(len(statements))
    assert asked[0] == asked[1]
