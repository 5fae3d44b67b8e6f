"""New rows and changes of an import take effect in one instant, as far as they fit into a moment; else none is lost."""

from __future__ import annotations

import pytest
from crm_office import hire
from excel_office import confirm, customer, customers_book, preview, take_in, work

from crm_client_api.courier import context as context_module
from crm_client_api.courier.daemon import Courier
from crm_client_api.excel.importing import run as run_module
from crm_client_api.excel.importing.customers import CustomerKind
from firmware.errors import StoreFull

KNOWN = 30


def names(crm) -> set[str]:
    return {row[0] for row in crm.conn.execute("SELECT name FROM living_customers")}


@pytest.fixture
def prepared(home, crm, browse, monkeypatch):
    """A previewed file that changes, restores and adds; a processor that is busy elsewhere does not count."""
    monkeypatch.setattr(run_module, "_AT_ONCE_S", 30.0)
    hire(crm, "1", "super")
    browser = browse("1")
    take_in(home, browser, customers_book(*(customer(name=f"旧{i}", company="公司") for i in range(KNOWN))))
    ids = [row[0] for row in crm.conn.execute("SELECT id FROM customers ORDER BY id")]
    assert browser.ask("DELETE", f"/customers/{ids[0]}").status == 204
    rows = [customer(id=one, name=f"改{i}", company="公司") for i, one in enumerate(ids)]
    job = preview(home, browser, customers_book(*rows, customer(name="新")))
    return browser, job, ids


def killed(*_given):
    raise SystemExit


def confirm_and_die(home, browser, job) -> None:
    """The courier is gone the moment the import has taken effect."""
    assert browser.ask("POST", f"/jobs/{job['id']}/confirm", {}).status == 200
    with pytest.raises(SystemExit):
        Courier(home).turn()


def test_all_is_there_the_moment_it_is_published(home, crm, prepared, monkeypatch):
    browser, job, _ = prepared
    with monkeypatch.context() as patch:
        patch.setattr(run_module, "finish_import", killed)
        confirm_and_die(home, browser, job)
    assert names(crm) == {"新", *(f"改{i}" for i in range(KNOWN))}
    work(home)
    job = browser.get(f"/jobs/{job['id']}")
    assert (job["state"], job["kept_newer"]) == ("done", 0)
    found = crm.conn.execute("SELECT count(*) FROM audit WHERE action IN ('customer.change', 'customer.restore')")
    assert found.fetchone()[0] == KNOWN + 1, "each once"


@pytest.mark.parametrize(("name", "value"), [("_AT_ONCE_S", -1.0), ("AT_ONCE_ROWS", KNOWN - 1)])
def test_what_takes_too_long_is_changed_behind_it_and_nothing_is_half_done(
    home, crm, prepared, monkeypatch, name, value
):
    browser, job, _ = prepared
    monkeypatch.setattr(run_module, name, value)
    with monkeypatch.context() as patch:
        patch.setattr(run_module, "finish_import", killed)
        confirm_and_die(home, browser, job)
    assert names(crm) == {"新", *(f"旧{i}" for i in range(1, KNOWN))}
    work(home)
    assert names(crm) == {"新", *(f"改{i}" for i in range(KNOWN))}


def test_without_room_at_that_moment_nothing_has_happened(home, crm, prepared, monkeypatch):
    browser, job, _ = prepared
    before, real, done = names(crm), CustomerKind.apply, []

    def apply(self, *arguments):
        done.append(1)
        if len(done) == 20:
            raise StoreFull("database or disk is full")
        return real(self, *arguments)

    monkeypatch.setattr(CustomerKind, "apply", apply)
    job = confirm(home, browser, job)
    assert (job["state"], job["error_code"]) == ("needs_answer", "disk_full")
    assert names(crm) == before
    assert confirm(home, browser, job)["state"] == "done"
    assert names(crm) == {"新", *(f"改{i}" for i in range(KNOWN))}


@pytest.mark.parametrize("at_once", [True, False])
def test_a_row_that_makes_no_sense_any_more_is_told_and_leaves_its_record_alone(
    home, crm, prepared, browse, monkeypatch, at_once
):
    browser, _, ids = prepared
    if not at_once:
        monkeypatch.setattr(run_module, "AT_ONCE_ROWS", 0)
    rows = [customer(id=one, name="", company="公司", note="注") for one in (ids[0], ids[5])]
    job = preview(home, browser, customers_book(*rows, customer(id=ids[6], name="改6", company="公司")))
    assert (job["counts"]["changed"], job["counts"]["restored"]) == (2, 1)
    for one in (ids[0], ids[5]):
        crm.conn.execute("UPDATE customers SET company = '' WHERE id = ?", (one,))
    crm.conn.commit()
    job = confirm(home, browser, job)
    assert (job["state"], job["counts"]["changed"], job["counts"]["restored"], job["counts"]["wrong"]) == (
        "done", 1, 0, 2,
    )  # fmt: skip
    assert [(one["row"], one["code"], one["wrong"]) for one in job["problems"]] == [
        (2, "record_clash", True), (3, "record_clash", True),
    ]  # fmt: skip
    assert {"改6", "旧5"} <= names(crm)
    assert "旧0" not in names(crm), "it stays in the recycle bin"


def test_how_much_stayed_is_known_through_a_kill(home, crm, prepared, monkeypatch):
    browser, job, ids = prepared
    monkeypatch.setattr(run_module, "AT_ONCE_ROWS", 0)
    monkeypatch.setattr(context_module, "_SMALLEST_BATCH", 5)
    monkeypatch.setattr(context_module, "_LARGEST_BATCH", 5)
    for one in (ids[1], ids[29]):
        assert browser.ask("PATCH", f"/customers/{one}", {"name": "刚改的"}).status == 200
    real = context_module.Context.step
    steps = []

    def step(self, phase, done, everything):
        steps.append(phase)
        if steps.count("applying") == 1 and phase == "applying":
            raise SystemExit
        real(self, phase, done, everything)

    with monkeypatch.context() as patch:
        patch.setattr(context_module.Context, "step", step)
        confirm_and_die(home, browser, job)
    work(home)
    job = browser.get(f"/jobs/{job['id']}")
    assert (job["state"], job["kept_newer"]) == ("done", 2)
