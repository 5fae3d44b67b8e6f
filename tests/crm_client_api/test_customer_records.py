"""Customers whole over HTTP: every field, nobody overwrites somebody, the office's own fields, history, saved views."""

from __future__ import annotations

from crm_office import hire

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission

WHOLE = {
    "name": "王小明", "gender": "男", "company": "百货公司", "title": "经理", "wechat": "wx_wang",
    "email": "w@example.cn", "region": "北京", "address": "中山路 1 号", "postcode": "100000",
    "category": "成交", "level": "A", "status": "跟进", "source": "电话", "note": "要发票", "consent": "录音已告知",
    "next_contact_at": "2026-12-01T02:00:00.000Z", "tags": ["VIP", "老客户"], "custom": {},
}  # fmt: skip


def test_every_field_is_kept(crm, server, browse):
    hire(crm, "1", "ordinary")
    browser = browse("1")
    fax = {"number": "62345679", "kind": "fax", "label": "会计"}
    phones = [{"number": "010-62345678"}, {"number": "13812345678"}, fax]
    one = browser.ask("POST", "/customers", WHOLE | {"phones": phones}).json
    assert {name: one[name] for name in WHOLE} == WHOLE
    assert [phone["kind"] for phone in one["phones"]] == ["phone", "mobile", "fax"]
    path = f"/customers/{one['id']}"
    # A client that does not know kinds sends numbers and labels: a fax stays a fax.
    plain = [{"label": phone["label"], "number": phone["number"]} for phone in one["phones"]]
    assert browser.ask("PATCH", path, {"phones": plain, "tags": ["新 "]}).json["phones"] == one["phones"]
    assert browser.get(path)["tags"] == ["新"]
    cleared = browser.ask("PATCH", path, {"next_contact_at": None, "note": ""}).json
    assert (cleared["next_contact_at"], cleared["note"], cleared["name"]) == (None, "", "王小明")
    assert browser.get("/customers/tags")["tags"] == ["新"]


def test_wrong_values_are_refused(crm, server, browse):
    hire(crm, "1", "ordinary")
    browser = browse("1")
    for wrong, code in (
        ({"tags": [" "]}, "tag_wrong"), ({"tags": ["x" * 41]}, "tag_wrong"),
        ({"tags": [str(n) for n in range(51)]}, "too_many_tags"),
        ({"phones": [{"number": "1", "kind": "pager"}]}, "phone_wrong"),
        ({"custom": {"1": "x"}}, "custom_field_unknown"), ({"custom": {"x": 1}}, "bad_input"),
        ({"next_contact_at": "tomorrow"}, "bad_input"), ({"address": "x" * 201}, "field_too_long"),
    ):  # fmt: skip
        answer = browser.ask("POST", "/customers", {"name": "x"} | wrong)
        assert (answer.status, answer.code) == (400, code), wrong
    assert browser.get("/customers")["customers"] == []


def test_two_operators_never_overwrite_each_other(crm, server, browse):
    hire(crm, "1", "ordinary")
    hire(crm, "2", "super")
    first, second = browse("1"), browse("2")
    one = first.ask("POST", "/customers", {"name": "王"}).json
    path = f"/customers/{one['id']}"
    seen = second.get(path)["changed_at"]
    mine = first.ask("PATCH", path, {"note": "甲", "changed_at": one["changed_at"]}).json
    assert mine["changed_at"] > one["changed_at"]
    late = second.ask("PATCH", path, {"note": "乙", "changed_at": seen})
    assert (late.status, late.code) == (409, "changed")
    assert first.get(path)["note"] == "甲"
    assert second.ask("PATCH", path, {"note": "乙", "changed_at": mine["changed_at"]}).status == 200
    same = second.ask("PATCH", path, {"note": "乙"}).json
    assert same == second.get(path)
    changes = [row[0] for row in crm.conn.execute("SELECT action FROM audit WHERE action = 'customer.change'")]
    assert len(changes) == 2, "a change that changes nothing is none"


def test_the_history_says_who_changed_what_from_what_to_what(crm, server, browse):
    hire(crm, "1", "ordinary")
    hire(crm, "2", "super")
    hire(crm, "3", "ordinary", permissions=ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE})
    first, second = browse("1"), browse("2")
    path = f"/customers/{first.ask('POST', '/customers', {'name': '王', 'level': 'B'}).json['id']}"
    second.ask("PATCH", path, {"level": "A", "phones": [{"number": "13812345678"}]})
    first.ask("PATCH", path, {"phones": [], "tags": ["VIP"]})
    found = first.get(f"{path}/history?limit=2")
    newest, middle = found["entries"]
    phone = {"label": "", "number": "13812345678", "kind": "mobile"}
    assert (newest["by"], newest["action"]) == ("1", "customer.change")
    assert {one["field"]: (one["before"], one["after"]) for one in newest["changes"]} == {
        "phones": ([phone], None), "tags": (None, ["VIP"]),
    }  # fmt: skip
    assert (middle["by"], middle["changes"][0]) == ("2", {"field": "level", "before": "B", "after": "A"})
    rest = first.get(f"{path}/history?after={found['next']}")
    assert [one["action"] for one in rest["entries"]] == ["customer.add"]
    assert rest["next"] is None
    assert browse("3").ask("GET", f"{path}/history").status == 404


