"""Hand-over: who may, what goes along, what comes back, and that big ones hold the store only for moments."""

from __future__ import annotations

import json

import pytest
from crm_office import ROOT, hire
from office_belongings import (
    furnish,
    hand_over,
    handed,
    keep_draft,
    owned,
    owner_of,
    set_task,
    take_back,
    write_note,
)  # fmt: skip
from office_records import add_customer_of

from crm_client_api.domain.customers.index import renew_stale
from crm_client_api.domain.customers.search import Filter, list_customers
from crm_client_api.domain.handing_over import batches, undo
from crm_client_api.domain.handing_over.undo import UNDO_WITHIN_MS, get_hand_over
from crm_client_api.domain.handing_over.wanted import Wanted
from crm_client_api.domain.operators import delete_operator, set_active
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.domain.scope import RecordScope
from firmware.clock import now_ms
from firmware.errors import NotFound, Refused
from firmware.store.connection import write
from recorder.numbers import Site

pytestmark = pytest.mark.usefixtures("courier")
NO_SHARE = ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE, Permission.COMMUNICATION_SHARE}


def staff(crm):
    hire(crm, "1", "super", permissions=NO_SHARE)
    hire(crm, "20", "leader", 2, permissions=NO_SHARE)
    hire(crm, "21", "ordinary", 2, (1,), NO_SHARE)
    hire(crm, "22", "ordinary", 2, (1,), NO_SHARE)
    hire(crm, "31", "ordinary", 3, (2,), NO_SHARE)


def audited(crm, action):
    rows = crm.conn.execute("SELECT data FROM audit WHERE action = ? ORDER BY id", (action,))
    return [json.loads(row[0]) for row in rows]


def test_a_customer_goes_with_notes_and_open_tasks(crm, server, browse):
    staff(crm)
    wang, li = add_customer_of(crm, "21", "王伟"), add_customer_of(crm, "21", "李娜")
    note, foreign = write_note(crm, wang, "21"), write_note(crm, wang, "22", "colleague's")
    task, done = set_task(crm, "21", wang), set_task(crm, "21", wang, done=True)
    stays = write_note(crm, li, "21")
    leader = browse("20")
    answer = leader.ask("POST", "/hand-overs", {"to": "22", "customers": [wang], "reason": "换区"})
    [one] = handed(leader, answer)
    assert (one["to"], one["by"], one["old_owners"], one["reason"]) == ("22", "20", ["21"], "换区")
    assert one["counts"] == {"customer": 1, "communication": 1, "task": 1}
    assert one["finished_at"]
    assert [owner_of(crm, "communications", key) for key in (note, foreign, stays)] == ["22", "22", "21"]
    assert [owner_of(crm, "tasks", key) for key in (task, done)] == ["22", "21"]
    assert [owner_of(crm, "customers", key) for key in (wang, li)] == ["22", "21"]
    assert browse("22").get(f"/customers/{wang}")["author"] == "21"
    assert browse("21").ask("GET", f"/customers/{wang}").status == 404
    [told] = [json.loads(row[0]) for row in crm.conn.execute("SELECT data FROM events WHERE kind = 'hand_over'")]
    assert told == {"to": ["20", "21", "22"], "hand_over_id": one["id"]}
    [end] = audited(crm, "hand_over.end")
    assert (end["before"], end["after"]) == ({"owners": ["21"]}, {"owner": "22"})
    [entry] = browse("22").get(f"/customers/{wang}/history")["entries"]
    assert (entry["action"], entry["by"]) == ("customer.hand_over", "20")
    handed(leader, leader.ask("POST", f"/hand-overs/{one['id']}/undo"))
    assert audited(crm, "customer.hand_over")[1] == {"before": {"owner": "22"}, "after": {"owner": "21"}}


def test_who_may_hand_over_to_whom(crm, server, browse):
    staff(crm)
    here, there = add_customer_of(crm, "21", "甲"), add_customer_of(crm, "31", "乙")
    boss, leader, ordinary = browse("1"), browse("20"), browse("21")
    refused = ordinary.ask("POST", "/hand-overs", {"to": "22", "customers": [here]})
    assert (refused.status, refused.code) == (403, "level_missing")
    assert ordinary.ask("GET", "/hand-overs").status == 403
    for body in (
        {"to": "22", "customers": [there]},  # out of scope: as if it did not exist
        {"to": "22", "customers": [here, there]},
        {"to": "31", "customers": [here]},  # not of the own group
        {"to": "22", "all_of": "31"},
        {"to": "99", "customers": [here]},
        {"to": "22", "communications": ["12345"]},
    ):
        answer = leader.ask("POST", "/hand-overs", body)
        assert (answer.status, answer.code) == (404, "not_found"), body
    assert owner_of(crm, "customers", here) == "21"
    assert handed(boss, boss.ask("POST", "/hand-overs", {"to": "31", "customers": [here]}))
    assert leader.get("/hand-overs")["hand_overs"] == []  # it left the group: none of the leader's business
    assert leader.ask("GET", "/hand-overs/1").status == leader.ask("POST", "/hand-overs/1/undo").status == 404
    assert boss.get("/hand-overs")["hand_overs"][0]["to"] == "31"


