"""In a browser: an administrator turns practice on beside a real line, everybody sees it, a made-up call pops up
marked, and it ends.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import chromium
from crm_office import PASSWORD, hire
from playwright.sync_api import Page, expect

from crm_client_api.http.server import ApiServer
from firmware.config import Home
from firmware.practice import read_practice
from firmware.store.connection import open_store

sys.path.append(str(Path(__file__).parents[1] / "crm_client_api"))

from practice_office import PRACTICE, REAL, PracticeExchange

pytestmark = [pytest.mark.acceptance, pytest.mark.browser, pytest.mark.timeout(300)]
WEB = Path(__file__).parents[2] / "webui" / "dist"


@pytest.fixture
def lines(home: Home) -> Iterator[PracticeExchange]:
    home.real_card_mark.touch()
    one = PracticeExchange(home)
    yield one
    one.close()


@pytest.fixture
def page(home: Home, lines: PracticeExchange) -> Iterator[Page]:
    """The page of a super operator."""
    crm = open_store(home.crm_db)
    hire(crm, "1", "super")
    crm.conn.close()
    server = ApiServer(home, "127.0.0.1", 0, web_root=WEB, max_streams=8)
    server.start()
    with chromium() as opened:
        opened.goto(f"http://127.0.0.1:{server.port}/")
        opened.evaluate("sessionStorage.setItem('tapdeck.first-start-left', '1')")
        for field, text in (("login-staff-no", "1"), ("login-password", PASSWORD)):
            found = opened.get_by_test_id(field)
            (found.locator("input") if found.locator("input").count() else found).fill(text)
        opened.get_by_test_id("login-submit").click()
        opened.get_by_test_id("nav-lines").wait_for()
        yield opened
    server.stop()


def test_practice_is_turned_on_seen_and_ended(home: Home, lines: PracticeExchange, page: Page) -> None:
    page.goto(page.url.split("/desk")[0] + "/settings/practice")
    expect(page.get_by_test_id("practice-idle")).to_be_visible()
    expect(page.get_by_test_id("practice-line")).to_have_count(0)
    page.get_by_test_id("practice-start").click()
    expect(page.get_by_test_id("practice-running")).to_contain_text("name of 1")
    kept = read_practice(home)
    assert kept is not None
    assert (kept.lines, kept.until_ms - kept.since_ms, kept.by) == (2, 30 * 60_000, "1")
    page.get_by_test_id("nav-lines").click()
    expect(page.get_by_test_id("practice-line")).to_contain_text("练习")
    tiles = page.get_by_test_id("channel-tile")
    expect(tiles).to_have_count(3)
    expect(tiles.filter(has=page.get_by_test_id("simulated"))).to_have_count(2)
    page.get_by_test_id("board-wall").click()
    wall = page.get_by_test_id("wall")
    expect(wall.get_by_test_id("practice-line")).to_be_visible()
    expect(wall.get_by_test_id("simulated")).to_have_count(3)  # the line, and both channels
    page.get_by_test_id("wall-leave").click()
    lines.call(PRACTICE, "13900000000")
    lines.call(REAL, "13812345678")
    made_up = page.locator("[data-testid=popup][data-number='13900000000']")
    real = page.locator("[data-testid=popup][data-number='13812345678']")
    expect(made_up.get_by_test_id("simulated")).to_be_visible()
    expect(real).to_be_visible()
    expect(real.get_by_test_id("simulated")).to_have_count(0)
    page.get_by_test_id("practice-line-end").click()
    expect(page.get_by_test_id("practice-line")).to_have_count(0)
    expect(tiles).to_have_count(1)
    assert read_practice(home) is None
    page.get_by_test_id("nav-calls").click()
    expect(page.get_by_text("139 0000 0000").first).to_be_visible()
