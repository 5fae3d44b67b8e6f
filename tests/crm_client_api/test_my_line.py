"""My line: everybody sees the own line, and why its calls popped up or did not, without an administrator."""

from __future__ import annotations

import pytest
from crm_office import Listener, hire
from office_records import add_customer_of

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.parameters import set_value

NUMBER = "13812345678"
ALONE = ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE, Permission.OPERATOR_MANAGE}


@pytest.fixture
def people(crm, exchange):
    exchange.wire(1, 2, 3)
    set_value(crm, "channel", "group", 2, subject="3")
    hire(crm, "S", "super")
    hire(crm, "L", "leader", 1, (1, 3), ALONE)
    hire(crm, "A", "ordinary", None, (1,), ALONE)
    hire(crm, "B", "ordinary", None, (1, 2), ALONE)
    hire(crm, "Q", "ordinary", None, (1,), ALONE - {Permission.NET_POPUP})


def causes(browser, path="/my-line"):
    return [one["cause"] for one in browser.get(path)["lines"][0]["calls"]]


def test_a_line_tells_its_last_calls_and_whether_they_popped_up(crm, exchange, browse, people):
    browser = browse("A")
    listener = Listener(browser)
    known = exchange.call(1, NUMBER)
    listener.next("popup")
    answer = browser.get("/my-line")
    assert (answer["net_popup"], answer["streams"]) == (True, 1)
    (line,) = answer["lines"]
    assert (line["channel"]["number"], line["last_number"]) == (1, NUMBER)
    (call,) = line["calls"]
    assert (call["call"]["id"], call["cause"], call["handed_by"]) == (known["id"], "shown", None)
    assert call["shown_at"] is not None
    assert line["last_ring_at"] == call["call"]["started_at"]
    exchange.call(1, None)
    assert causes(browser) == ["number_present", "shown"]
    assert browser.get("/my-line")["lines"][0]["last_number"] == NUMBER, "the last that was sent"
    listener.close()
    exchange.call(1, "13900000000", direction="outgoing")
    for _ in range(6):
        exchange.end(exchange.call(1, "13700000000"))
    assert causes(browser) == ["not_here"] * 5, "by the rules a card, but no page was open; the last five"


def test_why_a_card_did_not_come_is_the_first_condition_that_fails(crm, exchange, browse, people):
    theirs = add_customer_of(crm, "B", name="王伟", numbers=("+8613812345678",))
    exchange.end(exchange.call(1, NUMBER))
    answer = browse("A").ask("GET", "/my-line")
    assert [one["cause"] for one in answer.json["lines"][0]["calls"]] == ["customer_of_others"]
    assert "王伟" not in answer.body.decode()
    assert answer.json["lines"][0]["calls"][0]["call"]["customers"] == [], theirs
    assert causes(browse("B")) == ["not_here"]
    assert causes(browse("Q")) == ["net_popup"]
    set_value(crm, "channel", "popup", False, subject="1")
    assert causes(browse("Q")) == ["channel_popup"], "what is said first is what holds it back for everybody"
    set_value(crm, "channel", "popup", True, subject="1")
    set_value(crm, "system", "popup_respects_state", True)
    busy = browse("B")
    busy.ask("PUT", "/agent-state", {"state": "away"})
    assert causes(busy) == ["available"]


def test_lines_are_the_associated_ones_in_scope_or_one_that_is_asked_for(crm, exchange, browse, people):
    numbers = lambda browser, path="/my-line": [one["channel"]["number"] for one in browser.get(path)["lines"]]  # noqa: E731
    assert numbers(browse("B")) == [1, 2]
    assert numbers(browse("L")) == [1], "channel 3 belongs to another group"
    assert browse("L").ask("GET", "/my-line?channel=3").status == 404
    assert browse("A").ask("GET", "/my-line?channel=2").status == 404
    assert browse("A").ask("GET", "/my-line?channel=99").status == 404
    assert numbers(browse("S")) == []
    assert numbers(browse("S"), "/my-line?channel=3") == [3]
    exchange.call(3, "13600000000")
    assert causes(browse("S"), "/my-line?channel=3") == ["not_here"]
