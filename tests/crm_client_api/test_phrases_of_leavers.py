"""What a leaver shared stays in somebody's hands: a colleague's, or those of super operators."""

from __future__ import annotations

import json

import pytest
from crm_office import ROOT, hire
from office_belongings import Rest, handed, leave_by, take_back

from crm_client_api.domain.audit import Actor
from crm_client_api.domain.operators import delete_operator, get_operator, set_active
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.domain.phrases import add_phrase
from crm_client_api.domain.staff.leaving import leavers_records, let_leave

NO_NOTES = ALL_PERMISSIONS - {Permission.COMMUNICATION_MANAGE}


@pytest.fixture
def people(crm):
    hire(crm, "9", "super")
    for staff_no in ("1", "2", "3"):
        hire(crm, staff_no, "ordinary", 1)
    for text, shared in (("已转售后", True), ("只给自己", False), ("call back tomorrow", True)):
        add_phrase(crm, text, shared, Actor("1"))


def owners(crm) -> dict[str, str]:
    return {row[0]: row[1] for row in crm.conn.execute("SELECT text, staff_no FROM phrases")}


def test_the_wizard_tells_of_them_and_hands_them_over(crm, people, server, browse, courier):
    boss, one, two = browse("9"), browse("1"), browse("2")
    assert boss.get("/operators/1/belongings")["shared_phrases"] == 2
    shared = one.get("/phrases")["phrases"]
    assert [(phrase["may_change"], phrase["owner"]) for phrase in two.get("/phrases")["phrases"]] == [(False, "1")] * 2
    answer = boss.ask("POST", "/operators/1/leaving", {"to": ["2", "3"], "reason": "离职"})
    counts = {done["to"]: done["counts"] for done in handed(boss, answer)}
    assert counts == {"2": {"phrase": 2}, "3": {}}
    assert owners(crm) == {"已转售后": "2", "只给自己": "1", "call back tomorrow": "2"}
    path = f"/phrases/{shared[0]['id']}"
    assert two.ask("PATCH", path, {"text": "已转售后部"}).json["may_change"] is True
    entries = crm.conn.execute("SELECT subject, data FROM audit WHERE action = 'phrase.hand_over'").fetchall()
    assert [json.loads(row[1]) for row in entries] == [{"before": {"owner": "1"}, "after": {"owner": "2"}}] * 2


def test_they_come_back_with_all_else_but_for_what_the_receiver_gave_away(crm, people):
    leave_by(crm, "1", "2", get_operator(crm, "9"))
    with crm.conn:
        crm.execute("DELETE FROM phrases WHERE text = 'call back tomorrow'")
    set_active(crm, "1", True, ROOT, None)
    hand_over = crm.conn.execute("SELECT id FROM hand_overs").fetchone()[0]
    take_back(crm, hand_over, Actor("9"), get_operator(crm, "9").viewer)
    assert owners(crm) == {"已转售后": "1", "只给自己": "1"}
    rows = crm.conn.execute("SELECT outcome FROM hand_over_records WHERE kind = 'phrase' ORDER BY record_id").fetchall()
    assert [row[0] for row in rows] == ["returned", "moved_on"]


def test_who_writes_no_notes_gets_none(crm, people):
    hire(crm, "4", "ordinary", 1, permissions=NO_NOTES)
    for to, expected in ((["4", "3"], "3"), (["4"], "3")):
        rest = Rest()
        let_leave(crm, leavers_records("1", to, ""), Actor("9"), get_operator(crm, "9"), rest.leave)
        assert owners(crm)["已转售后"] == expected
        set_active(crm, "1", True, ROOT, None)
    add_phrase(crm, "再说", True, Actor("1"))
    let_leave(crm, leavers_records("1", ["4"], ""), Actor("9"), get_operator(crm, "9"), Rest().leave)
    assert owners(crm)["再说"] == "1"


@pytest.mark.parametrize("how", ["deleted", "deactivated"])
def test_super_operators_see_to_those_of_who_went_without_the_wizard(crm, people, server, browse, how):
    hire(crm, "8", "leader", 1)
    boss, leader, two = browse("9"), browse("8"), browse("2")
    first, own, last = (row[0] for row in crm.conn.execute("SELECT id FROM phrases ORDER BY id").fetchall())
    assert boss.ask("PATCH", f"/phrases/{first}", {"text": "x"}).status == 404, "its owner is there"
    if how == "deleted":
        delete_operator(crm, "1", ROOT, None)
    else:
        set_active(crm, "1", False, ROOT, None)
    for browser in (leader, two):
        assert {phrase["may_change"] for phrase in browser.get("/phrases")["phrases"]} == {False}
        assert browser.ask("PATCH", f"/phrases/{first}", {"text": "x"}).status == 404
        assert browser.ask("DELETE", f"/phrases/{first}").status == 404
    assert {phrase["id"]: phrase["may_change"] for phrase in boss.get("/phrases")["phrases"]} == {
        first: True, last: True,
    }  # fmt: skip
    assert boss.ask("PATCH", f"/phrases/{own}", {"text": "x"}).status == 404, "it was for its owner alone"
    changed = boss.ask("PATCH", f"/phrases/{first}", {"text": "已转售后部"})
    assert (changed.status, changed.json["owner"], changed.json["may_change"]) == (200, "9", True)
    assert boss.ask("DELETE", f"/phrases/{last}").status == 204
    assert [phrase["text"] for phrase in two.get("/phrases")["phrases"]] == ["已转售后部"]
