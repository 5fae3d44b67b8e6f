"""Holds and retention rules over HTTP: scope, two people, audit."""

from __future__ import annotations

import pytest
from crm_office import Listener, hire

from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers import Phone, add_customer
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from recorder.numbers import Site


@pytest.fixture
def browser(crm, exchange, browse):
    hire(crm, "1", "super")
    hire(crm, "2", "super")
    exchange.wire(1, 2)
    return browse("1")


def hold(browser, **wanted):
    return browser.ask("POST", "/holds", {"reason": "court"} | wanted)


def test_every_kind_of_hold(crm, exchange, browser):
    call = exchange.call(1)
    customer = add_customer(crm, {"name": "x"}, (Phone("", "13812345678"),), Actor("1"), Site())
    made = [
        hold(browser, kind="call", subject=call["id"]),
        hold(browser, kind="number", subject="138 1234 5678"),
        hold(browser, kind="customer", subject=customer.id),
        hold(browser, kind="period", **{"from": "2026-05-03T00:00:00+08:00", "to": "2026-05-09T00:00:00Z"}, channel=2),
    ]
    assert [answer.status for answer in made] == [201] * 4, made
    assert (made[3].json["from_at"], made[3].json["to_at"]) == ("2026-05-02T16:00:00.000Z", "2026-05-09T00:00:00.000Z")
    listed = browser.get("/holds")["holds"]
    assert hold(browser, kind="customer", subject=f"0{customer.id}").json["subject"] == customer.id
    assert [one["kind"] for one in listed] == ["call", "number", "customer", "period"]
    assert {(one["set_by"], one["reason"]) for one in listed} == {("1", "court")}


def test_two_people_lift_a_hold(crm, exchange, browser, browse):
    name = hold(browser, kind="number", subject="13812345678").json["id"]
    assert browser.ask("POST", f"/holds/{name}/release-confirm").code == "refused", "nobody has asked"
    assert browser.ask("POST", f"/holds/{name}/release-request").json["release_asked_by"] == "1"
    alone = browser.ask("POST", f"/holds/{name}/release-confirm")
    assert (alone.status, alone.code) == (409, "second_person")
    assert browser.ask("POST", f"/holds/{name}/release-cancel").json["release_asked_by"] is None
    assert browser.ask("POST", f"/holds/{name}/release-request").status == 200
    released = browse("2").ask("POST", f"/holds/{name}/release-confirm").json
    assert (released["release_asked_by"], released["released_by"]) == ("1", "2")
    assert released["released_at"] is not None
    assert browser.get("/holds")["holds"] == []
    assert [one["id"] for one in browser.get("/holds?released=1")["holds"]] == [name]
    rows = crm.conn.execute("SELECT action FROM audit WHERE thing = 'hold' AND action <> 'hold.read' ORDER BY id")
    actions = [row[0] for row in rows]
    assert actions == ["hold.set", "hold.release_ask", "hold.release_refused", "hold.release_cancel",
                       "hold.release_ask", "hold.release"]  # fmt: skip


def test_who_manages_holds_and_has_the_call_in_scope_hears_of_it_at_once(crm, exchange, browser, browse):
    hire(crm, "3", "ordinary", None, (2,))
    hire(crm, "4", "super", permissions=ALL_PERMISSIONS - {Permission.HOLD_MANAGE})
    hidden, shown = exchange.call(1)["id"], exchange.call(2)["id"]
    position = browser.get("/popups")["position"]
    streams = {one: Listener(browse(one), f"/events?after={position}") for one in ("2", "3", "4")}
    try:
        hold(browser, kind="call", subject=hidden)
        hold(browser, kind="period", **{"from": "2026-05-03T00:00:00Z"}, channel=1)
        hold(browser, kind="number", subject="13812345678")
        last = hold(browser, kind="call", subject=shown).json["id"]
        browser.ask("POST", f"/holds/{last}/release-request")
        browse("2").ask("POST", f"/holds/{last}/release-confirm")
        browse("3").ask("PUT", "/agent-state", {"state": "busy"})
        told = {"2": [hidden, None, None, shown, shown, shown], "3": [None, shown, shown, shown], "4": []}
        for staff_no, expected in told.items():
            seen = []
            while (event := streams[staff_no].next("office").data)["data"].get("state") != "busy":
                if event["kind"] == "hold_changed":
                    seen.append(event["call_id"])
                    assert event["data"] == {}
            assert seen == expected, staff_no
    finally:
        for stream in streams.values():
            stream.close()


