"""Drafts over HTTP."""

from __future__ import annotations

from crm_office import hire

from crm_client_api.domain.drafts import LONGEST_CHARACTERS, MOST_DRAFTS


def test_a_draft_is_kept_for_its_person_only(crm, server, browse):
    hire(crm, "1", "ordinary")
    hire(crm, "2", "super")
    browser, boss = browse("1"), browse("2")
    path = "/drafts/communication:new.12"
    text = '{"subject": "投诉", "content": "客户说…"}'
    kept = browser.ask("PUT", path, {"body": text})
    assert (kept.status, kept.json["body"]) == (200, text)
    assert browser.get(path) == kept.json
    assert browser.ask("PUT", path, {"body": "x"}).json["changed_at"] >= kept.json["changed_at"]
    assert [one["body"] for one in browser.get("/drafts")["drafts"]] == ["x"]
    assert boss.ask("GET", path).status == 404
    assert boss.ask("DELETE", path).status == 404
    assert boss.get("/drafts")["drafts"] == []
    assert browser.ask("DELETE", path).status == 204
    assert browser.ask("DELETE", path).status == 404


def test_drafts_are_bounded(crm, server, browse):
    hire(crm, "1", "ordinary")
    browser = browse("1")
    assert browser.ask("PUT", "/drafts/a", {"body": "字" * LONGEST_CHARACTERS}).status == 200
    assert browser.ask("PUT", "/drafts/a", {"body": "x" * (LONGEST_CHARACTERS + 1)}).code == "field_too_long"
    assert len(browser.get("/drafts/a")["body"]) == LONGEST_CHARACTERS
    for key in ("a%20b", "%E5%AD%97", "x" * 101):
        assert browser.ask("PUT", f"/drafts/{key}", {"body": "x"}).code == "draft_key", key
    for n in range(1, MOST_DRAFTS):
        assert browser.ask("PUT", f"/drafts/{n}", {"body": "x"}).status == 200
    assert browser.ask("PUT", "/drafts/more", {"body": "x"}).code == "too_many_drafts"
    assert browser.ask("PUT", "/drafts/a", {"body": "y"}).status == 200
    assert len(browser.get("/drafts")["drafts"]) == MOST_DRAFTS
