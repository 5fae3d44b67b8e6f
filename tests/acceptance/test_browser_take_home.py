"""In a browser: a stick is plugged in, a month goes onto it, it is pulled out and comes back, and may then be taken."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import SCREENSHOTS, chromium
from crm_office import PASSWORD, Exchange, hire
from playwright.sync_api import Page, expect
from stick_office import StickOffice, listed, stick_box

from crm_client_api.courier.daemon import Courier
from crm_client_api.http.server import ApiServer
from crm_client_api.take_home import landing
from firmware import doorbell
from firmware.config import Home
from firmware.parameters import get_value
from firmware.store.connection import open_store

pytestmark = [pytest.mark.acceptance, pytest.mark.browser, pytest.mark.timeout(300)]
WEB = Path(__file__).parents[2] / "webui" / "dist"
CALLS = 30


@pytest.fixture
def office(home: Home) -> Iterator[StickOffice]:
    crm = open_store(home.crm_db)
    hire(crm, "1", "super")
    crm.conn.close()
    exchange = Exchange(home)
    exchange.wire(1, 2)
    one = StickOffice(home, exchange)
    yield one
    one.close()
    exchange.close()


@pytest.fixture
def page(home: Home, office: StickOffice) -> Iterator[Page]:
    """The page of somebody who is logged in, with an API and a courier at work."""
    server = ApiServer(home, "127.0.0.1", 0, web_root=WEB, max_streams=8)
    server.start()
    courier = Courier(home)
    thread = threading.Thread(target=courier.run)
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
    courier.stop.set()
    doorbell.ring(home.doorbells)
    thread.join()
    server.stop()


def test_plug_in_choose_pull_out_and_take_away(
    home: Home, office: StickOffice, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "BATCH_FILES", 4)
    for number in range(CALLS):
        office.recorded(f"139{number:08d}", seconds=1)
    with stick_box(home) as box:
        page.get_by_test_id("nav-calls").click()
        page.get_by_test_id("list-more").click()
        page.get_by_test_id("more-takeHome").click()
        expect(page.get_by_text("没有插入 U 盘")).to_be_visible()
        place = box.plug("经理的U盘")
        expect(page.get_by_test_id("take-home-stick")).to_contain_text("经理的U盘", timeout=10_000)
        expect(page.get_by_test_id("take-home-estimate")).to_contain_text(str(CALLS), timeout=10_000)
        page.screenshot(path=SCREENSHOTS / "take-home.png")
        pull_at(monkeypatch, place, home.root / "away", 40)
        page.get_by_test_id("take-home-begin").click()
        expect(page.get_by_test_id("take-home-held")).to_contain_text("重新插入", timeout=30_000)
        page.screenshot(path=SCREENSHOTS / "take-home-pulled.png")
        box.wait_gone("经理的U盘")
        (home.root / "away").rename(place)
        expect(page.get_by_test_id("take-home-safe")).to_be_visible(timeout=60_000)
        page.screenshot(path=SCREENSHOTS / "take-home-done.png")
        (folder,) = place.glob("tapdeck-*")
        head, rows = listed(folder)
        assert (head["complete"], len(rows)) == (True, CALLS)


def pull_at(monkeypatch: pytest.MonkeyPatch, place: Path, away: Path, files: int) -> None:
    """Pull the stick out when so many files were put."""
    real, left = landing.Landing.put, files

    def put(self, *given):  # type: ignore[no-untyped-def]
        nonlocal left
        left -= 1
        if left == 0:
            place.rename(away)
        return real(self, *given)

    monkeypatch.setattr(landing.Landing, "put", put)


def test_a_known_stick_fills_itself_and_is_told_live(home: Home, office: StickOffice, page: Page) -> None:
    """Remembered, given a rule, plugged in again: it is written to and may be pulled out, and the page follows."""
    for number in range(3):
        office.recorded(f"139{number:08d}", seconds=1)
    with stick_box(home) as box:
        page.goto(f"{page.url.split('#')[0]}#/settings/sticks")
        expect(page.get_by_text("没有插入 U 盘")).to_be_visible()
        place = box.plug("经理的U盘")
        row = page.get_by_test_id("stick")
        expect(row).to_have_attribute("data-state", "mounted", timeout=10_000)
        expect(row.get_by_test_id("stick-simulated")).to_be_visible()
        row.get_by_test_id("stick-remember").click()
        page.locator(".el-message-box__input input").fill("财务室的红色U盘")
        page.locator(".el-message-box__btns .el-button--primary").click()
        expect(page.get_by_test_id("known-stick")).to_contain_text("财务室的红色U盘")
        page.get_by_test_id("known-auto").click()
        dialog = page.get_by_test_id("auto-dialog")
        dialog.locator(".el-date-editor input").fill("2026-01-01")
        dialog.locator(".el-date-editor input").press("Enter")
        dialog.get_by_test_id("auto-save").click()
        expect(page.get_by_test_id("auto-facts")).to_be_visible()
        row.get_by_test_id("stick-eject").click()
        expect(row).to_have_attribute("data-state", "safe_to_remove")
        away = box.pull("经理的U盘")
        expect(row).to_have_count(0, timeout=10_000)
        away.rename(place)
        expect(row).to_contain_text("财务室的红色U盘", timeout=10_000)
        expect(row).to_have_attribute("data-state", "safe_to_remove", timeout=60_000)
        (folder,) = place.glob("tapdeck-*")
        assert listed(folder)[0]["complete"]
        page.goto(f"{page.url.split('#')[0]}#/settings/jobs")
        expect(page.get_by_test_id("take-home-safe")).to_be_visible(timeout=10_000)
        page.screenshot(path=SCREENSHOTS / "sticks-jobs.png")


def test_a_case_package_of_one_call_goes_onto_the_stick(home: Home, office: StickOffice, page: Page) -> None:
    office.recorded("13812345678", seconds=1)
    with stick_box(home) as box:
        place = box.plug("律师的U盘")
        page.get_by_test_id("nav-calls").click()
        page.get_by_test_id("call-row").get_by_text("138 1234 5678").click()
        expect(page.get_by_test_id("call-drawer")).to_be_visible()
        page.get_by_test_id("drawer-case").click()
        page.get_by_test_id("case-title").fill("合同纠纷")
        expect(page.get_by_test_id("take-home-begin")).to_be_disabled()
        page.get_by_test_id("case-reason").fill("应法院要求")
        page.get_by_test_id("take-home-begin").click()
        expect(page.get_by_test_id("take-home-safe")).to_be_visible(timeout=60_000)
        (folder,) = place.glob("case-*")
        assert "合同纠纷" in (folder / "report-报告.html").read_text(encoding="utf-8")


def test_a_list_of_customers_comes_in_from_a_stick(home: Home, office: StickOffice, page: Page) -> None:
    with stick_box(home) as box:
        place = box.plug("名单U盘")
        (place / "客户.csv").write_text("姓名,手机\n王五,13700001111\n", encoding="utf-8")
        box.wait_for("名单U盘", "mounted")
        page.get_by_test_id("nav-customers").click()
        page.get_by_test_id("list-more").click()
        page.get_by_test_id("more-import").click()
        page.get_by_test_id("stick-file").click()
        page.get_by_test_id("import-map").click(timeout=30_000)
        page.get_by_test_id("import-confirm").click(timeout=30_000)
        expect(page.get_by_test_id("job-progress")).to_have_attribute("data-state", "done", timeout=30_000)
        page.keyboard.press("Escape")
        expect(page.get_by_text("王五")).to_be_visible()


def test_a_number_list_comes_in_from_a_stick_and_counts_once_it_is_saved(
    home: Home, office: StickOffice, page: Page
) -> None:
    with stick_box(home) as box:
        place = box.plug("名单U盘")
        (place / "不录音.csv").write_text("姓名,手机\n王五,137-0000-1111\n赵六,不详\n张三,138*\n", encoding="utf-8")
        box.wait_for("名单U盘", "mounted")
        page.goto(f"{page.url.split('#')[0]}#/settings/channels?channel=1")
        field = page.locator("#parameter-never_record_numbers")
        field.fill("95588，138*")
        page.locator("[data-key=never_record_numbers]").get_by_test_id("number-list-open").click()
        page.get_by_test_id("stick-file").click()
        expect(page.get_by_test_id("number-list-found")).to_contain_text("2 个号码，其中 1 个", timeout=30_000)
        expect(page.get_by_test_id("import-preview")).to_contain_text("不详")
        page.screenshot(path=SCREENSHOTS / "number-list.png")
        page.get_by_test_id("number-list-add").click()
        expect(field).to_have_value("95588，138*,13700001111")
        crm = open_store(home.crm_db)
        assert crm.execute("SELECT count(*) FROM parameters WHERE key = 'never_record_numbers'").fetchone()[0] == 0
        page.get_by_role("button", name="保存").click()
        expect(page.get_by_text("已保存")).to_be_visible()
        saved = get_value(crm, "channel", "never_record_numbers", "1")
        assert saved == "95588，138*,13700001111"
        crm.conn.close()
