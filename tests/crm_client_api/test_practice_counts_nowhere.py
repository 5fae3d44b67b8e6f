"""Made-up calls of a box with real lines: seen and heard, marked, and counted nowhere. On a box that has no others they
count as ever.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from crm_office import hire
from excel_office import cells, work
from practice_office import PRACTICE, PRACTICE_CARD, REAL, REAL_CARD, PracticeExchange

from crm_client_api.domain.practice import is_practice
from crm_client_api.integrations.alarms.notices import note_alarms
from crm_client_api.integrations.ncid.pop_ups import call_log
from crm_client_api.integrations.webhooks.bodies import body_of
from crm_client_api.push.positions import newest
from crm_client_api.push.reminders import Reminders
from crm_client_api.stores import StorePool, Stores, open_stores
from crm_client_api.take_home.choice import CallFilter, chosen_calls, left_out
from crm_client_api.views.calls import open_desk
from firmware.parameters import set_value
from firmware.store.event_log import read_after
from recorder.library.keeping.alarms import raise_alarm

SPAN = "from=2026-09-01&to=2026-10-31"


@pytest.fixture(params=[True, False], ids=["real lines", "simulated lines only"])
def held(request, home) -> bool:
    if request.param:
        home.real_card_mark.touch()
    return bool(request.param)


@pytest.fixture
def lines(home, crm) -> Iterator[PracticeExchange]:
    hire(crm, "1", "super")
    one = PracticeExchange(home)
    yield one
    one.close()


@pytest.fixture
def stores(home) -> Iterator[Stores]:
    one = open_stores(home)
    yield one
    one.close()


def test_not_in_the_statistics(lines, browse, held):
    lines.talked(REAL)
    lines.missed(REAL, "13900000000")
    lines.talked(PRACTICE)
    lines.missed(PRACTICE)
    lines.talked(PRACTICE, "13900000000", "outgoing")
    browser = browse("1")
    split = browser.get(f"/statistics/calls?{SPAN}&split=channel")
    assert {row["key"]: row["figures"]["calls"] for row in split["rows"]} == ({"1": 2} if held else {"1": 2, "2": 3})
    assert split["total"]["calls"] == (2 if held else 5)
    backs = browser.get(f"/statistics/call-backs?{SPAN}")["total"]
    assert (backs["missed"], backs["called_back"]) == ((1, 0) if held else (2, 1))
    month = browser.get("/statistics/monthly?month=2026-09")
    assert month["total"]["calls"] == (2 if held else 5)
    asked = browser.get(f"/statistics/calls?{SPAN}&channel={PRACTICE}")
    assert asked["total"]["calls"] == (0 if held else 3)
    assert len(browser.get("/calls")["calls"]) == 5, "they are listed"
    assert sum(one["simulated"] for one in browser.get("/calls")["calls"]) == 3, "and marked"


def test_not_in_the_metrics(lines, browse, held):
    browser = browse("1")
    browser.ask("GET", "/metrics", prefix="")  # counters begin with the API
    for channel in (REAL, PRACTICE):
        lines.talked(channel)
        lines.call(channel)
    told = browser.ask("GET", "/metrics", prefix="").body.decode()
    for name in ("tapdeck_calls_total", "tapdeck_running_calls"):
        channels = set(re.findall(rf'^{name}{{channel="(\d+)"', told, re.MULTILINE))
        assert channels == {str(one) for one in ({REAL} if held else {REAL, PRACTICE})}, name


def test_nobody_has_to_call_them_back(lines, home, browse, held):
    pool = StorePool(home)
    reminders = Reminders(pool)
    made_up, real = lines.missed(PRACTICE, "13900000000"), lines.missed(REAL)
    reminders.look(lines.now_ms)  # begins with what there is
    later, talk = lines.missed(PRACTICE, "13900000001"), lines.talked(PRACTICE, direction="outgoing")
    reminders.look(lines.now_ms)
    pool.close()
    found = {one["call"]["id"]: one["state"] for one in browse("1").get("/call-backs?state=all")["call_backs"]}
    assert found == ({real: "open"} if held else {made_up: "open", real: "done", later: "open"}), talk


def test_a_box_that_gets_its_first_card_forgets_what_waited(lines, home, browse):
    pool = StorePool(home)
    made_up = lines.missed(PRACTICE)
    Reminders(pool).look(lines.now_ms)
    pool.close()
    browser = browse("1")
    assert browser.get(f"/call-backs/{made_up}")["state"] == "open"
    assert len(browser.get("/calls?call_back=open")["calls"]) == 1
    home.real_card_mark.touch()
    assert browser.get("/call-backs")["call_backs"] == []
    assert browser.get("/calls?call_back=open")["calls"] == []
    assert browser.ask("GET", f"/call-backs/{made_up}").status == 404
    assert browser.ask("PATCH", f"/call-backs/{made_up}", {"state": "done"}).status == 404


def test_not_in_workbooks_and_not_on_sticks(lines, home, crm, browse, stores, held, tmp_path):
    real, made_up = lines.talked(REAL), lines.talked(PRACTICE, "13900000000")
    browser = browse("1")
    job = browser.ask("POST", "/exports", {"kind": "calls"}).json["id"]
    work(home)
    file = tmp_path / "calls.xlsx"
    file.write_bytes(browser.ask("GET", f"/jobs/{job}/file").body)
    (sheet,) = cells(file).values()
    assert {row[0] for row in sheet[1:]} == ({real} if held else {real, made_up})
    running = lines.call(PRACTICE)["id"]
    desk = open_desk(stores, hire(crm, "2", "super"))
    everything = {call.id for page in chosen_calls(desk, [CallFilter(state="ended")]) for call in page}
    assert everything == ({real} if held else {real, made_up})
    assert left_out(desk, [], lines.now_ms + 1) == (() if held else (running,))
    chosen = {call.id for page in chosen_calls(desk, [CallFilter(among=(real, made_up))]) for call in page}
    assert chosen == {real, made_up}, "chosen one by one they are taken, marked there"


def test_no_other_program_hears_of_them(lines, crm, stores, held):
    lines.event("card_present", card_id=REAL_CARD)
    lines.event("card_present", card_id=PRACTICE_CARD)
    real, made_up = lines.talked(REAL), lines.talked(PRACTICE, "13900000000")
    events = read_after(stores.calls, 0, 100)
    calls = {event.call_id for event in events if not is_practice(stores.home, stores.calls, event)} - {None}
    cards = {event.data.get("card_id") for event in events if not is_practice(stores.home, stores.calls, event)}
    assert calls == ({real} if held else {real, made_up})
    assert {REAL_CARD, PRACTICE_CARD} & cards == ({REAL_CARD} if held else {REAL_CARD, PRACTICE_CARD})
    operator = hire(crm, "2", "super")
    desk = open_desk(stores, operator)
    bodies = [body_of(stores, desk.settings, operator, 1, f"e-{event.id}", event) for event in events]
    told = b"\n".join(filter(None, bodies))
    assert (real.encode() in told, made_up.encode() in told) == (True, not held)
    assert (REAL_CARD.encode() in told, PRACTICE_CARD.encode() in told) == (True, not held)
    entries, _ = call_log(stores, operator, newest(stores))
    assert ["13812345678" in "".join(entries), "13900000000" in "".join(entries)] == [True, not held]


def test_a_pop_up_of_practice_opens_no_address(lines, crm, browse, held):
    set_value(crm, "system", "url_pop", "https://crm.example/?tel={number}")
    browser = browse("1")
    real, made_up = lines.call(REAL), lines.call(PRACTICE)
    popups = {one["call"]["id"]: one for one in browser.get("/popups")["popups"]}
    assert popups.keys() == {real["id"], made_up["id"]}
    assert popups[made_up["id"]]["call"]["simulated"]
    assert popups[real["id"]]["url"] == "https://crm.example/?tel=13812345678"
    assert popups[made_up["id"]]["url"] == (None if held else popups[real["id"]]["url"])


def test_nobody_misses_the_card_of_practice(lines, stores, browse, held):
    note_alarms(stores)
    for card in (REAL_CARD, PRACTICE_CARD):
        raise_alarm(lines.db, "card_lost", card, {"reason": "gone"})
    assert note_alarms(stores) == (1 if held else 2)
    missing = {one["subject"] for one in browse("1").get("/alarms")["alarms"]}
    assert missing == ({REAL_CARD} if held else {REAL_CARD, PRACTICE_CARD})
    raise_alarm(lines.db, "tape_unreadable", PRACTICE_CARD, {})
    assert note_alarms(stores) == 1, "what else is wrong is told"
