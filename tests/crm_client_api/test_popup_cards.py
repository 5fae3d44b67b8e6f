"""What stands on a card, who may open it again, take the call and hand the card on, and what everybody is told."""

from __future__ import annotations

import pytest
from crm_office import Browser, Exchange, Listener, hire

from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers import Phone, add_customer
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.clock import now_ms
from firmware.parameters import set_value
from firmware.store.connection import write
from recorder.numbers import Site

NUMBER = "13812345678"
P = Permission


def customer(crm, owner: str, name: str, number: str = NUMBER) -> str:
    return add_customer(crm, {"name": name}, (Phone("", number),), Actor(owner), Site()).id


def note(crm, customer_id: str, owner: str, subject: str, at_ms: int = 1) -> None:
    with write(crm) as connection:
        connection.execute(
            "INSERT INTO communications (customer_id, at_ms, subject, content, author, owner, created_ms, changed_ms)"
            " VALUES (?,?,?,?,?,?,1,1)",
            (int(customer_id), at_ms, subject, "内容" * 400, owner, owner),
        )


@pytest.fixture
def people(crm):
    """Group 1 has channel 1 and a leader, group 2 has channel 5; ordinary operators sit at channels 1 and 5."""
    for group in (1, 2):
        hire(crm, f"L{group}", "leader", group)
    plain = ALL_PERMISSIONS - {P.CUSTOMER_SHARE, P.COMMUNICATION_SHARE}
    hire(crm, "S", "super", permissions=plain)
    hire(crm, "A", "ordinary", None, (1,), plain)
    hire(crm, "B", "ordinary", None, (1,), plain)
    hire(crm, "C", "ordinary", None, (5,), plain)
    hire(crm, "Q", "ordinary", None, (1,), plain - {P.NET_POPUP})
    set_value(crm, "channel", "group", 2, subject="5")


def popup(browser: Browser, exchange: Exchange, number: str = NUMBER) -> dict:
    """Ring channel 1 and see the card."""
    listener = Listener(browser)
    exchange.call(1, number)
    card = listener.next("popup").data
    listener.close()
    return card


def office(listener: Listener, *kinds: str) -> dict:
    while True:
        event = listener.next("office")
        assert event is not None
        if event.data["kind"] in kinds:
            return event.data


def test_records_on_the_card_are_in_the_readers_scope_and_cut(crm, exchange, browse, people):
    own, foreign = customer(crm, "A", "王"), customer(crm, "B", "Li")
    for number in range(7):
        note(crm, own, "A", f"own {number}", at_ms=number)
    note(crm, own, "B", "another's record of an own customer", at_ms=99)
    note(crm, foreign, "A", "own record of a foreign customer", at_ms=98)
    card = popup(browse("A"), exchange)
    assert [one["name"] for one in card["customers"]] == ["王"]
    assert [one["subject"] for one in card["communications"]] == [f"own {number}" for number in (6, 5, 4, 3, 2)]
    assert {len(one["content"]) for one in card["communications"]} == {500}
    assert card["offers_note"] is True
    assert card["rows"] == ["D"]
    seen = popup(browse("S"), exchange)
    assert [one["subject"] for one in seen["communications"]][:2] == [
        "another's record of an own customer", "own record of a foreign customer",
    ]  # fmt: skip


def test_history_and_notes_need_their_permissions(crm, exchange, browse):
    hire(crm, "1", "ordinary", None, (1,), frozenset({P.NET_POPUP}))
    hire(crm, "2", "ordinary", None, (2,), frozenset({P.NET_POPUP, P.COMMUNICATION_MANAGE}))
    own = customer(crm, "1", "王")
    note(crm, own, "1", "secret")
    exchange.end(exchange.call(2, NUMBER))
    card = popup(browse("1"), exchange)
    assert [one["name"] for one in card["customers"]] == ["王"], "the card itself needs net_popup only"
    assert (card["communications"], card["offers_note"], card["offers_new_customer"]) == ([], False, False)
    assert card["call"]["customers"] == []
    assert card["history"] == [], "channel 2 is out of scope"


