"""An import takes effect whole or not at all: killed, cancelled, without room, against a locked store."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import psutil
import pytest
from crm_office import hire
from excel_office import cells, confirm, customer, customers_book, export, preview, send, take_in, work

from crm_client_api.courier import context as context_module
from crm_client_api.courier.daemon import Courier
from crm_client_api.excel.columns import CUSTOMERS
from crm_client_api.excel.importing import run as run_module
from crm_client_api.excel.importing.ahead import LONG_ROWS
from crm_client_api.excel.importing.customers import CustomerKind
from firmware.errors import ConfigError, StoreFull
from firmware.store.connection import open_store, write

NEW, KNOWN = 400, 200


def rows_of(count: int, note: str, ids: list[str] | None = None) -> list[list[object]]:
    return [
        customer(id=ids[i] if ids else None, name=f"{note}{i}", mobile1=f"139{i:08}", note=note) for i in range(count)
    ]


def names(crm) -> list[str]:
    return [row[0] for row in crm.conn.execute("SELECT name FROM living_customers ORDER BY id")]


def is_clean(crm) -> bool:
    """Whether nothing is left of an import that did not take effect."""
    hidden = crm.conn.execute("SELECT count(*) FROM customers WHERE import_id IN unpublished").fetchone()[0]
    open_ones = crm.conn.execute("SELECT count(*) FROM imports WHERE finished_ms IS NULL").fetchone()[0]
    return not hidden and not open_ones


@pytest.fixture
def prepared(home, crm, browse):
    """Known customers, some of them in the recycle bin, and a previewed file that adds, changes and restores."""
    hire(crm, "1", "super")
    browser = browse("1")
    take_in(home, browser, customers_book(*rows_of(KNOWN, "旧")))
    ids = [row[0] for row in crm.conn.execute("SELECT id FROM customers ORDER BY id")]
    for one in ids[:20]:
        assert browser.ask("DELETE", f"/customers/{one}").status == 204
    old = names(crm)
    job = preview(home, browser, customers_book(*rows_of(KNOWN, "改", ids), *rows_of(NEW, "新")))
    assert (job["counts"]["new"], job["counts"]["changed"], job["counts"]["restored"]) == (NEW, KNOWN - 20, 20)
    return browser, job, old


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_instant_it_is_whole_in_the_end(home, crm, prepared, seed):
    browser, job, _ = prepared
    assert browser.ask("POST", f"/jobs/{job['id']}/confirm", {}).status == 200
    chance = random.Random(seed)
    command = [sys.executable, "-m", "firmware", "--home", str(home.root), "courier"]
    for _ in range(4):  # the courier gives up a job that it died over five times
        courier = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline_s = time.monotonic() + 30
        target = chance.random() * (NEW + KNOWN)
        while time.monotonic() < deadline_s:
            row = crm.conn.execute("SELECT inserted, applied, published_ms FROM imports ORDER BY id DESC").fetchone()
            done = 0 if row is None else max(row["inserted"], row["applied"])
            if done >= target or browser.get(f"/jobs/{job['id']}")["state"] == "done":
                break
            time.sleep(chance.random() * 0.02)
        os.kill(courier.pid, signal.SIGKILL)
        courier.wait()
        visible = names(crm)
        new = sum(name.startswith("新") for name in visible)
        assert new in (0, NEW), "part of an import is to be seen"
    work(home)
    assert browser.get(f"/jobs/{job['id']}")["state"] == "done"
    found = names(crm)
    assert sorted(found) == sorted([f"改{i}" for i in range(KNOWN)] + [f"新{i}" for i in range(NEW)])
    assert is_clean(crm)


def test_cancelled_while_it_inserts_it_leaves_nothing(home, crm, prepared, monkeypatch):
    browser, job, old = prepared
    inserted = 0
    real = CustomerKind.insert

    def insert(self, *arguments):
        nonlocal inserted
        inserted += 1
        return real(self, *arguments)

    monkeypatch.setattr(CustomerKind, "insert", insert)
    monkeypatch.setattr(context_module, "_TELL_EVERY_S", 0.0)
    assert browser.ask("POST", f"/jobs/{job['id']}/confirm", {}).status == 200
    steps = 0
    real_step = context_module.Context.step

    def step(self, phase, done, everything):
        nonlocal steps
        steps += 1
        if steps == 2:
            assert browser.ask("POST", f"/jobs/{job['id']}/cancel").status == 200
        real_step(self, phase, done, everything)

    monkeypatch.setattr(context_module.Context, "step", step)
    work(home)
    assert 0 < inserted < NEW
    assert browser.get(f"/jobs/{job['id']}")["state"] == "cancelled"
    assert names(crm) == old
    assert is_clean(crm)
    assert browser.ask("POST", f"/jobs/{job['id']}/confirm", {}).status == 409


@pytest.mark.parametrize("at", [1, 150, NEW])
def test_without_room_nothing_is_half_done_and_a_second_try_works(home, crm, prepared, monkeypatch, at):
    browser, job, old = prepared
    done = 0
    real = CustomerKind.insert

    def insert(self, connection, ready, *more):
        nonlocal done
        if done + len(ready) >= at:
            real(self, connection, ready[: at - done - 1], *more)
            raise StoreFull("database or disk is full")
        done += len(ready)
        return real(self, connection, ready, *more)

    with monkeypatch.context() as patch:
        patch.setattr(CustomerKind, "insert", insert)
        job = confirm(home, browser, job)
    assert (job["state"], job["question"], job["error_code"]) == ("needs_answer", "confirm", "disk_full")
    assert names(crm) == old
    assert is_clean(crm)
    assert confirm(home, browser, job)["state"] == "done"
    assert len(names(crm)) == KNOWN + NEW


def test_a_published_import_without_room_goes_on_until_it_is_whole(home, crm, prepared, monkeypatch):
    browser, job, _ = prepared
    real = CustomerKind.apply
    failures = 3

    def apply(self, *arguments):
        nonlocal failures
        if failures:
            failures -= 1
            raise StoreFull("database or disk is full")
        return real(self, *arguments)

    monkeypatch.setattr(CustomerKind, "apply", apply)
    monkeypatch.setattr(run_module, "AT_ONCE_ROWS", 0)
    monkeypatch.setattr("crm_client_api.courier.daemon._AFTER_FAILURE_S", 0.01)
    assert confirm(home, browser, job)["state"] == "done"
    assert failures == 0
    assert sum(name.startswith("改") for name in names(crm)) == KNOWN


def test_a_locked_store_is_told_and_a_second_try_works(home, crm, prepared, monkeypatch):
    browser, job, old = prepared
    monkeypatch.setattr("firmware.store.connection.BUSY_TIMEOUT_MS", 50)
    real = run_module._begin
    blocker = open_store(home.crm_db)

    def begin(context):
        context.crm.conn.execute("PRAGMA busy_timeout = 50")
        blocker.conn.execute("BEGIN IMMEDIATE")
        try:
            return real(context)
        finally:
            blocker.conn.execute("ROLLBACK")

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "_begin", begin)
        job = confirm(home, browser, job)
    blocker.conn.close()
    assert (job["state"], job["error_code"]) == ("needs_answer", "store_busy")
    assert names(crm) == old
    assert confirm(home, browser, job)["state"] == "done"
    assert len(names(crm)) == KNOWN + NEW


def test_what_somebody_changed_after_the_preview_stays(home, crm, prepared):
    browser, job, _ = prepared
    number = crm.conn.execute("SELECT id FROM customers WHERE name = '旧50'").fetchone()[0]
    gone = crm.conn.execute("SELECT id FROM customers WHERE name = '旧51'").fetchone()[0]
    assert browser.ask("PATCH", f"/customers/{number}", {"note": "刚改的", "title": "经理"}).status == 200
    assert browser.ask("DELETE", f"/customers/{gone}").status == 204
    job = confirm(home, browser, job)
    assert (job["state"], job["kept_newer"]) == ("done", 2)
    found = browser.get(f"/customers/{number}")
    assert (found["name"], found["note"], found["title"]) == ("改50", "刚改的", "经理")
    assert browser.ask("GET", f"/customers/{gone}").status == 404


def test_a_job_that_kills_the_courier_is_given_up(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    job = send(browser, customers_book(customer(name="甲"))).json
    with write(crm) as connection:
        connection.execute("UPDATE jobs SET state = 'running', tries = 5 WHERE id = ?", (job["id"],))
    work(home)
    job = browser.get(f"/jobs/{job['id']}")
    assert (job["state"], job["error_code"]) == ("failed", "job_killed")


def test_there_is_one_courier_and_it_ends_within_seconds(home, crm, browse):
    command = [sys.executable, "-m", "firmware", "--home", str(home.root), "courier"]
    first = subprocess.Popen(command)
    try:
        deadline_s = time.monotonic() + 30
        while not (home.run / "courier.lock").exists() and time.monotonic() < deadline_s:
            time.sleep(0.05)
        time.sleep(0.2)
        second = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert second.returncode == ConfigError.exit_code
        assert "already" in second.stderr
        hire(crm, "1", "super")
        browser = browse("1")
        job = send(browser, customers_book(customer(name="甲"))).json
        deadline_s = time.monotonic() + 30
        while browser.get(f"/jobs/{job['id']}")["state"] != "needs_answer" and time.monotonic() < deadline_s:
            time.sleep(0.1)
        assert browser.get(f"/jobs/{job['id']}")["question"] == "confirm"
        assert psutil.Process(first.pid).nice() >= min(19, os.nice(0) + 10), "the recorder goes first"
    finally:
        first.send_signal(signal.SIGTERM)
    assert first.wait(timeout=10) == 0


def test_the_courier_tidies_up(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    job = preview(home, browser, customers_book(customer(name="甲")))
    data = export(home, browser)
    assert cells(data)
    with write(crm) as connection:
        connection.execute("UPDATE jobs SET changed_ms = 0")
    courier = Courier(home)
    while courier.turn():
        pass
    assert browser.get(f"/jobs/{job['id']}")["state"] == "cancelled"
    assert not (home.root / "jobs" / str(job["id"])).exists()
    assert not (home.root / "jobs" / "2").exists()
    assert browser.ask("GET", "/jobs/2/file").status == 404


def test_the_second_process_of_a_killed_courier_ends_too(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    width = len(CUSTOMERS.columns)
    lines = [",".join(CUSTOMERS.headings("zh")), *(f",客户{i}{',' * (width - 2)}" for i in range(LONG_ROWS))]
    job = preview(home, browser, "\n".join(lines).encode("gb18030"))
    assert browser.ask("POST", f"/jobs/{job['id']}/confirm", {}).status == 200
    courier = subprocess.Popen([sys.executable, "-m", "firmware", "--home", str(home.root), "courier"])
    try:
        deadline_s = time.monotonic() + 60
        children: list[psutil.Process] = []
        while time.monotonic() < deadline_s and not children:
            time.sleep(0.05)
            if crm.conn.execute("SELECT inserted FROM imports WHERE inserted > 0").fetchone():
                children = psutil.Process(courier.pid).children(recursive=True)
        assert children
    finally:
        courier.kill()
        courier.wait()
    gone, alive = psutil.wait_procs(children, timeout=20)
    assert (bool(gone), alive) == (True, [])
    assert names(crm) == []
