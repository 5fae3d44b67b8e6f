"""Missed calls: how they begin to wait, and what settles them."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from crm_office import START_MS, Exchange, hire
from office_records import show_popup

from crm_client_api.domain.call_back_follower import LOOKED_BACK_MS, Follower
from crm_client_api.domain.settings import read_settings
from firmware.store.connection import open_store, write

WEEK_MS = 7 * 86_400_000


@pytest.fixture
def follow(crm, exchange):
    """Works off the event log, by another follower each time: what it knows is in the store."""

    def go(follower: Follower | None = None) -> bool:
        return (follower or Follower()).follow(exchange.db, crm, read_settings(crm), exchange.now_ms)

    go()
    return go


def missed(exchange: Exchange, channel: int = 1, number: str | None = "13812345678") -> str:
    call = exchange.call(channel, number)
    exchange.end(call)
    return str(call["id"])


def talked(exchange: Exchange, direction: str, channel: int = 1, number: str = "13812345678") -> str:
    call = exchange.call(channel, number, direction)
    exchange.answer(call)
    exchange.end(call)
    return str(call["id"])


def tried(exchange: Exchange, number: str = "13812345678") -> None:
    call = exchange.call(1, number, "outgoing")
    call |= {"state": "ended", "result": "abandoned", "ended_ms": exchange.now_ms}
    exchange.event("call_ended", call=call)


def states(browser, query: str = "state=all") -> dict[str, str]:
    return {one["call"]["id"]: one["state"] for one in browser.get(f"/call-backs?{query}")["call_backs"]}


def test_a_missed_call_waits_until_somebody_talked(crm, exchange, server, browse, follow):
    hire(crm, "1", "super")
    browser = browse("1")
    first, withheld = missed(exchange), missed(exchange, number=None)
    other = missed(exchange, number="02161234567")
    second = missed(exchange, 2, "+8613812345678")
    exchange.answer(exchange.call(1, "13812345678"))  # still running: settles nothing
    assert follow()
    assert states(browser) == {first: "open", other: "open", second: "open"}
    assert withheld not in states(browser)
    waiting = browser.get("/call-backs")["call_backs"]
    assert [one["call"]["id"] for one in waiting] == [first, other, second]
    assert [one["missed_since"] for one in waiting] == [1, 0, 0]
    newest = browser.get("/call-backs?order=newest&limit=2")
    assert [one["call"]["id"] for one in newest["call_backs"]] == [second, other]
    more = browser.get(f"/call-backs?order=newest&limit=2&after={newest['next']}")
    assert ([one["call"]["id"] for one in more["call_backs"]], more["next"]) == ([first], None)
    tried(exchange, "013812345678")
    tried(exchange)
    assert follow()
    one = browser.get(f"/call-backs/{first}")
    assert (one["state"], one["tries"]) == ("open", 2)
    started = exchange.db.conn.execute("SELECT started_ms FROM calls WHERE id = ?", (first,)).fetchone()[0]
    assert 0 < one["response_ms"] < exchange.now_ms - started
    assert browser.get(f"/call-backs/{other}")["response_ms"] is None
    talk = talked(exchange, "outgoing", 3)
    later = missed(exchange)
    assert follow()
    assert states(browser) == {first: "done", other: "open", second: "done", later: "open"}
    done = browser.get(f"/call-backs/{first}")
    assert (done["closed_by_call"], done["tries"], done["changed_by"]) == (talk, 3, "")
    talked(exchange, "incoming")
    assert follow()
    assert states(browser, "") == {other: "open"}
    assert not follow()


def test_every_call_counts_once_whoever_follows(crm, exchange, follow):
    missed(exchange)
    tried(exchange)
    follower = Follower()
    for _ in range(3):
        follow(follower)
        follow()
    assert crm.conn.execute("SELECT tries FROM call_backs").fetchall()[0][0] == 1


def test_a_damaged_event_holds_up_no_call_back(crm, exchange, follow):
    first, damaged = missed(exchange), missed(exchange, number="01062345678")
    with write(exchange.db) as connection:
        connection.execute("UPDATE events SET data = '{\"坏' WHERE call_id = ?", (damaged,))
    last = missed(exchange, number="02161234567")
    assert follow()
    assert [row[0] for row in crm.conn.execute("SELECT call_id FROM call_backs ORDER BY missed_ms")] == [
        first,
        damaged,
        last,
    ]
    assert not follow()


def test_a_rebuilt_log_is_read_from_its_beginning_without_counting_twice(crm, exchange, follow):
    first = missed(exchange)
    tried(exchange)
    follow()
    with write(exchange.db) as connection:
        connection.execute("UPDATE meta SET value = 'another' WHERE key = 'epoch'")
    second = missed(exchange, number="02161234567")
    follow()
    rows = crm.conn.execute("SELECT call_id, tries FROM call_backs ORDER BY missed_ms").fetchall()
    assert [tuple(row) for row in rows] == [(first, 1), (second, 0)]
    follow()
    assert crm.conn.execute("SELECT count(*) FROM call_backs").fetchone()[0] == 2


def test_a_box_begins_with_the_missed_calls_of_a_week(crm, exchange):
    old = missed(exchange)
    exchange.now_ms += LOOKED_BACK_MS
    assert exchange.now_ms - START_MS > WEEK_MS
    young = missed(exchange, number="02161234567")
    settled = missed(exchange)
    talked(exchange, "outgoing")
    follower = Follower()
    assert follower.follow(exchange.db, crm, read_settings(crm), exchange.now_ms)
    rows = {row[0]: row[1] for row in crm.conn.execute("SELECT call_id, state FROM call_backs")}
    assert rows == {young: "open", settled: "done"}
    assert old not in rows


def test_a_box_begins_without_holding_up_other_writers(home, crm, exchange):
    left = 3_000
    with write(crm) as connection:
        connection.executemany(
            "INSERT INTO call_backs (call_id, channel, match_key, missed_ms, state, changed_ms, changed_by)"
            " VALUES (?, 1, '+8613812345678', ?, 'open', 0, '')",
            [(f"abgebrochen 中断 {number}", number) for number in range(left)],
        )
    young = missed(exchange)
    reader = open_store(home.crm_db, readonly=True)
    counts: list[int] = []

    def look(statement: str) -> None:
        if statement.startswith("BEGIN"):
            counts.append(reader.conn.execute("SELECT count(*) FROM call_backs").fetchone()[0])

    crm.conn.set_trace_callback(look)
    assert Follower().follow(exchange.db, crm, read_settings(crm), exchange.now_ms)
    crm.conn.set_trace_callback(None)
    assert counts[0] == left
    assert max(before - after for before, after in pairwise(counts)) <= 500
    assert [row[0] for row in reader.conn.execute("SELECT call_id FROM call_backs")] == [young]
    reader.conn.close()


def test_a_cut_before_the_commit_leaves_nothing_half_done(crm, exchange, follow, monkeypatch):
    missed(exchange)

    def fail(*_arguments, **_named):
        raise RuntimeError("power cut")

    monkeypatch.setattr("crm_client_api.domain.office_events.tell", fail)
    with pytest.raises(RuntimeError):
        follow()
    monkeypatch.undo()
    assert crm.conn.execute("SELECT count(*) FROM call_backs").fetchone()[0] == 0
    assert follow()
    assert crm.conn.execute("SELECT count(*) FROM call_backs").fetchone()[0] == 1


def test_take_note_settle_reopen(crm, exchange, server, browse, follow):
    hire(crm, "1", "ordinary", 1, (1,))
    hire(crm, "2", "ordinary", 1, (1,))
    hire(crm, "3", "leader", 1)
    plain, colleague, leader = browse("1"), browse("2"), browse("3")
    call = missed(exchange)
    follow()
    path = f"/call-backs/{call}"
    taken = plain.ask("PATCH", path, {"state": "taken", "note": "下午再打"}).json
    assert (taken["state"], taken["owner"], taken["note"], taken["changed_by"]) == ("taken", "1", "下午再打", "1")
    refused = colleague.ask("PATCH", path, {"state": "taken"})
    assert (refused.status, refused.code) == (409, "refused")
    assert colleague.ask("PATCH", path, {"note": "他已回电"}).json["note"] == "他已回电"
    assert plain.ask("PATCH", path, {"state": "taken", "owner": "2"}).code == "refused"
    assert leader.ask("PATCH", path, {"state": "taken", "owner": "2"}).json["owner"] == "2"
    assert states(plain, "owner=2") == {call: "taken"}
    assert colleague.ask("PATCH", path, {"state": "open"}).json["owner"] is None
    assert plain.ask("PATCH", path, {"state": "dismissed", "reason": " "}).code == "call_back_reason"
    dismissed = plain.ask("PATCH", path, {"state": "dismissed", "reason": "推销"}).json
    assert (dismissed["state"], dismissed["reason"], bool(dismissed["closed_at"])) == ("dismissed", "推销", True)
    again = leader.ask("PATCH", path, {"state": "open"}).json
    assert (again["state"], again["reason"], again["closed_at"]) == ("open", "", None)
    assert plain.ask("PATCH", path, {"state": "done"}).json["owner"] == "1"
    for body, code in (
        ({"owner": "1"}, "call_back_owner"), ({"state": "lost"}, "bad_input"), ({"note": "x" * 2001}, "field_too_long"),
    ):  # fmt: skip
        assert plain.ask("PATCH", path, body).code == code
    entries = [json.loads(r[0]) for r in crm.conn.execute("SELECT data FROM audit WHERE action = 'call_back.change'")]
    assert entries[0]["before"] == {"state": "open", "owner": None, "note": ""}
    told = [json.loads(r[0]) for r in crm.conn.execute("SELECT data FROM events WHERE kind = 'call_back_changed'")]
    assert told[-1] == {"to": ["1", "2", "3"], "call_id": call}


def test_settling_one_settles_the_numbers_earlier_ones_in_scope(crm, exchange, server, browse, follow):
    hire(crm, "1", "ordinary", None, (1,))
    hire(crm, "2", "super")
    first, elsewhere = missed(exchange), missed(exchange, 2)
    second, third = missed(exchange), missed(exchange)
    follow()
    browse("1").ask("PATCH", f"/call-backs/{second}", {"state": "done"})
    assert states(browse("2")) == {first: "done", elsewhere: "open", second: "done", third: "open"}


def test_calls_by_the_state_of_their_call_back(crm, exchange, server, browse, follow):
    hire(crm, "1", "super")
    hire(crm, "2", "ordinary", None, (2,))
    browser = browse("1")
    calls = [missed(exchange, n % 2 + 1, f"1381234567{n}") for n in range(5)]
    talked(exchange, "outgoing", 1, "13812345672")
    talked(exchange, "incoming", 1, "13900000000")
    follow()
    assert [one["id"] for one in browser.get("/calls?call_back=done")["calls"]] == [calls[2]]
    page = browser.get("/calls?call_back=open&limit=3")
    assert [one["id"] for one in page["calls"]] == [calls[4], calls[3], calls[1]]
    assert [one["id"] for one in browser.get(f"/calls?call_back=open&before={page['next']}")["calls"]] == [calls[0]]
    assert [one["id"] for one in browser.get("/calls?call_back=open&channel=2")["calls"]] == [calls[3], calls[1]]
    assert [one["id"] for one in browser.get("/calls?call_back=open&number=13812345673")["calls"]] == [calls[3]]
    assert [one["id"] for one in browse("2").get("/calls?call_back=open")["calls"]] == [calls[3], calls[1]]


def test_calls_by_time_and_by_who_handled_them(crm, exchange, server, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    calls = [exchange.call(1) for _ in range(3)]
    with write(exchange.db) as connection:
        connection.execute("UPDATE calls SET handled_by = '8001' WHERE id = ?", (calls[1]["id"],))
    assert [one["id"] for one in browser.get("/calls?handled_by=8001")["calls"]] == [calls[1]["id"]]
    assert browser.get("/calls?handled_by=8002")["calls"] == []
    middle = browser.get(f"/calls/{calls[1]['id']}")["started_at"]
    assert [one["id"] for one in browser.get(f"/calls?from={middle}")["calls"]] == [calls[2]["id"], calls[1]["id"]]
    assert [one["id"] for one in browser.get(f"/calls?to={middle}")["calls"]] == [calls[0]["id"]]
    for query in ("from=now", "to=2026-01-01", "handled_by=a%20b", "call_back=x"):
        assert browser.ask("GET", f"/calls?{query}").status == 400, query


def test_out_of_scope_does_not_exist(crm, exchange, server, browse, follow):
    hire(crm, "1", "ordinary", None, (2,))
    call = missed(exchange, 1)
    own = missed(exchange, 2)
    talked(exchange, "outgoing", 1)
    show_popup(crm, call, "2")
    follow()
    stranger = browse("1")
    assert states(stranger) == {own: "done"}
    assert stranger.get(f"/call-backs/{own}")["closed_by_call"] is None
    absent = stranger.ask("GET", "/call-backs/none")
    for method, body in (("GET", None), ("PATCH", {"state": "done"})):
        answer = stranger.ask(method, f"/call-backs/{call}", body)
        assert (answer.status, answer.body) == (404, absent.body)
    assert states(stranger, f"state=all&after={call}") == {}


def test_all_missed_calls_of_a_number_are_taken_and_settled_at_once(crm, exchange, server, browse, follow):
    hire(crm, "1", "super")
    hire(crm, "2", "ordinary", channels=(1, 2))
    hire(crm, "3", "ordinary", channels=(1, 2))
    browser, colleague = browse("2"), browse("3")
    first, second, other = missed(exchange), missed(exchange, 2, "+8613812345678"), missed(exchange, 1, "02161234567")
    assert follow()
    change = {"state": "taken", "of_number": True}
    assert browser.ask("PATCH", f"/call-backs/{first}", change).status == 200
    assert states(browser) == {first: "taken", second: "taken", other: "open"}
    third = missed(exchange)
    assert follow()
    refused = colleague.ask("PATCH", f"/call-backs/{third}", change)
    assert (refused.status, states(browser)[third]) == (409, "open")
    assert browser.ask("PATCH", f"/call-backs/{first}", {"state": "done", "of_number": True}).status == 200
    assert states(browser) == {first: "done", second: "done", third: "done", other: "open"}
    assert browser.ask("PATCH", f"/call-backs/{first}", change).status == 200  # what was settled with it comes back too
    assert states(browser) == {first: "taken", second: "taken", third: "taken", other: "open"}
