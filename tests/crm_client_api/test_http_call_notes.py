"""Notes on calls: comments, bookmarks and scores, in scope, audited, and found again."""

from __future__ import annotations

import pytest
from crm_office import hire

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission


@pytest.fixture
def browser(crm, exchange, browse):
    hire(crm, "1", "super")
    exchange.wire(1, 2)
    return browse("1")


def note(browser, call, **body):
    return browser.ask("POST", f"/calls/{call['id']}/notes", body)


def test_comments_bookmarks_and_scores(crm, exchange, browser):
    call, other = exchange.call(1), exchange.call(2)
    for body in ({"text": "  asks for the invoice "}, {"position_ms": 12_500}, {"score": 4, "text": "friendly"}):
        assert note(browser, call, **body).status == 201, body
    found = browser.get(f"/calls/{call['id']}/notes")["notes"]
    assert [(one["text"], one["position_ms"], one["score"], one["author"]) for one in found] == [
        ("asks for the invoice", None, None, "1"), ("", 12_500, None, "1"), ("friendly", None, 4, "1"),
    ]  # fmt: skip
    assert browser.get(f"/calls/{other['id']}/notes")["notes"] == []
    assert [one["id"] for one in browser.get("/calls?noted=true")["calls"]] == [call["id"]]
    assert browser.ask("DELETE", f"/call-notes/{found[1]['id']}").status == 204
    assert [one["id"] for one in browser.get(f"/calls/{call['id']}/notes")["notes"]] == [found[0]["id"], found[2]["id"]]
    actions = [
        tuple(row) for row in crm.conn.execute("SELECT action, subject FROM audit WHERE action GLOB 'call.note*'")
    ]
    assert actions == [("call.note", call["id"])] * 3 + [("call.note_remove", call["id"])]


def test_what_is_no_note(exchange, browser):
    call = exchange.call(1)
    for body in ({}, {"text": "   "}, {"text": "x" * 1001}):
        assert note(browser, call, **body).code == "note_wrong", body
    for body in ({"score": 0}, {"score": 6}, {"position_ms": -1}, {"text": 5}, {"author": "2", "text": "x"}):
        assert note(browser, call, **body).status == 400, body
    assert browser.ask("DELETE", "/call-notes/99").status == 404


def test_scope_permissions_and_other_peoples_notes(crm, exchange, browser, browse):
    hire(crm, "2", "ordinary", None, (2,))
    hire(crm, "3", "super", permissions=ALL_PERMISSIONS - {Permission.QUALITY_SCORE})
    hire(crm, "4", "super", permissions=ALL_PERMISSIONS - {Permission.RECORDING_QUERY})
    hidden, shown = exchange.call(1), exchange.call(2)
    secret = note(browser, hidden, text="secret").json
    told = note(browser, shown, text="told").json
    second = browse("2")
    assert second.ask("GET", f"/calls/{hidden['id']}/notes").status == 404
    assert note(second, hidden, text="x").status == 404
    assert second.ask("DELETE", f"/call-notes/{secret['id']}").status == 404
    assert second.ask("DELETE", f"/call-notes/{told['id']}").code == "refused"
    assert [one["text"] for one in second.get(f"/calls/{shown['id']}/notes")["notes"]] == ["told"]
    assert [one["id"] for one in second.get("/calls?noted=true")["calls"]] == [shown["id"]]
    own = note(second, shown, text="mine").json
    assert browser.ask("DELETE", f"/call-notes/{own['id']}").status == 204, "a super operator may"
    third = browse("3")
    assert note(third, shown, score=3).code == "permission_missing"
    assert note(third, shown, text="no score").status == 201
    fourth = browse("4")
    for path in (f"/calls/{shown['id']}/notes", "/calls?noted=true"):
        assert fourth.ask("GET", path).code == "permission_missing"