def test_a_receipt_is_written_once_and_opens_the_card_again(crm, exchange, browse, people):
    browser, other = browse("A"), browse("C")
    card = popup(browser, exchange)
    call_id = card["call"]["id"]
    again = browser.get(f"/calls/{call_id}/popup")
    assert (again["call"]["id"], again["rows"], again["offers_new_customer"]) == (call_id, ["H"], True)
    assert browser.get("/popups")["popups"][0]["call"]["id"] == call_id
    browser.get("/popups")
    browser.get(f"/calls/{call_id}/popup")
    rows = crm.conn.execute("SELECT staff_no, handed_by FROM popup_receipts WHERE call_id = ?", (call_id,)).fetchall()
    assert [tuple(row) for row in rows] == [("A", None)]
    for path in (f"/calls/{call_id}/popup", "/calls/unknown/popup"):
        assert other.ask("GET", path).status == 404
    assert browse("Q").ask("GET", f"/calls/{call_id}/popup").code == "permission_missing"
    assert browse("S").ask("GET", f"/calls/{call_id}/popup").status == 404, "nobody showed it to the super operator"


def test_who_may_no_longer_see_the_customer_gets_an_empty_card(crm, exchange, browse, people):
    own = customer(crm, "A", "王")
    browser = browse("A")
    call_id = popup(browser, exchange)["call"]["id"]
    with write(crm) as connection:
        connection.execute("UPDATE customers SET owner = 'B' WHERE id = ?", (int(own),))
    again = browser.get(f"/calls/{call_id}/popup")
    assert (again["customers"], again["rows"], again["offers_new_customer"]) == ([], [], False)


def test_acknowledging_is_told_to_ones_other_clients_only(crm, exchange, browse, people):
    first, second, other = browse("A"), browse("A"), browse("B")
    listeners = [Listener(one) for one in (first, second, other)]
    call = exchange.call(1, NUMBER)
    for listener in listeners:
        listener.next("popup")
    for _ in range(2):
        assert first.ask("POST", f"/calls/{call['id']}/popup/acknowledge").status == 204
    assert other.ask("POST", f"/calls/{call['id']}/take").status == 200
    assert office(listeners[1], "popup_acknowledged", "call_taken")["kind"] == "popup_acknowledged"
    assert office(listeners[1], "popup_acknowledged", "call_taken")["kind"] == "call_taken", "acknowledged once"
    assert office(listeners[2], "popup_acknowledged", "call_taken")["kind"] == "call_taken"
    assert browse("C").ask("POST", f"/calls/{call['id']}/popup/acknowledge").status == 404
    for listener in listeners:
        listener.close()


def test_the_first_takes_it_and_everybody_who_was_shown_it_is_told(crm, exchange, browse, people):
    first, second = browse("A"), browse("B")
    listeners = [Listener(first), Listener(second)]
    call = exchange.call(1, NUMBER)
    for listener in listeners:
        listener.next("popup")
    path = f"/calls/{call['id']}/take"
    taken = first.ask("POST", path)
    assert (taken.status, taken.json["staff_no"], taken.json["how"]) == (200, "A", "taken")
    assert first.ask("POST", path).json == taken.json, "once more is no other"
    refused = second.ask("POST", path)
    assert (refused.status, refused.code) == (409, "taken")
    assert "A name of A" in refused.json["error"]["message"]
    for listener in listeners:
        told = office(listener, "call_taken")
        assert (told["call_id"], told["data"]) == (call["id"], {"staff_no": "A", "name": "name of A"})
    assert second.get(f"/calls/{call['id']}")["handled_by"] == "A"
    assert browse("C").ask("POST", path).status == 404
    assert second.ask("DELETE", path).code == "taken"
    assert first.ask("DELETE", path).status == 204
    assert office(listeners[1], "call_released")["data"]["staff_no"] == "A"
    assert first.ask("DELETE", path).code == "refused"
    assert second.get(f"/calls/{call['id']}")["handled_by"] is None
    assert second.ask("POST", path).status == 200
    exchange.end(call)
    assert second.ask("DELETE", path).code == "refused"
    orders = crm.conn.execute("SELECT asked_by, verb, call_id, channel, data FROM orders ORDER BY id").fetchall()
    assert [tuple(row) for row in orders] == [
        (who, "handle", call["id"], None, data)
        for who, data in (("A", '{"staff_no":"A"}'), ("A", '{"staff_no":null}'), ("B", '{"staff_no":"B"}'))
    ]
    for listener in listeners:
        listener.close()