def test_a_leader_who_sees_all_still_hands_over_in_the_own_group_only(crm, server, browse):
    staff(crm)
    hire(crm, "29", "leader", 2)
    there = add_customer_of(crm, "31", "乙")
    answer = browse("29").ask("POST", "/hand-overs", {"to": "22", "customers": [there]})
    assert (answer.status, answer.code) == (409, "refused")
    assert owner_of(crm, "customers", there) == "31"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"to": "22"}, "hand_over_what"),
        ({"to": "22", "all_of": "21", "customers": ["1"]}, "hand_over_what"),
        ({"to": "21", "all_of": "21"}, "hand_over_to"),
        ({"to": "22", "customers": ["x"]}, "bad_input"),
        ({"to": "22", "all_of": "21", "reason": "x" * 1001}, "bad_input"),
    ],
)
def test_malformed_hand_overs_are_refused(crm, server, browse, body, code):
    staff(crm)
    answer = browse("1").ask("POST", "/hand-overs", body)
    assert (answer.status, answer.code) == (400, code)


def test_it_takes_the_permissions_for_the_records(crm, server, browse):
    hire(crm, "1", "super", permissions=frozenset({Permission.CUSTOMER_MANAGE}))
    hire(crm, "2", "super", permissions=frozenset({Permission.COMMUNICATION_MANAGE}))
    hire(crm, "3")
    hire(crm, "4")
    note = write_note(crm, add_customer_of(crm, "3", "甲"), "3")
    assert browse("1").ask("POST", "/hand-overs", {"to": "4", "communications": [note]}).code == "permission_missing"
    for who in ("1", "2"):
        assert browse(who).ask("POST", "/hand-overs", {"to": "4", "all_of": "3"}).code == "permission_missing"
    boss = browse("2")
    assert handed(boss, boss.ask("POST", "/hand-overs", {"to": "4", "communications": [note]}))
    assert owner_of(crm, "communications", note) == "4"


def test_nobody_gets_records_who_cannot_log_in(crm):
    staff(crm)
    boss = hire(crm, "2", "super")
    set_active(crm, "22", False, ROOT, None)
    with pytest.raises(Refused, match="may not log in"):
        hand_over(crm, Wanted(("22",), all_of="21"), ROOT, boss.viewer)


def test_all_of_somebody_who_was_deleted(crm, server, browse):
    staff(crm)
    furnish(crm, "21")
    elsewhere = write_note(crm, add_customer_of(crm, "22", "丙"), "21")
    delete_operator(crm, "21", ROOT, None)
    leader = browse("20")
    [one] = handed(leader, leader.ask("POST", "/hand-overs", {"to": "22", "all_of": "21"}))
    assert one["counts"] == {"customer": 1, "communication": 2, "task": 1}
    assert owner_of(crm, "communications", elsewhere) == "22"
    assert owned(crm, "21") == {"customers": 0, "communications": 0, "tasks": 2, "call_backs": 1, "drafts": 2}


def test_taking_back_returns_all_but_what_moved_on(crm, server, browse):
    staff(crm)
    ids = [add_customer_of(crm, "21", f"客户{number}") for number in range(3)]
    note = write_note(crm, ids[0], "21")
    boss, leader = browse("1"), browse("20")
    first = handed(leader, leader.ask("POST", "/hand-overs", {"to": "22", "customers": ids}))[0]["id"]
    for to in ("31", "22"):  # back with 22, but by another way
        handed(boss, boss.ask("POST", "/hand-overs", {"to": to, "customers": [ids[1]]}))
    with write(crm) as connection:
        connection.execute("UPDATE customers SET owner = '1' WHERE id = ?", (ids[2],))
    [back] = handed(leader, leader.ask("POST", f"/hand-overs/{first}/undo"))
    assert back["undone_by"] == "20"
    assert back["moved_on"] == [{"kind": "customer", "id": ids[1]}, {"kind": "customer", "id": ids[2]}]
    assert [owner_of(crm, "customers", key) for key in ids] == ["21", "22", "1"]
    assert owner_of(crm, "communications", note) == "21"
    again = leader.ask("POST", f"/hand-overs/{first}/undo")
    assert (again.status, again.code) == (409, "refused")
    assert audited(crm, "hand_over.undone")[0]["counts"] == {"moved_on": 2, "returned": 2}


