"""Calls are found by what their number means, however it was dialled, and also after the site's settings changed."""

from __future__ import annotations

import pytest
from crm_office import Browser, Exchange, Listener, hire

from crm_client_api.domain.audit import Actor
from crm_client_api.domain.call_back_follower import Follower
from crm_client_api.domain.customers import Phone, add_customer
from crm_client_api.domain.customers.read import match_number
from crm_client_api.domain.key_renewal import renew_number_keys
from crm_client_api.domain.settings import read_settings
from firmware.parameters import set_value
from firmware.store.connection import write
from recorder.library.keeping.number_keys import all_keyed, key_next
from recorder.numbers import Site, site_of

BEIJING, SHANGHAI = Site(), Site("CN", "021")
MOBILE, ELSEWHERE = "13812345678", "1795113812345678"


def customer(crm, name: str, *numbers: str) -> str:
    return add_customer(crm, {"name": name}, tuple(Phone("", one) for one in numbers), Actor("1"), site_of(crm)).id


def found(browser: Browser, path: str) -> list[str]:
    page = browser.get(path)
    return [one["id"] for one in page["calls"]]


def move(crm, area_code: str) -> None:
    set_value(crm, "system", "site_area_code", area_code)


@pytest.mark.parametrize("keyed", [True, False])
def test_a_number_by_another_carrier_is_in_every_list(crm, exchange, server, browse, keyed):
    hire(crm, "1", "super")
    browser = browse("1")
    known = customer(crm, "王小明", MOBILE)
    out = exchange.call(1, ELSEWHERE, "outgoing")
    exchange.end(out)
    recording = exchange.recording(out, "x.flac")
    exchange.end(exchange.call(1, "13812345679"))
    if not keyed:  # as the store of an older version
        with write(exchange.db) as connection:
            connection.execute("UPDATE calls SET caller_key = NULL, dialled_key = NULL")
            connection.execute("INSERT INTO meta VALUES ('calls_without_key', '0')")
        while key_next(exchange.db, BEIJING):
            pass
        assert all_keyed(exchange.db.conn)
    for number in (MOBILE, "%2B8613812345678", "013812345678"):
        assert found(browser, f"/calls?number={number}") == [out["id"]]
        recordings = browser.get(f"/recordings?number={number}")["recordings"]
        assert [one["id"] for one in recordings] == [recording]
    assert found(browser, f"/calls?customer={known}") == [out["id"]]
    entries = browser.get(f"/customers/{known}/timeline")["entries"]
    assert [one["call"]["id"] for one in entries if one["kind"] == "call"] == [out["id"]]
    assert browser.get(f"/calls/{out['id']}")["customers"][0]["id"] == known
    assert browser.ask("POST", "/holds", {"kind": "number", "subject": MOBILE, "reason": "纠纷"}).status == 201
    assert found(browser, "/calls?held=true") == [out["id"]]
    listener = Listener(browser)
    ringing = exchange.call(1, MOBILE)
    card = listener.next("popup").data
    assert card["call"]["id"] == ringing["id"]
    assert [one["id"] for one in card["history"]] == [out["id"]]


