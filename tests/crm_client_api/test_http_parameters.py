"""Parameters: the table as it is declared, values in scope, several at once or none, and who changed what."""

from __future__ import annotations

import json

import pytest
from crm_office import hire

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.parameters import get_all, get_value, parameter_table, set_value

NO_SETUP = ALL_PERMISSIONS - {Permission.CHANNEL_SETUP, Permission.SYSTEM_SETUP}


def settings(answer):
    return {one["key"]: one for one in answer["settings"]}


def audited(crm, action):
    rows = crm.conn.execute("SELECT actor, subject, data FROM audit WHERE action = ? ORDER BY id", (action,))
    return [(row[0], row[1], json.loads(row[2])) for row in rows]


def test_the_table_is_told_whole(crm, browse):
    hire(crm, "1", "ordinary", permissions=frozenset())
    told = browse("1").get("/parameters")["parameters"]
    assert [(one["scope"], one["key"]) for one in told] == list(parameter_table())
    by_key = {(one["scope"], one["key"]): one for one in told}
    voice = by_key["channel", "voice_level_dbm0"]
    assert (voice["type"], voice["unit"], voice["minimum"], voice["maximum"], voice["default"]) == (
        "integer", "dBm0", -60, -10, -45,
    )  # fmt: skip
    assert by_key["channel", "record_mode"]["choices"] == ["all", "incoming", "outgoing", "on_demand", "none"]
    assert by_key["channel", "popup"]["type"] == "yes_no"
    assert by_key["channel", "group"]["nullable"] is True
    for one in told:
        assert all(one[text][language].strip() for text in ("name", "help") for language in ("zh", "en")), one["key"]
    assert by_key["system", "customers_shared_by_all"]["name"]["zh"] == "客户资料信息是否所有操作员共享"


def test_the_office_has_the_parameters_of_the_rules(crm, browse):
    hire(crm, "1", "super")
    found = settings(browse("1").get("/system-parameters"))
    wanted = {
        "customers_shared_by_all": False, "popup_withheld": False, "popup_outgoing": False,
        "popup_respects_state": False,
        "customer_export_level": "ordinary", "site_country": "CN", "site_area_code": "010", "outside_line_prefix": "",
        "language": "zh-CN", "idle_logout_min": 15, "password_min_characters": 8, "recycle_bin_days": 30,
        "retention_days": 0, "recording_encryption": False, "storage_full_action": "overwrite_oldest",
    }  # fmt: skip
    assert {key: found[key]["value"] for key in wanted} == wanted
    assert all(one["is_default"] and one["changed_at"] is one["changed_by"] is None for one in found.values())


def test_system_parameters_are_set_and_reset(crm, browse):
    hire(crm, "1", "super")
    boss = browse("1")
    answer = boss.ask("PATCH", "/system-parameters", {"values": {"popup_withheld": True, "recycle_bin_days": 60}})
    assert answer.status == 200, answer.body
    one = settings(answer.json)["recycle_bin_days"]
    assert (one["value"], one["is_default"], one["changed_by"]) == (60, False, "1")
    assert one["changed_at"].endswith("Z")
    assert get_value(crm, "system", "popup_withheld") is True
    back = boss.ask("PATCH", "/system-parameters", {"values": {"popup_withheld": False}, "reset": ["recycle_bin_days"]})
    assert settings(back.json)["recycle_bin_days"] == {
        "key": "recycle_bin_days", "value": 30, "is_default": True, "changed_at": None, "changed_by": None,
        "waits": False,
    }  # fmt: skip
    assert settings(back.json)["popup_withheld"]["is_default"] is False
    assert audited(crm, "system.change") == [
        ("1", "", {"before": {"popup_withheld": False, "recycle_bin_days": 30},
                   "after": {"popup_withheld": True, "recycle_bin_days": 60}}),
        ("1", "", {"before": {"popup_withheld": True, "recycle_bin_days": 60},
                   "after": {"popup_withheld": False, "recycle_bin_days": 30}}),
    ]  # fmt: skip