def test_only_one_of_many_who_take_it_at_once_has_it(crm, exchange, browse, people):
    import threading

    browsers = {name: browse(name) for name in ("A", "B", "S", "L1")}
    call = exchange.call(1, NUMBER)
    answers: dict[str, int] = {}
    barrier = threading.Barrier(4)

    def take(name: str) -> None:
        barrier.wait()
        answers[name] = browsers[name].ask("POST", f"/calls/{call['id']}/take").status

    threads = [threading.Thread(target=take, args=(name,)) for name in browsers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers.values()) == [200, 409, 409, 409]
    (who,) = [name for name, status in answers.items() if status == 200]
    assert browsers["S"].get(f"/calls/{call['id']}")["handled_by"] == who


@pytest.mark.parametrize(("hours", "status"), [(23, 200), (25, 409)])
def test_a_call_is_taken_and_given_back_until_a_day_after_its_end(exchange, browse, people, hours, status):
    exchange.wire(1)
    exchange.now_ms = now_ms() - hours * 3_600_000
    call = exchange.call(1, NUMBER)
    exchange.answer(call)
    exchange.end(call)
    one = browse("A")
    assert one.ask("POST", f"/calls/{call['id']}/take").status == status
    handler = one.get(f"/calls/{call['id']}")["handled_by"]
    assert handler == ("A" if status == 200 else None)
    assert one.ask("DELETE", f"/calls/{call['id']}/take").status == (204 if status == 200 else 409)
    assert one.get(f"/calls/{call['id']}")["handled_by"] is None


def test_a_card_handed_on_shows_what_the_colleague_may_see(crm, exchange, browse, people):
    customer(crm, "A", "王")
    theirs = customer(crm, "C", "陈")
    note(crm, theirs, "C", "theirs")
    sender, colleague = browse("A"), browse("C")
    listener, again = Listener(colleague), None
    exchange.now_ms = now_ms()  # an ended call can be taken for a while
    call_id = popup(sender, exchange)["call"]["id"]
    path = f"/calls/{call_id}/popup/hand"
    assert sender.ask("POST", path, {"staff_no": "C"}).status == 204
    event = listener.next("popup", "call")
    assert event.event == "popup", "channel 1 is out of the colleague's scope: nothing came before"
    assert [one["name"] for one in event.data["customers"]] == ["陈"]
    assert (event.data["handed_by"], event.data["rows"], event.data["offers_new_customer"]) == ("A", [], False)
    assert [one["subject"] for one in event.data["communications"]] == ["theirs"]
    snapshot = colleague.get("/popups")
    assert [one["handed_by"] for one in snapshot["popups"]] == ["A"]
    again = Listener(colleague, f"/events?after={snapshot['position']}")
    assert sender.ask("POST", path, {"staff_no": "C"}).status == 204
    for one in (listener, again):
        told = office(one, "popup_handed")
        assert told["data"] == {"by": "A", "name": "name of A", "again": True}
    row = exchange.db.conn.execute("SELECT * FROM calls WHERE id = ?", (call_id,)).fetchone()
    running = dict(row)
    exchange.answer(running)
    exchange.end(running)
    for one in (listener, again):  # the card follows its call to the end
        assert [one.next("call").data["state"] for _ in range(2)] == ["talking", "ended"]
        one.close()
    resumed = Listener(colleague, "/events", last_id=event.id)
    followed = [resumed.next("call", "popup") for _ in range(4)]
    assert [one.data["state"] for one in followed] == ["ringing", "ringing", "talking", "ended"], "and no second card"
    resumed.close()
    assert colleague.get(f"/calls/{call_id}/popup")["handed_by"] == "A"
    assert colleague.ask("GET", f"/calls/{call_id}").status == 404, "the call itself stays out of scope"
    assert colleague.ask("POST", f"/calls/{call_id}/take").status == 200