def test_until_older_calls_have_keys_their_usual_spellings_are_found(crm, exchange, server, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    old = exchange.call(1, "013812345678")
    exchange.end(old)
    with write(exchange.db) as connection:
        connection.execute("UPDATE calls SET caller_key = NULL, dialled_key = NULL")
        connection.execute("INSERT INTO meta VALUES ('calls_without_key', '0')")
    new = exchange.call(1, ELSEWHERE)
    exchange.end(new)
    known = customer(crm, "王小明", MOBILE)
    assert found(browser, "/calls?number=%2B8613812345678") == [new["id"], old["id"]]
    assert found(browser, f"/calls?customer={known}") == [new["id"], old["id"]]
    entries = browser.get(f"/customers/{known}/timeline")["entries"]
    assert [one["call"]["id"] for one in entries if one["kind"] == "call"] == [new["id"], old["id"]]
    assert browser.get(f"/calls/{old['id']}")["caller_e164"] == "+8613812345678"


def test_calls_say_what_their_numbers_meant_where_they_were_heard(crm, exchange, server, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    local, short = exchange.call(1, "62345678"), exchange.call(2, "10086", "outgoing")
    for call in (local, short):
        exchange.end(call)
    one = browser.get(f"/calls/{local['id']}")
    assert (one["caller_number"], one["caller_e164"], one["dialled_e164"]) == ("62345678", "+861062345678", None)
    assert browser.get(f"/calls/{short['id']}")["dialled_e164"] is None
    move(crm, "021")
    exchange.site = SHANGHAI
    there = exchange.call(1, "62345678")
    exchange.end(there)
    assert browser.get(f"/calls/{local['id']}")["caller_e164"] == "+861062345678"
    assert browser.get(f"/calls/{there['id']}")["caller_e164"] == "+862162345678"
    assert found(browser, "/calls?number=%2B861062345678") == [local["id"]]
    assert found(browser, "/calls?number=%2B862162345678") == [there["id"]]
    other, here = (customer(crm, name, f"{area}62345678") for name, area in
                   (("京", "010"), ("沪", "021")))  # fmt: skip
    assert [browser.get(f"/calls/{call['id']}")["customers"][0]["id"] for call in (local, there)] == [other, here]
    assert found(browser, f"/calls?customer={other}") == [local["id"]]


def test_a_known_customer_is_never_unknown_while_keys_are_renewed(crm, exchange):
    hire(crm, "1", "super")
    known = customer(crm, "王小明", "62345678")
    full = customer(crm, "李雷", "021-62345678")
    elsewhere = customer(crm, "韩梅梅", "010-62345678")

    def match(number: str) -> list[str]:
        return [one.customer.id for one in match_number(crm, number, site_of(crm))]

    assert renew_number_keys(exchange.db, crm, BEIJING)
    assert not renew_number_keys(exchange.db, crm, BEIJING)
    assert match("62345678") == [known, elsewhere]
    move(crm, "021")
    for _ in range(2):
        assert match("62345678") == match("+862162345678") == match("1795102162345678") == [known, full]
        assert match("01062345678") == [elsewhere]
        move(crm, "0755")  # changed once more before anything was renewed
        assert match("075562345678") == [known]
        move(crm, "021")
        assert renew_number_keys(exchange.db, crm, SHANGHAI) in (True, False)
    keys = [row[0] for row in crm.conn.execute("SELECT match_key FROM customer_phones ORDER BY customer_id")]
    assert keys == ["+862162345678", "+862162345678", "+861062345678"]


def test_keys_that_were_half_renewed_are_found_too(crm, exchange, monkeypatch):
    hire(crm, "1", "super")
    known = [customer(crm, f"客户{n}", f"6234567{n}") for n in range(4)]
    renew_number_keys(exchange.db, crm, BEIJING)
    move(crm, "021")

    def half(_crm, site):
        with write(crm) as connection:
            connection.execute(
                "UPDATE customer_phones SET match_key = '+8621' || number WHERE customer_id IN (?,?)", known[:2]
            )
        raise RuntimeError("the power failed")

    monkeypatch.setattr("crm_client_api.domain.key_renewal.renew_match_keys", half)
    with pytest.raises(RuntimeError):
        renew_number_keys(exchange.db, crm, SHANGHAI)
    monkeypatch.undo()
    for area, site in (("021", SHANGHAI), ("0755", Site("CN", "0755"))):
        move(crm, area)
        for n, one in enumerate(known):
            assert [match.customer.id for match in match_number(crm, f"6234567{n}", site)] == [one]
    renew_number_keys(exchange.db, crm, Site("CN", "0755"))
    keys = {row[0][:6] for row in crm.conn.execute("SELECT match_key FROM customer_phones")}
    assert keys == {"+86755"}


def test_waiting_call_backs_are_called_back_from_the_site_of_today(crm, exchange: Exchange, server, browse):
    hire(crm, "1", "super")
    browser, follower = browse("1"), Follower()

    def state_of(call_id: str) -> str:
        follower.follow(exchange.db, crm, read_settings(crm), exchange.now_ms)
        page = browser.get("/call-backs?state=all")["call_backs"]
        return {one["call"]["id"]: one["state"] for one in page}[call_id]

    first, done, answer = (
        exchange.call(1, "62345678"),
        exchange.call(1, "61111111"),
        exchange.call(1, "61111111", "outgoing"),
    )
    exchange.answer(answer)
    for call in (first, done, answer):
        exchange.end(call)
    assert (state_of(first["id"]), state_of(done["id"])) == ("open", "done")
    move(crm, "021")
    exchange.site = SHANGHAI
    renew_number_keys(exchange.db, crm, SHANGHAI)
    keys = dict(crm.conn.execute("SELECT call_id, match_key FROM call_backs").fetchall())
    assert keys == {first["id"]: "+862162345678", done["id"]: "+861061111111"}
    again = exchange.call(1, "02162345678", "outgoing")
    exchange.answer(again)
    exchange.end(again)
    assert state_of(first["id"]) == "done"
