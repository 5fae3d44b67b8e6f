"""Orders: written for the reader whom they concern, audited, and answered with what became of them."""

from __future__ import annotations

import pytest
from crm_office import hire

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.store.connection import write
from recorder.orders import REFUSALS, read_orders, refusal_code, settle_order

WHY = {"reason": "card number"}


@pytest.fixture
def browser(crm, exchange, browse):
    hire(crm, "1", "super")
    exchange.wire(1, 2)
    return browse("1")


def test_orders_reach_their_reader(crm, exchange, browser):
    call = exchange.call(2)
    recording = exchange.recording(call, None)
    placed = [
        browser.ask("POST", f"/calls/{call['id']}/{verb}", WHY) for verb in ("pause", "resume", "keep", "discard")
    ]
    placed += [browser.ask("POST", f"/channels/1/{verb}", {}) for verb in ("record", "stop")]
    placed.append(browser.ask("DELETE", f"/recordings/{recording}", WHY))
    assert [answer.status for answer in placed] == [202] * 7
    numbers = [answer.json["order"] for answer in placed]
    assert numbers == sorted(set(numbers))
    orders = read_orders(crm, 0, [1, 2])
    assert [(one.id, one.verb, one.channel, one.call_id, one.reason, one.asked_by) for one in orders] == [
        *((number, verb, 2, call["id"], "card number", "1") for number, verb in
          zip(numbers, ("pause", "resume", "keep", "discard"), strict=False)),
        (numbers[4], "record", 1, None, "", "1"),
        (numbers[5], "stop", 1, None, "", "1"),
    ]  # fmt: skip
    assert [(one.id, one.verb, one.recording_id) for one in read_orders(crm, 0, None)] == [
        (numbers[6], "delete", recording)
    ]
    rows = crm.conn.execute("SELECT action, subject FROM audit WHERE action GLOB '*.*' AND action NOT GLOB 'operator*'"
                            " AND action NOT GLOB 'session*' ORDER BY id").fetchall()  # fmt: skip
    assert [tuple(row) for row in rows] == [
        ("call.pause", call["id"]), ("call.resume", call["id"]), ("call.keep", call["id"]),
        ("call.discard", call["id"]), ("channel.record", "1"), ("channel.stop", "1"),
        ("recording.delete", recording),
    ]  # fmt: skip


def test_numbers_that_are_too_large(browser):
    for number in (2**63, 10**30):
        assert browser.ask("GET", f"/orders/{number}").status in (400, 404), number
        assert browser.ask("POST", f"/channels/{number}/record", {}).status == 404, number


def test_what_became_of_an_order(crm, exchange, browser, browse):
    call = exchange.call(1)
    done, refused, waiting = (
        browser.ask("POST", f"/calls/{call['id']}/{verb}", WHY).json["order"] for verb in ("pause", "resume", "keep")
    )
    with write(exchange.db) as connection:
        settle_order(connection, "test-1", done, 1000, ok=True, message="")
        settle_order(connection, "test-1", refused, 2000, ok=False, message=REFUSALS["order_not_paused"])
    states = {number: browser.get(f"/orders/{number}") for number in (done, refused, waiting)}
    assert [one["state"] for one in states.values()] == ["done", "refused", "pending"]
    assert (states[refused]["message"], states[refused]["error_code"]) == (
        "the recording is not paused",
        "order_not_paused",
    )
    assert states[done]["error_code"] is states[waiting]["error_code"] is None
    assert states[done]["done_at"] == "1970-01-01T00:00:01.000Z"
    assert (states[waiting]["done_at"], states[waiting]["verb"]) == (None, "keep")
    hire(crm, "2", "super")
    assert browse("2").ask("GET", f"/orders/{done}").status == 404, "somebody else's"
    assert browser.ask("GET", "/orders/999").status == 404


def test_every_reason_for_a_refusal_has_a_code():
    for code, words in REFUSALS.items():
        assert refusal_code(f"2 not done: {words}, because") == code
    assert refusal_code("the moon is full") == "order_refused"


def test_orders_that_make_no_sense_are_refused_at_once(crm, exchange, browser):
    ended = exchange.call(1)
    exchange.end(ended)
    for verb in ("pause", "resume", "discard"):
        assert browser.ask("POST", f"/calls/{ended['id']}/{verb}", WHY).code == "refused"
    assert browser.ask("POST", f"/calls/{ended['id']}/keep", {}).status == 202, "the tape may hold it still"
    assert browser.ask("POST", "/calls/none/pause", {}).status == 404
    assert browser.ask("POST", "/channels/9/record", {}).status == 404
    running = exchange.call(1)
    for empty in ({}, {"reason": ""}, {"reason": "  "}, {"reason": "x" * 501}):
        assert browser.ask("POST", f"/calls/{running['id']}/discard", empty).status == 400, empty
        assert browser.ask("DELETE", f"/recordings/{exchange.recording(exchange.call(1), None)}", empty).status == 400
    gone = exchange.recording(exchange.call(1), None, state="deleted")
    assert browser.ask("DELETE", f"/recordings/{gone}", WHY).code == "refused"
    assert [one.verb for one in read_orders(crm, 0, [1, 2])] == ["keep"]


def test_permissions_and_scope(crm, exchange, browser, browse):
    hire(crm, "2", "super", permissions=ALL_PERMISSIONS - {Permission.RECORDING_QUERY})
    hire(crm, "3", "super", permissions=ALL_PERMISSIONS - {Permission.RECORDING_DELETE})
    hire(crm, "4", "ordinary", None, (2,))
    call = exchange.call(1)
    recording = exchange.recording(call, None)
    asks = [
        *(("POST", f"/calls/{call['id']}/{verb}") for verb in ("pause", "resume", "keep")),
        ("POST", "/channels/1/record"), ("POST", "/channels/1/stop"),
        ("POST", f"/calls/{call['id']}/discard"), ("DELETE", f"/recordings/{recording}"),
    ]  # fmt: skip
    for staff_no, expected in (("2", [403] * 5 + [202] * 2), ("3", [202] * 5 + [403] * 2), ("4", [404] * 7)):
        one = browse(staff_no)
        assert [one.ask(method, path, WHY).status for method, path in asks] == expected, staff_no
