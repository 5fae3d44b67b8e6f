"""Operators: what is set once stays, nobody grants what they lack, and somebody is always in charge."""

from __future__ import annotations

import sqlite3

import pytest
from click.testing import CliRunner
from crm_office import PASSWORD, ROOT, hire

from crm_client_api.commands import operator_group
from crm_client_api.daemons import greet
from crm_client_api.domain.operators import (
    Operator,
    add_operator,
    delete_operator,
    get_operator,
    list_operators,
    set_active,
)
from crm_client_api.domain.passwords import verify_password
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Level, Permission
from firmware.errors import BadInput, NotFound, Refused

NEW = {"staff_no": "9", "name": "李", "level": "ordinary", "group": None, "channels": [1], "permissions": ["net_popup"]}


def audited(crm):
    return [row[0] for row in crm.conn.execute("SELECT action FROM audit ORDER BY id")]


SET_ONCE_CHANGES = (
    {"level": "super"}, {"group": 2}, {"channels": [1, 2]}, {"permissions": []}, {"staff_no": "8"},
    {"name": "x", "level": "ordinary"}, {"group": None},
)  # fmt: skip


def test_what_is_set_once_is_refused_and_audited(crm, server, browse):
    hire(crm, "1", "super")
    before = hire(crm, "2", "ordinary", 1, (1,))
    boss = browse("1")
    for change in SET_ONCE_CHANGES:
        answer = boss.ask("PATCH", "/operators/2", change)
        assert (answer.status, answer.code) == (409, "set_once")
        assert "set once" in answer.json["error"]["message"]
        assert get_operator(crm, "2") == before
    rows = crm.conn.execute("SELECT actor, subject FROM audit WHERE action = 'operator.set_once_refused'").fetchall()
    assert [tuple(row) for row in rows] == [("1", "2")] * len(SET_ONCE_CHANGES)


@pytest.mark.parametrize("column", ["staff_no", "level", "group_number", "channels", "permissions"])
def test_the_store_itself_keeps_what_is_set_once(crm, column):
    hire(crm, "2")
    with pytest.raises(sqlite3.IntegrityError, match="set once"):
        crm.conn.execute(f"UPDATE operators SET {column} = {column}")
    crm.conn.rollback()
    with pytest.raises(sqlite3.IntegrityError, match="stay"):
        crm.conn.execute("DELETE FROM operators")
    crm.conn.rollback()
    for statement in ("UPDATE audit SET actor = 'x'", "DELETE FROM audit"):
        with pytest.raises(sqlite3.IntegrityError, match="only grows"):
            crm.conn.execute(statement)
        crm.conn.rollback()


def test_add_rename_and_log_in(crm, server, browse):
    hire(crm, "1", "super")
    boss = browse("1")
    added = boss.ask("POST", "/operators", NEW)
    assert added.status == 201
    assert verify_password(crm.conn.execute("SELECT password_hash FROM operators WHERE staff_no='9'").fetchone()[0],
                           added.json["one_time_password"])  # fmt: skip
    assert boss.ask("PATCH", "/operators/9", {"name": "李四"}).json["name"] == "李四"
    assert [one["staff_no"] for one in boss.get("/operators")["operators"]] == ["1", "9"]
    assert boss.ask("POST", "/operators", NEW).code == "refused"
    reset = boss.ask("POST", "/operators/9/password-reset", {})
    assert reset.json["one_time_password"] != added.json["one_time_password"]
    assert boss.ask("PATCH", "/operators/7", {"name": "x"}).status == 404


MALFORMED = (
    {"staff_no": ""}, {"staff_no": "a b"}, {"staff_no": "console"}, {"name": " "}, {"channels": [0]}, {"group": 77},
    {"level": "king"}, {"permissions": ["fly"]}, {"unknown": 1},
)  # fmt: skip


def test_malformed_operators_are_refused(crm, server, browse):
    hire(crm, "1", "super")
    boss = browse("1")
    for wrong in MALFORMED:
        answer = boss.ask("POST", "/operators", NEW | wrong)
        assert (answer.status, answer.code) == (400, "bad_input"), wrong
    assert len(list_operators(crm)) == 1


def test_a_staff_number_belongs_to_one_person_for_ever(crm):
    hire(crm, "1", "super")
    gone = hire(crm, "2", "leader", 3)
    delete_operator(crm, "2", ROOT, None)
    with pytest.raises(NotFound):
        get_operator(crm, "2")
    with pytest.raises(Refused, match="for ever"):
        add_operator(crm, gone, ROOT, None)
    assert crm.conn.execute("SELECT group_number FROM staff WHERE staff_no = '2'").fetchone()[0] == 3


