"""The twelve everyday tasks, done by hand in a browser: what it takes is what docs/tasks.md says.

An action is a click, a key (or several at once), or a text typed into the field where the cursor stands.
Each task but the first begins at the desk, logged in. ``-s`` prints the actions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, FLAGS
from lived_in import FAKETIME, OPERATOR, STRANGERS, WALKER, Lived, lived_in
from office import PASSWORD
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from firmware.config import Home
from firmware.store.migrations import migrate

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.browser,
    pytest.mark.soak,
    pytest.mark.timeout(900),
    pytest.mark.skipif(FAKETIME is None, reason="no libfaketime (Debian package faketime)"),
]
DOCUMENT = Path(__file__).parents[2] / "docs" / "tasks.md"
SLOW_MS = 90_000


class Hand:
    """A person's hand at mouse and keyboard, whose actions are counted."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.done: list[str] = []

    def click(self, what: Locator | str) -> None:
        """Click something, or what has this test id."""
        found = self.page.get_by_test_id(what).first if isinstance(what, str) else what.first
        found.click()
        self.done.append(f"click {what if isinstance(what, str) else re.sub(chr(10), ' ', str(what))[:60]}")

    def type(self, text: str) -> None:
        """Type into the field where the cursor is."""
        expect(self.page.locator("input:focus, textarea:focus")).to_be_visible()
        self.page.keyboard.type(text)
        self.done.append(f"type {text}")

    def press(self, key: str) -> None:
        """Press a key or keys at once."""
        self.page.keyboard.press(key)
        self.done.append(f"press {key}")

    def find(self, text: str, title: str) -> None:
        """Ask the command box for something, and go there."""
        self.press("Control+k")
        self.type(text)
        expect(self.page.get_by_test_id("command").first).to_contain_text(title)
        self.press("Enter")


def log_in_and_take_a_call(hand: Hand, lived: Lived) -> None:
    hand.page.goto(lived.box.url)
    hand.page.get_by_test_id("login-staff-no").wait_for()
    hand.type(OPERATOR)
    hand.press("Tab")
    hand.type(PASSWORD)
    hand.press("Enter")
    card = hand.page.get_by_test_id("popup").filter(has_text="138 1234 5678")
    hand.click(card.get_by_test_id("popup-take"))
    expect(card.get_by_test_id("popup-taken")).to_be_visible()


def note_it(hand: Hand, _: Lived) -> None:
    card = hand.page.get_by_test_id("popup").filter(has_text="138 1234 5678")
    card.wait_for()
    hand.press("Alt+m")
    hand.type("客户要两百台，周五前报价。")
    hand.press("Control+Enter")
    expect(card.get_by_test_id("card-note").first).to_contain_text("周五前报价")


def find_last_weeks_call_and_play_it(hand: Hand, _: Lived) -> None:
    hand.find("李建国", "李建国")
    entry = hand.page.get_by_test_id("story-entry").filter(has=hand.page.get_by_test_id("play")).last
    hand.click(entry.get_by_test_id("play"))
    hand.page.locator("[data-testid=player-position]", has_text=re.compile("0:0[1-9]")).wait_for()


def add_an_operator(hand: Hand, _: Lived) -> None:
    hand.find("操作员", "操作员")
    hand.click("operator-add")
    hand.type("3011")
    hand.press("Tab")
    hand.type("何小雨")
    hand.click(hand.page.locator(".el-select:has(#operator-channels)"))
    hand.click(hand.page.get_by_role("option", name="总机"))
    hand.press("Escape")
    hand.click("operator-save")
    expect(hand.page.get_by_test_id("one-time-password")).to_be_visible()
    hand.click("password-noted")


def hand_over_a_leaver(hand: Hand, _: Lived) -> None:
    hand.find("吴强", "吴强")
    hand.click("operator-leave")
    hand.click("leave-next")
    hand.click("leave-to")
    hand.click(hand.page.get_by_role("option", name="周晓燕"))
    hand.press("Escape")
    hand.click("leave-next")
    hand.click("leave-go")
    done = hand.page.get_by_test_id("leave-wizard").get_by_role("listitem").filter(has_text="周晓燕")
    expect(done.and_(hand.page.locator(":not(.check *)"))).to_be_visible(timeout=SLOW_MS)


def name_a_channel(hand: Hand, _: Lived) -> None:
    hand.find("传真", "传真")
    expect(hand.page.locator("#parameter-name")).to_be_focused()
    hand.type("财务室")
    hand.press("Enter")
    expect(hand.page.get_by_test_id("channel-choose")).to_contain_text("财务室")


