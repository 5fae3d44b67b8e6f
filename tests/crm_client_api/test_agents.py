"""Agent state and presence: it begins and ends with being logged in, and is seen by whom it concerns."""

from __future__ import annotations

import time

import pytest
from crm_office import ROOT, Browser, Listener, hire

from crm_client_api.domain.agent_state import agent_states, follow_log_ins, set_state
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.operators import set_active
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.domain.presence import alone_on, logged_in, sessions_ended
from firmware.clock import now_ms
from firmware.parameters import set_value
from firmware.store.connection import write


@pytest.fixture
def people(crm):
    hire(crm, "S", "super")
    hire(crm, "L1", "leader", 1)
    hire(crm, "L2", "leader", 2)
    hire(crm, "M1", "leader", 1)
    hire(crm, "A", "ordinary", None, (1,))


def states(listener: Listener, of: str, count: int) -> list:
    found: list = []
    while len(found) < count:
        event = listener.next("office")
        assert event is not None
        if event.data["kind"] == "agent_state" and event.data["data"]["staff_no"] == of:
            found.append(event.data["data"])
    return found


def logged(crm, staff_no: str, count: int) -> list[tuple]:
    """The rows of the log, once there are so many."""
    deadline = time.monotonic() + 15
    while True:
        rows = crm.conn.execute(
            "SELECT state, reason, from_ms, to_ms FROM agent_state_log WHERE staff_no = ? ORDER BY rowid", (staff_no,)
        ).fetchall()
        if len(rows) >= count or time.monotonic() > deadline:
            return [tuple(row) for row in rows]
        time.sleep(0.02)


def test_a_state_begins_with_logging_in_changes_and_ends_with_logging_out(crm, browse, people):
    watcher = Listener(browse("L1"))
    browser = browse("M1")
    assert browser.get("/agent-state")["state"] == "idle"
    assert states(watcher, "M1", 1)[0]["state"] == "idle"
    busy = browser.ask("PUT", "/agent-state", {"state": "busy", "reason": "  写报告 "}).json
    assert (busy["state"], busy["reason"]) == ("busy", "写报告")
    again = browser.ask("PUT", "/agent-state", {"state": "busy", "reason": "写报告"}).json
    assert again["since"] == busy["since"], "the same state goes on"
    assert browser.ask("PUT", "/agent-state", {"state": "wrap_up"}).json["reason"] == ""
    assert [one["state"] for one in states(watcher, "M1", 3)] == ["busy", "busy", "wrap_up"]
    assert browser.get("/agent-state")["state"] == "wrap_up"
    assert browser.ask("DELETE", "/session").status == 204
    (gone,) = states(watcher, "M1", 1)
    assert (gone["state"], gone["since_ms"]) == (None, None)
    rows = logged(crm, "M1", 3)
    assert [row[:2] for row in rows] == [("idle", ""), ("busy", "写报告"), ("wrap_up", "")]
    assert rows[0][3] == rows[1][2]
    assert rows[1][3] == rows[2][2]
    assert all(one[2] <= one[3] for one in rows)
    watcher.close()


@pytest.mark.parametrize("body", [{"state": "asleep"}, {"state": "busy", "reason": "x" * 101}, {}])
def test_a_wrong_state_changes_nothing(browse, people, body):
    browser = browse("A")
    assert browser.ask("PUT", "/agent-state", body).code == "bad_input"
    assert browser.get("/agent-state")["state"] == "idle"


def test_changes_are_audited_with_before_and_after(crm, browse, people):
    browse("A").ask("PUT", "/agent-state", {"state": "away", "reason": "lunch"})
    rows = crm.conn.execute("SELECT data FROM audit WHERE action = 'agent_state.change'").fetchall()
    assert [row[0] for row in rows] == [
        '{"before":{"state":"idle","reason":""},"after":{"state":"away","reason":"lunch"}}'
    ]


def test_only_whom_it_concerns_is_told(crm, exchange, browse, people):
    other, own = browse("L2"), browse("A")
    listeners = [Listener(other), Listener(own)]
    browse("M1").ask("PUT", "/agent-state", {"state": "away"})
    own.ask("PUT", "/agent-state", {"state": "busy"})
    assert states(listeners[1], "A", 1)
    other.ask("PUT", "/agent-state", {"state": "busy"})
    told = []
    while not told or told[-1] != ("L2", "busy"):
        data = listeners[0].next("office").data["data"]
        told.append((data["staff_no"], data["state"]))
    assert {staff_no for staff_no, _ in told} == {"L2"}, "neither the group's nor another's"
    for listener in listeners:
        listener.close()


