"""The stream of events: live, resumed, handed over, in scope, and bounded."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time

import pytest
from crm_office import ROOT, Browser, Exchange, Listener, hire

from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers import Phone, add_customer
from crm_client_api.domain.operators import set_active
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.clock import now_ms
from firmware.live_file import write_live
from firmware.parameters import set_value
from firmware.store.connection import write
from recorder.numbers import Site


def calls_of(events):
    return [(one.data["id"], one.data["state"]) for one in events if one.event == "call"]


def test_a_call_pops_up_once_and_is_followed_to_its_end(crm, exchange, browse):
    hire(crm, "1", "super")
    add_customer(crm, {"name": "王"}, (Phone("手机", "138 1234 5678"),), Actor("1"), Site())
    browser = browse("1")
    listener = Listener(browser)
    assert listener.headers["content-type"].startswith("text/event-stream")
    assert listener.headers["connection"] == "close", "no other request can follow on it"
    call = exchange.call(1, "013812345678")
    exchange.answer(call)
    exchange.end(call)
    events = listener.take(5, "call", "popup")
    assert [one.event for one in events] == ["call", "call", "popup", "call", "call"]
    assert [one.data["state"] for one in events if one.event == "call"] == ["ringing", "ringing", "talking", "ended"]
    popup = events[2].data
    assert popup["rows"] == ["A"]
    assert [one["name"] for one in popup["customers"]] == ["王"]
    assert popup["customers"][0]["phones"][0].items() >= {"number": "138 1234 5678", "e164": "+8613812345678"}.items()
    assert popup["offers_new_customer"] is False
    assert [one["name"] for one in popup["call"]["customers"]] == ["王"]
    listener.close()


def test_every_event_has_an_id_from_which_it_goes_on_without_gap_or_double(crm, exchange, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    position = browser.get("/popups")["position"]
    for _ in range(3):
        exchange.end(exchange.call(1, "13812345678"))
    whole_listener = Listener(browser, f"/events?after={position}")
    whole = whole_listener.take(12, "call", "popup")
    whole_listener.close()
    assert all(one.id for one in whole)
    assert sum(one.event == "popup" for one in whole) == 3
    for cut in range(12):
        resumed = Listener(browser, f"/events?after={position}", last_id=whole[cut].id)
        rest = resumed.take(11 - cut, "call", "popup")
        resumed.close()
        if whole[cut].event == "call" and cut + 1 < 12 and whole[cut + 1].event == "popup":
            # Cut off between the two events of one row: the call's state comes again, the pop-up for the first time.
            assert rest[0] == whole[cut]
            rest = rest[1:]
        assert rest == whole[cut + 1 :][: len(rest)]
        seen = whole[: cut + 1] + rest
        popups = [one.data["call"]["id"] for one in seen if one.event == "popup"]
        assert len(popups) == len(set(popups))


def test_replay_and_live_join_while_calls_are_written(crm, home, server, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    start = browser.get("/popups")["position"]
    count = 60
    ids: list[str] = []

    def write_calls() -> None:
        writer = Exchange(home)
        for _ in range(count):
            call = writer.call(1, "13812345678")
            writer.end(call)
            ids.append(call["id"])
        writer.close()

    thread = threading.Thread(target=write_calls)
    thread.start()
    popups: list[str] = []
    ended: list[str] = []
    position = start
    while len(popups) < count or len(ended) < count:
        listener = Listener(browser, "/events", last_id=position)  # again and again in the middle of the writing
        for _ in range(7):
            event = listener.next("call", "popup")
            if event.event == "popup":
                popups.append(event.data["call"]["id"])
            elif event.data["state"] == "ended":
                ended.append(event.data["id"])
            if len(popups) == len(ended) == count:
                break
        position = listener.last_id
        listener.close()
    thread.join()
    assert popups == ids
    assert ended == ids


def test_one_listener_gets_everything_once_while_calls_are_written(crm, home, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    start = browser.get("/popups")["position"]

    def write_calls() -> None:
        writer = Exchange(home)
        for _ in range(100):
            writer.end(writer.call(1, "13812345678"))
        writer.close()

    writers = [threading.Thread(target=write_calls) for _ in range(2)]
    for thread in writers:
        thread.start()
    listeners = [Listener(browser, f"/events?after={start}") for _ in range(3)]
    for listener in listeners:
        events = listener.take(800, "call", "popup")
        popups = [one.data["call"]["id"] for one in events if one.event == "popup"]
        assert len(popups) == len(set(popups)) == 200
        ids = [int(one.id.partition(".")[0].rpartition("-")[2]) for one in events]
        assert ids == sorted(ids)
        assert len(calls_of(events)) == 600
        listener.close()
    for thread in writers:
        thread.join()


def test_popups_of_running_calls_join_the_stream_exactly_once(crm, exchange, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    before = exchange.call(1, "13812345678")
    gone = exchange.call(2, "13812345678")
    exchange.end(gone)
    snapshot = browser.get("/popups")
    after = exchange.call(3, "62345678")
    assert [one["call"]["id"] for one in snapshot["popups"]] == [before["id"]]
    assert [one["id"] for one in snapshot["popups"][0]["history"]] == [gone["id"]]
    listener = Listener(browser, f"/events?after={snapshot['position']}")
    assert listener.next("popup").data["call"]["id"] == after["id"]
    listener.close()


def test_people_get_only_what_is_in_their_scope(crm, exchange, browse):
    for group in (1, 2):
        hire(crm, f"lead{group}", "leader", group)
    hire(crm, "ord", "ordinary", None, (5,))
    hire(crm, "quiet", "super", permissions=ALL_PERMISSIONS - {Permission.NET_POPUP})
    set_value(crm, "channel", "group", 2, subject="5")
    listeners = {name: Listener(browse(name)) for name in ("lead1", "lead2", "ord", "quiet")}
    one = exchange.call(1, "13812345678")
    five = exchange.call(5, "13987654321")
    exchange.event("line_lost", 5)
    exchange.event("card_lost", card_id="test-1")
    expected = {
        "lead1": [("call", one), ("call", one), ("popup", one), ("card", None)],
        "lead2": [("call", five), ("call", five), ("popup", five), ("line", None), ("card", None)],
        "ord": [("call", five), ("call", five), ("popup", five), ("line", None), ("card", None)],
        "quiet": [("call", one), ("call", one), ("call", five), ("call", five), ("line", None), ("card", None)],
    }
    for name, wanted in expected.items():
        events = listeners[name].take(len(wanted), "call", "popup", "line", "card")
        got = [(e.event, (e.data["call"]["id"] if e.event == "popup" else e.data.get("id"))) for e in events]
        assert got == [(kind, call["id"] if call else None) for kind, call in wanted], name
        listeners[name].close()
    line = next(e for e in events if e.event == "line")
    assert line.data["kind"] == "line_lost"
    assert line.data["at"].startswith("2026-")


def test_outgoing_and_withheld_calls_pop_up_when_switched_on(crm, exchange, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    listener = Listener(browser)
    exchange.call(1, None)
    exchange.call(1, "62345678", "outgoing")
    assert [one.event for one in listener.take(4, "call", "popup")] == ["call"] * 4
    set_value(crm, "system", "popup_withheld", True)
    set_value(crm, "system", "popup_outgoing", True)
    withheld = exchange.call(2, None)
    outgoing = exchange.call(3, "62345678", "outgoing")
    exchange.event("dialled_number", call=outgoing)  # a second report of the number is no second pop-up
    last = exchange.call(4, "13812345678")
    popups = listener.take(3, "popup")
    assert [one.data["call"]["id"] for one in popups] == [withheld["id"], outgoing["id"], last["id"]]
    assert [one.data["offers_new_customer"] for one in popups] == [False, True, True]
    listener.close()


def test_a_recording_is_announced(crm, exchange, browse):
    hire(crm, "1", "super")
    listener = Listener(browse("1"))
    call = exchange.call(1)
    exchange.end(call)
    recording = exchange.recording(call, "x.flac")
    event = listener.next("recording")
    assert event.data["call_id"] == call["id"]
    assert event.data["recording"]["id"] == recording
    assert event.data["recording"]["missing_ms"] == 2
    listener.close()


def show_line(home, **port):
    channel = {"line": "present", "hook": "on", "ringing": False, "volts": -48.0, "level_dbm0": -60.0}
    ports = [{"channel": 1} | channel | port, {"channel": 2} | channel]
    status = {"card_id": "test-1", "connected": True, "at_ms": now_ms() + 60_000, "ports": ports}
    write_live(home.status / "test-1.live", json.dumps(status).encode())


def test_the_board_tells_what_changed_in_scope(home, crm, exchange, browse):
    hire(crm, "1", "super")
    hire(crm, "2", "ordinary", None, (2,))
    exchange.wire(1, 2, 3)
    show_line(home)
    boss, two = Listener(browse("1")), Listener(browse("2"))
    first = boss.next("board")
    assert first.id == ""
    assert [(one["number"], one["line"]) for one in first.data["channels"]] == [
        (1, "present"), (2, "present"), (3, "unknown"),
    ]  # fmt: skip
    assert [one["number"] for one in two.next("board").data["channels"]] == [2]
    show_line(home, hook="off", recording=True, level_dbm0=-18.5)
    assert boss.next("board").data["channels"] == [
        {"number": 1, "line": "present", "hook": "off", "ringing": False, "volts": -48.0, "level_dbm0": -18.5,
         "recording": True}
    ]  # fmt: skip
    call = exchange.call(2)
    assert two.next("call", "board").data["id"] == call["id"], "nothing of channel 1 in between"
    for listener in (boss, two):
        listener.close()


UNKNOWN = [
    "other-5", "nonsense", "{calls}-999999", "{calls}-1.other-1", "other-1.{office}-0", "{calls}-1.{office}-999999",
    "{calls}-1.", "{calls}-1.{office}-0.{office}-0",
]  # fmt: skip


@pytest.mark.parametrize("position", UNKNOWN)
def test_an_unknown_position_is_reset(crm, exchange, browse, position):
    hire(crm, "1", "super")
    browser = browse("1")
    exchange.call(1)
    known = browser.get("/popups")["position"]
    calls, office = (one.rpartition("-")[0] for one in known.split("."))
    wrong = position.replace("{calls}", calls).replace("{office}", office)
    listener = Listener(browser, f"/events?after={known}", last_id=wrong)
    first = listener.next()
    assert first.event == "reset"
    listener.close()
    again = Listener(browser, f"/events?after={first.data['position']}")
    call = exchange.call(2)
    assert again.next("popup").data["call"]["id"] == call["id"]
    again.close()


def test_a_position_before_the_kept_events_is_reset(crm, exchange, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    start = browser.get("/popups")["position"]
    for _ in range(3):
        exchange.call(1)
    with write(exchange.db) as connection:
        connection.execute("DELETE FROM events WHERE id <= 2")
    listener = Listener(browser, f"/events?after={start}")
    assert listener.next().event == "reset"
    listener.close()


def test_a_stream_above_the_cap_is_told_to_come_back(crm, serve):
    hire(crm, "1", "super")
    browser = Browser(serve(max_streams=2).port)
    browser.log_in("1")
    open_streams = [Listener(browser) for _ in range(2)]
    refused = browser.ask("GET", "/events")
    assert (refused.status, refused.code) == (503, "streams_full")
    assert int(refused.headers["retry-after"]) > 0
    assert browser.get("/health")["status"] == "ok"
    open_streams[0].close()
    deadline = time.monotonic() + 15
    while (answer := Listener(browser)).status == 503 and time.monotonic() < deadline:
        answer.close()
        time.sleep(0.05)
    assert answer.status == 200, "the place of a client that hung up stays taken"
    answer.close()
    open_streams[1].close()


def test_a_slow_client_is_let_go_and_resumes(crm, exchange, serve):
    hire(crm, "1", "super")
    server = serve(queue_events=20, send_timeout_s=1)
    browser = Browser(server.port)
    browser.log_in("1")
    note = "x" * 9000
    phones = (Phone("", "13812345678"),)
    for _ in range(5):
        add_customer(crm, {"name": "王", "note": note}, phones, Actor("1"), Site())
    start = browser.get("/popups")["position"]
    slow = Listener(browser, f"/events?after={start}", receive_bytes=4096)
    ids = []
    for _ in range(150):  # 150 pop-ups of 45 KB do not fit into any socket
        call = exchange.call(1, "13812345678")
        exchange.end(call)
        ids.append(call["id"])
    deadline = time.monotonic() + 15
    while server.hub.streams() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not server.hub.streams(), "the slow client still holds its place"
    seen = []
    with contextlib.suppress(OSError, http.client.HTTPException):  # it was cut off in the middle of an event
        while (event := slow.next("popup")) is not None:
            seen.append(event.data["call"]["id"])
    position = slow.last_id
    slow.close()
    assert len(seen) < 150
    while len(seen) < 150:
        again = Listener(browser, f"/events?after={start}", last_id=position)
        while len(seen) < 150 and (event := again.next("popup")) is not None:
            seen.append(event.data["call"]["id"])
        position = again.last_id
        again.close()
    assert seen == ids


def test_a_stream_ends_with_its_session(crm, exchange, browse):
    hire(crm, "1", "super")
    hire(crm, "2", "super")
    first, second = browse("1"), browse("2")
    listeners = [Listener(first), Listener(second)]
    assert first.ask("DELETE", "/session").status == 204
    assert listeners[0].next("call") is None
    exchange.call(1)
    assert listeners[1].next("call").data["state"] == "ringing"
    hire(crm, "3", "super")
    set_active(crm, "2", False, ROOT, None)  # on the box's own console
    while (event := listeners[1].next()) is not None:
        assert event.event in ("call", "popup", "board")
    for listener in listeners:
        listener.close()