def import_a_list(hand: Hand, _: Lived) -> None:
    hand.click("nav-customers")
    hand.page.get_by_test_id("customer-row").first.wait_for()
    hand.click("list-more")
    hand.click("more-import")
    with hand.page.expect_file_chooser() as chooser:
        hand.click(hand.page.get_by_test_id("import-wizard").locator("label.drop"))
    rows = "客户编号,姓名,公司名称,手机\n,韩梅,苏州丝绸公司,13511112222\n"
    chooser.value.set_files({"name": "名单.csv", "mimeType": "text/csv", "buffer": rows.encode()})
    hand.click("import-map")  # the columns are not all of the template's
    hand.page.get_by_test_id("import-confirm").wait_for(timeout=SLOW_MS)
    hand.click("import-confirm")
    expect(hand.page.get_by_test_id("customer-row").filter(has_text="韩梅")).to_be_visible(timeout=SLOW_MS)


def export_a_month(hand: Hand, _: Lived) -> None:
    hand.click("nav-calls")
    hand.page.get_by_test_id("call-row").first.wait_for()
    hand.click("filters")
    hand.click("span-thisMonth")
    hand.click("list-more")
    hand.click("more-export")
    expect(hand.page.get_by_test_id("job-file")).to_be_visible(timeout=SLOW_MS)
    with hand.page.expect_download():
        hand.click("job-file")


def set_a_hold(hand: Hand, _: Lived) -> None:
    hand.click("nav-calls")
    hand.click(hand.page.get_by_test_id("call-row").filter(has_text="Thomas").first)
    hand.click(hand.page.get_by_test_id("call-drawer").get_by_test_id("hold"))
    hand.type("合同纠纷")
    hand.press("Enter")
    expect(hand.page.locator("[data-testid=toast][data-kind=success]")).to_be_visible()


def find_why_a_popup_did_not_come(hand: Hand, _: Lived) -> None:
    hand.click(hand.page.get_by_test_id("call-row").filter(has_text="186 0000 2222").get_by_test_id("why"))
    expect(hand.page.get_by_test_id("reason").filter(has_text="周晓燕")).to_be_visible()


def call_back_the_missed(hand: Hand, _: Lived) -> None:
    row = hand.page.get_by_test_id("call-back").filter(has_text=STRANGERS[2][:3])
    hand.click(row.get_by_test_id("call-back-take"))
    hand.click(row.get_by_test_id("call-back-done"))
    expect(row).to_have_count(0)


def make_the_monthly_report(hand: Hand, _: Lived) -> None:
    hand.click("nav-reports")
    hand.click(hand.page.get_by_test_id("report-kind").locator("label").last)
    expect(hand.page.get_by_test_id("monthly")).to_be_visible()
    with hand.page.expect_download():
        hand.click("monthly-excel")


TASKS: tuple[tuple[str, Callable[[Hand, Lived], None]], ...] = (
    ("", log_in_and_take_a_call),
    (OPERATOR, note_it),
    (OPERATOR, find_last_weeks_call_and_play_it),
    ("1000", add_an_operator),
    ("1000", hand_over_a_leaver),
    (WALKER, name_a_channel),
    (WALKER, import_a_list),
    (WALKER, export_a_month),
    (WALKER, set_a_hold),
    (WALKER, find_why_a_popup_did_not_come),
    (OPERATOR, call_back_the_missed),
    (WALKER, make_the_monthly_report),
)
"""By whom (nobody is logged in yet: empty), and how."""


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    folder = tmp_path_factory.mktemp("lived")
    home = Home(folder / "home")
    home.create()
    migrate(home)
    with lived_in(home, folder, days_ago=6) as found:
        yield found


def walk(lived: Lived, browser: Browser) -> dict[str, list[str]]:
    """Do all of them; the actions of each."""
    walked = {}
    for who, task in TASKS:
        page = lived.page(browser, who)
        if who:
            page.goto(f"{lived.box.url}/#/desk")
            page.get_by_test_id("tasks").wait_for()
        hand = Hand(page)
        task(hand, lived)
        name = task.__name__.replace("_", " ").replace("weeks", "week's")
        walked[name] = hand.done
        print(f"\n{name}: {len(hand.done)} actions\n  " + "; ".join(hand.done))
        page.context.close()
    return walked


def test_twelve_tasks_take_what_the_document_says(lived: Lived) -> None:
    told = dict(re.findall(r"^\| \d+ \| ([a-z' ]+) .*\| (\d+) \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE))
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            walked = walk(lived, browser)
        finally:
            browser.close()
    assert {name: str(len(actions)) for name, actions in walked.items()} == told