def test_what_cannot_be_held(crm, exchange, browser, browse):
    hire(crm, "3", "ordinary", None, (2,))
    own, other = exchange.call(2), exchange.call(1)
    narrow = browse("3")
    assert hold(narrow, kind="call", subject=own["id"]).status == 201
    assert hold(narrow, kind="call", subject=other["id"]).status == 404, "out of scope"
    assert hold(narrow, kind="period", channel=1, **{"from": "2026-05-03T00:00:00Z"}).status == 404
    for channel in (9, 0, -1, 2**63, 10**30):
        assert hold(browser, kind="period", channel=channel, **{"from": "2026-05-03T00:00:00Z"}).status == 404, channel
    assert hold(browser, kind="call", subject="none").status == 404
    assert hold(browser, kind="customer", subject="99").status == 404
    assert hold(browser, kind="number", subject="--").code == "hold_number"
    assert hold(browser, kind="number", subject="1", reason=" ").code == "hold_reason"
    assert hold(browser, kind="period").code == "hold_period"
    assert hold(browser, kind="number", subject="1", channel=1).code == "hold_bounds"
    for moment in ("yesterday", "9999-12-31T23:59:59.9999Z", "0001-01-01T00:00:00+23:59"):
        assert hold(browser, kind="period", **{"from": moment}).code == "bad_input", moment
    assert browser.ask("GET", "/holds").status == 200, "no hold makes the list of holds unreadable"
    hire(crm, "4", "super", permissions=ALL_PERMISSIONS - {Permission.HOLD_MANAGE})
    stranger = browse("4")
    assert stranger.ask("GET", "/holds").status == 403
    assert hold(stranger, kind="number", subject="1").status == 403
    assert stranger.ask("POST", "/holds/x/release-request").status == 403
    assert browser.ask("POST", "/holds/x/release-request").status == 404


def test_retention_rules(crm, exchange, browser, browse):
    customer = add_customer(crm, {"name": "x"}, (), Actor("1"), Site())
    for path, days in (("channel/1", 30), ("group/1", 90), (f"customer/{customer.id}", 0), ("operator/2", 365)):
        answer = browser.ask("PUT", f"/retention-rules/{path}", {"days": days})
        assert (answer.status, answer.json["days"], answer.json["set_by"]) == (200, days, "1"), path
    assert browser.ask("PUT", "/retention-rules/channel/1", {"days": 31}).status == 200
    rules = {(one["kind"], one["subject"]): one["days"] for one in browser.get("/retention-rules")["rules"]}
    assert rules == {("channel", "1"): 31, ("group", "1"): 90, ("customer", customer.id): 0, ("operator", "2"): 365}
    assert browser.ask("DELETE", "/retention-rules/group/1").status == 204
    assert browser.ask("DELETE", "/retention-rules/group/1").status == 404
    assert len(browser.get("/retention-rules")["rules"]) == 3
    other_spellings = ("channel/01", "group/01", f"customer/0{customer.id}", f"customer/{customer.id}.0")
    for path in (*other_spellings, "channel/9", "group/9", "customer/99", "operator/99", "planet/1"):
        assert browser.ask("PUT", f"/retention-rules/{path}", {"days": 1}).status == 404, path
    for days in (-1, 36_501, 1.5, None):
        assert browser.ask("PUT", "/retention-rules/channel/1", {"days": days}).status == 400, days
    hire(crm, "5", "super", permissions=ALL_PERMISSIONS - {Permission.SYSTEM_SETUP})
    stranger = browse("5")
    assert stranger.ask("GET", "/retention-rules").status == 403
    assert stranger.ask("PUT", "/retention-rules/channel/1", {"days": 1}).status == 403
    assert stranger.ask("DELETE", "/retention-rules/channel/1").status == 403
    actions = crm.conn.execute(
        "SELECT action, subject FROM audit WHERE action LIKE 'retention.%' ORDER BY id"
    ).fetchall()
    assert [tuple(row) for row in actions][-2:] == [("retention.set", "channel 1"), ("retention.remove", "group 1")]


def test_a_call_tells_which_holds_protect_it(crm, exchange, browser, browse):
    hire(crm, "3", "ordinary", None, (2,))
    held, free, other = (
        exchange.call(1, "13812345678"),
        exchange.call(1, "13912345678"),
        exchange.call(2, "13712345678"),
    )
    own = hold(browser, kind="call", subject=held["id"]).json["id"]
    number = hold(browser, kind="number", subject="+86 138 1234 5678", reason="投诉").json["id"]
    assert browser.get("/calls")["held"] == [held["id"]]
    assert [one["id"] for one in browser.get(f"/holds?call={held['id']}")["holds"]] == [own, number]
    assert browser.get(f"/holds?call={free['id']}")["holds"] == []
    narrow = browse("3")
    assert narrow.ask("GET", f"/holds?call={held['id']}").status == 404, "out of scope"
    assert narrow.get("/calls")["held"] == []
    period = hold(narrow, kind="period", channel=2, **{"from": "2026-01-01T00:00:00Z"}).json["id"]
    assert [one["id"] for one in narrow.get(f"/holds?call={other['id']}")["holds"]] == [period]
    hire(crm, "5", "super", permissions=ALL_PERMISSIONS - {Permission.HOLD_MANAGE})
    assert browse("5").get("/calls")["held"] == [], "who manages no holds sees none"
