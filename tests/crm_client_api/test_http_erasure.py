"""Erasing a number over HTTP: who may, what is shown, what is written down. A whole erasure: tests/acceptance."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from crm_office import hire

from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers import Phone, add_customer
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from recorder.numbers import Site
from recorder.orders import settle_order

NUMBER = "13812345678"
ASKED = {"number": "+86 138 1234 5678"}


@pytest.fixture
def browser(crm, exchange, browse):
    hire(crm, "1", "super")
    exchange.wire(1, 2)
    add_customer(crm, {"name": "张三"}, (Phone("", NUMBER),), Actor("1"), Site())
    return browse("1")


def audited(crm):
    rows = crm.conn.execute("SELECT action, subject, data FROM audit WHERE action LIKE 'erasure.%' ORDER BY id")
    return [tuple(row) for row in rows]


def test_what_is_found_is_shown_and_the_audit_names_no_number(crm, exchange, browser):
    running = exchange.call(1, NUMBER)
    found = browser.ask("POST", "/erasures/search", ASKED).json
    assert {(one["kind"], one["stays"]) for one in found["items"]} == {
        ("call", "the call is not over"), ("customer", None),
    }  # fmt: skip
    assert next(one for one in found["items"] if one["kind"] == "call")["id"] == running["id"]
    assert (found["counts"]["customer"], found["going"]) == (1, 1)
    assert found["staying"] == len(found["items"]) - 1
    nothing = browser.ask("POST", "/erasures/search", {"number": "01088889999"}).json
    assert nothing == {"items": [], "counts": {}, "going": 0, "staying": 0}
    assert [action for action, _, _ in audited(crm)] == ["erasure.search"] * 2
    assert NUMBER[-8:] not in str(audited(crm))


def test_what_is_no_number_is_refused(browser):
    for number in ("nobody", "--"):
        assert browser.ask("POST", "/erasures/search", {"number": number}).status == 400, number
    for number in ("", "1" * 81):
        assert browser.ask("POST", "/erasures/search", {"number": number}).status == 400, number
    assert browser.ask("POST", "/erasures", ASKED).status == 400, "how many must be said"


def test_only_a_super_operator_with_every_permission_may(crm, browser, browse):
    hire(crm, "2", "leader", 1)
    assert browse("2").ask("POST", "/erasures/search", ASKED).code == "super_only"
    assert browse("2").ask("POST", "/erasures/export", ASKED).code == "super_only"
    assert browse("2").ask("POST", "/erasures", ASKED | {"going": 1}).code == "super_only"
    needed = (Permission.RECORDING_DELETE, Permission.CUSTOMER_MANAGE, Permission.CUSTOMER_IMPORT_DELETE)
    for at, permission in enumerate(needed, start=3):
        hire(crm, str(at), "super", permissions=ALL_PERMISSIONS - {permission})
        for path in ("/erasures/search", "/erasures/export"):
            assert browse(str(at)).ask("POST", path, ASKED).code == "permission_missing"
        assert browse(str(at)).ask("POST", "/erasures", ASKED | {"going": 1}).code == "permission_missing"
    hire(crm, "9", "super", permissions=ALL_PERMISSIONS - {Permission.RECORDING_EXPORT})
    assert browse("9").ask("POST", "/erasures/search", ASKED).status == 200
    assert browse("9").ask("POST", "/erasures/export", ASKED).code == "permission_missing"
    assert audited(crm)[-1][0] == "erasure.search"


def test_the_export_of_a_number_without_recordings_is_a_whole_zip_file(browser, home):
    answer = browser.ask("POST", "/erasures/export", ASKED)
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert archive.testzip() is None
        found = json.loads(archive.read("found.json"))
    assert next(one for one in found if one["kind"] == "customer")["about"]["name"] == "张三"
    assert list(home.run.glob("export-*")) == []


def test_an_order_needs_that_what_was_seen_is_still_true(crm, exchange, browser):
    assert browser.ask("POST", "/erasures", ASKED | {"going": 2}).code == "changed"
    placed = browser.ask("POST", "/erasures", ASKED | {"going": 1})
    assert placed.status == 202
    assert len(bytes.fromhex(placed.json["salt"])) >= 16
    order = placed.json["order"]
    assert audited(crm)[-1] == ("erasure.order", str(order), '{"going":1}')
    assert browser.get(f"/erasures/{order}") == {
        "order": order, "state": "pending", "message": "", "error_code": None, "certificate": None,
    }  # fmt: skip
    with exchange.db.conn:
        settle_order(exchange.db.conn, "library", order, 1, ok=False, message="the store is being rebuilt")
    assert browser.get(f"/erasures/{order}")["state"] == "refused"
    assert browser.get(f"/erasures/{order}")["message"] == "the store is being rebuilt"


def test_orders_of_others_and_of_other_kinds_are_not_shown(crm, exchange, browser, browse):
    hire(crm, "2", "super")
    order = browser.ask("POST", "/erasures", ASKED | {"going": 1}).json["order"]
    assert browse("2").ask("GET", f"/erasures/{order}").status == 404
    other = browser.ask("POST", "/channels/1/record", {}).json["order"]
    assert browser.ask("GET", f"/erasures/{other}").status == 404
    assert browser.ask("GET", "/erasures/999").status == 404
