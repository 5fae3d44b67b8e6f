"""Customers in a browser: the office's own fields, who is there already, what happened; phrases; leaders give work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from browser import CHROMIUM, SCREENSHOTS
from crm_office import PASSWORD, Exchange, hire
from office import Box, Person
from playwright.sync_api import Browser, Page, expect, sync_playwright

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.clock import now_ms
from firmware.config import Home
from firmware.parameters import set_value
from firmware.store.connection import open_store

pytestmark = [pytest.mark.acceptance, pytest.mark.browser, pytest.mark.timeout(300)]
ALONE = ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE, Permission.OPERATOR_MANAGE}


class Office:
    """A box with a super operator, a leader and an operator of the leader's group."""

    def __init__(self, box: Box, exchange: Exchange, browser: Browser) -> None:
        self.box, self._exchange, self._browser = box, exchange, browser

    def page(self, staff_no: str) -> Page:
        """A browser of its own in which somebody is logged in."""
        SCREENSHOTS.mkdir(exist_ok=True)
        page = self._browser.new_context(locale="zh-CN", viewport={"width": 1440, "height": 900}).new_page()
        page.goto(self.box.url)
        page.get_by_test_id("login-staff-no").fill(staff_no)
        page.get_by_test_id("login-password").fill(PASSWORD)
        page.get_by_test_id("login-submit").click()
        page.locator("[data-testid=connection][data-state=live]").wait_for(state="attached")
        return page

    def missed(self, number: str) -> dict[str, Any]:
        """A call on the first line that nobody took."""
        self._exchange.now_ms = now_ms()
        call = self._exchange.call(1, number)
        self._exchange.end(call)
        return call


@pytest.fixture
def office(home: Home) -> Iterator[Office]:
    crm, exchange = open_store(home.crm_db), Exchange(home)
    hire(crm, "1000", "super")
    hire(crm, "2000", "leader", 1)
    hire(crm, "3001", "ordinary", 1, (1, 2), ALONE)
    set_value(crm, "system", "setup_done", True)
    exchange.wire(1, 2)
    with Box(home, "--no-exchange") as box, sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield Office(box, exchange, browser)
        finally:
            browser.close()
            exchange.close()
            crm.conn.close()


def test_own_fields_duplicates_and_the_story_of_a_customer(office: Office) -> None:
    page = office.page("1000")
    page.goto(f"{office.box.url}/#/settings/custom-fields")
    page.get_by_test_id("field-add").click()
    page.get_by_test_id("field-name-zh").fill("会员<img src=x onerror=alert(1)>")
    page.get_by_test_id("field-required").click()
    page.get_by_test_id("field-save").click()
    expect(page.get_by_test_id("field-row")).to_contain_text("会员<img")

    # The field is asked for in every customer's form; what is typed outlives a reload.
    page.goto(f"{office.box.url}/#/customers")
    page.get_by_test_id("customer-add").click()
    page.get_by_test_id("customer-name").fill("王小梅")
    page.get_by_test_id("customer-number").fill("13800138000")
    expect(page.get_by_test_id("customer-save")).to_be_disabled()
    page.reload()
    page.get_by_test_id("customer-add").click()
    expect(page.get_by_test_id("customer-name")).to_have_value("王小梅")
    page.get_by_test_id("custom-inputs").locator("input").fill("金卡")
    page.get_by_test_id("customer-save").click()
    row = page.get_by_test_id("customer-row").filter(has_text="王小梅")
    expect(row).to_be_visible()

    # Somebody types the number once more, in another spelling.
    office.missed("13800138000")
    page.get_by_test_id("customer-add").click()
    page.get_by_test_id("customer-number").fill("+86 138 0013 8000")
    page.get_by_test_id("duplicate").get_by_role("button").click()
    drawer = page.get_by_test_id("customer-drawer")
    expect(drawer).to_contain_text("金卡")
    expect(drawer.locator("[data-testid=story-entry][data-kind=call]")).to_have_count(1)

    # A change stands in the same line of time as the call, the last one first.
    page.get_by_test_id("customer-change").click()
    page.get_by_test_id("custom-inputs").locator("input").fill("银卡")
    page.get_by_test_id("customer-save").click()
    story = drawer.get_by_test_id("story-entry")
    expect(story).to_have_count(3)
    expect(story.first).to_contain_text("金卡 → 银卡")
    page.screenshot(path=SCREENSHOTS / "customer-story.png")
    drawer.get_by_test_id("story-change").click()
    expect(story).to_have_count(1)
    assert page.locator("img[src=x]").count() == 0


def test_phrases_are_edited_and_leaders_give_work(office: Office) -> None:
    leader, operator = office.page("2000"), office.page("3001")
    operator.goto(f"{office.box.url}/#/settings/phrases")
    operator.get_by_test_id("phrase-new").fill("好的，马上为您查询")
    operator.get_by_test_id("phrase-add").click()
    line = operator.get_by_test_id("phrase-line")
    line.get_by_test_id("phrase-change").click()
    line.get_by_test_id("phrase-text").fill("好的，我马上查询。")
    line.get_by_test_id("phrase-save").click()
    expect(line).to_contain_text("好的，我马上查询。")
    line.get_by_test_id("phrase-share").click()
    shared = Person(office.box.url, "2000", PASSWORD)
    leader.goto(f"{office.box.url}/#/settings/phrases")
    expect(leader.get_by_test_id("phrase-line")).to_contain_text("3001")
    assert [one["text"] for one in shared.call("GET", "/phrases")["phrases"]] == ["好的，我马上查询。"]

    # A task for somebody, who sees it come up.
    operator.goto(f"{office.box.url}/#/desk")
    expect(operator.get_by_test_id("tasks-all")).to_have_count(0)
    leader.goto(f"{office.box.url}/#/desk")
    leader.get_by_test_id("task-subject").fill("寄发票")
    leader.get_by_test_id("task-for").click()
    leader.get_by_role("option").filter(has_text="3001").click()
    leader.get_by_test_id("task-add").click()
    expect(operator.get_by_test_id("task")).to_contain_text("寄发票")
    expect(leader.get_by_test_id("task")).to_have_count(0)
    leader.get_by_test_id("tasks-all").click()
    expect(leader.get_by_test_id("task-owner")).to_contain_text("3001")

    # A missed call is given to the one who shall call back.
    call = office.missed("13700137000")
    row = leader.locator(f"[data-testid=call-back][data-call-id='{call['id']}']")
    row.get_by_test_id("list-more").click()
    leader.get_by_test_id("more-give").locator("visible=true").click()
    leader.get_by_test_id("give-to").click()
    leader.get_by_role("option").filter(has_text="3001").locator("visible=true").click()
    leader.get_by_test_id("give-do").click()
    expect(row.get_by_test_id("call-back-state")).to_contain_text("3001")
    operator.get_by_test_id("call-backs-mine").click()
    expect(operator.get_by_test_id("call-back")).to_have_attribute("data-call-id", call["id"])
