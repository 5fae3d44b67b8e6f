"""A job goes no further than who asked for it may, at every one of its steps; who manages operators can end it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from crm_office import hire
from excel_office import customer, customers_book, preview, work
from office_records import add_customer_of

from crm_client_api.courier.context import Context
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.handing_over.orders import nothing
from crm_client_api.domain.operators import delete_operator, get_operator, set_active
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.domain.staff.replacing import plan_replacement, replace_operator
from crm_client_api.excel.exporting import customers as exporting

BOSS = Actor("9")


@pytest.fixture
def office(crm, browse):
    hire(crm, "9", "super")
    hire(crm, "8", "super", permissions=ALL_PERMISSIONS - {Permission.OPERATOR_MANAGE})
    hire(crm, "7", "leader", 2)
    hire(crm, "1", "super")
    return {staff_no: browse(staff_no) for staff_no in ("9", "8", "7", "1")}


def at_step(monkeypatch, phase, nth, what):
    """Let something happen right before the nth step of a phase."""
    real, steps = Context.step, iter(range(1, 10_000))

    def step(self, now, done, everything):
        if now == phase and next(steps) == nth:
            what()
        real(self, now, done, everything)

    monkeypatch.setattr(Context, "step", step)


def leave(crm, how):
    boss = get_operator(crm, "9")
    if how == "deactivated":
        set_active(crm, "1", False, BOSS, boss)
    elif how == "deleted":
        delete_operator(crm, "1", BOSS, boss)
    else:
        wanted = replace(get_operator(crm, "1"), permissions=ALL_PERMISSIONS - {Permission.HOLD_MANAGE})
        replace_operator(crm, plan_replacement(crm, wanted, None), BOSS, boss, nothing)


@pytest.mark.parametrize("how", ["deactivated", "deleted", "replaced"])
@pytest.mark.parametrize("work_of", ["clear", "export", "import"])
def test_a_job_stops_when_who_asked_for_it_leaves(home, crm, office, monkeypatch, how, work_of):
    monkeypatch.setattr("crm_client_api.domain.customers.bin._CLEARED_AT_ONCE", 2)
    monkeypatch.setattr(exporting, "_PAGE_ROWS", 2)
    for n in range(8):
        add_customer_of(crm, "1", f"客户{n}")
    if work_of == "import":
        job = preview(home, office["1"], customers_book(*[customer(name=f"新{n}") for n in range(8)]))
        office["1"].ask("POST", f"/jobs/{job['id']}/confirm", {})
    elif work_of == "export":
        job = office["1"].ask("POST", "/exports", {"kind": "customers"}).json
    else:
        job = office["1"].ask("POST", "/clearings", {"kind": "customers", "confirm": "清除"}).json
    phase = {"clear": "clearing", "export": "writing", "import": "inserting"}[work_of]
    at_step(monkeypatch, phase, 1 if work_of == "import" else 2, lambda: leave(crm, how))
    work(home)
    row = crm.conn.execute("SELECT state, error_code FROM jobs WHERE id = ?", (job["id"],)).fetchone()
    assert tuple(row) == ("failed", "asker_gone")
    left = crm.conn.execute("SELECT count(*) FROM living_customers").fetchone()[0]
    assert left == (4 if work_of == "clear" else 8)
    if work_of == "clear":
        told = crm.conn.execute("SELECT count(*) FROM events WHERE kind = 'customer_changed'").fetchone()[0]
        assert told, "others are told of those that were cleared"
    assert crm.conn.execute("SELECT count(*) FROM audit WHERE action = 'customer.export'").fetchone()[0] == 0


def test_a_new_name_stops_nobody(home, crm, office, monkeypatch):
    add_customer_of(crm, "1", "王伟")
    job = office["1"].ask("POST", "/exports", {"kind": "customers"}).json
    at_step(monkeypatch, "writing", 1, lambda: office["9"].ask("PATCH", "/operators/1", {"name": "王大伟"}))
    work(home)
    assert get_operator(crm, "1").name == "王大伟"
    assert office["1"].get(f"/jobs/{job['id']}")["state"] == "done"


def test_who_manages_all_operators_ends_the_jobs_of_others(home, crm, office):
    job = preview(home, office["1"], customers_book(customer(name="王伟", mobile1="bad" * 99)))
    assert job["problems"]
    for nobody in ("7", "8"):
        assert office[nobody].get("/jobs?staff_no=1")["jobs"] == []
        assert office[nobody].ask("POST", f"/jobs/{job['id']}/cancel").code == "not_found"
    (seen,) = office["9"].get("/jobs?staff_no=1")["jobs"]
    assert (seen["id"], seen["state"], seen["problems"]) == (job["id"], "needs_answer", [])
    assert office["9"].ask("GET", f"/jobs/{job['id']}").code == "not_found"
    assert office["9"].ask("GET", f"/jobs/{job['id']}/file").code == "not_found"
    assert office["9"].ask("POST", f"/jobs/{job['id']}/cancel").status == 200
    work(home)
    assert office["1"].get(f"/jobs/{job['id']}")["state"] == "cancelled"
    entry = crm.conn.execute("SELECT actor, data FROM audit WHERE action = 'job.cancel'").fetchone()
    assert (entry["actor"], entry["data"]) == ("9", '{"asked_by":"1"}')
