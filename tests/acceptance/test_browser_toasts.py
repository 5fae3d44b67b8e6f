"""What the page says beside the work: toasts that cover nothing, names beside staff numbers, the office's clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from browser import CHROMIUM, FLAGS, SCREENSHOTS
from crm_office import PASSWORD, hire
from office import Box, Person
from playwright.sync_api import Browser, Page, expect, sync_playwright

from firmware.config import Home
from firmware.parameters import set_value
from firmware.store.connection import open_store

pytestmark = [pytest.mark.acceptance, pytest.mark.browser, pytest.mark.timeout(300)]

COVERED = """() => [...document.querySelectorAll('[data-testid=toast]')].flatMap((toast) => {
  const over = toast.getBoundingClientRect();
  return [...document.querySelectorAll('button, a[href], input, textarea, label, [tabindex="0"]')].flatMap((one) => {
    if (toast.contains(one) || !one.checkVisibility()) return [];
    const box = one.getBoundingClientRect();
    let [left, right, top, bottom] = [box.left, box.right, box.top, box.bottom];
    for (let around = one.parentElement; around; around = around.parentElement) {  // what is scrolled away is not there
      if (getComputedStyle(around).overflowY === 'visible') continue;
      const window = around.getBoundingClientRect();
      [left, right] = [Math.max(left, window.left), Math.min(right, window.right)];
      [top, bottom] = [Math.max(top, window.top), Math.min(bottom, window.bottom)];
    }
    const wide = Math.min(right, over.right) - Math.max(left, over.left);
    const high = Math.min(bottom, over.bottom) - Math.max(top, over.top);
    return wide > 1 && high > 1 && right > left && bottom > top ? [one.outerHTML.slice(0, 160)] : [];
  });
})"""


@contextmanager
def logged_in(browser: Browser, box: Box, staff_no: str, width: int, height: int, zone: str) -> Iterator[Page]:
    size = {"width": width, "height": height}
    page = browser.new_context(locale="zh-CN", viewport=size, timezone_id=zone).new_page()  # type: ignore[arg-type]
    page.goto(box.url)
    page.get_by_test_id("login-staff-no").fill(staff_no)
    page.get_by_test_id("login-password").fill(PASSWORD)
    page.get_by_test_id("login-submit").click()
    page.locator("[data-testid=connection][data-state=live]").wait_for(state="attached")
    yield page
    page.context.close()


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as player:
        one = player.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield one
        finally:
            one.close()


@pytest.fixture
def box(home: Home) -> Iterator[Box]:
    crm = open_store(home.crm_db)
    hire(crm, "1000", "super")
    hire(crm, "3001", "ordinary", 1, (1,))
    set_value(crm, "system", "setup_done", True)
    with Box(home, "--no-exchange") as one:
        yield one
    crm.conn.close()


def test_toasts_cover_nothing_and_a_hand_over_is_taken_back(box: Box, browser: Browser) -> None:
    person = Person(box.url, "1000", PASSWORD)
    for name in ("张三", "李四"):
        person.call("POST", "/customers", {"name": name, "phones": [{"number": "13800138000"}]})
    with logged_in(browser, box, "1000", 1440, 900, "Asia/Shanghai") as page:
        expect(page.get_by_test_id("office-clock")).to_have_count(0)
        page.get_by_test_id("nav-customers").click()
        rows = page.get_by_test_id("customer-row")
        expect(rows.filter(has_text="name of 1000 1000")).to_have_count(2)
        rows.nth(0).get_by_test_id("choose-row").click()
        rows.nth(1).get_by_test_id("choose-row").click()
        page.get_by_test_id("hand-over-open").click()
        page.get_by_test_id("hand-over-to").click()
        page.get_by_role("option").filter(has_text="3001").click()
        page.get_by_test_id("hand-over-do").click()
        expect(rows.filter(has_text="name of 3001 3001")).to_have_count(2)
        expect(page.get_by_test_id("toast")).to_contain_text("name of 3001 3001")
        assert page.evaluate(COVERED) == []

        # By then somebody else has one of them: it stays where it is, and that is said.
        one = person.call("GET", "/customers")["customers"][0]["id"]
        person.call("POST", "/hand-overs", {"to": "1000", "customers": [one]})
        page.keyboard.press("Alt+z")
        expect(page.get_by_test_id("toast").filter(has_text="1 条已有新的归属人")).to_be_visible()
        expect(rows.filter(has_text="name of 1000 1000")).to_have_count(2)


def test_a_telephone_makes_room_for_a_toast_and_days_are_the_offices(box: Box, browser: Browser) -> None:
    person = Person(box.url, "3001", PASSWORD)
    person.call("POST", "/tasks", {"subject": "寄发票"})
    customer = person.call("POST", "/customers", {"name": "张三"})["id"]
    person.call("POST", "/communications", {"customer_id": customer, "at": "2026-03-01T16:30:00Z", "subject": "春"})
    with logged_in(browser, box, "3001", 390, 844, "America/New_York") as page:
        task = page.get_by_test_id("task")
        task.get_by_test_id("task-remove").click()
        undo = page.get_by_test_id("undo")
        undo.hover()
        assert page.evaluate(COVERED) == []
        page.mouse.move(5, 5)
        undo.focus()
        page.keyboard.press("Enter")
        expect(task).to_be_visible()

        # Also with a drawer over the whole page.
        task.get_by_test_id("task-remove").click()
        page.get_by_test_id("undo").hover()
        page.evaluate(f"location.hash = '#/customers?open={customer}'")
        page.get_by_test_id("customer-drawer").get_by_role("heading").first.wait_for()
        page.screenshot(path=SCREENSHOTS / "toast-telephone.png")
        assert page.evaluate(COVERED) == []
        page.get_by_test_id("undo").click()
        page.evaluate("location.hash = '#/desk'")
        expect(task).to_be_visible()

        # The device goes by another clock than the office: it is told by which one everything here is.
        page.get_by_test_id("operator-menu").click()
        expect(page.locator(".menu").get_by_test_id("office-clock")).to_contain_text("办公室时间")
    with logged_in(browser, box, "1000", 1440, 900, "America/New_York") as page:
        page.get_by_test_id("nav-communications").click()
        expect(page.get_by_test_id("communication-row").locator("time").first).to_have_attribute(
            "title", "2026/03/02 00:30:00"
        )
        expect(page.locator("nav").get_by_test_id("office-clock")).to_be_visible()
