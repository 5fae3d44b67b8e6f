"""Tags of calls: in scope, audited, told, found again, and in the workbook."""

from __future__ import annotations

import json

import openpyxl
import pytest
from crm_office import Listener, hire
from excel_office import work as let_courier_work

from crm_client_api.domain import witnesses
from crm_client_api.domain.call_tags import EVENT, MOST_CALLS_AT_ONCE, MOST_TAGS_A_CALL
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission


@pytest.fixture
def browser(crm, exchange, browse):
    hire(crm, "1", "super")
    exchange.wire(1, 2)
    return browse("1")


def tagged(browser, query: str) -> list[str]:
    return [one["id"] for one in browser.get(f"/calls?{query}")["calls"]]


def test_one_call_and_many(crm, exchange, browser):
    first, second, third = (exchange.call(number)["id"] for number in (1, 2, 2))
    put = browser.ask("PUT", f"/calls/{first}/tags", {"tags": ["  VIP ", "投诉", "VIP"]})
    assert (put.status, put.json) == (200, {"tags": ["VIP", "投诉"]})
    body = {"calls": [first, second, second], "add": ["回访", "VIP"], "remove": ["投诉"]}
    assert browser.ask("POST", "/call-tags", body).json == {"count": 2}
    assert browser.ask("POST", "/call-tags", body).json == {"count": 0}
    assert browser.get(f"/calls/{first}/tags") == {"tags": ["VIP", "回访"]}
    assert browser.get("/call-tags") == {"tags": ["VIP", "回访"]}
    page = browser.get("/calls")
    assert page["tags"] == {first: ["VIP", "回访"], second: ["VIP", "回访"]}
    browser.ask("PUT", f"/calls/{second}/tags", {"tags": ["回访"]})
    assert tagged(browser, "tag=VIP") == [first]
    assert tagged(browser, "tag=%E5%9B%9E%E8%AE%BF") == [second, first]
    assert tagged(browser, "tag=VIP,%E5%9B%9E%E8%AE%BF") == [first]
    assert tagged(browser, "tag=VIP&channel=2") == []
    assert tagged(browser, "tag=none") == tagged(browser, "tag=,") == []
    assert browser.ask("PUT", f"/calls/{first}/tags", {"tags": []}).json == {"tags": []}
    assert browser.get(f"/calls/{third}/tags") == {"tags": []}
    entries = crm.conn.execute("SELECT subject, data FROM audit WHERE action = 'call.tags' ORDER BY id").fetchall()
    assert [row[0] for row in entries] == [first, first, second, second, first]
    assert json.loads(entries[1][1]) == {"before": {"tags": ["VIP", "投诉"]}, "after": {"tags": ["VIP", "回访"]}}


def test_wrong_ones_change_nothing(crm, exchange, browser):
    call, other = exchange.call(1)["id"], exchange.call(1)["id"]
    many = [f"t{n}" for n in range(MOST_TAGS_A_CALL)]
    assert browser.ask("PUT", f"/calls/{call}/tags", {"tags": many}).status == 200
    for tags, code in (([" "], "tag_wrong"), (["字" * 41], "tag_wrong"), ([*many, "x"], "bad_input")):
        assert browser.ask("PUT", f"/calls/{call}/tags", {"tags": tags}).code == code
    for body, code in (
        ({"calls": [other, call], "add": ["one more"]}, "too_many_tags"), ({"calls": [other]}, "tag_wrong"),
        ({"calls": [other], "add": ["a"], "remove": ["a"]}, "tag_wrong"), ({"calls": [], "add": ["a"]}, "bad_input"),
        ({"calls": [other] * (MOST_CALLS_AT_ONCE + 1), "add": ["a"]}, "bad_input"),
        ({"calls": [other, "none"], "add": ["a"]}, "not_found"),
    ):  # fmt: skip
        assert browser.ask("POST", "/call-tags", body).code == code, body
    assert browser.get(f"/calls/{other}/tags") == {"tags": []}
    assert browser.get(f"/calls/{call}/tags") == {"tags": sorted(many)}


def test_scope_and_permission(crm, exchange, browser, browse):
    hire(crm, "2", "ordinary", None, (2,))
    hire(crm, "3", "ordinary", None, (2,), ALL_PERMISSIONS - {Permission.RECORDING_QUERY})
    hidden, shown = exchange.call(1)["id"], exchange.call(2)["id"]
    for call, tag in ((hidden, "secret"), (shown, "told")):
        browser.ask("PUT", f"/calls/{call}/tags", {"tags": [tag]})
    second, third = browse("2"), browse("3")
    assert second.get("/call-tags") == {"tags": ["told"]}
    assert second.get("/calls")["tags"] == {shown: ["told"]}
    assert tagged(second, "tag=secret") == []
    ghost = second.ask("GET", "/calls/none/tags")
    assert second.ask("GET", f"/calls/{hidden}/tags").body == ghost.body
    for method, path, body in (
        ("PUT", f"/calls/{hidden}/tags", {"tags": ["x"]}),
        ("POST", "/call-tags", {"calls": [shown, hidden], "add": ["x"]}),
    ):  # fmt: skip
        assert second.ask(method, path, body).status == 404
    assert browser.get(f"/calls/{shown}/tags") == {"tags": ["told"]}
    assert third.get("/calls")["tags"] == {}
    for path in ("/call-tags", f"/calls/{shown}/tags", "/calls?tag=told"):
        assert third.ask("GET", path).code == "permission_missing"
    assert third.ask("PUT", f"/calls/{shown}/tags", {"tags": ["x"]}).code == "permission_missing"


