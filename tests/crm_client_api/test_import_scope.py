"""Between the preview of an import and its end the records may go to somebody else: their scope counts at the end."""

from __future__ import annotations

import pytest
from crm_office import hire
from excel_office import communication, communications_book, confirm, customer, customers_book, preview, work
from office_belongings import owner_of, write_note
from office_records import add_customer_of

from crm_client_api.courier.daemon import Courier
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.excel.importing import run as run_module
from firmware.store.connection import write

UNSHARED = ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE, Permission.COMMUNICATION_SHARE}


@pytest.fixture
def office(crm, browse):
    hire(crm, "5", "leader", 2)
    hire(crm, "1", "ordinary", 2, permissions=UNSHARED)
    hire(crm, "2", "ordinary", 2, permissions=UNSHARED)
    return {staff_no: browse(staff_no) for staff_no in ("5", "1", "2")}


def hand(office, *customers):
    answer = office["5"].ask("POST", "/hand-overs", {"customers": list(customers), "to": "2", "reason": "分配"})
    assert answer.status == 201, answer.body


def test_a_customer_handed_on_after_the_preview_is_not_changed(home, crm, office):
    kept, handed = add_customer_of(crm, "1", "王伟"), add_customer_of(crm, "1", "李娜")
    job = preview(
        home, office["1"], customers_book(customer(id=kept, name="王大伟"), customer(id=handed, name="李小娜"))
    )
    assert job["counts"]["changed"] == 2
    hand(office, handed)
    job = confirm(home, office["1"], job)
    assert (job["state"], job["counts"]["changed"], job["counts"]["wrong"]) == ("done", 1, 1)
    assert [(one["row"], one["code"], one["wrong"]) for one in job["problems"]] == [(3, "record_gone", True)]
    assert office["1"].get(f"/customers/{kept}")["name"] == "王大伟"
    assert office["2"].get(f"/customers/{handed}")["name"] == "李娜"
    about_it = crm.conn.execute(
        "SELECT count(*) FROM audit WHERE action = 'customer.change' AND subject = ?", (handed,)
    )
    assert about_it.fetchone()[0] == 0


def test_a_customer_handed_on_after_the_preview_is_not_restored(home, crm, office):
    handed = add_customer_of(crm, "1", "李娜")
    office["1"].ask("POST", "/customers/delete", {"ids": [handed]})
    job = preview(home, office["1"], customers_book(customer(id=handed, name="李小娜")))
    assert job["counts"]["restored"] == 1
    with write(crm) as connection:
        connection.execute("UPDATE customers SET owner = '2' WHERE id = ?", (handed,))
    job = confirm(home, office["1"], job)
    assert (job["counts"]["restored"], job["counts"]["wrong"]) == (0, 1)
    assert [one["id"] for one in office["2"].get("/customers/bin")["customers"]] == [handed]


@pytest.mark.parametrize("deleted", [False, True])
def test_a_record_handed_on_after_the_preview_stays_as_it_is(home, crm, office, deleted):
    of_whom = add_customer_of(crm, "1", "李娜")
    note = write_note(crm, of_whom, "1")
    if deleted:
        office["1"].ask("POST", "/communications/delete", {"ids": [note]})
    row = communication(id=note, customer_id=of_whom, at="2026-11-22 09:30", content="改了")
    job = preview(home, office["1"], communications_book(row), "communications")
    assert job["counts"]["restored" if deleted else "changed"] == 1, job
    with write(crm) as connection:
        connection.execute("UPDATE communications SET owner = '2' WHERE id = ?", (note,))
    job = confirm(home, office["1"], job)
    assert (job["state"], job["counts"]["wrong"]) == ("done", 1)
    found = crm.conn.execute("SELECT content, deleted_ms FROM communications WHERE id = ?", (note,)).fetchone()
    assert (found["content"], found["deleted_ms"] is not None) == ("来电咨询", deleted)


def test_no_record_is_added_to_a_customer_handed_on_after_the_preview(home, crm, office):
    kept, handed = add_customer_of(crm, "1", "王伟"), add_customer_of(crm, "1", "李娜")
    rows = [communication(customer_id=one, at="2026-11-22 09:30", content="新") for one in (handed, kept, handed)]
    job = preview(home, office["1"], communications_book(*rows), "communications")
    assert job["counts"]["new"] == 3, job
    hand(office, handed)
    job = confirm(home, office["1"], job)
    assert (job["state"], job["counts"]["new"], job["counts"]["wrong"]) == ("done", 1, 2)
    assert [one["row"] for one in job["problems"]] == [2, 4]
    assert [row[0] for row in crm.conn.execute("SELECT customer_id FROM communications")] == [int(kept)]


def test_a_courier_that_goes_on_with_an_import_knows_whose_it_is(home, crm, office, monkeypatch):
    own, handed = add_customer_of(crm, "1", "王伟"), add_customer_of(crm, "1", "李娜")
    job = preview(
        home, office["1"], customers_book(customer(id=own, name="王大伟"), customer(id=handed, name="李小娜"))
    )
    assert office["1"].ask("POST", f"/jobs/{job['id']}/confirm", {}).status == 200

    def killed(*_):
        raise SystemExit

    monkeypatch.setattr(run_module, "AT_ONCE_ROWS", 0)
    monkeypatch.setattr(run_module, "finish_import", killed)
    with pytest.raises(SystemExit):
        Courier(home).turn()
    monkeypatch.undo()
    hand(office, handed)
    work(home)
    job = office["1"].get(f"/jobs/{job['id']}")
    assert (job["state"], job["counts"]["changed"], job["counts"]["wrong"]) == ("done", 1, 1)
    assert (office["1"].get(f"/customers/{own}")["name"], owner_of(crm, "customers", handed)) == ("王大伟", "2")
    assert office["2"].get(f"/customers/{handed}")["name"] == "李娜"