def test_a_card_goes_only_to_who_can_use_it(crm, exchange, browse, people):
    sender = browse("A")
    browse("Q")
    call_id = popup(sender, exchange)["call"]["id"]
    path = f"/calls/{call_id}/popup/hand"
    assert sender.ask("POST", path, {"staff_no": "A"}).code == "bad_input"
    assert sender.ask("POST", path, {"staff_no": "nobody"}).status == 404
    assert sender.ask("POST", path, {"staff_no": "Q"}).code == "refused", "no net_popup"
    assert sender.ask("POST", path, {"staff_no": "C"}).code == "refused", "not logged in"
    browse("C")
    assert browse("C").ask("POST", path, {"staff_no": "A"}).status == 404, "never shown it"
    colleague = Listener(browse("B"))
    second = exchange.call(1, "62345678")
    colleague.next("popup")
    sender.get("/popups")
    assert sender.ask("POST", f"/calls/{second['id']}/popup/hand", {"staff_no": "B"}).status == 204
    assert office(colleague, "popup_handed")["data"]["again"] is True, "the rules had shown it already"
    colleague.close()


def test_the_trace_says_who_was_there_and_who_was_shown_it(crm, exchange, browse, people):
    boss, ordinary = browse("S"), browse("A")
    listener = Listener(ordinary)
    call = exchange.call(1, NUMBER)
    listener.next("popup")
    assert ordinary.ask("POST", f"/calls/{call['id']}/popup/acknowledge").status == 204
    trace = boss.get(f"/calls/{call['id']}/popup-trace")
    lines = {line["staff_no"]: line for line in trace["operators"]}
    assert lines["A"]["shown_at"] is not None
    assert lines["A"]["acknowledged_at"] is not None
    assert (lines["A"]["logged_in"], lines["A"]["streams"], lines["A"]["shows"]) == (True, 1, True)
    assert (lines["B"]["logged_in"], lines["B"]["shown_at"], lines["B"]["shows"]) == (False, None, True)
    assert (lines["C"]["shows"], lines["S"]["streams"]) == (False, 0)
    with write(crm) as connection:
        connection.execute("UPDATE operators SET active = 0 WHERE staff_no IN ('A', 'B')")
    lines = {line["staff_no"]: line for line in boss.get(f"/calls/{call['id']}/popup-trace")["operators"]}
    assert "A" in lines, "shown it before leaving"
    assert "B" not in lines
    listener.close()


def test_a_call_that_nobody_makes_is_tried_out(crm, exchange, browse, people):
    exchange.wire(1, 5)
    hire(crm, "M", "leader", 1, permissions=frozenset({P.OPERATOR_MANAGE, P.CUSTOMER_MANAGE}))
    customer(crm, "A", "王")
    customer(crm, "C", "陈")
    boss, leader = browse("S"), browse("M")
    body = {"channel": 1, "number": "013812345678"}
    lines = {one["staff_no"]: one for one in boss.ask("POST", "/popup-simulation", body).json["operators"]}
    assert [one["name"] for one in lines["S"]["customers"]] == ["王", "陈"]
    assert (lines["A"]["rows"], [one["name"] for one in lines["A"]["customers"]]) == (["D"], ["王"])
    assert lines["B"]["shows"] is False
    seen = leader.ask("POST", "/popup-simulation", body).json["operators"]
    assert {name["name"] for line in seen for name in line["customers"]} <= {"王"}, "陈 is out of the leader's scope"
    foreign = leader.ask("POST", "/popup-simulation", body).json
    strange = leader.ask("POST", "/popup-simulation", body | {"number": "13900009999"}).json
    assert foreign["whole"] is strange["whole"] is False
    assert foreign["operators"] == strange["operators"], "A has no group: 王 is out of scope too"
    assert leader.ask("POST", "/popup-simulation", {"channel": 5, "number": "1"}).status == 404
    assert boss.ask("POST", "/popup-simulation", {"channel": 9, "number": "1"}).status == 404
    assert browse("L1").ask("POST", "/popup-simulation", {"channel": 1}).status == 200
    silent = boss.ask("POST", "/popup-simulation", {"channel": 1}).json
    assert not any(line["shows"] for line in silent["operators"])
    set_value(crm, "system", "popup_withheld", True)
    silent = boss.ask("POST", "/popup-simulation", {"channel": 1, "number": " "}).json
    assert {line["staff_no"] for line in silent["operators"] if line["shows"]} == {"S", "L1", "A", "B"}
    assert not crm.conn.execute("SELECT count(*) FROM popup_receipts").fetchone()[0]