def test_people_see_those_who_are_theirs(crm, exchange, browse, people):
    boss, leader, ordinary = browse("S"), browse("L1"), browse("A")
    listener = Listener(ordinary)
    call = exchange.call(1)
    listener.next("popup")
    assert ordinary.ask("POST", f"/calls/{call['id']}/take").status == 200
    assert ordinary.get(f"/calls/{call['id']}")["handled_how"] == "taken"
    ordinary.ask("PUT", "/agent-state", {"state": "busy", "reason": "通话"})
    everybody = {one["staff_no"]: one for one in boss.get("/agents")["agents"]}
    assert set(everybody) == {"S", "L1", "L2", "M1", "A"}
    one = everybody["A"]
    assert (one["state"], one["reason"], one["streams"], one["calls"]) == ("busy", "通话", 1, [call["id"]])
    assert (one["channels"], [at["address"] for at in one["log_ins"]]) == ([1], ["127.0.0.1"])
    assert (everybody["M1"]["state"], everybody["M1"]["log_ins"], everybody["M1"]["calls"]) == (None, [], [])
    assert [agent["staff_no"] for agent in leader.get("/agents")["agents"]] == ["L1", "M1"]
    assert [agent["staff_no"] for agent in ordinary.get("/agents")["agents"]] == ["A"]
    exchange.end(call)
    assert {tuple(agent["calls"]) for agent in boss.get("/agents")["agents"]} == {()}
    listener.close()


def test_everybody_knows_to_whom_a_card_can_be_handed(crm, exchange, browse, people):
    hire(crm, "N", "ordinary", None, (1,), ALL_PERMISSIONS - {Permission.NET_POPUP})
    hire(crm, "X", "ordinary", None, (1,))
    ordinary, leader = browse("A"), browse("L2")
    browse("N")
    browse("X")
    set_active(crm, "X", False, ROOT, None)
    leader.ask("PUT", "/agent-state", {"state": "busy", "reason": "写报告"})
    listener = Listener(ordinary)
    call = exchange.call(1)
    listener.next("popup")
    told = ordinary.get("/agents")["colleagues"]
    assert told == [{"staff_no": "L2", "name": "name of L2", "state": "busy"}], "and neither why nor from where"
    assert [one["staff_no"] for one in leader.get("/agents")["colleagues"]] == ["A"]
    assert ordinary.ask("POST", f"/calls/{call['id']}/popup/hand", {"staff_no": "L2"}).status == 204
    for nobody in ("N", "X", "S"):
        assert ordinary.ask("POST", f"/calls/{call['id']}/popup/hand", {"staff_no": nobody}).status in (404, 409)
    listener.close()


def test_a_leader_sees_no_call_out_of_scope(crm, exchange, browse):
    for name in ("L1", "M1"):
        hire(crm, name, "leader", 1)
    hire(crm, "S", "super")
    set_value(crm, "channel", "group", 2, subject="5")
    boss = browse("S")
    call = exchange.call(5)
    with write(crm) as connection:
        connection.execute("INSERT INTO call_takings VALUES (?, 'M1', 1, 'taken')", (call["id"],))
    assert [one["calls"] for one in browse("L1").get("/agents")["agents"]] == [[], []]
    assert {one["staff_no"]: one["calls"] for one in boss.get("/agents")["agents"]}["M1"] == [call["id"]]


def test_a_session_that_ends_by_itself_ends_the_state_when_it_did(crm):
    hire(crm, "A", "ordinary", None, (1,))
    now, idle = now_ms(), 900_000
    with write(crm) as connection:
        connection.execute(
            "INSERT INTO sessions (token_hash, staff_no, address, created_ms, last_used_ms) VALUES ('t','A','x',?,?)",
            (now - 5 * idle, now - 2 * idle),
        )
    since = {name: sessions[0].since_ms for name, sessions in logged_in(crm, now - 2 * idle, idle).items()}
    assert follow_log_ins(crm, since, {}, now - 2 * idle) == (["A"], [])
    set_state(crm, "A", "away", "", Actor("A"), now - 2 * idle, 0)
    assert logged_in(crm, now, idle) == {}
    assert follow_log_ins(crm, {}, sessions_ended(crm, idle), now) == ([], ["A"])
    assert logged(crm, "A", 2)[-1] == ("away", "", now - 2 * idle, now - idle)
    assert agent_states(crm) == {}
    assert follow_log_ins(crm, {}, {}, now) == ([], [])


def test_who_is_switched_off_is_no_longer_there(crm, browse, people):
    listener = Listener(browse("S"))
    browse("A").get("/agent-state")
    assert states(listener, "A", 1)[0]["state"] == "idle"
    set_active(crm, "A", False, ROOT, None)
    assert states(listener, "A", 1)[0]["state"] is None
    listener.close()


