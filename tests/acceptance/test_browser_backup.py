"""In a browser: somebody chooses a passphrase, plugs a stick in, backs up, and sees the backup that came of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import SCREENSHOTS, chromium
from crm_office import PASSWORD, Exchange, hire
from playwright.sync_api import Page, expect
from stick_office import stick_box

from crm_client_api.backup.daemon import BackupKeeper
from crm_client_api.backup.restoring import restore
from crm_client_api.http.server import ApiServer
from firmware import doorbell
from firmware.config import Home
from firmware.store.connection import open_store

pytestmark = [pytest.mark.acceptance, pytest.mark.browser, pytest.mark.timeout(300)]
WEB = Path(__file__).parents[2] / "webui" / "dist"
PASSPHRASE = "correct 正确 battery staple"


@pytest.fixture
def page(home: Home) -> Iterator[Page]:
    """The page of a super operator, with an API and the daemon of backups at work."""
    crm = open_store(home.crm_db)
    hire(crm, "1", "super")
    crm.conn.close()
    exchange = Exchange(home)
    exchange.wire(1)
    exchange.close()
    server = ApiServer(home, "127.0.0.1", 0, web_root=WEB, max_streams=8)
    server.start()
    keeper = BackupKeeper(home)
    thread = threading.Thread(target=keeper.run)
    thread.start()
    with chromium() as opened:
        opened.goto(f"http://127.0.0.1:{server.port}/")
        opened.evaluate("sessionStorage.setItem('tapdeck.first-start-left', '1')")
        opened.get_by_test_id("login-staff-no").locator("input").or_(opened.get_by_test_id("login-staff-no")).last.fill(
            "1"
        )
        field = opened.get_by_test_id("login-password")
        (field.locator("input") if field.locator("input").count() else field).fill(PASSWORD)
        opened.get_by_test_id("login-submit").click()
        opened.get_by_test_id("nav-calls").wait_for()
        yield opened
    keeper.stop.set()
    doorbell.ring(home.doorbells)
    thread.join()
    server.stop()


def test_choose_a_passphrase_and_back_up_onto_a_stick(home: Home, page: Page, tmp_path: Path) -> None:
    page.goto(page.url.split("/desk")[0] + "/settings/backup")
    expect(page.get_by_test_id("backup-first")).to_be_visible()
    page.get_by_test_id("backup-choose").click()
    page.locator("#backup-fresh").fill(PASSPHRASE)
    page.locator("#backup-again").fill(PASSPHRASE)
    page.locator("#backup-password").fill(PASSWORD)
    page.get_by_test_id("backup-passphrase-save").click()
    expect(page.get_by_test_id("backup-first")).to_have_count(0, timeout=30_000)
    with stick_box(home) as box:
        folder = box.plug("经理的U盘")
        page.get_by_test_id("backup-open").click()
        expect(page.get_by_test_id("backup-now")).to_contain_text("经理的U盘", timeout=10_000)
        page.get_by_test_id("backup-start").click()
        expect(page.get_by_test_id("backup-row")).to_have_count(1, timeout=60_000)
        expect(page.get_by_test_id("backup-running")).to_have_count(0, timeout=10_000)
        page.screenshot(path=SCREENSHOTS / "backup.png")
        files = list((folder / "tapdeck-backup").glob("tapdeck-*.tapdeck"))
    assert len(files) == 1
    done = restore(Home(tmp_path / "new"), files[0], PASSPHRASE, replace=False, told=lambda *_: None)
    assert done.end.rows["crm.db"]["operators"] == 1
