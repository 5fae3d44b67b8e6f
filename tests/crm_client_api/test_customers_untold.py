"""Who may not query customers learns of none by its id, wherever an id can be named."""

from __future__ import annotations

import pytest
from crm_office import hire
from excel_office import work as let_courier_work
from office_records import add_customer_of, show_popup

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission

GHOST = "987654"
ASKER = ALL_PERMISSIONS - {Permission.CUSTOMER_MANAGE}


@pytest.fixture
def known(crm):
    """Somebody without customer_manage, and a colleague whose customer 1 has a hold, a rule and a record."""
    hire(crm, "root", "super")
    hire(crm, "1", "super", permissions=ASKER)
    return add_customer_of(crm, "root", "王小明", "Acme", ("+8613812345678",))


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/communications?customer=@", None),
        ("GET", "/communications/count?customer=@", None),
        ("GET", "/communications/bin?customer=@", None),
        ("GET", "/storage/preview?rule=customer/@&days=5", None),
        ("PUT", "/retention-rules/customer/@", {"days": 5}),
        ("DELETE", "/retention-rules/customer/@", None),
        ("POST", "/holds", {"kind": "customer", "subject": "@", "reason": "x"}),
        ("POST", "/communications", {"customer_id": "@", "content": "x"}),
        ("PATCH", "/communications/1", {"customer_id": "@"}),
        ("POST", "/tasks", {"subject": "x", "customer_id": "@"}),
        ("POST", "/hand-overs", {"to": "root", "customers": ["@"]}),
    ],
)
def test_an_id_that_is_a_customers_answers_as_one_that_never_was(known, crm, browse, method, path, body):
    root, asker = browse("root"), browse("1")
    assert root.ask("POST", "/communications", {"customer_id": known, "content": "旧"}).status == 201
    assert root.ask("PUT", f"/retention-rules/customer/{known}", {"days": 9}).status == 200
    with crm.conn:
        crm.conn.execute("UPDATE communications SET author = '1', owner = '1'")

    def put(one):
        named = None if body is None else {k: [one] if v == ["@"] else one if v == "@" else v for k, v in body.items()}
        answer = asker.ask(method, path.replace("@", one), named)
        return answer.status, answer.body.decode()

    assert put(known) == put(GHOST)


def test_holds_and_rules_about_customers_are_told_to_who_may_query_them(known, browse):
    root, asker = browse("root"), browse("1")
    made = root.ask("POST", "/holds", {"kind": "customer", "subject": known, "reason": "诉讼"}).json
    assert root.ask("PUT", f"/retention-rules/customer/{known}", {"days": 9}).status == 200

    assert [one["id"] for one in root.get("/holds")["holds"]] == [made["id"]]
    assert asker.get("/holds")["holds"] == []
    assert asker.ask("POST", f"/holds/{made['id']}/release-request").status == 404
    assert root.get("/retention-rules")["rules"] != []
    assert asker.get("/retention-rules")["rules"] == []


def test_the_card_of_a_call_tells_whom_a_record_may_be_about(known, crm, exchange, browse):
    """The card needs net_popup only: from it a note is written on whom it shows, and on nobody else."""
    other = add_customer_of(crm, "root", "李四", "", ("+8613900000000",))
    call = exchange.call(1, "13812345678")
    show_popup(crm, call["id"], "1")
    asker = browse("1")
    assert asker.ask("POST", "/communications", {"customer_id": known, "content": "x"}).status == 404
    about = {"call_id": call["id"], "content": "x"}
    assert asker.ask("POST", "/communications", about | {"customer_id": other}).status == 404
    made = asker.ask("POST", "/communications", about | {"customer_id": known})
    assert made.status == 201
    path = f"/communications/{made.json['id']}"
    assert asker.ask("PATCH", path, {"customer_id": known}).status == 200
    assert asker.ask("PATCH", path, {"customer_id": other}).status == 404


def test_without_pop_ups_there_is_no_card_that_tells(known, crm, exchange, browse):
    hire(crm, "2", "super", permissions=ASKER - {Permission.NET_POPUP})
    call = exchange.call(1, "13812345678")
    show_popup(crm, call["id"], "2")
    body = {"customer_id": known, "call_id": call["id"], "content": "x"}
    assert browse("2").ask("POST", "/communications", body).status == 404


def test_an_import_of_records_knows_no_customers(known, home, browse):
    asker = browse("1")

    def outcome(one):
        file = f"客户编号,沟通内容\n{one},第一次联系\n".encode()
        made = asker.ask(
            "POST", "/imports?kind=communications&name=a.csv", raw=file, Content_Type="application/octet-stream"
        )
        assert made.status == 202, made.body
        let_courier_work(home)
        return asker.get(f"/jobs/{made.json['id']}")["counts"]

    assert outcome(known) == outcome(GHOST)


def test_the_simulation_finds_no_customer_by_a_number(known, exchange, browse):
    exchange.wire(1)
    asker = browse("1")
    found, ghost = (
        asker.ask("POST", "/popup-simulation", {"channel": 1, "number": number}).json
        for number in ("13812345678", "13812340000")
    )
    assert found["operators"] == ghost["operators"]
    assert not found["whole"]
