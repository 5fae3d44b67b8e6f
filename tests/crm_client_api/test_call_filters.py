"""Calls are found by group, customer, length, words about them and holds; lists and exports take the same filters."""

from __future__ import annotations

import pytest
from crm_office import hire

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.parameters import set_value


@pytest.fixture
def browser(crm, exchange, browse):
    hire(crm, "1", "super")
    exchange.wire(1, 2, 3)
    return browse("1")


def ids(browser, query: str) -> list[str]:
    return [one["id"] for one in browser.get(f"/calls?{query}")["calls"]]


def test_calls_of_a_group(crm, exchange, browser, browse):
    one, two, three = (exchange.call(channel)["id"] for channel in (1, 2, 3))
    assert browser.ask("POST", "/groups", {"name": "sales"}).status == 201
    set_value(crm, "channel", "group", 2, subject="2")
    set_value(crm, "channel", "group", 2, subject="3")
    assert ids(browser, "group=2") == [three, two]
    assert ids(browser, "group=1") == [one]
    assert ids(browser, "group=9") == []
    assert ids(browser, "group=2&channel=2") == [two]
    hire(crm, "2", "ordinary", None, (1, 2))
    assert ids(browse("2"), "group=2") == [two]


def test_calls_of_a_customer_and_of_what_was_written(crm, exchange, browser, browse):
    mine, other = exchange.call(1, "13812345678"), exchange.call(1, "13900000000")
    customer = browser.ask("POST", "/customers", {"name": "王伟明", "phones": [{"number": "138 1234 5678"}]}).json
    assert ids(browser, f"customer={customer['id']}") == [mine["id"]]
    assert browser.ask("GET", "/calls?customer=99").status == 404
    assert browser.ask("GET", "/calls?customer=x").status == 400
    assert ids(browser, "text=nothing-of-the-kind") == []
    hire(crm, "2", "super", permissions=ALL_PERMISSIONS - {Permission.CUSTOMER_MANAGE, Permission.COMMUNICATION_MANAGE,
                                                          Permission.HOLD_MANAGE})  # fmt: skip
    second = browse("2")
    for query in (f"customer={customer['id']}", "text=x", "held=true"):
        assert second.ask("GET", f"/calls?{query}").code == "permission_missing", query
    assert {mine["id"], other["id"]} == set(ids(second, ""))


def test_calls_by_length_and_hold(exchange, browser):
    short, long = exchange.call(1), exchange.call(2)
    for call, talk_ms in ((short, 4_000), (long, 90_000)):
        exchange.end(call | {"talk_ms": talk_ms, "result": "answered"})
    lengths = {one["id"]: one["talk_ms"] for one in browser.get("/calls")["calls"]}
    middle = sum(lengths.values()) // 2
    assert ids(browser, f"talk_from_ms={middle}") == [long["id"]]
    assert ids(browser, f"talk_to_ms={middle}") == [short["id"]]
    held = browser.ask("POST", "/holds", {"kind": "call", "subject": short["id"], "reason": "complaint"})
    assert held.status == 201
    assert ids(browser, "held=true") == [short["id"]]
    assert ids(browser, "held=false") == [long["id"]]


def test_exports_take_the_same_filters(exchange, browser):
    exchange.call(1)
    every = {
        "group": 1,
        "handled_by": "1",
        "talk_from_ms": 1,
        "talk_to_ms": 2,
        "noted": True,
        "held": True,
        "text": "x",
    }
    assert browser.ask("POST", "/exports", {"kind": "calls", "calls": every}).status == 202
    assert browser.ask("POST", "/exports", {"kind": "calls", "calls": {"customer": "99"}}).status == 404