def test_the_only_one_at_the_channel_is_found(crm):
    hire(crm, "A", "ordinary", None, (1, 2))
    hire(crm, "B", "ordinary", None, (2,))
    hire(crm, "C", "ordinary", None, (1,))
    assert alone_on(crm, ["A", "B"]) == {1: "A"}
    assert alone_on(crm, ["C", "B"]) == {1: "C", 2: "B"}
    assert alone_on(crm, ["A", "C"]) == {2: "A"}
    assert alone_on(crm, []) == {}


def handled(browser, call_id: str, wanted: str | None) -> str | None:
    deadline = time.monotonic() + 15
    while (found := browser.get(f"/calls/{call_id}")["handled_by"]) != wanted and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def test_an_answered_call_is_handled_by_the_only_one_there_until_somebody_takes_it(crm, exchange, browse, people):
    boss = browse("S")
    browse("A")
    call = exchange.call(1)
    exchange.answer(call)
    assert handled(boss, call["id"], "A") == "A"
    assert boss.get(f"/calls/{call['id']}")["handled_how"] == "only_one"
    taken = crm.conn.execute("SELECT staff_no, how FROM call_takings").fetchall()
    assert [tuple(row) for row in taken] == [("A", "only_one")]
    order = crm.conn.execute("SELECT verb, call_id, asked_by, data FROM orders").fetchall()
    assert [tuple(row) for row in order] == [("handle", call["id"], "box", '{"staff_no":"A"}')]
    assert boss.ask("POST", f"/calls/{call['id']}/take").status == 200, "who says so goes before"
    assert handled(boss, call["id"], "S") == "S"
    assert boss.ask("DELETE", f"/calls/{call['id']}/take").status == 204
    assert handled(boss, call["id"], "A") == "A", "as it was before"
    last_order = crm.conn.execute("SELECT data FROM orders ORDER BY id DESC LIMIT 1").fetchone()
    assert last_order[0] == '{"staff_no":"A"}'
    hire(crm, "B", "ordinary", None, (1,))
    browse("B")
    several = exchange.call(1)
    exchange.answer(several)
    alone = exchange.call(2)
    exchange.answer(alone)
    hire(crm, "C", "ordinary", None, (3,))
    browse("C")
    last = exchange.call(3)
    exchange.answer(last)
    assert handled(boss, last["id"], "C") == "C"
    assert boss.get(f"/calls/{several['id']}")["handled_by"] is None
    assert boss.get(f"/calls/{alone['id']}")["handled_by"] is None


def test_what_was_answered_while_the_api_was_away_is_looked_at_when_it_is_back(crm, exchange, serve):
    hire(crm, "A", "ordinary", None, (1,))
    first = serve()
    browser = Browser(first.port)
    browser.log_in("A")
    first.stop()
    call = exchange.call(1)
    exchange.answer(call)
    again = Browser(serve().port, browser.cookie, browser.csrf)
    assert handled(again, call["id"], "A") == "A"


def test_what_was_answered_and_ended_while_the_api_was_away_has_its_handler_too(crm, exchange, serve):
    """Who was there then counts, not who is there when the API is back; nothing is concluded twice."""
    hire(crm, "S", "super")
    hire(crm, "A", "ordinary", None, (1,))
    hire(crm, "B", "ordinary", None, (1, 2))
    first = serve()
    boss, sitting = Browser(first.port), Browser(first.port)
    boss.log_in("S")
    sitting.log_in("A")
    first.stop()
    with write(crm) as connection:  # the calls are of a time between: nobody is to wait for them here
        connection.execute("UPDATE sessions SET created_ms = created_ms - 60000")
    exchange.now_ms = now_ms() - 30_000
    missed = [exchange.call(1), exchange.call(2)]
    for call in missed:
        exchange.answer(call)
        exchange.end(call)
    second = serve()
    late = Browser(second.port)
    late.log_in("B")
    boss = Browser(second.port, boss.cookie, boss.csrf)
    assert handled(boss, missed[0]["id"], "A") == "A"
    assert boss.get(f"/calls/{missed[0]['id']}")["handled_how"] == "only_one"
    assert boss.get(f"/calls/{missed[1]['id']}")["handled_by"] is None, "B came later"
    second.stop()
    with write(crm) as connection:
        connection.execute("DELETE FROM call_takings")
    boss = Browser(serve().port, boss.cookie, boss.csrf)
    after = exchange.call(2)
    exchange.answer(after)
    assert handled(boss, after["id"], "B") == "B"
    assert boss.get(f"/calls/{missed[0]['id']}")["handled_by"] is None, "once"