def test_others_see_it_at_once(crm, exchange, browser, browse):
    hire(crm, "2", "ordinary", None, (2,))
    call = exchange.call(2)["id"]
    position = browser.get("/popups")["position"]
    stream = Listener(browse("2"), f"/events?after={position}")
    try:
        browser.ask("PUT", f"/calls/{exchange.call(1)['id']}/tags", {"tags": ["x"]})
        browser.ask("PUT", f"/calls/{call}/tags", {"tags": ["x"]})
        event = stream.next("office")
        while event.data["kind"] != "call_tags_changed":
            event = stream.next("office")
        assert event.data["call_id"] == call
    finally:
        stream.close()


def test_the_workbook_has_them_in_their_column(home, exchange, browser, tmp_path):
    call = exchange.call(1)
    exchange.end(call)
    other = exchange.call(1)
    exchange.end(other)
    browser.ask("PUT", f"/calls/{call['id']}/tags", {"tags": ["投诉", "VIP", "=1+1"]})
    for query, expected in (({}, {None, "=1+1 / VIP / 投诉"}), ({"tag": "VIP"}, {"=1+1 / VIP / 投诉"})):
        job = browser.ask("POST", "/exports", {"kind": "calls", "calls": query}).json
        let_courier_work(home)
        file = tmp_path / "calls.xlsx"
        file.write_bytes(browser.ask("GET", f"/jobs/{job['id']}/file").body)
        sheet = openpyxl.load_workbook(file).active
        rows = list(sheet.iter_rows())
        column = [cell.value for cell in rows[0]].index("标签")
        assert {row[column].value or None for row in rows[1:]} == expected
        assert {row[column].data_type for row in rows[1:] if row[column].value} == {"s"}


def test_whoever_is_told_is_worked_out_once_and_before_the_store_is_locked(crm, exchange, browser, monkeypatch):
    calls = [exchange.call(number)["id"] for number in (1, 2)]
    real, locked = witnesses.list_operators, []

    def asked(given):
        locked.append(given.conn.in_transaction)
        return real(given)

    monkeypatch.setattr(witnesses, "list_operators", asked)
    assert browser.ask("POST", "/call-tags", {"calls": calls, "add": ["投诉"]}).json == {"count": 2}
    assert browser.ask("PUT", f"/calls/{calls[0]}/tags", {"tags": ["VIP"]}).status == 200
    assert locked == [False, False]
    events = crm.conn.execute("SELECT count(*) FROM events WHERE kind = ?", (EVENT,)).fetchone()
    assert events[0] == 3


def test_recordings_of_calls_with_a_tag(crm, exchange, browser, browse):
    hire(crm, "2", "ordinary", None, (2,))
    hire(crm, "3", "ordinary", None, (2,), ALL_PERMISSIONS - {Permission.RECORDING_QUERY})
    mine, both, bare = (exchange.call(number) for number in (1, 2, 2))
    recorded = {
        call["id"]: exchange.recording(call, f"{n}.flac", duration_ms=n * 1000, started_ms=call["started_ms"])
        for n, call in enumerate((mine, both, bare), 1)
    }
    browser.ask("PUT", f"/calls/{mine['id']}/tags", {"tags": ["投诉"]})
    browser.ask("PUT", f"/calls/{both['id']}/tags", {"tags": ["投诉", "VIP"]})
    first, second = recorded[mine["id"]], recorded[both["id"]]

    def found(one, query: str) -> list[str]:
        return [row["id"] for row in one.get(f"/recordings?{query}")["recordings"]]

    complaint = "%E6%8A%95%E8%AF%89"
    assert found(browser, f"tag={complaint}") == found(browser, f"tag={complaint}&sort=longest") == [second, first]
    assert found(browser, f"tag={complaint}&sort=oldest") == [first, second]
    assert found(browser, f"tag={complaint},VIP") == [second]
    assert found(browser, f"tag={complaint}&channel=1") == [first]
    assert found(browser, "tag=none") == found(browser, "tag=,") == found(browser, "tag=VIP&text=none") == []
    assert browser.get(f"/recordings/count?tag={complaint}") == {"count": 2, "complete": True}
    colleague = browse("2")
    assert found(colleague, f"tag={complaint}") == [second], "the other call is on a channel of others"
    assert colleague.get(f"/recordings/count?tag={complaint}") == {"count": 1, "complete": True}
    assert browse("3").ask("GET", "/recordings?tag=VIP").code == "permission_missing"
    page = browser.get(f"/recordings?tag={complaint}&limit=1&sort=longest")
    assert [one["id"] for one in page["recordings"]] == [second]
    assert found(browser, f"tag={complaint}&limit=1&sort=longest&before={page['next']}") == [first]
