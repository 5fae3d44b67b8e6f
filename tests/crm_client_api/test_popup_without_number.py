"""Pop-ups of calls whose number is withheld, comes late or never comes."""

from __future__ import annotations

import pytest
from crm_office import Browser, Exchange, Listener, hire

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.clock import uuid7
from firmware.parameters import set_value

SOON_S = 0.3
LONG_S = 60.0


def ring(exchange: Exchange, channel: int = 1) -> dict:
    """A call of which nothing is known yet but that it rings."""
    exchange.now_ms += 1000
    call = {
        "id": uuid7(exchange.now_ms), "channel": channel, "card_id": "test-1", "direction": "incoming",
        "state": "ringing", "result": None, "caller_number": None, "caller_name": None, "absence": None,
        "dialled_number": None, "started_ms": exchange.now_ms, "answered_ms": None, "ended_ms": None, "ring_ms": 0,
        "talk_ms": 0, "simulated": 1,
    }  # fmt: skip
    exchange.event("call_started", call=call)
    return call


def number(exchange: Exchange, call: dict, caller: str | None) -> None:
    call |= {"caller_number": caller, "absence": None if caller else "withheld"}
    exchange.event("caller_id", call=call)


@pytest.fixture
def office(crm, serve):
    """A server on which calls without a number pop up after so long, and people."""

    def open_with(patience_s: float, withheld: bool = True):
        hire(crm, "1", "super")
        hire(crm, "2", "leader", 1)
        hire(crm, "3", "ordinary", None, (1,))
        hire(crm, "4", "ordinary", None, (2,))
        hire(crm, "5", "super", permissions=ALL_PERMISSIONS - {Permission.NET_POPUP})
        set_value(crm, "system", "popup_withheld", withheld)
        server = serve(max_streams=12, number_patience_s=patience_s)

        def browse(staff_no: str) -> Browser:
            browser = Browser(server.port)
            assert browser.log_in(staff_no).status == 200
            return browser

        return browse

    return open_with


def kinds_until_end(listener: Listener, call: dict) -> list[str]:
    found = []
    while True:
        event = listener.next("call", "popup")
        assert event is not None
        found.append(event.event if event.event == "popup" else event.data["state"])
        if event.event == "call" and event.data["id"] == call["id"] and event.data["state"] == "ended":
            return found


@pytest.mark.parametrize("withheld", [True, False])
def test_the_absence_pops_up_as_soon_as_it_is_known(office, exchange, withheld):
    listener = Listener(office(LONG_S, withheld)("1"))
    call = ring(exchange)
    number(exchange, call, None)
    exchange.answer(call)
    exchange.end(call)
    seen = kinds_until_end(listener, call)
    assert seen == ["ringing", "ringing", *(["popup"] if withheld else []), "talking", "ended"]
    listener.close()


def test_a_number_that_does_not_come_pops_up_while_it_rings(office, exchange):
    browse = office(SOON_S)
    listeners = {name: Listener(browse(name)) for name in "12345"}
    call = ring(exchange)
    for name, row in (("1", "F"), ("2", "G"), ("3", "H")):
        popup = listeners[name].next("popup").data
        assert (popup["call"]["id"], popup["rows"], popup["customers"]) == (call["id"], [row], [])
        assert popup["call"]["state"] == "ringing"
        assert popup["offers_new_customer"] is False
    exchange.answer(call)
    exchange.end(call)
    for name in "123":
        assert kinds_until_end(listeners[name], call)[-2:] == ["talking", "ended"]
    assert kinds_until_end(listeners["5"], call) == ["ringing", "talking", "ended"]
    own = ring(exchange, 2)
    assert listeners["4"].next("popup").data["call"]["id"] == own["id"], "nothing of channel 1 before"
    for listener in listeners.values():
        listener.close()


def test_nothing_pops_up_without_a_number_unless_switched_on(office, exchange):
    listener = Listener(office(SOON_S, withheld=False)("1"))
    call = ring(exchange)
    exchange.answer(call)
    exchange.end(call)
    assert kinds_until_end(listener, call) == ["ringing", "talking", "ended"]
    listener.close()


