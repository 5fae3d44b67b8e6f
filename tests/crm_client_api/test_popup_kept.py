"""A card comes to whoever has not had it, once, and stays with whoever had it."""

from __future__ import annotations

import pytest
from crm_office import Listener, hire

from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers import Phone, add_customer
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.parameters import set_value
from firmware.store.connection import write
from recorder.numbers import Site

NUMBER = "13812345678"


@pytest.fixture
def people(crm):
    plain = ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE}
    for staff_no in ("A", "B"):
        hire(crm, staff_no, "ordinary", None, (1,), plain)


def hand(browser, call, to="B"):
    assert browser.ask("POST", f"/calls/{call['id']}/popup/hand", {"staff_no": to}).status == 204


def test_who_comes_after_the_call_gets_the_card_that_is_handed(exchange, browse, people):
    """The rules would show it now; they had nobody to show it to when it rang."""
    sender, listener = browse("A"), None
    watched = Listener(sender)
    call = exchange.call(1, NUMBER)
    watched.next("popup")
    watched.close()
    exchange.end(call)
    listener = Listener(browse("B"))
    hand(sender, call)
    card = listener.next("popup", "office")
    assert (card.event, card.data["call"]["id"], card.data["handed_by"]) == ("popup", call["id"], "A")
    hand(sender, call)
    told = listener.next("popup", "office")
    assert (told.event, told.data["data"]["again"]) == ("office", True), "once"
    listener.close()


def test_who_was_busy_when_it_rang_gets_the_card_that_is_handed(crm, exchange, browse, people):
    set_value(crm, "system", "popup_respects_state", True)
    sender, colleague = browse("A"), browse("B")
    colleague.ask("PUT", "/agent-state", {"state": "busy", "reason": "开会"})
    watched, listener = Listener(sender), Listener(colleague)
    call = exchange.call(1, NUMBER)
    watched.next("popup")
    colleague.ask("PUT", "/agent-state", {"state": "idle"})
    hand(sender, call)
    assert listener.next("popup").data["handed_by"] == "A"
    watched.close()
    listener.close()


def test_a_card_that_comes_late_by_the_rules_is_not_handed_too(exchange, browse, people):
    """The colleague's client was cut off when the call rang, and catches up after it was handed on."""
    sender, colleague = browse("A"), browse("B")
    position = colleague.get("/popups")["position"]
    watched = Listener(sender)
    call = exchange.call(1, NUMBER)
    watched.next("popup")
    hand(sender, call)
    exchange.end(call)
    late = Listener(colleague, "/events", last_id=position)
    seen = []
    while not seen or seen[-1].event != "office" or seen[-1].data["kind"] != "popup_handed":
        seen.append(late.next("popup", "office"))
    assert [one.event for one in seen if one.event == "popup"] == ["popup"]
    watched.close()
    late.close()


@pytest.mark.parametrize("change", ["busy", "channel", "direction"])
def test_who_had_a_card_keeps_it_whatever_is_changed(crm, exchange, browse, people, change):
    """Scope is asked again all the same."""
    mine = add_customer(crm, {"name": "王伟"}, (Phone("", NUMBER),), Actor("A"), Site()).id
    browser = browse("A")
    if change == "direction":
        set_value(crm, "system", "popup_outgoing", True)
    listener = Listener(browser)
    call = exchange.call(1, NUMBER, "outgoing" if change == "direction" else "incoming")
    listener.next("popup")
    listener.close()
    if change == "busy":
        set_value(crm, "system", "popup_respects_state", True)
        browser.ask("PUT", "/agent-state", {"state": "busy", "reason": "会议"})
    elif change == "channel":
        set_value(crm, "channel", "popup", False, subject="1")
    else:
        set_value(crm, "system", "popup_outgoing", False)

    def names():
        (running,) = browser.get("/popups")["popups"]
        again = browser.get(f"/calls/{call['id']}/popup")
        assert again["customers"] == running["customers"]
        return [one["name"] for one in again["customers"]]

    assert names() == ["王伟"]
    other = exchange.call(1, "13900001111", call["direction"])
    assert [one["call"]["id"] for one in browser.get("/popups")["popups"]] == [call["id"]], "a new call does not come"
    exchange.end(other)
    with write(crm) as connection:
        connection.execute("UPDATE customers SET owner = 'B' WHERE id = ?", (mine,))
    assert names() == []
