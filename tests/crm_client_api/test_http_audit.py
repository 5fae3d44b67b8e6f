"""Reading the audit log over HTTP: filters, pages, what each level sees, and that the reading is audited."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from crm_office import PASSWORD, Browser, hire

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.audit_chain import head_of, verify_chain
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.http import reading
from crm_client_api.http.routing import ROUTES
from firmware.store.connection import write


def note(crm, actor: str, action: str, subject: str = "", **data: object) -> None:
    with write(crm) as connection:
        audit.append(connection, Actor(actor, "10.0.0.7"), action, subject, data)


def actions(page) -> list[str]:
    return [one["action"] for one in page["entries"]]


def all_of(crm, pattern: str) -> list[tuple[str, str, dict[str, object]]]:
    rows = crm.conn.execute("SELECT actor, subject, data FROM audit WHERE action GLOB ? ORDER BY id", (pattern,))
    return [(row[0], row[1], json.loads(row[2])) for row in rows]


def test_it_needs_the_permission_and_the_refusal_is_audited(crm, server, browse):
    hire(crm, "1", "super", permissions=ALL_PERMISSIONS - {Permission.AUDIT_READ})
    answer = browse("1").ask("GET", "/audit")
    assert (answer.status, answer.code) == (403, "permission_missing")
    assert [(who, what) for who, what, _ in all_of(crm, "request.refused")] == [("1", "GET /api/v1/audit")]


def test_a_change_shows_before_and_after(crm, server, browse):
    hire(crm, "1", "super")
    note(crm, "2", "customer.change", "7", before={"name": "张三"}, after={"name": "李四"})
    boss = browse("1")
    page = boss.get("/audit?action=customer.change")
    assert len(page["entries"]) == 1
    entry = page["entries"][0]
    assert (entry["actor"], entry["subject"], entry["address"]) == ("2", "7", "10.0.0.7")
    assert entry["data"] == {"before": {"name": "张三"}, "after": {"name": "李四"}}
    assert entry["withheld"] is False


def test_filters_narrow_the_log(crm, server, browse):
    hire(crm, "1", "super")
    for actor, action, subject in (
        ("2", "customer.add", "1"), ("2", "customer.change", "1"), ("3", "customer.add", "2"),
        ("3", "customers.odd", "1"), ("3", "call.read", "1"),
    ):  # fmt: skip
        note(crm, actor, action, subject)
    boss = browse("1")
    assert sorted(actions(boss.get("/audit?action=customer"))) == ["customer.add", "customer.add", "customer.change"]
    assert actions(boss.get("/audit?action=customer.add&actor=3")) == ["customer.add"]
    assert sorted(actions(boss.get("/audit?actor=2"))) == ["customer.add", "customer.change"]
    assert len(boss.get("/audit?subject=1&actor=3")["entries"]) == 2
    soon = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert boss.get(f"/audit?from={soon}")["entries"] == []
    assert len(boss.get(f"/audit?actor=2&to={soon}")["entries"]) == 2
    for wrong in ("limit=0", "limit=501", "before=x", "before=1-", "from=yesterday", "sort=id", f"before={'9' * 30}-1"):
        assert boss.ask("GET", f"/audit?{wrong}").code == "bad_input", wrong


def test_pages_show_every_entry_once_also_those_of_one_moment(crm, server, browse, monkeypatch):
    hire(crm, "1", "super")
    monkeypatch.setattr(audit, "now_ms", lambda: 1_790_000_000_000)
    for number in range(25):
        note(crm, "2", "customer.change", str(number))
    monkeypatch.undo()
    boss = browse("1")
    seen: list[str] = []
    before = ""
    while True:
        page = boss.get(f"/audit?actor=2&limit=4&before={before}")
        seen += [one["subject"] for one in page["entries"]]
        if page["next"] is None:
            break
        before = page["next"]
    assert seen == [str(number) for number in reversed(range(25))]


def test_reading_the_log_is_in_the_log_without_drowning_it(crm, server, browse):
    hire(crm, "1", "super")
    boss = browse("1")
    for _ in range(3):
        boss.get("/audit?actor=7")
    boss.get("/audit")
    read = all_of(crm, "audit.read")
    assert [(who, data["filters"]) for who, _, data in read] == [("1", ["actor"]), ("1", [])]


def test_the_head_is_told_to_super_operators(crm, server, browse):
    hire(crm, "1", "super")
    hire(crm, "2", "leader", 1)
    boss = browse("1")
    boss.get("/audit")
    assert boss.get("/audit")["head"] == str(head_of(crm))
    assert browse("2").get("/audit")["head"] is None
    assert verify_chain(crm).broken_id is None


def test_a_leader_reads_of_the_own_group_and_of_no_record(crm, server, browse):
    """The log names records of every scope: which one it was, and its data, are not for who may not see it."""
    hire(crm, "1", "super")
    hire(crm, "2", "leader", 1)
    hire(crm, "3", "ordinary", 1)
    hire(crm, "4", "ordinary", 2)
    note(crm, "3", "customer.change", "77", after={"name": "秘密"})
    note(crm, "3", "channel.change", "5", after={"name": "前台"})
    note(crm, "4", "channel.change", "6")
    note(crm, audit.CONSOLE, "channel.change", "7")
    leader = browse("2").get("/audit")
    shown = {(one["action"], one["subject"], one["withheld"]) for one in leader["entries"] if one["actor"] == "3"}
    assert shown == {("customer.change", "", True), ("channel.change", "5", False)}
    assert {one["actor"] for one in leader["entries"]} == {"2", "3"}
    assert "秘密" not in json.dumps(leader, ensure_ascii=False)
    assert browse("2").get("/audit?subject=77")["entries"] == []
    own = browse("3").get("/audit")
    assert {one["actor"] for one in own["entries"]} == {"3"}
    assert "秘密" not in json.dumps(own, ensure_ascii=False)


def test_readings_of_customers_and_calls_are_audited_once_an_answer(crm, exchange, server, browse):
    hire(crm, "1", "super")
    exchange.wire(1)
    call = exchange.call(1)
    browser = browse("1")
    ids = [browser.ask("POST", "/customers", {"name": name}).json["id"] for name in ("王芳", "Ada")]
    browser.get("/customers")
    browser.get("/customers?q=secret+text")
    browser.get(f"/customers/{ids[0]}")
    browser.get(f"/customers/{ids[0]}")
    browser.get("/calls")
    browser.get(f"/calls/{call['id']}")
    assert browser.ask("GET", "/customers/999").status == 404
    first, search, one = all_of(crm, "customer.read")
    assert (sorted(first[2]["ids"]), first[2]["count"], first[2]["filters"]) == (sorted(ids), 2, [])
    assert (search[2]["count"], search[2]["filters"]) == (0, ["q"])
    assert (one[0], one[1]) == ("1", ids[0])
    assert [subject for _, subject, _ in all_of(crm, "call.read")] == [call["id"]]
    assert "secret" not in json.dumps([row[0] for row in crm.conn.execute("SELECT data FROM audit")])


def test_the_same_reading_counts_anew_after_a_while_and_for_another_session(crm, server, browse, monkeypatch):
    hire(crm, "1", "super")
    one, other = browse("1"), browse("1")
    one.get("/customers")
    one.get("/customers")
    other.get("/customers")
    assert len(all_of(crm, "customer.read")) == 2
    monkeypatch.setattr(reading, "AGAIN_AFTER_S", 0.0)
    one.get("/customers")
    assert len(all_of(crm, "customer.read")) == 3


def test_who_is_turned_away_at_the_gate_is_audited_and_cannot_flood_the_log(crm, server, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    for _ in range(5):
        assert browser.ask("POST", "/customers", {"name": "x"}, X_Tapdeck_CSRF="wrong").code == "csrf"
        assert Browser(server.port).ask("GET", "/calls", Authorization="Bearer tdk_x").code == "token_wrong"
    assert [data["reason"] for _, _, data in all_of(crm, "request.refused")] == ["csrf", "token_wrong"]


@pytest.mark.parametrize("password", ["wrong", PASSWORD])
def test_log_ins_and_refusals_say_from_where(crm, server, password):
    hire(crm, "1")
    Browser(server.port).log_in("1", password)
    row = crm.conn.execute("SELECT action, actor, address FROM audit WHERE thing = 'session'").fetchone()
    wanted = "session.log_in" if password == PASSWORD else "session.refused"
    assert tuple(row) == (wanted, "1", "127.0.0.1")


SHOW_NOBODY = {
    "/alarm-mail", "/alarms", "/daemons", "/media",
    "/agent-state", "/agents", "/cards", "/channels", "/channels/{number}/parameters", "/channels/{number}/quality",
    "/communications/count", "/custom-fields", "/customers/count", "/customers/tags", "/evidence", "/groups", "/health",
    "/hand-overs", "/hand-overs/{hand_over_id}", "/jobs", "/jobs/{job_id}", "/openapi.json", "/operators",
    "/operators/warnings", "/operators/{staff_no}/belongings", "/operators/{staff_no}/replacement",
    "/orders/{order_id}", "/parameters", "/retention-rules", "/saved-views", "/second-factor", "/session", "/sessions",
    "/statistics/call-backs", "/statistics/calls", "/statistics/heatmap", "/statistics/lines", "/statistics/monthly",
    "/storage", "/storage/preview", "/system-parameters", "/tokens", "/webhooks", "/webhooks/{webhook_id}/deliveries",
    "/phrases", "/drafts", "/drafts/{key}", "/presence", "/recordings/count", "/numbers/{number}", "/metrics",
    "/number-corrections", "/people", "/practice",
    "/recordings/{recording_id}/peaks", "/backups", "/restore", "/call-tags", "/imports/sticks",
    "/communications/{communication_id}/recordings/{recording_id}/peaks",
}  # fmt: skip
"""What says nothing of customers and callers."""
NOTE_IT_THEMSELVES = {
    "/calls/{call_id}/audio", "/calls/{call_id}/ring-audio", "/channels/{number}/live",
    "/communications/{communication_id}/audio",
    "/communications/{communication_id}/recordings/{recording_id}/audio", "/erasures/{order_id}", "/events",
    "/jobs/{job_id}/file", "/live", "/recordings/zip", "/recordings/{recording_id}/audio",
    "/statistics/call-backs.xlsx", "/statistics/calls.xlsx", "/statistics/lines.xlsx", "/statistics/monthly.xlsx",
}  # fmt: skip
"""Listening and exports have entries of their own; what the stream shows stands in the receipts of pop-ups."""


def test_every_route_that_shows_people_says_so():
    """A new route is on one of the lists above, or declares ``reads``."""
    silent = {one.path for one in ROUTES if one.method == "GET" and not one.reads}
    assert silent - SHOW_NOBODY - NOTE_IT_THEMSELVES == set()
