"""Saved views that a leaver shared come to a colleague who works with such lists, or super operators see to them."""

from __future__ import annotations

import json

import pytest
from crm_office import ROOT, hire
from office_belongings import Rest, handed, leave_by, take_back

from crm_client_api.domain.audit import Actor
from crm_client_api.domain.operators import delete_operator, get_operator, set_active
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.domain.saved_views import add_view
from crm_client_api.domain.staff.leaving import leavers_records, let_leave

VIEWS = {"重点客户": ("customers", True), "只给自己": ("customers", False), "missed today": ("calls", True)}
NO_CUSTOMERS = ALL_PERMISSIONS - {Permission.CUSTOMER_MANAGE}


@pytest.fixture
def people(crm):
    hire(crm, "9", "super")
    for staff_no in ("1", "2", "3"):
        hire(crm, staff_no, "ordinary", 1)
    hire(crm, "4", "ordinary", 1, permissions=NO_CUSTOMERS)
    for name, (which, shared) in VIEWS.items():
        add_view(crm, which, name, {"q": name}, shared, Actor("1"))


def owners(crm) -> dict[str, str]:
    return {row[0]: row[1] for row in crm.conn.execute("SELECT name, staff_no FROM saved_views")}


def back(crm, hand_over: int):
    return take_back(crm, hand_over, Actor("9"), get_operator(crm, "9").viewer)


def test_the_wizard_tells_of_them_and_hands_each_to_who_works_with_its_list(crm, people, server, browse, courier):
    boss, two, four = browse("9"), browse("2"), browse("4")
    told = boss.get("/operators/1/belongings")
    assert (told["shared_views"], told["saved_views"]) == (2, 3)
    seen = two.get("/saved-views")["views"]
    assert [(one["owner"], one["may_change"]) for one in seen] == [("1", False)] * 2
    answer = boss.ask("POST", "/operators/1/leaving", {"to": ["4", "2"], "reason": "离职"})
    done = {one["to"]: one for one in handed(boss, answer)}
    assert {to: one["counts"] for to, one in done.items()} == {"4": {"saved_view": 1}, "2": {"saved_view": 1}}
    assert owners(crm) == {"重点客户": "2", "只给自己": "1", "missed today": "4"}
    (own,) = [one for one in two.get("/saved-views")["views"] if one["may_change"]]
    assert two.ask("PATCH", f"/saved-views/{own['id']}", {"name": "重点客户 VIP"}).json["may_change"] is True
    assert four.ask("PATCH", f"/saved-views/{own['id']}", {"name": "x"}).status == 404
    entries = crm.conn.execute("SELECT data FROM audit WHERE action = 'saved_view.hand_over' ORDER BY id").fetchall()
    assert [json.loads(row[0])["after"] for row in entries] == [{"owner": "2"}, {"owner": "4"}]
    set_active(crm, "1", True, ROOT, None)
    undone = boss.ask("POST", f"/hand-overs/{done['2']['id']}/undo")
    assert handed(boss, undone)[0]["moved_on"] == []
    assert owners(crm) == {"重点客户 VIP": "1", "只给自己": "1", "missed today": "4"}


def test_what_the_receiver_has_no_more_stays_and_is_told(crm, people, browse):
    leave_by(crm, "1", "2", get_operator(crm, "9"))
    gone = {row[0]: row[1] for row in crm.conn.execute("SELECT name, id FROM saved_views")}["missed today"]
    with crm.conn:
        crm.execute("DELETE FROM saved_views WHERE id = ?", [gone])
    set_active(crm, "1", True, ROOT, None)
    hand_over = crm.conn.execute("SELECT id FROM hand_overs").fetchone()[0]
    back(crm, hand_over)
    assert owners(crm) == {"重点客户": "1", "只给自己": "1"}
    assert browse("9").get(f"/hand-overs/{hand_over}")["moved_on"] == [{"kind": "saved_view", "id": str(gone)}]


def test_nothing_goes_back_to_who_may_not_log_in(crm, people):
    hire(crm, "5", "ordinary", 1)
    add_view(crm, "tasks", "今天", {}, True, Actor("5"))
    leave_by(crm, "1", "5", get_operator(crm, "9"))
    leave_by(crm, "5", "2", get_operator(crm, "9"))
    first, second = (row[0] for row in crm.conn.execute("SELECT id FROM hand_overs ORDER BY id"))
    set_active(crm, "5", True, ROOT, None)
    back(crm, second)
    assert owners(crm) == {"重点客户": "5", "只给自己": "1", "missed today": "5", "今天": "5"}
    set_active(crm, "1", True, ROOT, None)
    back(crm, first)
    assert owners(crm) == {"重点客户": "1", "只给自己": "1", "missed today": "1", "今天": "5"}


def test_where_nobody_works_with_the_list_they_stay(crm, people):
    let_leave(crm, leavers_records("1", ["4"], ""), Actor("9"), get_operator(crm, "9"), Rest().leave)
    assert owners(crm) == {"重点客户": "1", "只给自己": "1", "missed today": "4"}


@pytest.mark.parametrize("how", ["deleted", "deactivated"])
def test_super_operators_see_to_those_of_who_went_without_the_wizard(crm, people, server, browse, how):
    hire(crm, "8", "leader", 1)
    boss, leader, two = browse("9"), browse("8"), browse("2")
    first, own, last = (row[0] for row in crm.conn.execute("SELECT id FROM saved_views ORDER BY id").fetchall())
    assert boss.ask("PATCH", f"/saved-views/{first}", {"name": "x"}).status == 404, "its owner is there"
    if how == "deleted":
        delete_operator(crm, "1", ROOT, None)
    else:
        set_active(crm, "1", False, ROOT, None)
    for browser in (leader, two):
        assert {view["may_change"] for view in browser.get("/saved-views")["views"]} == {False}
        assert browser.ask("PATCH", f"/saved-views/{first}", {"name": "x"}).status == 404
        assert browser.ask("DELETE", f"/saved-views/{first}").status == 404
    assert {view["id"]: view["may_change"] for view in boss.get("/saved-views")["views"]} == {first: True, last: True}
    assert boss.ask("PATCH", f"/saved-views/{own}", {"name": "x"}).status == 404, "it was for its owner alone"
    changed = boss.ask("PATCH", f"/saved-views/{first}", {"name": "重点"})
    assert (changed.status, changed.json["owner"], changed.json["body"]) == (200, "9", {"q": "重点客户"})
    assert boss.ask("DELETE", f"/saved-views/{last}").status == 204
    assert [view["name"] for view in two.get("/saved-views")["views"]] == ["重点"]