WRONG = (
    ({"values": {"recycle_bin_days": 0}}, "bad_value", ("recycle_bin_days", "1 … 3650 d")),
    ({"values": {"recycle_bin_days": "30"}}, "bad_value", ("recycle_bin_days", "int")),
    ({"values": {"language": "de"}}, "bad_value", ("language", "zh-CN, en")),
    ({"values": {"gain": 3}}, "bad_value", ("gain",)),
    ({"values": {"recycle_bin_days": None}}, "bad_value", ("recycle_bin_days",)),
    ({"values": {"holidays": "some day"}}, "bad_value", ("holidays",)),
    ({"values": {"site_country": "China"}}, "bad_value", ("site_country",)),
    ({"values": {"site_country": "UK"}}, "bad_value", ("site_country", "GB")),
    ({"values": {"site_country": "ZZ"}}, "bad_value", ("site_country", "ZZ")),
    ({"values": {"site_country": "gb"}}, "bad_value", ("site_country",)),
    ({"values": {"site_area_code": "abc"}}, "bad_value", ("site_area_code",)),
    ({"values": {"outside_line_prefix": "x"}}, "bad_value", ("outside_line_prefix",)),
    ({"values": {"smtp_sender": "x" * 10_001}}, "bad_value", ("smtp_sender",)),
    ({"values": {}, "reset": ["gain"]}, "bad_value", ("gain",)),
    ({"values": {"language": "en"}, "reset": ["language"]}, "set_and_reset", ("language",)),
    ({"values": {"idle_logout_min": [1]}}, "bad_input", ()),
    ({"keys": {}}, "bad_input", ()),
)


def test_one_wrong_value_and_nothing_is_changed(crm, browse):
    hire(crm, "1", "super")
    boss, before = browse("1"), get_all(crm, "system")
    for wrong, code, named in WRONG:
        body = dict(wrong)
        if "values" in wrong:
            body["values"] = {"popup_outgoing": True, **wrong["values"]}
        answer = boss.ask("PATCH", "/system-parameters", body)
        assert (answer.status, answer.code) == (400, code), wrong
        assert all(word in answer.json["error"]["message"] for word in named), answer.body
    assert get_all(crm, "system") == before
    assert audited(crm, "system.change") == []


def test_a_secret_is_never_told(crm, browse):
    hire(crm, "1", "super")
    boss = browse("1")
    answer = boss.ask("PATCH", "/system-parameters", {"values": {"mqtt_password": "hunter2-秘密"}})
    assert answer.status == 200
    assert settings(answer.json)["mqtt_password"]["value"] is None
    assert settings(answer.json)["mqtt_password"]["is_default"] is False
    assert get_value(crm, "system", "mqtt_password") == "hunter2-秘密"
    everything = "\n".join(row[0] for row in crm.conn.execute("SELECT data FROM audit"))
    assert "hunter2" not in everything
    assert audited(crm, "system.change")[0][2] == {
        "before": {"mqtt_password": "(none)"}, "after": {"mqtt_password": "(secret)"},
    }  # fmt: skip


def test_channel_parameters_in_scope_only(crm, exchange, browse):
    hire(crm, "1", "super")
    hire(crm, "20", "leader", 2)
    hire(crm, "21", "ordinary", 2, (1,), NO_SETUP)
    exchange.wire(1, 2)
    set_value(crm, "channel", "group", 2, subject="2")
    boss, leader = browse("1"), browse("20")
    assert leader.ask("GET", "/channels/1/parameters").status == 404
    assert leader.ask("PATCH", "/channels/1/parameters", {"values": {"popup": False}}).status == 404
    assert leader.ask("POST", "/channels/1/recording-test", {"number": "10086"}).status == 404
    assert boss.ask("GET", "/channels/9/parameters").status == 404
    answer = leader.ask("PATCH", "/channels/2/parameters", {"values": {"popup": False, "voice_level_dbm0": -40}})
    assert answer.status == 200
    found = settings(leader.get("/channels/2/parameters"))
    assert (found["popup"]["value"], found["voice_level_dbm0"]["value"], found["gain_db"]["value"]) == (False, -40, 0)
    assert found["popup"]["changed_by"] == "20"
    assert settings(boss.get("/channels/1/parameters"))["popup"]["is_default"] is True
    assert [(actor, subject) for actor, subject, _ in audited(crm, "channel.change")] == [("20", "2")]
    for wrong in ({"group": 77}, {"name": "x" * 61}, {"gain_db": 99.0}, {"retention_days": -1}):
        assert leader.ask("PATCH", "/channels/2/parameters", {"values": {"popup": True, **wrong}}).status == 400
    assert settings(leader.get("/channels/2/parameters"))["popup"]["value"] is False
    ordinary = browse("21")
    for method, path, body in (
        ("GET", "/channels/1/parameters", None), ("PATCH", "/channels/1/parameters", {}),
        ("POST", "/channels/1/parameters/copy", {"to": [2], "keys": ["popup"]}),
        ("POST", "/channels/1/recording-test", {}), ("GET", "/system-parameters", None),
        ("PATCH", "/system-parameters", {}),
    ):  # fmt: skip
        assert ordinary.ask(method, path, body).code == "permission_missing", path


