"""Groups, warnings, and permissions that a software update brings."""

from __future__ import annotations

import json

import pytest
from crm_office import ROOT, hire
from office_records import add_customer_of

from crm_client_api.domain.groups import delete_group
from crm_client_api.domain.operators import delete_operator, get_operator
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.errors import Refused
from firmware.parameters import set_value
from firmware.store.connection import write


def test_groups_are_added_counted_renamed_and_deleted(crm, exchange, browse):
    hire(crm, "1", "super")
    exchange.wire(1, 2, 3)
    boss = browse("1")
    assert boss.get("/groups")["groups"] == [
        {"number": 1, "name": "", "operators": 0, "former_operators": 0, "channels": 3}
    ]
    sales = boss.ask("POST", "/groups", {"name": "销售部"})
    assert (sales.status, sales.json["number"]) == (201, 2)
    assert boss.ask("POST", "/groups", {"name": "Support", "number": 7}).json["number"] == 7
    hire(crm, "21", "ordinary", 2, (1,))
    hire(crm, "22", "ordinary", 2, (1,))
    delete_operator(crm, "22", ROOT, None)
    boss.ask("PATCH", "/channels/2", {"group": 7})
    found = {one["number"]: one for one in boss.get("/groups")["groups"]}
    assert found[2] == {"number": 2, "name": "销售部", "operators": 1, "former_operators": 1, "channels": 0}
    assert (found[1]["channels"], found[7]["channels"]) == (2, 1)
    assert boss.ask("PATCH", "/groups/7", {"name": "客服部"}).json["name"] == "客服部"
    for number in (1, 2, 7):  # new channels come into 1, an operator is in 2, a channel in 7
        assert boss.ask("DELETE", f"/groups/{number}").code == "refused", number
    boss.ask("PATCH", "/channels/2", {"group": 1})
    assert boss.ask("DELETE", "/groups/7").status == 204
    assert [one["number"] for one in boss.get("/groups")["groups"]] == [1, 2]
    for path, body in (("/groups/7", {"name": "x"}), ("/groups/99", {"name": "x"})):
        assert boss.ask("PATCH", path, body).status == 404
    assert boss.ask("DELETE", "/groups/7").status == 404
    actions = [row[0] for row in crm.conn.execute("SELECT action FROM audit WHERE action LIKE 'group.%' ORDER BY id")]
    assert actions == ["group.add", "group.add", "group.rename", "group.delete"]


def test_a_deleted_group_keeps_its_former_operators_records(crm, exchange, browse):
    hire(crm, "1", "super")
    hire(crm, "21", "ordinary", 2)
    customer = add_customer_of(crm, "21", "甲")
    delete_operator(crm, "21", ROOT, None)
    boss = browse("1")
    assert boss.ask("DELETE", "/groups/2").status == 204
    again = boss.ask("POST", "/groups", {"name": "新", "number": 2})
    assert (again.status, again.code) == (409, "refused")
    assert boss.ask("POST", "/groups", {"name": "新"}).json["number"] == 3
    wanted = {"staff_no": "9", "name": "x", "level": "leader", "group": 2}
    assert boss.ask("POST", "/operators", wanted).status == 400
    exchange.wire(1)
    assert boss.ask("PATCH", "/channels/1", {"group": 2}).status == 400
    assert boss.ask("PUT", "/retention-rules/group/2", {"days": 9}).status == 404
    assert boss.get(f"/customers/{customer}")["owner"] == "21"


def test_a_channel_that_is_unplugged_still_holds_its_group(crm):
    hire(crm, "1", "super", 2)
    set_value(crm, "channel", "group", 2, subject="9")
    with pytest.raises(Refused, match="1 operators and 1 channels"):
        delete_group(crm, 2, [], ROOT)


@pytest.mark.parametrize(
    ("body", "code"),
    [({"name": ""}, "bad_input"), ({"name": "  "}, "group_name"), ({"name": "x" * 61}, "bad_input"),
     ({"name": "x", "number": 0}, "bad_input"), ({"name": "x", "number": 10000}, "bad_input"), ({}, "bad_input")],
)  # fmt: skip
def test_malformed_groups_are_refused(crm, browse, body, code):
    hire(crm, "1", "super")
    answer = browse("1").ask("POST", "/groups", body)
    assert (answer.status, answer.code) == (400, code)


def test_only_managers_change_groups_and_everybody_sees_them(crm, browse):
    hire(crm, "1", "super", permissions=ALL_PERMISSIONS - {Permission.OPERATOR_MANAGE})
    one = browse("1")
    assert one.get("/groups")["groups"] == [
        {"number": 1, "name": "", "operators": None, "former_operators": None, "channels": None}
    ]
    for method, path, body in (("POST", "/groups", {"name": "x"}), ("PATCH", "/groups/1", {"name": "x"}),
                               ("DELETE", "/groups/1", None)):  # fmt: skip
        assert one.ask(method, path, body).code == "permission_missing"


