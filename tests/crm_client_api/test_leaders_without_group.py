"""A leader without a group has nothing in scope, not even what the own hand wrote; but writing tells what it wrote."""

from __future__ import annotations

from crm_office import hire
from office_records import add_customer_of, show_popup

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission

NO_RECORDS = ALL_PERMISSIONS - {Permission.COMMUNICATION_SHARE}
NOTHING = NO_RECORDS - {Permission.CUSTOMER_SHARE}


def test_a_record_is_written_once_and_told_to_its_writer(crm, exchange, server, browse):
    """It was answered with 404 and written all the same: whoever tried again wrote it twice."""
    hire(crm, "1", "leader", permissions=NO_RECORDS)
    hire(crm, "2", "leader")
    leader, other = browse("1"), browse("2")
    customer = add_customer_of(crm, "2", "王小明", "百货公司")
    call = exchange.call(1)
    show_popup(crm, call["id"], "1")
    body = {"customer_id": customer, "call_id": call["id"], "subject": "问价", "content": "asks for a price"}
    written = leader.ask("POST", "/communications", body)
    assert written.status == 201, written.body
    told = written.json
    assert (told["owner"], told["call_id"], told["customer_name"]) == ("1", call["id"], "王小明")
    assert [one["id"] for one in other.get("/communications")["communications"]] == [told["id"]]
    missing = leader.ask("GET", "/communications/4242")
    assert leader.ask("GET", f"/communications/{told['id']}").body == missing.body
    assert leader.get("/communications")["communications"] == []


def test_a_customer_as_well(crm, server, browse):
    hire(crm, "1", "leader", permissions=NOTHING)
    leader = browse("1")
    added = leader.ask("POST", "/customers", {"name": "李娜"})
    assert (added.status, added.json["owner"]) == (201, "1")
    hidden = leader.ask("GET", f"/customers/{added.json['id']}")
    assert (hidden.status, hidden.body) == (404, leader.ask("GET", "/customers/4242").body)
    assert leader.get("/customers")["customers"] == []
