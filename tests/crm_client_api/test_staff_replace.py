"""Replace, return, leave: the person stays the same, the rights are new, and the records are somebody's."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from crm_office import PASSWORD, ROOT, Browser, hire
from office_belongings import finished, furnish, handed, owned, owner_of
from office_records import add_customer_of

from crm_client_api.domain.handing_over import batches
from crm_client_api.domain.operators import get_operator, set_active
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.store.connection import write

pytestmark = pytest.mark.usefixtures("courier")
NO_SHARE = ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE, Permission.COMMUNICATION_SHARE}
AS_ORDINARY = {"name": "王芳", "level": "ordinary", "group": 2, "channels": [1, 3], "permissions": ["customer_manage"]}


def office(crm):
    hire(crm, "1", "super")
    hire(crm, "20", "leader", 2, permissions=NO_SHARE)
    hire(crm, "30", "leader", 3, permissions=NO_SHARE)
    hire(crm, "21", "ordinary", 2, (1,), NO_SHARE)
    hire(crm, "22", "ordinary", 2, (1,), NO_SHARE)


def give_token(crm, staff_no):
    with write(crm) as connection:
        connection.execute(
            "INSERT INTO api_tokens (staff_no, name, token_hash, scopes, read_only, addresses, created_ms)"
            " VALUES (?, 'NCID', ?, '[]', 0, '', 0)",
            (staff_no, f"hash of {staff_no}"),
        )


def standing_tokens(crm, staff_no):
    asked = "SELECT count(*) FROM api_tokens WHERE staff_no = ? AND revoked_ms IS NULL"
    return crm.conn.execute(asked, (staff_no,)).fetchone()[0]


def audit_of(crm, action):
    rows = crm.conn.execute("SELECT actor, subject, data FROM audit WHERE action = ? ORDER BY id", (action,))
    return [(row[0], row[1], json.loads(row[2])) for row in rows]


def test_replacing_keeps_the_person_and_renews_the_rights(crm, server, browse):
    office(crm)
    give_token(crm, "21")
    customer, before = furnish(crm, "21"), get_operator(crm, "21")
    with write(crm) as connection:
        connection.execute("INSERT INTO second_factors (staff_no, secret) VALUES ('21', 'SECRET')")
    at_desk, boss = browse("21"), browse("1")
    shown = boss.get("/operators/21/replacement")
    assert (shown["level"], shown["group"], shown["channels"]) == ("ordinary", 2, [1])
    answer = boss.ask("POST", "/operators/21/replacement", AS_ORDINARY)
    assert answer.status == 200, answer.body
    assert (answer.json["name"], answer.json["channels"], answer.json["permissions"]) == (
        "王芳", [1, 3], ["customer_manage"],
    )  # fmt: skip
    assert at_desk.ask("GET", "/session").status == 401
    assert standing_tokens(crm, "21") == 0
    assert Browser(server.port).log_in("21", PASSWORD).status in (200, 401)  # 401: the second factor is asked for
    assert crm.conn.execute("SELECT secret FROM second_factors WHERE staff_no = '21'").fetchone()[0] == "SECRET"
    assert owned(crm, "21") == {"customers": 1, "communications": 1, "tasks": 3, "call_backs": 1, "drafts": 2}
    assert crm.conn.execute("SELECT count(*) FROM saved_views WHERE staff_no = '21'").fetchone()[0] == 1
    rows = crm.conn.execute("SELECT deleted_ms IS NULL, level FROM operators WHERE staff_no = '21' ORDER BY id")
    assert [tuple(row) for row in rows] == [(0, "ordinary"), (1, "ordinary")]
    [(actor, subject, data)] = audit_of(crm, "operator.replace")
    assert (actor, subject, data["before"]) == ("1", "21", before.audited)
    assert data["after"] == get_operator(crm, "21").audited
    assert browse("20").get(f"/customers/{customer}")["owner"] == "21"


def test_a_replaced_person_logs_in_with_the_same_password(crm, server, browse):
    office(crm)
    browse("1").ask("POST", "/operators/21/replacement", AS_ORDINARY)
    answer = Browser(server.port).log_in("21", PASSWORD)
    assert answer.status == 200
    assert answer.json["must_change_password"] is False
    assert answer.json["operator"]["channels"] == [1, 3]


def test_into_another_group_the_records_come_along(crm, server, browse):
    office(crm)
    customer, boss = furnish(crm, "21"), browse("1")
    moved = AS_ORDINARY | {"group": 3}
    for wrong, code in (
        ({}, "records_asked"), ({"records_come_along": False}, "records_to"),
        ({"records_come_along": True, "records_to": "22"}, "records_to"),
        ({"records_come_along": False, "records_to": "30"}, "records_to"), ({"group": 2, "records_come_along": True},
        "records_not_asked"),
    ):  # fmt: skip
        answer = boss.ask("POST", "/operators/21/replacement", moved | wrong)
        assert (answer.status, answer.code) == (400, code), wrong
    old_leader, new_leader = browse("20"), browse("30")
    assert boss.ask("POST", "/operators/21/replacement", moved | {"records_come_along": True}).json["group"] == 3
    assert old_leader.ask("GET", f"/customers/{customer}").status == 404
    assert new_leader.get(f"/customers/{customer}")["owner"] == "21"
    assert boss.get("/hand-overs")["hand_overs"] == []


def test_into_another_group_the_records_stay_with_a_colleague(crm, server, browse):
    office(crm)
    customer, boss = furnish(crm, "21"), browse("1")
    moved = AS_ORDINARY | {"group": 3, "records_come_along": False, "records_to": "22"}
    finished(boss, boss.ask("POST", "/operators/21/replacement", moved))
    assert browse("20").get(f"/customers/{customer}")["owner"] == "22"
    assert browse("30").ask("GET", f"/customers/{customer}").status == 404
    # What is the person's own comes along: drafts, call-backs, and tasks without a customer.
    assert owned(crm, "21") == {"customers": 0, "communications": 0, "tasks": 2, "call_backs": 1, "drafts": 2}
    [(_, _, data)] = audit_of(crm, "operator.replace")
    assert data["records"] == {"come_along": False, "to": "22"}
    [one] = boss.get("/hand-overs")["hand_overs"]
    handed(boss, boss.ask("POST", f"/hand-overs/{one['id']}/undo"))
    assert owner_of(crm, "customers", customer) == "21"


def test_a_replacement_that_is_refused_changes_nothing(crm, server, browse, monkeypatch):
    monkeypatch.setattr(batches, "BATCH_S", 0.0)
    hire(crm, "2", "super", permissions=ALL_PERMISSIONS - {Permission.NET_POPUP})
    hire(crm, "5", "leader", 2, (), frozenset({Permission.OPERATOR_MANAGE, Permission.CUSTOMER_MANAGE}))
    hire(crm, "21", "ordinary", 2, (1,), frozenset({Permission.CUSTOMER_MANAGE}))
    customer = add_customer_of(crm, "21", "甲")
    boss, leader = browse("2"), browse("5")
    tries = (
        (boss, "21", {"permissions": ["net_popup"]}),  # not the grantor's
        (leader, "21", {"level": "super"}),
        (leader, "2", {"group": None}),  # who holds more is not replaced
        (boss, "2", {"level": "leader", "group": None}),  # the last manager
        (boss, "2", {"level": "super", "group": None, "permissions": ["customer_manage"]}),
        (leader, "21", {"permissions": ["net_popup"], "group": None, "records_come_along": False, "records_to": "5"}),
    )
    count = crm.conn.execute("SELECT count(*) FROM operators").fetchone()[0]
    for who, whom, change in tries:
        answer = who.ask("POST", f"/operators/{whom}/replacement", AS_ORDINARY | {"channels": [1]} | change)
        assert (answer.status, answer.code) == (409, "refused"), change
    assert boss.ask("POST", "/operators/99/replacement", AS_ORDINARY).status == 404
    assert boss.ask("POST", "/operators/21/replacement", AS_ORDINARY | {"group": 77}).status == 400
    assert crm.conn.execute("SELECT count(*) FROM operators").fetchone()[0] == count
    assert owner_of(crm, "customers", customer) == "21"


def test_an_ordinary_manager_cannot_let_records_stay(crm, server, browse):
    office(crm)
    hire(crm, "7", "ordinary", 2, (1,))
    moved = AS_ORDINARY | {"group": 3, "permissions": [], "records_come_along": False, "records_to": "22"}
    answer = browse("7").ask("POST", "/operators/21/replacement", moved)
    assert (answer.status, answer.code) == (403, "level_missing")


def test_a_staff_number_is_given_again_to_the_same_person_only(crm, server, browse):
    office(crm)
    boss, customer = browse("1"), furnish(crm, "21")
    assert boss.ask("DELETE", "/operators/21").status == 204
    assert browse("20").get(f"/customers/{customer}")["owner"] == "21"  # the group goes on counting
    anew = {"staff_no": "21", "name": "王芳", "level": "ordinary", "group": 3, "channels": [1]}
    refused = boss.ask("POST", "/operators", anew)
    assert (refused.status, refused.code) == (409, "staff_no_used")
    unused = boss.ask("POST", "/operators", anew | {"staff_no": "77", "returning": True})
    assert (unused.status, unused.code) == (400, "not_returning")
    back = boss.ask("POST", "/operators", anew | {"returning": True})
    assert back.status == 201
    assert boss.ask("POST", "/operators", anew | {"returning": True}).code == "refused"  # somebody present
    assert browse("30").get(f"/customers/{customer}")["owner"] == "21"
    assert Browser(server.port).log_in("21", PASSWORD).status == 401
    assert Browser(server.port).log_in("21", back.json["one_time_password"]).json["must_change_password"] is True
    assert [(actor, subject) for actor, subject, _ in audit_of(crm, "operator.return")] == [("1", "21")]


def test_who_leaves_is_shut_out_and_colleagues_take_over(crm, server, browse):
    office(crm)
    give_token(crm, "21")
    hire(crm, "23", "ordinary", 2, (1,), NO_SHARE)
    customer = furnish(crm, "21")
    more = [add_customer_of(crm, "21", f"客户{number}") for number in range(8)]
    at_desk, leader = browse("21"), browse("20")
    counts = leader.get("/operators/21/belongings")
    assert counts == {
        "customers": 9, "communications": 1, "tasks": 2, "call_backs": 1, "drafts": 2, "saved_views": 1,
        "deleted_customers": 0, "sessions": 1, "tokens": 1, "shared_phrases": 0, "shared_views": 0,
    }  # fmt: skip
    answer = leader.ask("POST", "/operators/21/leaving", {"to": ["22", "23"], "reason": "离职"})
    hand_overs = handed(leader, answer)
    assert get_operator(crm, "21").active is False
    assert at_desk.ask("GET", "/session").status == 401
    assert standing_tokens(crm, "21") == 0
    assert Browser(server.port).log_in("21", PASSWORD).status == 401
    owners = Counter(owner_of(crm, "customers", key) for key in (customer, *more))
    assert owners == {"22": 5, "23": 4}
    assert owned(crm, "21") == {"customers": 0, "communications": 0, "tasks": 1, "call_backs": 0, "drafts": 0}
    assert owned(crm, "22")["drafts"] == 2
    assert {one["to"]: one["counts"]["customer"] for one in hand_overs} == {"22": 5, "23": 4}
    assert leader.get("/operators/21/belongings")["customers"] == 0
    for one in hand_overs:
        assert leader.ask("POST", f"/hand-overs/{one['id']}/undo").code == "refused", "records would wait there"
    set_active(crm, "21", True, ROOT, None)
    for one in hand_overs:
        handed(leader, leader.ask("POST", f"/hand-overs/{one['id']}/undo"))
    assert owned(crm, "21") == {"customers": 9, "communications": 1, "tasks": 3, "call_backs": 1, "drafts": 2}
    assert [subject for _, subject, _ in audit_of(crm, "operator.leaving")] == ["21"]


def test_leaving_is_refused_as_a_whole(crm, server, browse):
    office(crm)
    customer = furnish(crm, "21")
    boss, leader, other = browse("1"), browse("20"), browse("30")
    hire(crm, "7", "ordinary", 2, (1,))
    assert other.ask("POST", "/operators/21/leaving", {"to": ["30"]}).status == 404
    assert other.ask("GET", "/operators/21/belongings").status == 404
    assert browse("7").ask("GET", "/operators/21/belongings").code == "level_missing"
    assert leader.ask("POST", "/operators/21/leaving", {"to": ["30"]}).status == 404
    assert boss.ask("POST", "/operators/21/leaving", {"to": []}).code == "bad_input"
    assert boss.ask("POST", "/operators/21/leaving", {"to": ["22", "22"]}).code == "hand_over_to"
    assert boss.ask("POST", "/operators/21/leaving", {"to": ["22", "99"]}).status == 404
    assert boss.ask("POST", "/operators/1/leaving", {"to": ["22"]}).code == "refused"  # the last manager
    assert get_operator(crm, "21").active
    assert get_operator(crm, "1").active
    assert owner_of(crm, "customers", customer) == "21"
    assert boss.get("/hand-overs")["hand_overs"] == []
