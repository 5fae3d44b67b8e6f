"""Long lists in a browser: no heading is cut, all that is found is chosen and deleted, the end is read without the
middle, a hold that somebody else sets is seen at once, and Escape loses nothing that was typed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import chromium
from crm_office import PASSWORD, Browser, hire
from office_records import add_customer_of
from playwright.sync_api import Page, expect
from practice_office import REAL, PracticeExchange

from crm_client_api.http.server import ApiServer
from firmware.config import Home
from firmware.store.connection import open_store, write

pytestmark = [pytest.mark.acceptance, pytest.mark.browser, pytest.mark.timeout(300)]
WEB = Path(__file__).parents[2] / "webui" / "dist"
RECORDS = 250
"""More than a page of the list."""
AT_MS = 1_790_000_000_000
TABLES = (
    "calls", "customers", "communications", "desk", "settings/audit", "settings/jobs", "settings/operators",
    "settings/sessions", "settings/hand-overs", "settings/groups",
)  # fmt: skip
CUT = """() => [...document.querySelectorAll('[role=columnheader] *')]
  .filter((one) => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== 'inline')
  .map((one) => one.textContent)"""


@pytest.fixture
def server(home: Home) -> Iterator[ApiServer]:
    """An office with records and three calls."""
    home.real_card_mark.touch()
    crm = open_store(home.crm_db)
    for staff_no in ("1", "2"):
        hire(crm, staff_no, "super")
    customer = add_customer_of(crm, "1", "王伟")
    with write(crm) as connection:
        connection.executemany(
            "INSERT INTO communications (customer_id, at_ms, subject, content, author, owner, created_ms, changed_ms)"
            " VALUES (?,?,?,'来电咨询','1','1',?,?)",
            [(customer, AT_MS + at * 1000, f"第 {at} 条", AT_MS, AT_MS) for at in range(RECORDS)],
        )
    crm.conn.close()
    lines = PracticeExchange(home)
    for number in ("13812345678", "13900000000", "18600002222"):
        lines.talked(REAL, number)
    lines.close()
    one = ApiServer(home, "127.0.0.1", 0, web_root=WEB, max_streams=8)
    one.start()
    yield one
    one.stop()


@pytest.fixture(params=["zh-CN", "en-US"])
def page(server: ApiServer, request: pytest.FixtureRequest) -> Iterator[Page]:
    with chromium(locale=request.param) as opened:
        opened.goto(f"http://127.0.0.1:{server.port}/")
        opened.evaluate("sessionStorage.setItem('tapdeck.first-start-left', '1')")
        for name, text in (("login-staff-no", "1"), ("login-password", PASSWORD)):
            found = opened.get_by_test_id(name)
            (found.locator("input") if found.locator("input").count() else found).fill(text)
        opened.get_by_test_id("login-submit").click()
        opened.get_by_test_id("nav-lines").wait_for()
        yield opened


def test_lists(server: ApiServer, page: Page) -> None:
    place = page.url.split("#")[0] + "#/"
    for name in TABLES:
        page.goto(place + name)
        expect(page.locator("main h1, main [role=columnheader]").first).to_be_visible()
        if name in ("calls", "customers", "communications", "settings/audit"):
            expect(page.get_by_role("columnheader").first).to_be_visible()
        assert page.evaluate(CUT) == [], name
    page.goto(place + "calls")
    hold_is_seen(page, log_in(server.port, "2"))
    escape_loses_nothing(page)
    page.goto(place + "communications")
    the_end_is_read(page)
    all_found_are_deleted(page)


def log_in(port: int, staff_no: str) -> Browser:
    browser = Browser(port)
    answer = browser.ask("POST", "/session", {"staff_no": staff_no, "password": PASSWORD})
    browser.cookie = answer.headers["set-cookie"].split(";")[0]
    browser.csrf = answer.json["csrf"]
    return browser


def hold_is_seen(page: Page, other: Browser) -> None:
    row = page.get_by_test_id("call-row").filter(has_text="139 0000 0000")
    expect(row).to_be_visible()
    expect(row.get_by_test_id("hold-mark")).to_have_count(0)
    call = row.get_attribute("data-id")
    hold = other.ask("POST", "/holds", {"kind": "call", "subject": call, "reason": "court"}).json["id"]
    expect(row.get_by_test_id("hold-mark")).to_be_visible()
    row.click(position={"x": 90, "y": 12})
    expect(page.get_by_test_id("call-hold")).to_contain_text("court")
    other.ask("POST", f"/holds/{hold}/release-request")
    expect(page.get_by_test_id("hold-confirm")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("call-drawer")).to_be_hidden()


def escape_loses_nothing(page: Page) -> None:
    row = page.get_by_test_id("call-row").first
    row.click(position={"x": 90, "y": 12})
    drawer = page.get_by_test_id("call-drawer")
    drawer.get_by_test_id("call-note-text").fill("half a sentence")
    search = page.get_by_test_id("filter-number")
    (search.locator("input") if search.locator("input").count() else search).press("Escape")
    expect(drawer).to_be_visible()
    drawer.get_by_test_id("call-note-text").press("Escape")
    expect(drawer).to_be_hidden()
    row.click(position={"x": 90, "y": 12})
    expect(drawer.get_by_test_id("call-note-text")).to_have_value("half a sentence")
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()


def the_end_is_read(page: Page) -> None:
    rows = page.get_by_test_id("communication-row")
    rows.first.focus()
    page.keyboard.press("End")
    expect(page.get_by_text("第 0 条", exact=True)).to_be_visible()
    page.keyboard.press("Home")
    expect(page.get_by_text(f"第 {RECORDS - 1} 条", exact=True)).to_be_visible()


def all_found_are_deleted(page: Page) -> None:
    page.reload()
    page.locator("[role=columnheader] .choose").click()
    page.get_by_test_id("choose-found").click()
    expect(page.get_by_test_id("chosen")).to_contain_text(str(RECORDS))
    page.get_by_test_id("delete-chosen").click()
    question = page.locator(".el-message-box")
    expect(question).to_contain_text(str(RECORDS))
    question.get_by_role("button", name=re.compile(str(RECORDS))).click()
    expect(page.get_by_test_id("communication-row")).to_have_count(0)
