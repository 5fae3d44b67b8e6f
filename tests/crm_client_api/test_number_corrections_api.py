"""Settings that were wrong, put right by somebody on the page: look-ups, histories and call-backs find the callers."""

from __future__ import annotations

import json

import pytest
from crm_office import Listener, hire

from crm_client_api.domain.audit import Actor
from crm_client_api.domain.call_back_follower import Follower
from crm_client_api.domain.customers import Phone, add_customer
from crm_client_api.domain.key_renewal import renew_number_keys
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.domain.settings import read_settings
from crm_client_api.numbers import corrections as corrections_module
from crm_client_api.numbers.corrections import correct_call_backs, correct_numbers
from firmware.clock import iso_utc
from firmware.errors import Refused
from firmware.parameters import set_value
from recorder.library.keeping import number_keys
from recorder.library.keeping.number_keys import NumberKeysTask
from recorder.library.keeping.task import Stores
from recorder.numbers import site_of

PATH = "/number-corrections"


@pytest.fixture
def later(monkeypatch, exchange):
    """Moves the clock of office and keeper behind the last call by so many seconds."""
    now = [exchange.now_ms]
    monkeypatch.setattr(corrections_module, "now_ms", lambda: now[0])
    monkeypatch.setattr(number_keys, "now_ms", lambda: now[0])

    def move(seconds: float) -> int:
        now[0] = exchange.now_ms + round(seconds * 1000)
        return now[0]

    return move


def work(home, exchange, crm) -> None:
    """What keeper and API do by themselves."""
    NumberKeysTask().run(Stores(home, exchange.db, crm), lambda: False)
    renew_number_keys(exchange.db, crm, site_of(crm))
    correct_call_backs(exchange.db, crm)


def events(store) -> list[str]:
    return [row[0] for row in store.conn.execute("SELECT kind FROM events ORDER BY id")]


def test_callers_heard_by_a_wrong_area_code_are_found_by_the_right_one(home, crm, exchange, server, browse, later):
    hire(crm, "1", "super")
    browser, follower = browse("1"), Follower()

    def follow() -> None:
        follower.follow(exchange.db, crm, read_settings(crm), exchange.now_ms)

    follow()
    moved_here, known = (
        add_customer(crm, {"name": name}, (Phone("", number),), Actor("1"), site_of(crm)).id
        for name, number in (("上海老王", "021-62345678"), ("李雷", "62345678"))
    )
    before = exchange.call(1, "62345678")
    exchange.end(before)
    since = exchange.now_ms + 1
    missed, answer = exchange.call(1, "62345678"), exchange.call(2, "62345678", "outgoing")
    exchange.answer(answer)
    for call in (missed, answer):
        exchange.end(call)
    follow()
    later(5)
    browser.ask("PATCH", "/system-parameters", {"values": {"site_area_code": "021"}})
    work(home, exchange, crm)

    def found(number: str) -> set[str]:
        return {one["id"] for one in browser.get(f"/calls?number={number}")["calls"]}

    def called_back(number: str) -> set[str]:
        page = browser.get(f"/call-backs?state=all&number={number}")["call_backs"]
        return {one["call"]["id"] for one in page}

    assert found("02162345678") == set()
    assert called_back("02162345678") == set()
    told = events(exchange.db)
    answered = browser.ask("POST", PATH, {"wrong_since": iso_utc(since)})
    assert (answered.status, answered.json["done"]) == (200, False)
    work(home, exchange, crm)
    later(70)
    work(home, exchange, crm)
    assert browser.get(PATH) == {
        "number_corrections": [
            {
                "from_at": iso_utc(since), "until_at": iso_utc(exchange.now_ms + 65_000), "site_country": "CN",
                "site_area_code": "021", "outside_line_prefix": "",
            }
        ],
        "done": True,
    }  # fmt: skip
    assert found("02162345678") == found("62345678") == {missed["id"], answer["id"]}
    assert found("01062345678") == {before["id"]}
    assert called_back("02162345678") == {missed["id"]}
    assert called_back("01062345678") == {before["id"]}
    one = browser.get(f"/calls/{missed['id']}")
    assert (one["caller_number"], one["caller_e164"]) == ("62345678", "+862162345678")
    assert {customer["id"] for customer in one["customers"]} == {moved_here, known}
    entries = browser.get(f"/customers/{moved_here}/timeline")["entries"]
    assert {entry["call"]["id"] for entry in entries if entry["kind"] == "call"} == {missed["id"], answer["id"]}
    assert events(exchange.db) == told  # nobody is told anything again
    listener = Listener(browser)
    try:
        exchange.call(3, "02162345678")
        card = listener.next("popup").data
    finally:
        listener.close()
    assert {call["id"] for call in card["history"]} == {missed["id"], answer["id"]}
    row = crm.conn.execute("SELECT actor, data FROM audit WHERE action = 'number_corrections.add'").fetchone()
    data = json.loads(row["data"])
    assert (row["actor"], data["from"], data["before"]) == ("1", iso_utc(since), [])
    assert [(entry["from"], entry["area_code"]) for entry in data["after"]] == [(iso_utc(since), "021")]


def test_nothing_pops_up_again(home, crm, exchange, server, browse, later):
    hire(crm, "1", "super")
    browser = browse("1")
    call = exchange.call(1, "62345678")
    exchange.end(call)
    listener = Listener(browser)
    try:
        set_value(crm, "system", "site_area_code", "021")
        later(1)
        assert browser.ask("POST", PATH, {"wrong_since": iso_utc(call["started_ms"])}).status == 200
        work(home, exchange, crm)
        following = exchange.call(1, "13812345678")
        assert listener.next("popup").data["call"]["id"] == following["id"]
    finally:
        listener.close()


def test_who_may_and_what_is_no_past(crm, exchange, server, browse, later):
    hire(crm, "1", "super")
    hire(crm, "2", "super", permissions=ALL_PERMISSIONS - {Permission.SYSTEM_SETUP})
    now = later(1)
    for method, body in (("GET", None), ("POST", {"wrong_since": iso_utc(now - 1)})):
        refused = browse("2").ask(method, PATH, body)
        assert (refused.status, refused.code) == (403, "permission_missing")
    boss = browse("1")
    for wrong, code in (
        ({"wrong_since": iso_utc(now)}, "correction_not_past"),
        ({"wrong_since": "2026-05-01T00:00:00"}, "bad_input"),
        ({"wrong_since": "gestern"}, "bad_input"),
        ({}, "bad_input"),
    ):
        answer = boss.ask("POST", PATH, wrong)
        assert (answer.status, answer.code) == (400, code)
    assert boss.get(PATH) == {"number_corrections": [], "done": True}
    assert crm.conn.execute("SELECT count(*) FROM audit WHERE thing = 'number_corrections'").fetchone()[0] == 0


def test_too_many_leave_all_as_it_was(crm, monkeypatch):
    actor = Actor("1")
    for n in range(100):
        monkeypatch.setattr(corrections_module, "now_ms", lambda n=n: 100_000 * n + 2)
        set_value(crm, "system", "site_area_code", f"0{n}")
        assert len(correct_numbers(crm, 100_000 * n + 1, actor)) == n + 1
    monkeypatch.setattr(corrections_module, "now_ms", lambda: 20_000_000)
    with pytest.raises(Refused):
        correct_numbers(crm, 19_000_000, actor)
    assert crm.conn.execute("SELECT count(*) FROM audit").fetchone()[0] == 100
    assert events(crm) == []