def test_settings_that_cannot_work_are_told(crm, exchange, browse):
    hire(crm, "1", "super")
    exchange.wire(1)
    manage = frozenset({Permission.NET_POPUP})
    hire(crm, "20", "leader", None, (), manage)
    hire(crm, "21", "ordinary", 1, (), manage)
    hire(crm, "22", "ordinary", 1, (1, 9), manage)
    boss = browse("1")
    added = boss.ask("POST", "/operators", {
        "staff_no": "23", "name": "李", "level": "ordinary", "group": 1, "channels": [1],
        "permissions": ["customer_share", "customer_import_delete", "communication_import_delete"],
    })  # fmt: skip
    alone = ["customer_import_delete_alone", "communication_import_delete_alone"]
    assert added.json["warnings"] == ["customer_share_unused", *alone]
    listed = {one["staff_no"]: one["warnings"] for one in boss.get("/operators")["operators"]}
    assert listed == {
        "1": [], "20": ["leader_without_group"], "21": ["ordinary_without_channel"], "22": ["channel_unknown"],
        "23": ["customer_share_unused", *alone],
    }  # fmt: skip
    told = boss.get("/operators/warnings")["warnings"]
    assert [(one["staff_no"], one["code"]) for one in told] == [
        (number, code) for number, codes in sorted(listed.items()) for code in codes
    ]
    assert all(one["meaning"] for one in told)
    set_value(crm, "system", "customers_shared_by_all", True)
    assert [one["warnings"] for one in boss.get("/operators")["operators"] if one["staff_no"] == "23"] == [alone]


def update_brings(crm, permission: Permission) -> None:
    """As if the version before had not known this permission."""
    with write(crm) as connection:
        connection.execute("DELETE FROM known_permissions WHERE permission = ?", (permission.value,))


def test_what_an_update_brings_is_granted_once(crm, browse):
    hire(crm, "1", "super")
    few = frozenset({Permission.NET_POPUP})
    hire(crm, "21", "ordinary", 1, (1,), few)
    boss = browse("1")
    path = "/operators/21/new-permissions"
    assert boss.ask("POST", path, {"permissions": ["quality_score"]}).code == "refused"  # it was there before
    update_brings(crm, Permission.QUALITY_SCORE)
    offered = {one["staff_no"]: one["new_permissions"] for one in boss.get("/operators")["operators"]}
    assert offered == {"1": ["quality_score"], "21": ["quality_score"]}
    late = {"staff_no": "22", "name": "新", "level": "ordinary", "permissions": []}
    assert boss.ask("POST", "/operators", late).status == 201  # after the update: whoever adds could have granted it
    assert boss.ask("POST", "/operators/22/new-permissions", {"permissions": ["quality_score"]}).code == "refused"
    assert boss.ask("POST", path, {"permissions": ["quality_score", "hold_manage"]}).code == "refused"
    granted = boss.ask("POST", path, {"permissions": ["quality_score"]})
    assert (granted.status, granted.json["permissions"]) == (200, ["net_popup", "quality_score"])
    assert granted.json["new_permissions"] == []
    assert get_operator(crm, "21").permissions == few | {Permission.QUALITY_SCORE}
    assert browse("21").get("/session")["operator"]["permissions"] == ["net_popup", "quality_score"]
    assert boss.ask("POST", path, {"permissions": ["quality_score"]}).code == "refused"
    rows = crm.conn.execute("SELECT data FROM audit WHERE action = 'operator.grant_new_permissions'").fetchall()
    data = json.loads(rows[0][0])
    assert (data["before"]["permissions"], data["after"]["permissions"]) == (
        ["net_popup"], ["net_popup", "quality_score"],
    )  # fmt: skip


def test_nobody_grants_a_new_permission_without_holding_it(crm, browse):
    hire(crm, "1", "super")
    hire(crm, "2", "super", permissions=ALL_PERMISSIONS - {Permission.QUALITY_SCORE})
    hire(crm, "21", "ordinary", 1, (1,), frozenset())
    update_brings(crm, Permission.QUALITY_SCORE)
    for whom in ("2", "21"):
        answer = browse("2").ask("POST", f"/operators/{whom}/new-permissions", {"permissions": ["quality_score"]})
        assert (answer.status, answer.code) == (409, "refused")
    assert browse("1").ask("POST", "/operators/2/new-permissions", {"permissions": ["quality_score"]}).status == 200
    assert browse("2").ask("POST", "/operators/21/new-permissions", {"permissions": ["quality_score"]}).status == 200