def test_nobody_grants_what_they_lack(crm):
    few = frozenset({Permission.OPERATOR_MANAGE, Permission.NET_POPUP})
    leader = hire(crm, "5", "leader", 1, (), few)
    for level, permissions in ((Level.SUPER, few), (Level.ORDINARY, ALL_PERMISSIONS),
                               (Level.ORDINARY, frozenset({Permission.CUSTOMER_MANAGE}))):  # fmt: skip
        with pytest.raises(Refused):
            add_operator(crm, Operator("6", "x", level, 1, frozenset(), permissions), ROOT, leader)
    add_operator(crm, Operator("6", "x", Level.ORDINARY, 1, frozenset(), few), ROOT, leader)


def test_nobody_takes_over_who_holds_more(crm, server, browse):
    hire(crm, "1", "super")
    hire(crm, "5", "leader", 1, (), frozenset({Permission.OPERATOR_MANAGE}))
    leader = browse("5")
    for method, path, body in (("POST", "/operators/1/password-reset", {}), ("DELETE", "/operators/1", None),
                               ("PATCH", "/operators/1", {"active": False})):  # fmt: skip
        assert leader.ask(method, path, body).status == 409
    assert get_operator(crm, "1").active
    refused = crm.conn.execute(
        "SELECT actor, subject FROM audit WHERE action = 'request.refused' ORDER BY id"
    ).fetchall()
    assert [tuple(row) for row in refused] == [
        ("5", "POST /api/v1/operators/1/password-reset"),
        ("5", "DELETE /api/v1/operators/1"),
        ("5", "PATCH /api/v1/operators/1"),
    ]


def test_the_last_active_manager_stays(crm):
    hire(crm, "1", "super")
    hire(crm, "2", "super", permissions=frozenset({Permission.NET_POPUP}))
    hire(crm, "3", "leader", 1)
    for refuse in (lambda: set_active(crm, "1", False, ROOT, None), lambda: delete_operator(crm, "1", ROOT, None)):
        with pytest.raises(Refused, match="last active super"):
            refuse()
    hire(crm, "4", "super")
    set_active(crm, "1", False, ROOT, None)
    with pytest.raises(Refused):
        set_active(crm, "4", False, ROOT, None)
    set_active(crm, "1", True, ROOT, None)
    delete_operator(crm, "4", ROOT, None)


def test_only_managers_manage(crm, server, browse):
    hire(crm, "1", "super", permissions=ALL_PERMISSIONS - {Permission.OPERATOR_MANAGE})
    answer = browse("1").ask("POST", "/operators", NEW)
    assert (answer.status, answer.code) == (403, "permission_missing")
    assert audited(crm)[-1] == "request.refused"


def test_passwords_are_checked(crm):
    for password in ("short", "x" * 300, "12345678"):
        with pytest.raises(BadInput):
            add_operator(crm, Operator("12345678", "x", Level.ORDINARY, None, frozenset(), frozenset()), ROOT, None,
                         password)  # fmt: skip


def test_a_fresh_box_has_one_super_operator(home, crm):
    first = greet(home)
    password = first[0].rpartition(" ")[2]
    assert "1000" in first[0]
    one = get_operator(crm, "1000")
    assert (one.level, one.name, one.permissions, one.must_change_password) == (
        "super",
        "管理员",
        ALL_PERMISSIONS,
        True,
    )
    stored = crm.conn.execute("SELECT password_hash FROM operators").fetchone()[0]
    assert stored.startswith("$argon2id$")
    assert verify_password(stored, password)
    assert "operator reset 1000" in greet(home)[0]
    assert len(list_operators(crm)) == 1


def test_the_console(home, crm):
    def run(*argv: str) -> str:
        result = CliRunner().invoke(operator_group, argv, obj=home, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    password = run("add", "7", "赵", "--level", "leader", "--group", "1", "--channels", "1,4",
                   "--permissions", "net_popup,customer_manage").strip()  # fmt: skip
    one = get_operator(crm, "7")
    assert (one.group, one.channels) == (1, frozenset({1, 4}))
    assert one.permissions == {Permission.NET_POPUP, Permission.CUSTOMER_MANAGE}
    assert run("list") == "7\t赵\tleader\t1\t1,4\tactive\n"
    again = run("reset", "7").strip()
    stored = crm.conn.execute("SELECT password_hash FROM operators").fetchone()[0]
    assert verify_password(stored, again)
    assert not verify_password(stored, password)
    assert not verify_password(stored, PASSWORD)
    run("deactivate", "7")
    assert run("list") == "7\t赵\tleader\t1\t1,4\tinactive\n"
    run("activate", "7")
    delete_operator(crm, "7", ROOT, None)
    assert CliRunner().invoke(operator_group, ["add", "7", "赵"], obj=home).exit_code != 0
    run("add", "7", "赵", "--returning")
    for wrong in (["add", "8", "x", "--permissions", "fly"], ["add", "8", "x", "--channels", "one"]):
        assert CliRunner().invoke(operator_group, wrong, obj=home).exit_code == 2
