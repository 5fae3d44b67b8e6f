"""The recording path in a browser: listen while they talk, pause, hear the call before it ends, hold it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from browser import SCREENSHOTS, chromium, log_in
from office import office
from playwright.sync_api import Page, expect
from scripted import settled

from drivers.exchange.calls import IncomingCall, LineSettings
from drivers.exchange.script import Script
from firmware.config import Home
from firmware.store.connection import open_store

pytestmark = [pytest.mark.acceptance, pytest.mark.browser, pytest.mark.timeout(300)]
CALL_S = 24
"""The box and the browser are up by then, also on a slow machine."""
TALK_S = 24
_HEAR = """() => {
  window.heard = {};
  const start = AudioBufferSourceNode.prototype.start;
  AudioBufferSourceNode.prototype.start = function (...at) {
    const samples = this.buffer.getChannelData(0);
    const peak = samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    window.heard = { blocks: (window.heard.blocks ?? 0) + 1, peak: Math.max(window.heard.peak ?? 0, peak) };
    return start.apply(this, at);
  };
}"""


def test_listen_pause_play_and_hold(home: Home, tmp_path: Path) -> None:
    calls = (IncomingCall(0, CALL_S, "13812345678", answer_after_s=6.0, rings=2, talk_s=TALK_S),)
    script = Script(2, calls, 3, (LineSettings(caller_id="fsk"), LineSettings(caller_id="fsk")))
    with office(home, tmp_path, script) as (box, exchange), chromium() as page:
        page.add_init_script(f"({_HEAR})()")
        log_in(page, box.url, *box.one_time_password())
        page.get_by_test_id("nav-lines").click()
        tile = page.locator("[data-testid=channel-tile][data-channel='1']")
        tile.get_by_test_id("listen").click()
        page.locator("[data-testid=channel-tile][data-channel='2']").get_by_test_id("listen").click()
        tile.get_by_test_id("call-pause").wait_for(timeout=60_000)
        page.wait_for_function("() => window.heard.blocks > 20 && window.heard.peak > 0.01", timeout=20_000)
        play_running(page)
        page.get_by_test_id("nav-lines").click()
        tile.get_by_test_id("call-pause").click()
        tile.get_by_test_id("call-resume").wait_for(timeout=20_000)
        page.screenshot(path=SCREENSHOTS / "lines-paused.png")
        time.sleep(2)
        tile.get_by_test_id("call-resume").click()
        tile.get_by_test_id("call-pause").wait_for(timeout=20_000)
        page.get_by_test_id("listen-stop").click()
        expect(page.get_by_test_id("listen-stop")).to_have_count(0)
        while exchange.at(CALL_S + 6 + TALK_S + 8) > 0:
            page.wait_for_timeout(500)
        settled(home)
        play_cut(page)
        hold(page)
    with_audit(home)


def play_running(page: Page) -> None:
    page.get_by_test_id("nav-calls").click()
    page.locator("[data-testid=call-row][data-state=talking] [data-testid=play]").click()
    player = page.get_by_test_id("player")
    expect(player.get_by_test_id("player-position")).not_to_have_text("0:00", timeout=15_000)
    assert page.get_by_test_id("player-error").count() == 0
    player.get_by_test_id("player-close").click()


def play_cut(page: Page) -> None:
    page.get_by_test_id("nav-calls").click()
    page.locator("[data-testid=call-row][data-state=ended] [data-testid=play]").click()
    player = page.get_by_test_id("player")
    expect(player.get_by_test_id("player-position")).to_have_text("0:01", timeout=15_000)
    expect(player.get_by_test_id("player-pauses")).to_be_visible()
    page.screenshot(path=SCREENSHOTS / "player-pauses.png")


def hold(page: Page) -> None:
    page.get_by_test_id("hold").click()
    page.locator(".el-message-box input").fill("客户投诉")
    page.locator(".el-message-box .el-button--primary").click()
    page.get_by_test_id("nav-storage").click()
    expect(page.get_by_test_id("hold-row")).to_contain_text("客户投诉")
    expect(page.get_by_test_id("storage-status")).to_contain_text("1 项保全")
    page.get_by_test_id("hold-release").click()
    expect(page.get_by_test_id("hold-row")).to_contain_text("1000 已申请解除")
    expect(page.get_by_test_id("hold-confirm")).to_have_count(0)
    page.screenshot(path=SCREENSHOTS / "storage.png")


def with_audit(home: Home) -> None:
    """Who did what is written down."""
    crm = open_store(home.crm_db, readonly=True)
    try:
        actions = [row[0] for row in crm.conn.execute("SELECT action FROM audit ORDER BY id")]
    finally:
        crm.conn.close()
    for action in ("live.listen", "live.end", "call.listen", "call.pause", "call.resume", "recording.listen",
                   "hold.set", "hold.release_ask"):  # fmt: skip
        assert action in actions, action
