"""Erasing a number takes it out of everything that people wrote and had made: every table, every file of a job."""

from __future__ import annotations

import json
from collections import defaultdict

import pytest
from crm_office import ROOT, hire, stored_bytes
from excel_office import customer, customers_book, preview, take_in, work
from office_records import add_customer_of

from crm_client_api.domain import erasure, erasure_texts
from crm_client_api.domain.audit_chain import verify_chain
from crm_client_api.domain.communications import redaction
from crm_client_api.domain.erasure_records import HISTORY
from crm_client_api.domain.holds import WantedHold, set_hold
from crm_client_api.stores import open_stores
from recorder.library.erasure.erase import subject_of
from recorder.numbers import Site

NUMBER, SPACED, OTHER = "13812345678", "138 1234-5678", "13900001111"
NEEDLES = (b"13812345678", b"1234-5678", b"2345678")

# Every column of crm.db with text in it, and why no number is looked for in it.
NOT_SEARCHED = {
    **dict.fromkeys(
        ("_sqlite_migrations.*", "communication_words*.*", "customer_pieces*.*", "customer_index.*", "sqlite_*.*"),
        "made from other tables, and made anew with them",
    ),
    **dict.fromkeys(
        ("*.staff_no", "*.by", "*.author", "*.owner", "*.set_by", "*.done_by", "*.deleted_by", "*.changed_by",
         "*.asked_by", "*.release_asked_by", "*.released_by", "*.undone_by", "*.to_staff_no", "*.old_owner",
         "*.handed_by", "*.made_by", "tasks.customer_purged_owner", "hand_overs.old_owners", "audit.actor",
         "*.remembered_by"),
        "staff numbers",
    ),
    **dict.fromkeys(
        ("*.kind", "*.state", "*.type", "*.method", "*.direction", "*.outcome", "*.verb", "*.how", "*.consent",
         "*.level", "operators.permissions", "jobs.permissions", "granted_permissions.permission",
         "known_permissions.permission",
         "operators.channels", "*.phase", "auto_exports.permissions", "auto_exports.contents", "auto_exports.problem",
         "backups.place", "backup_recordings.place", "*.error_code", "saved_views.list", "api_tokens.scopes",
         "webhooks.events",
         "custom_fields.*", "hand_overs.counts", "alarms.*",
         "alarm_notices.code", "alarm_notices.subject", "archive_targets.*", "audit.thing", "audit.action",
         "jobs.held", "known_media.name", "import_late_rows.field", "import_late_rows.code"),
        "words of a fixed set, or what administrators name",
    ),
    **dict.fromkeys(
        ("*.token_hash", "*.password_hash", "*.recovery_hashes", "*.secret", "*.salt", "*.hash", "*.call_id",
         "*.recording_id", "*.record_id", "*.closed_by_call", "*.position", "sessions.id", "holds.id", "alarms.id",
         "retention_rules.subject", "alarm_marks.calls_epoch", "alarm_marks.office_epoch",
         "events.card_id", "events.boot_id", "hand_overs.place", "hand_overs.outcomes", "known_media.id",
         "take_homes.*", "popup_circumstances.circumstances", "auto_exports.medium", "backup_keys.*", "backups.name",
         "backups.sha256", "backups.key_id", "backup_recordings.object", "backup_recordings.content_sha256"),
        "made by the box: ids, hashes, positions",
    ),
    **dict.fromkeys(("*.address", "*.last_address", "*.addresses", "login_failures.key", "sessions.agent"),
                    "where somebody is"),
    **dict.fromkeys(("groups.name", "operators.name", "meta.*", "parameters.*", "webhooks.url",
                     "webhook_deliveries.last_error", "communications.method", "alarm_marks.error"),
                    "set up by administrators; number lists among the parameters are found and told"),
    **dict.fromkeys(("customer_phones.*", "communications.number", "communications.match_key", "call_backs.match_key",
                     "holds.subject", "customer_merges.before", "webhook_deliveries.body", "audit.subject",
                     "audit.data", "jobs.wanted", "jobs.result", "jobs.error"),
                    "searched by erasure.py, erasure_records.py, erasure_jobs.py"),
}  # fmt: skip


class _Library:
    def __init__(self, home, stores):
        self.home, self.crm, self.calls = home, stores.crm, stores.calls


@pytest.fixture
def stores(crm, home):
    hire(crm, "1", "super")
    one = open_stores(home)
    yield one
    one.close()


def find(stores):
    return erasure.OfficeEraser().find(stores, subject_of(stores.crm, NUMBER))


def erase(home, stores):
    return erasure.OfficeEraser().erase(_Library(home, stores), subject_of(stores.crm, NUMBER), "1")


def fits(column: str, patterns) -> bool:
    table, _, name = column.partition(".")
    for pattern in patterns:
        of, _, what = pattern.partition(".")
        whole = of == table or of == "*" or (of.endswith("*") and table.startswith(of[:-1]))
        if whole and what in ("*", name):
            return True
    return False


def test_every_column_with_text_is_searched_or_named_with_a_reason(crm):
    """A new table or column fails here first."""
    searched = {f"{place.table}.{column}" for place in erasure_texts.PLACES for column in place.columns}
    searched |= {
        f"{table}.{column}"
        for table, kind in (
            ("communications", redaction.TEXT), ("communication_versions", redaction.VERSION),
            ("communication_supplements", redaction.SUPPLEMENT),
        )
        for column in redaction.COLUMNS[kind]
    }  # fmt: skip
    unknown = []
    for (table,) in crm.conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1").fetchall():
        for column in crm.conn.execute(f"PRAGMA table_xinfo({table})").fetchall():
            name = f"{table}.{column[1]}"
            if column[2] not in ("INTEGER", "REAL") and name not in searched and not fits(name, NOT_SEARCHED):
                unknown.append(name)
    assert unknown == []


