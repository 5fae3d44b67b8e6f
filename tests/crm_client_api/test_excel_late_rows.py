"""What happened between the preview of an import and its effect: told in the end, and nobody waits meanwhile."""

from __future__ import annotations

import pytest
from crm_office import hire
from excel_office import communication, communications_book, confirm, customer, customers_book, preview, take_in

from crm_client_api.courier import context as context_module
from crm_client_api.courier.daemon import Courier
from crm_client_api.excel.importing import late
from crm_client_api.excel.importing.stage import Stage
from firmware.errors import StoreError
from firmware.store.connection import open_store, write

ROWS = 30


@pytest.fixture
def two_gone(home, crm, browse):
    """A previewed file of records whose second customer is deleted meanwhile."""
    hire(crm, "1", "super")
    browser = browse("1")
    take_in(home, browser, customers_book(customer(name="王小明"), customer(name="李雷")))
    first, second = (str(row[0]) for row in crm.conn.execute("SELECT id FROM customers ORDER BY id"))
    rows = [
        communication(customer_id=(first, second)[n % 2], content=f"第{n}次", at="2026-01-01 08:00")
        for n in range(ROWS)
    ]
    job = preview(home, browser, communications_book(*rows), "communications")
    assert job["counts"]["new"] == ROWS
    assert browser.ask("DELETE", f"/customers/{second}").status == 204
    return browser, job


def told(job) -> tuple[int, int, set[str]]:
    return job["counts"]["new"], job["counts"]["wrong"], {one["code"] for one in job["problems"]}


def noted(crm) -> int:
    return crm.conn.execute("SELECT count(*) FROM import_late_rows").fetchone()[0]


def test_its_own_file_is_written_while_others_may_write(home, crm, two_gone, monkeypatch):
    note_late, seen = Stage.note_late, []

    def checked(self, rows):
        other = open_store(home.crm_db)
        with write(other):
            seen.append(len(rows))
        other.conn.close()
        note_late(self, rows)

    monkeypatch.setattr(Stage, "note_late", checked)
    done = confirm(home, *two_gone)
    assert told(done) == (ROWS // 2, ROWS // 2, {"record_gone"})
    assert sum(seen) == ROWS // 2
    assert noted(crm) == 0


def test_a_courier_that_dies_at_the_end_counts_nothing_twice(home, crm, two_gone, monkeypatch):
    forget_late = late.forget_late

    def dies(*_given):
        raise StoreError("the power went")

    monkeypatch.setattr(late, "forget_late", dies)
    browser, job = two_gone
    assert browser.ask("POST", f"/jobs/{job['id']}/confirm", {}).status == 200
    Courier(home).turn()
    assert noted(crm) == ROWS // 2
    monkeypatch.setattr(late, "forget_late", forget_late)
    monkeypatch.setattr(context_module, "_TELL_EVERY_S", 0)
    courier = Courier(home)
    while browser.get(f"/jobs/{job['id']}")["state"] not in ("done", "failed"):
        courier.turn()
    done = browser.get(f"/jobs/{job['id']}")
    assert told(done) == (ROWS // 2, ROWS // 2, {"record_gone"})
    assert noted(crm) == 0


def test_an_import_that_is_given_up_leaves_no_note(home, crm, two_gone, monkeypatch):
    browser, job = two_gone
    monkeypatch.setattr("crm_client_api.excel.importing.run._publish", lambda *_given: cancelled())

    def cancelled():
        assert noted(crm) == ROWS // 2
        raise context_module.Cancelled("given up")

    done = confirm(home, browser, job)
    assert done["state"] == "cancelled"
    assert noted(crm) == 0