@pytest.mark.parametrize("ends", [True, False])
def test_who_answers_or_hangs_up_first_has_it_pop_up_then(office, exchange, ends):
    listener = Listener(office(LONG_S)("1"))
    call = ring(exchange)
    if not ends:
        exchange.answer(call)
    exchange.end(call)
    assert kinds_until_end(listener, call) == ["ringing", *([] if ends else ["talking", "popup"]), "ended"]
    if ends:
        assert listener.next("popup").data["call"]["state"] == "ended"
    listener.close()


def test_a_number_that_comes_late_pops_up_no_second_time(office, exchange):
    browse = office(SOON_S)
    browser = browse("1")
    start = browser.get("/popups")["position"]
    listener = Listener(browser)
    call = ring(exchange)
    assert listener.next("popup").data["call"]["caller_number"] is None
    number(exchange, call, "13812345678")
    exchange.answer(call)
    exchange.end(call)
    assert kinds_until_end(listener, call) == ["ringing", "talking", "ended"]
    assert browser.get(f"/calls/{call['id']}/popup")["call"]["caller_number"] == "13812345678"
    replay = Listener(browser, f"/events?after={start}")
    events = [replay.next("call", "popup") for _ in range(5)]
    assert [one.event for one in events] == ["call", "call", "call", "call", "popup"]
    for one in (listener, replay):
        one.close()


def test_a_number_in_time_pops_up_once_and_with_the_number(office, exchange):
    listener = Listener(office(SOON_S)("1"))
    call = ring(exchange)
    number(exchange, call, "13812345678")
    other = ring(exchange, 2)
    first, second = listener.next("popup"), listener.next("popup")
    assert (first.data["call"]["id"], first.data["call"]["caller_number"]) == (call["id"], "13812345678")
    assert second.data["call"]["id"] == other["id"]
    listener.close()


def test_who_connects_anew_finds_it_among_the_running_ones_and_gets_it_no_more(office, exchange):
    browse = office(SOON_S)
    listener = Listener(browse("1"))
    call = ring(exchange)
    listener.next("popup")
    listener.close()
    snapshot = browse("2").get("/popups")
    assert [one["call"]["id"] for one in snapshot["popups"]] == [call["id"]]
    again = Listener(browse("2"), f"/events?after={snapshot['position']}")
    exchange.answer(call)
    exchange.end(call)
    assert kinds_until_end(again, call) == ["talking", "ended"]
    again.close()


def test_a_call_that_rings_through_a_restart_pops_up_behind_it(crm, exchange, serve):
    hire(crm, "1", "super")
    set_value(crm, "system", "popup_withheld", True)
    first = serve(number_patience_s=LONG_S)
    browser = Browser(first.port)
    browser.log_in("1")
    listener = Listener(browser)
    call = ring(exchange)
    listener.next("call")
    listener.close()
    first.stop()
    again = Browser(serve(number_patience_s=SOON_S).port, browser.cookie, browser.csrf)
    resumed = Listener(again, "/events", last_id=listener.last_id)
    assert resumed.next("popup").data["call"]["id"] == call["id"]
    resumed.close()


def test_the_state_holds_back_only_when_told_so(office, exchange, crm):
    browse = office(LONG_S)
    browser = browse("1")
    assert browser.ask("PUT", "/agent-state", {"state": "busy", "reason": "开会"}).status == 200
    listener = Listener(browser)
    shown = exchange.call(1)
    assert listener.next("popup").data["call"]["id"] == shown["id"]
    set_value(crm, "system", "popup_respects_state", True)
    held_back = exchange.call(1)
    exchange.end(held_back)
    while (event := listener.next("call", "popup")).event == "popup" or event.data["state"] != "ended":
        assert event.event == "call", "held back"
    assert event.data["id"] == held_back["id"]
    assert browser.ask("PUT", "/agent-state", {"state": "idle"}).status == 200
    after = exchange.call(1)
    assert listener.next("popup").data["call"]["id"] == after["id"]
    listener.close()