def write_everywhere(home, crm, browser):
    """As people do it: over HTTP, with the number in every text that there is."""
    held = browser.ask("POST", "/customers", {
        "name": f"回电 {NUMBER}", "note": SPACED, "tags": [f"t{NUMBER}"], "phones": [{"number": OTHER}],
    }).json["id"]  # fmt: skip
    note = f"请打 {SPACED} 谢谢"
    for method, path, body in (
        ("POST", "/tasks", {"subject": note, "note": NUMBER, "customer_id": held}),
        ("PUT", f"/drafts/note:{NUMBER}", {"body": "x"}),
        ("PUT", "/drafts/note:1", {"body": json.dumps({"content": note})}),
        ("POST", "/saved-views", {"list": "calls", "name": NUMBER, "body": {"number": NUMBER}}),
        ("PUT", "/agent-state", {"state": "busy", "reason": note}),
        ("PUT", "/agent-state", {"state": "away", "reason": NUMBER}),
        ("POST", "/channels/1/record", {"reason": note}),
        ("POST", "/tokens", {"name": note}),
        ("POST", "/hand-overs", {"to": "2", "customers": [held], "reason": note}),
        ("POST", "/exports", {"kind": "customers", "customers": {"q": NUMBER}}),
    ):  # fmt: skip
        answer = browser.ask(method, path, body)
        assert answer.status < 300, (path, answer.body)
    return held


def test_nothing_is_left_in_any_table_or_file(crm, home, stores, exchange, browse):
    hire(crm, "2", "super")
    exchange.wire(1)
    browser = browse("1")
    write_everywhere(home, crm, browser)
    take_in(home, browser, customers_book(customer(name="导入", phone1=NUMBER)))
    preview(home, browser, f"客户编号,姓名,备注\n999,王,{SPACED}\n".encode(), name=f"{NUMBER}.csv")
    waiting = browser.get("/jobs")["jobs"][0]["id"]
    found = find(stores)
    kinds = {one.kind for one in found if one.kept is None}
    assert {
        "customer", "text of a customer", "tag of a customer", "text of a task", "draft", "saved view",
        "reason of a hand-over", "reason of an order", "reason of an agent's state", "name of an API token",
        "event that people are told", "job", "audit entry", HISTORY,
    } <= kinds, kinds  # fmt: skip
    kept = [(one.kind, one.id) for one in found if one.kept]
    assert kept == [("job", str(waiting))], "an import that waits for its answer"
    assert browser.ask("POST", f"/jobs/{waiting}/cancel").status == 200
    work(home)
    assert erase(home, stores) == []
    crm.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert [needle for needle in NEEDLES if needle in stored_bytes(home)] == []
    assert json.loads(browser.get("/drafts/note:1")["body"]) == {"content": "请打 … 谢谢"}
    assert browser.ask("GET", f"/drafts/note:{NUMBER}").status == 404
    assert [one["subject"] for one in browser.get("/tasks?whose=all")["tasks"]] == ["请打 … 谢谢"]
    assert [one["name"] for one in browser.get("/saved-views")["views"]] == ["…"]
    assert [path for path in (home.root / "jobs").rglob("*") if path.is_file()] == []
    verdict = verify_chain(crm)
    assert (verdict.broken_id, verdict.erased > 5) == (None, True)


def test_a_hold_on_the_number_keeps_every_text(crm, home, stores, exchange, browse):
    hire(crm, "2", "super")
    exchange.wire(1)
    write_everywhere(home, crm, browse("1"))
    work(home)
    set_hold(crm, WantedHold("number", "法院 court", NUMBER), ROOT, Site())
    before = defaultdict(int)
    for one in find(stores):
        before[one.kind] += 1
    left = defaultdict(int)
    for one in erase(home, stores):
        assert one.kept, one
        left[one.kind] += 1
    assert left == before


def test_an_entry_that_names_the_number_by_itself_stays_and_says_why(crm, home, stores):
    from crm_client_api.domain.audit import append
    from firmware.store.connection import write

    with write(crm) as connection:
        append(connection, ROOT, "request.refused", f"GET /api/v1/numbers/{NUMBER}")
    assert [(one.kind, one.kept) for one in erase(home, stores)] == [("audit entry", "the audit log only grows")]


def test_times_and_ids_in_json_are_no_numbers():
    pattern = redaction.number_pattern([NUMBER])
    said = json.dumps({"at_ms": 13812345678, "id": [1381234567800], NUMBER: {"x": [SPACED]}})
    assert json.loads(erasure_texts.without(pattern, said)) == {
        "at_ms": 13812345678, "id": [1381234567800], "…": {"x": ["…"]},
    }  # fmt: skip
    assert erasure_texts.without(pattern, "{no json " + SPACED) == "{no json …"


def test_a_workbook_that_nobody_can_look_into_goes_with_any_number(crm, home, stores, browse):
    """An old .xls keeps numbers as floating point."""
    add_customer_of(crm, "1", "王", numbers=(f"+86{OTHER}",))
    browser = browse("1")
    preview(home, browser, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, name="旧.xls")
    preview(home, browser, customers_book(customer(name="别人", phone1=OTHER)))
    assert [(one.kind, one.about["files"]) for one in find(stores)] == [("job", ["upload"])]
    assert erase(home, stores) == []
    assert (home.root / "jobs" / "1").exists() is False
    assert (home.root / "jobs" / "2" / "upload").exists()