def test_an_administrator_defines_fields(crm, server, browse):
    hire(crm, "1", "ordinary", permissions=ALL_PERMISSIONS - {Permission.SYSTEM_SETUP})
    hire(crm, "2", "super")
    user, admin = browse("1"), browse("2")
    assert user.ask("POST", "/custom-fields", {"type": "text", "name_zh": "车牌"}).code == "permission_missing"
    made = {}
    for kind in ("text", "number", "date", "yes_no"):
        made[kind] = str(admin.ask("POST", "/custom-fields", {"type": kind, "name_zh": kind}).json["id"])
    choice = {"type": "choice", "name_en": "Colour", "choices": ["红", "blue"], "required": True}
    made["choice"] = str(admin.ask("POST", "/custom-fields", choice).json["id"])
    for wrong in (
        {"type": "choice", "name_zh": "x"}, {"type": "text", "name_zh": "x", "choices": ["1"]}, {"type": "text"},
        {"type": "choice", "name_zh": "x", "choices": ["1", "1"]},
    ):  # fmt: skip
        assert admin.ask("POST", "/custom-fields", wrong).code == "custom_field_wrong", wrong
    assert admin.ask("POST", "/custom-fields", {"type": "blob", "name_zh": "x"}).status == 400

    values = {"text": "京A12345", "number": 3.5, "date": "2026-11-22", "yes_no": True, "choice": "红"}
    custom = {made[kind]: value for kind, value in values.items()}
    assert user.ask("POST", "/customers", {"name": "王"}).code == "custom_field_required"
    one = user.ask("POST", "/customers", {"name": "王", "custom": custom}).json
    assert one["custom"] == custom
    assert [found["id"] for found in user.get("/customers?q=12345")["customers"]] == [one["id"]]
    path = f"/customers/{one['id']}"
    for kind, value in (
        ("number", "3"), ("number", True), ("date", "2026-2-3"), ("date", "x"), ("yes_no", 1), ("choice", "green"),
        ("text", 5), ("text", "x" * 1001), ("number", 1e300),
    ):  # fmt: skip
        assert user.ask("PATCH", path, {"custom": {made[kind]: value}}).code == "custom_value_wrong", (kind, value)
    assert user.ask("PATCH", path, {"custom": {made["choice"]: None}}).code == "custom_field_required"
    without = user.ask("PATCH", path, {"custom": {made["text"]: None}}).json["custom"]
    assert without.keys() == custom.keys() - {made["text"]}

    order = sorted((int(key) for key in made.values()), reverse=True)
    fields = admin.ask("PUT", "/custom-fields/order", {"ids": order}).json["fields"]
    assert [field["id"] for field in fields] == order
    assert admin.ask("PUT", "/custom-fields/order", {"ids": order[1:]}).code == "custom_field_wrong"
    changed = admin.ask("PATCH", f"/custom-fields/{made['choice']}", {"choices": ["blue"], "required": False}).json
    assert (changed["choices"], changed["required"], changed["name_en"]) == (["blue"], False, "Colour")
    assert user.get(path)["custom"][made["choice"]] == "红", "a choice that went stays where it was chosen"
    assert admin.ask("DELETE", f"/custom-fields/{made['number']}").status == 204
    assert admin.ask("DELETE", f"/custom-fields/{made['number']}").status == 404
    assert user.get(path)["custom"][made["number"]] == 3.5
    assert user.ask("PATCH", path, {"custom": {made["number"]: 4}}).code == "custom_field_unknown"
    assert len(user.get("/custom-fields")["fields"]) == 4
    assert [one["removed"] for one in user.get("/custom-fields?removed=1")["fields"]] == [False] * 4 + [True]


def test_views_are_ones_own_or_shared(crm, server, browse):
    hire(crm, "1", "ordinary")
    hire(crm, "2", "ordinary")
    mine, other = browse("1"), browse("2")
    view = mine.ask("POST", "/saved-views", {"list": "customers", "name": "本周", "body": {"category": "成交"}}).json
    assert view["body"] == {"category": "成交"}
    assert other.get("/saved-views")["views"] == []
    path = f"/saved-views/{view['id']}"
    assert mine.ask("PATCH", path, {"shared": True}).json["name"] == "本周"
    assert [one["owner"] for one in other.get("/saved-views?list=customers")["views"]] == ["1"]
    assert other.get("/saved-views?list=calls")["views"] == []
    for method, body in (("PATCH", {"name": "x"}), ("DELETE", None)):
        assert other.ask(method, path, body).status == 404
    assert mine.ask("POST", "/saved-views", {"list": "cards", "name": "x", "body": {}}).status == 400
    assert mine.ask("POST", "/saved-views", {"list": "calls", "name": " ", "body": {}}).code == "view_wrong"
    assert mine.ask("PATCH", path, {"body": {"x": "y" * 11_000}}).code == "view_wrong"
    assert mine.ask("DELETE", path).status == 204
    assert mine.get("/saved-views")["views"] == []