def test_what_was_taken_back_can_be_taken_back_through(crm):
    """21 → 22 → 31; the second is taken back, then the first."""
    staff(crm)
    boss = hire(crm, "2", "super").viewer
    key = add_customer_of(crm, "21", "甲")
    [first] = hand_over(crm, Wanted(("22",), (int(key),)), ROOT, boss)
    [second] = hand_over(crm, Wanted(("31",), (int(key),)), ROOT, boss)
    take_back(crm, second, ROOT, boss)
    take_back(crm, first, ROOT, boss)
    assert owner_of(crm, "customers", key) == "21"


def test_a_hand_over_stands_after_thirty_days(crm):
    staff(crm)
    boss = hire(crm, "2", "super").viewer
    [one] = hand_over(crm, Wanted(("22",), (int(add_customer_of(crm, "21", "甲")),)), ROOT, boss)
    at_ms = get_hand_over(crm, one, boss).at_ms
    with pytest.raises(Refused, match="30 days"):
        take_back(crm, one, ROOT, boss, at_ms + UNDO_WITHIN_MS + 1)
    assert take_back(crm, one, ROOT, boss, at_ms + UNDO_WITHIN_MS).undone_ms


def test_many_go_in_many_transactions_and_come_back(crm, monkeypatch):
    monkeypatch.setattr(batches, "BATCH_S", 0.0)  # each step a transaction of its own
    staff(crm)
    boss = hire(crm, "2", "super").viewer
    ids = [add_customer_of(crm, "21", f"客户{number}") for number in range(70)]
    for key in ids[:5]:
        for _ in range(45):
            write_note(crm, key, "21")
    steps = []
    monkeypatch.setattr(batches, "write", _counting(steps))
    [one] = hand_over(crm, Wanted(("22",), all_of="21"), ROOT, boss)
    assert len(steps) > 5
    found = get_hand_over(crm, one, boss)
    assert found.counts == {"customer": 70, "communication": 225}
    assert owned(crm, "21")["customers"] == 0
    assert len(list_customers(crm, Filter(limit=200), RecordScope(staff_no="22"), Site())) == 70
    take_back(crm, one, ROOT, boss)
    assert owned(crm, "22") == {"customers": 0, "communications": 0, "tasks": 0, "call_backs": 0, "drafts": 0}
    assert len(list_customers(crm, Filter(limit=200), RecordScope(staff_no="21"), Site())) == 70
    assert list_customers(crm, Filter(), RecordScope(staff_no="22"), Site()) == []


def _counting(steps):
    def counted(db):
        steps.append(1)
        return write(db)

    return counted


def test_drafts_come_back_under_their_own_keys(crm):
    staff(crm)
    boss = hire(crm, "2", "super").viewer
    keep_draft(crm, "21", "note:7", "王先生")
    keep_draft(crm, "22", "note:7", "own text")
    [one] = hand_over(crm, Wanted(("22",), all_of="21", desk_too=True), ROOT, boss)
    drafts = "SELECT staff_no, key, body FROM drafts ORDER BY body"
    assert [tuple(row) for row in crm.conn.execute(drafts)] == [
        ("22", "note:7", "own text"), ("22", "note:7.21.1", "王先生"),
    ]  # fmt: skip
    take_back(crm, one, ROOT, boss)
    assert [tuple(row) for row in crm.conn.execute(drafts)] == [
        ("22", "note:7", "own text"), ("21", "note:7", "王先生"),
    ]  # fmt: skip
    assert undo.moved_on(crm, one) == []


def test_what_lies_in_the_recycle_bin_stays(crm):
    staff(crm)
    boss = hire(crm, "2", "super").viewer
    gone, lives = add_customer_of(crm, "21", "甲"), add_customer_of(crm, "21", "乙")
    with write(crm) as connection:
        connection.execute("UPDATE customers SET deleted_ms = ? WHERE id = ?", (now_ms(), gone))
    with pytest.raises(NotFound):
        hand_over(crm, Wanted(("22",), (int(gone),)), ROOT, boss)
    hand_over(crm, Wanted(("22",), all_of="21"), ROOT, boss)
    assert [owner_of(crm, "customers", key) for key in (gone, lives)] == ["21", "22"]


def test_a_selection_goes_by_its_filter(crm, server, browse):
    staff(crm)
    wanted = [add_customer_of(crm, "21", f"北京公司{number}") for number in range(45)]
    others = [add_customer_of(crm, "21", "上海"), add_customer_of(crm, "31", "北京其他组")]
    assert browse("20").ask("POST", "/hand-overs", {"to": "22", "filter": {}}).code == "hand_over_what"
    renew_stale(crm)
    leader = browse("20")
    [one] = handed(leader, leader.ask("POST", "/hand-overs", {"to": "22", "filter": {"q": "北京"}}))
    assert one["counts"] == {"customer": 45}
    assert {owner_of(crm, "customers", key) for key in wanted} == {"22"}
    assert [owner_of(crm, "customers", key) for key in others] == ["21", "31"]
