"""In a browser: a box that was just unpacked takes over from another one, with the real daemons and a real restart."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from backup_office import CHEAP_LOG2_N, PASSPHRASE, back_up, rows_of
from browser import chromium, log_in
from crm_office import PASSWORD as OLD_PASSWORD
from crm_office import ROOT, hire
from office import Box, Person
from playwright.sync_api import Page, expect

from crm_client_api.backup.keys import make_key
from crm_client_api.backup.records import set_key
from firmware.config import Home
from firmware.parameters import set_value
from firmware.store.connection import open_store, write
from recorder.library.verification.everything import Summary, verify_box

sys.path.append(str(Path(__file__).parents[1] / "recorder"))

from test_cutter import Office  # the recorder's own office, with the real cutter

pytestmark = [pytest.mark.acceptance, pytest.mark.browser, pytest.mark.timeout(300)]
MOVES_ON = {
    "calls.db": {"meta", "events", "alarms", "sqlite_sequence"},
    "crm.db": {
        "meta", "events", "alarm_marks", "sqlite_sequence", "jobs", "audit", "backups", "backup_recordings", "sessions",
        "login_failures", "customer_index",
    },
}  # fmt: skip
"""What the restored box itself goes on writing, and the backup's own entries."""


def worked_with(home: Home, disk: Path) -> None:
    """The former box: a recording by the real cutter, people, a customer, parameters; backed up with its audio."""
    office = Office(home, law=True)
    office.order()
    office.cutter.work()
    office.cutter.close()
    calls = open_store(home.calls_db)
    with write(calls) as connection:  # as the keeper would
        connection.execute("UPDATE calls SET caller_key = '+86' || caller_number")
    calls.conn.close()
    crm = open_store(home.crm_db)
    hire(crm, "1", "super")
    hire(crm, "2", "ordinary", channels=(1,))
    with write(crm) as connection:
        connection.execute(
            "INSERT INTO customers (name, company, title, category, level, note, author, owner, created_ms, changed_ms)"
            " VALUES ('张三', '远大公司', '', '', '', '', '2', '2', 1, 1)"
        )
    set_value(crm, "system", "backup_hour", 5, changed_by="1")
    set_value(crm, "system", "setup_done", True)
    set_key(crm, make_key(PASSPHRASE, CHEAP_LOG2_N), ROOT)
    crm.conn.close()
    (home.root / "cards.json").write_bytes(msgspec.json.encode([]))
    assert back_up(home, f"file://{disk}", recordings=True).state == "done"


def type_into(page: Page, field: str, text: str) -> None:
    found = page.get_by_test_id(field)
    (found.locator("input") if found.locator("input").count() else found).fill(text)


def same_rows(there: Path, here: Path) -> None:
    without = tuple(MOVES_ON[here.name])
    restored: dict[str, list[Any]] = rows_of(there, without)
    assert restored == rows_of(here, without)


def test_a_box_that_was_just_unpacked_takes_over(home: Home, tmp_path: Path) -> None:
    disk = tmp_path / "第二块盘"
    disk.mkdir()
    worked_with(home, disk)
    new = Home(tmp_path / "new")
    new.root.mkdir()
    with Box(new, "--no-exchange") as box, chromium() as page:
        log_in(page, box.url, *box.one_time_password())
        page.goto(f"{box.url}/#/first-start")
        page.get_by_test_id("restore-open").click()
        page.get_by_test_id("restore-folder").click()
        type_into(page, "restore-path", str(disk))
        page.get_by_test_id("restore-look").click()
        expect(page.get_by_test_id("restore-backup")).to_have_count(1, timeout=20_000)
        page.locator("#restore-passphrase").fill("not this one at all")
        page.keyboard.press("Enter")
        expect(page.get_by_test_id("restore-problem")).to_be_visible(timeout=20_000)
        page.locator("#restore-passphrase").fill(PASSPHRASE)
        page.keyboard.press("Enter")
        expect(page.get_by_test_id("restore-proved")).to_be_visible(timeout=20_000)
        page.get_by_test_id("restore-begin").click()
        expect(page.get_by_test_id("login-restored")).to_be_visible(timeout=120_000)
        same_rows(new.crm_db, home.crm_db)
        same_rows(new.calls_db, home.calls_db)
        type_into(page, "login-staff-no", "1")
        type_into(page, "login-password", OLD_PASSWORD)
        page.get_by_test_id("login-submit").click()
        page.get_by_test_id("nav-customers").click()
        expect(page.get_by_text("远大公司").first).to_be_visible(timeout=20_000)
        person = Person(box.url, "1", OLD_PASSWORD)
        status, answer = person.try_call("POST", "/restore/look", {"address": f"file://{disk}"})
        assert (status, answer["error"]["code"]) == (409, "box_not_new")
        assert PASSPHRASE not in box.text()
    audio = sorted(home.recordings.rglob("*.flac")) + sorted(home.recordings.rglob("*.wav"))
    assert audio
    for one in audio:
        assert (new.recordings / one.relative_to(home.recordings)).read_bytes() == one.read_bytes()
    assert [one for one in verify_box(new, Summary()) if one.severity in ("error", "warning")] == []
    assert len(list(new.root.glob("before-restore-*/crm.db"))) == 1
