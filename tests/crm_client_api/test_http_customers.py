"""Customers over HTTP."""

from __future__ import annotations

from crm_office import hire

from crm_client_api.domain.customers import renew_match_keys
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.parameters import set_value
from recorder.numbers import Site

WANG = {
    "name": "王小明",
    "company": "百货公司",
    "phones": [{"label": "手机", "number": "138 1234 5678"}, {"number": "801"}],
}


def test_add_show_change_delete(crm, server, browse):
    hire(crm, "1", "ordinary")
    browser = browse("1")
    added = browser.ask("POST", "/customers", WANG)
    assert added.status == 201
    one = added.json
    assert (one["author"], one["owner"], one["title"]) == ("1", "1", "")
    assert one["phones"] == [
        {"label": "手机", "number": "138 1234 5678", "e164": "+8613812345678", "kind": "mobile"},
        {"label": "", "number": "801", "e164": None, "kind": "phone"},
    ]
    path = f"/customers/{one['id']}"
    assert browser.get(path) == one
    changed = browser.ask("PATCH", path, {"note": "要发票", "phones": one["phones"][:1]}).json
    assert changed["note"] == "要发票"
    assert changed["name"] == one["name"]
    assert len(changed["phones"]) == 1
    assert changed["changed_at"] >= one["changed_at"]
    assert browser.ask("DELETE", path).status == 204
    for method, body in (("GET", None), ("PATCH", {"note": ""}), ("DELETE", None)):
        assert browser.ask(method, path, body).status == 404
    assert browser.get("/customers")["customers"] == []
    actions = [row[0] for row in crm.conn.execute("SELECT action FROM audit WHERE action GLOB 'customer.[^r]*'")]
    assert actions == ["customer.add", "customer.change", "customer.delete"]


def test_search_and_pages(crm, server, browse):
    hire(crm, "1", "ordinary")
    browser = browse("1")
    ids = []
    for n in range(7):
        body = {"name": f"客户{n:02d}", "phones": [{"number": f"1391234{n:04d}"}]}
        ids.append(browser.ask("POST", "/customers", body).json["id"])
    page, seen = browser.get("/customers?limit=3"), []
    while True:
        seen += [one["id"] for one in page["customers"]]
        if page["next"] is None:
            break
        page = browser.get(f"/customers?limit=3&after={page['next']}")
    assert seen == ids[::-1]
    assert [one["id"] for one in browser.get("/customers?q=%E5%AE%A2%E6%88%B703")["customers"]] == [ids[3]]
    assert [one["id"] for one in browser.get("/customers?number=%2B8613912340005")["customers"]] == [ids[5]]
    assert [one["id"] for one in browser.get("/customers?q=2340002")["customers"]] == [ids[2]]
    for nothing in ("q=%25", "q=_", "number=1391234", "number=%20x"):
        assert browser.get(f"/customers?{nothing}")["customers"] == []


MALFORMED = ({"name": 5}, {"nom": "x"}, {"name": "x", "owner": "2"}, [], None, "x")
INVALID = (
    ({}, "customer_empty"), ({"note": "x"}, "customer_empty"), ({"name": "x" * 201}, "field_too_long"),
    ({"name": "x", "phones": [{"number": " "}]}, "phone_wrong"),
    ({"name": "x", "phones": [{"number": "1"}] * 101}, "too_many_phones"),
)  # fmt: skip


def test_malformed_customers_and_queries_are_refused(crm, server, browse):
    hire(crm, "1", "ordinary")
    browser = browse("1")
    for body in MALFORMED:
        answer = browser.ask("POST", "/customers", body)
        assert (answer.status, answer.code) == (400, "bad_input"), body
    for body, code in INVALID:
        answer = browser.ask("POST", "/customers", body)
        assert (answer.status, answer.code) == (400, code), body
    for query in ("limit=0", "limit=501", "limit=x", "after=x", "nonsense=1", "q=%FF"):
        assert browser.ask("GET", f"/customers?{query}").status == 400, query
    assert browser.get("/customers")["customers"] == []


def test_a_change_does_not_leave_an_empty_customer(crm, server, browse):
    hire(crm, "1", "ordinary")
    browser = browse("1")
    path = f"/customers/{browser.ask('POST', '/customers', WANG).json['id']}"
    answer = browser.ask("PATCH", path, {"name": " ", "company": "", "phones": []})
    assert (answer.status, answer.code) == (400, "customer_empty")
    assert browser.get(path)["name"] == "王小明"
    assert browser.ask("PATCH", path, {"name": "", "company": ""}).status == 200  # the number is left


def test_out_of_scope_does_not_exist(crm, server, browse):
    hire(crm, "1", "ordinary", permissions=ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE})
    hire(crm, "2", "ordinary")
    path = f"/customers/{browse('2').ask('POST', '/customers', WANG).json['id']}"
    stranger = browse("1")
    missing = stranger.ask("GET", "/customers/999999")
    for method, body in (("GET", None), ("PATCH", {"note": "x"}), ("DELETE", None)):
        answer = stranger.ask(method, path, body)
        assert (answer.status, answer.body) == (404, missing.body)
    for strange in ("0x1", "%2e%2e", "%EF%BC%91", "%FF", "9" * 40):
        assert stranger.ask("GET", f"/customers/{strange}").status == 404


def test_permissions_are_needed_whatever_the_level(crm, server, browse):
    hire(crm, "1", "super", permissions=ALL_PERMISSIONS - {Permission.CUSTOMER_MANAGE})
    hire(crm, "2", "super", permissions=ALL_PERMISSIONS - {Permission.CUSTOMER_IMPORT_DELETE})
    nothing, no_delete = browse("1"), browse("2")
    assert nothing.ask("GET", "/customers").code == "permission_missing"
    path = f"/customers/{no_delete.ask('POST', '/customers', WANG).json['id']}"
    assert no_delete.ask("DELETE", path).code == "permission_missing"
    assert no_delete.get(path)["name"] == "王小明"


def test_large_and_strange_bodies_are_refused(crm, server, browse):
    hire(crm, "1", "ordinary")
    browser = browse("1")
    large = str((1 << 20) + 1)  # refused by its length, before it is read
    assert (
        browser.ask("POST", "/customers", raw=b"{", Content_Type="application/json", Content_Length=large).status == 413
    )
    assert browser.ask("POST", "/customers", raw=b"{", Content_Type="application/json").status == 400
    assert browser.ask("POST", "/customers", raw=b'{"name":"\xff"}', Content_Type="application/json").status == 400
    assert browser.ask("POST", "/customers", raw=b'{"name":"x"}', Content_Type="text/plain").status == 400
    assert browser.get("/customers")["customers"] == []


def test_numbers_follow_the_sites_settings(crm, server, browse):
    hire(crm, "1", "ordinary")
    browser = browse("1")
    browser.ask("POST", "/customers", {"name": "x", "phones": [{"number": "62345678"}]})
    set_value(crm, "system", "site_area_code", "021")
    assert renew_match_keys(crm, Site("CN", "021")) == 1
    assert renew_match_keys(crm, Site("CN", "021")) == 0
    found = browser.get("/customers?number=02162345678")["customers"]
    assert found[0]["phones"][0]["e164"] == "+862162345678"