def test_chosen_parameters_are_copied(crm, exchange, browse):
    hire(crm, "1", "super")
    hire(crm, "20", "leader", 2)
    exchange.wire(1, 2, 3)
    boss = browse("1")
    boss.ask("PATCH", "/channels/1/parameters", {"values": {"gain_db": 3, "record_mode": "incoming", "name": "前台"}})
    boss.ask("PATCH", "/channels/2/parameters", {"values": {"popup": False, "pre_roll_ms": 5}})
    path = "/channels/1/parameters/copy"
    copied = boss.ask("POST", path, {"to": [2, 3, 1], "keys": ["gain_db", "popup"]})
    assert (copied.status, copied.body) == (204, b"")
    for number in (2, 3):
        found = settings(boss.get(f"/channels/{number}/parameters"))
        assert (found["gain_db"]["value"], found["record_mode"]["value"]) == (3.0, "all")
        assert found["popup"]["is_default"] is True
    assert settings(boss.get("/channels/2/parameters"))["pre_roll_ms"]["value"] == 5
    assert settings(boss.get("/channels/1/parameters"))["gain_db"]["value"] == 3.0
    assert boss.ask("POST", path, {"to": [2], "keys": ["name"]}).code == "not_copied"
    assert boss.ask("POST", path, {"to": [2], "keys": ["colour"]}).code == "bad_value"
    assert boss.ask("POST", path, {"to": [2, 9], "keys": ["popup"]}).status == 404
    set_value(crm, "channel", "group", 2, subject="2")
    assert browse("20").ask("POST", "/channels/2/parameters/copy", {"to": [3], "keys": ["popup"]}).status == 404


CASES = (
    ({"number": "13812345678"}, (True, "mode_all", 100)),
    ({"number": "10086", "values": {"never_record_numbers": "10086 139*"}}, (False, "never_list", 100)),
    ({"number": "013911112222", "values": {"never_record_numbers": "10086 139*"}}, (False, "never_list", 100)),
    ({"number": "62345678", "values": {"record_mode": "none", "always_record_numbers": "01062345678"}},
     (True, "always_list", 100)),
    ({"direction": "outgoing", "values": {"record_mode": "incoming"}}, (False, "mode_incoming", 100)),
    ({"values": {"record_percent": 30}}, (True, "mode_all", 30)),
    ({"values": {"record_percent": 0}}, (False, "sampled_out", 0)),
    ({"at": "2027-02-06T04:00:00Z", "values": {"record_on_holidays": False, "record_schedule": "daily 00:00-24:00"}},
     (False, "holiday", 100)),
)  # fmt: skip


def test_a_call_is_tried_without_calling(crm, exchange, browse, monkeypatch):
    hire(crm, "1", "super")
    exchange.wire(1)
    set_value(crm, "system", "holidays", "2027-02-05..2027-02-11 off")
    boss, before = browse("1"), get_all(crm, "channel", "1")
    for body, expected in CASES:
        answer = boss.ask("POST", "/channels/1/recording-test", body)
        assert answer.status == 200, answer.body
        assert (answer.json["kept"], answer.json["reason"], answer.json["percent"]) == expected, body
    assert get_all(crm, "channel", "1") == before
    set_value(crm, "channel", "record_mode", "none", subject="1")
    assert boss.ask("POST", "/channels/1/recording-test", {}).json["reason"] == "mode_none"
    wrong = boss.ask("POST", "/channels/1/recording-test", {"values": {"never_record_numbers": "ab"}})
    assert (wrong.status, wrong.code) == (400, "bad_value")


@pytest.mark.parametrize("values", [{"allowed_addresses": "10.9.9.0/24"}])
def test_nobody_locks_themselves_out(crm, server, browse, values):
    """The tests' own address is the box itself, which always may: so a proxy tells another one."""
    hire(crm, "1", "super")
    boss = browse("1")
    boss.headers["X-Real-IP"] = "192.168.7.7"
    refused = boss.ask("PATCH", "/system-parameters", {"values": values})
    assert (refused.status, refused.code) == (400, "locks_out_asker")
    assert get_value(crm, "system", "allowed_addresses") == ""


def test_whoever_sees_a_channel_is_told_that_it_changed(crm, exchange, browse):
    hire(crm, "1", "super")
    hire(crm, "10", "leader", 1)
    hire(crm, "20", "leader", 2)
    hire(crm, "21", "ordinary", 1, (1,))
    hire(crm, "22", "ordinary", 1, (2,))
    exchange.wire(1, 2)
    boss = browse("1")
    boss.ask("PATCH", "/channels/1/parameters", {"values": {"group": 2}})
    boss.ask("PATCH", "/channels/1", {"name": "前台"})
    boss.ask("PATCH", "/channels/1/parameters", {"values": {"gain_db": 2}})
    told = [json.loads(row[0]) for row in crm.conn.execute("SELECT data FROM events WHERE kind = 'channel_changed'")]
    assert told == [
        {"to": ["1", "10", "20", "21"], "channel": 1},  # who loses it sees it go
        {"to": ["1", "20", "21"], "channel": 1},
    ]
