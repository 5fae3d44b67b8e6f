"""Calls in a browser: watch the board, find a call, play it by keys, note, compare, collect, fetch, delete."""

from __future__ import annotations

import io
import zipfile
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
TALK_S = 12
KNOWN, OTHER, MISSED = "13812345678", "13900001111", "18600002222"


def test_find_play_note_collect_and_delete(home: Home, tmp_path: Path) -> None:
    calls = (
        IncomingCall(0, CALL_S, KNOWN, answer_after_s=6.0, rings=2, talk_s=TALK_S),
        IncomingCall(1, CALL_S + 2, OTHER, answer_after_s=6.0, rings=2, talk_s=TALK_S),
        IncomingCall(2, CALL_S + 4, MISSED, rings=2),
    )
    script = Script(3, calls, 3, (LineSettings(caller_id="fsk"),) * 3)
    with office(home, tmp_path, script) as (box, exchange), chromium() as page:
        log_in(page, box.url, *box.one_time_password())
        watch_the_board(page)
        while exchange.at(CALL_S + 8 + TALK_S + 8) > 0:
            page.wait_for_timeout(500)
        settled(home)
        find(page)
        play_by_keys(page)
        compare(page)
        tag(page)
        protect(page)
        by_name(page)
        collect(page)
        delete(page)
    written_down(home)


def watch_the_board(page: Page) -> None:
    page.get_by_test_id("nav-lines").click()
    expect(page.get_by_test_id("channel-tile")).to_have_count(3)
    page.get_by_test_id("board-find").fill("2")
    expect(page.get_by_test_id("channel-tile")).to_have_count(1)
    page.get_by_test_id("board-find").fill("")
    tile = page.locator("[data-testid=channel-tile][data-channel='1'][data-state=talking]")
    tile.get_by_test_id("call-mark").click(timeout=60_000)
    page.get_by_test_id("board-wall").click()
    wall = page.get_by_test_id("wall")
    expect(wall.locator("[data-testid=channel-tile][data-channel='1']")).to_contain_text("138 1234 5678")
    page.screenshot(path=SCREENSHOTS / "wallboard.png")
    page.keyboard.press("Escape")
    expect(wall).to_have_count(0)


def find(page: Page) -> None:
    page.get_by_test_id("nav-calls").click()
    rows = page.get_by_test_id("call-row")
    expect(rows).to_have_count(3)
    page.goto(page.url.split("#")[0] + "#/calls?noted=true")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("138 1234 5678")
    page.get_by_test_id("filters").click()
    page.get_by_test_id("filters").click()
    page.locator(".chips button").click()
    expect(rows).to_have_count(3)
    page.get_by_test_id("filter-number").fill("1390000")
    expect(rows).to_have_count(1)
    page.get_by_test_id("filter-number").fill("")
    expect(rows).to_have_count(3)


def play_by_keys(page: Page) -> None:
    row = page.locator("[data-testid=call-row]", has_text="138 1234 5678")
    row.get_by_test_id("play").click()
    player = page.get_by_test_id("player")
    expect(player.get_by_test_id("player-position")).to_have_text("0:01", timeout=15_000)
    for key in ("ArrowUp", "b", "[", "ArrowRight", "]", "s", "+", "?"):
        page.keyboard.press(key)
    expect(page.get_by_test_id("player-keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("player-keys")).to_be_hidden()
    expect(player.get_by_test_id("player-speed")).to_contain_text("1.25×")
    expect(player.get_by_test_id("player-silence")).to_have_attribute("aria-pressed", "true")
    expect(player.get_by_test_id("player-loop-to")).to_contain_text("0:0")
    player.get_by_test_id("waveform").press("n")
    player.get_by_test_id("call-note-text").fill("客户询问发票")
    player.get_by_test_id("call-note-text").press("Enter")
    expect(player.get_by_test_id("call-note")).to_have_count(3)
    player.get_by_test_id("verify").click()
    expect(player.get_by_test_id("verdict")).to_have_attribute("data-verdict", "authentic", timeout=15_000)
    page.screenshot(path=SCREENSHOTS / "player.png")
    player.get_by_test_id("waveform").press("Escape")
    expect(player).to_have_count(0)


def compare(page: Page) -> None:
    row = page.locator("[data-testid=call-row]", has_text="139 0000 1111")
    row.get_by_test_id("call-kind").click()
    page.get_by_test_id("drawer-timeline").click()
    expect(page.get_by_test_id("timeline-call")).to_have_count(3)
    hear_two_together(page)
    page.screenshot(path=SCREENSHOTS / "timeline.png")
    page.locator("[data-testid=timeline] .el-dialog__headerbtn").click()
    expect(page.get_by_test_id("call-drawer")).to_be_hidden()  # the time line took its place


def hear_two_together(page: Page) -> None:
    joins = page.get_by_test_id("together-join")
    expect(joins.locator(".is-disabled, input:disabled").first).to_be_attached()  # of the missed call nothing is heard
    for number in ("138 1234 5678", "139 0000 1111"):
        page.get_by_test_id("timeline-call").filter(has_text=number).get_by_test_id("together-join").click()
    together = page.get_by_test_id("together")
    expect(together.get_by_test_id("together-call")).to_have_count(2)
    together.get_by_test_id("together-mute").first.click()
    expect(together.get_by_test_id("together-call").first).to_have_attribute("data-muted", "true")
    began = int(together.get_by_test_id("together-position").get_attribute("data-at") or "0")
    together.get_by_test_id("together-toggle").click()
    page.wait_for_function(
        "began => Number(document.querySelector('[data-testid=together-position]').dataset.at) > began + 1000",
        arg=began,
    )
    together.get_by_test_id("together-toggle").click()
    expect(together).to_have_attribute("data-playing", "false")


def tag(page: Page) -> None:
    """One call by keyboard, then two at once; the tag leads to all that have it."""
    rows = page.get_by_test_id("call-row")
    rows.filter(has_text="138 1234 5678").click(position={"x": 90, "y": 12})
    drawer = page.get_by_test_id("call-drawer")
    drawer.get_by_test_id("call-tags-change").press("Enter")
    for text in ("投诉", "报价"):
        page.keyboard.type(text)
        page.keyboard.press("Enter")
    page.keyboard.press("Backspace")
    page.keyboard.press("Escape")
    expect(drawer.get_by_test_id("call-tag")).to_have_text("投诉")
    page.keyboard.press("Escape")
    for number in ("139 0000 1111", "186 0000 2222"):
        rows.filter(has_text=number).get_by_test_id("choose-row").click()
    page.get_by_test_id("chosen-tag").click()
    page.get_by_test_id("tag-dialog").locator("input:focus").fill("投诉")
    page.keyboard.press("Enter")
    page.get_by_test_id("tags-do").click()
    rows.filter(has_text="138 1234 5678").click(position={"x": 90, "y": 12})
    drawer.get_by_test_id("call-tag").click()
    expect(page.locator(".chips")).to_contain_text("投诉")
    expect(rows).to_have_count(3)
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    page.locator(".chips button").click()


def protect(page: Page) -> None:
    """A hold shows in the row and in the call's details, with its reason; and so does a record of the call."""
    row = page.get_by_test_id("call-row").filter(has_text="138 1234 5678")
    expect(row.get_by_test_id("hold-mark")).to_have_count(0)
    row.click(position={"x": 90, "y": 12})
    drawer = page.get_by_test_id("call-drawer")
    expect(drawer.get_by_test_id("recording-delete")).to_be_visible()
    drawer.get_by_test_id("hold").click()
    page.locator(".el-message-box input").fill("投诉第 17 号")
    page.keyboard.press("Enter")
    expect(drawer.get_by_test_id("call-hold")).to_contain_text("投诉第 17 号")
    expect(drawer.get_by_test_id("hold")).to_have_count(0)
    expect(drawer.get_by_test_id("recording-delete")).to_have_count(0)
    expect(row.get_by_test_id("hold-mark")).to_be_visible()
    drawer.get_by_test_id("hold-release").click()
    expect(drawer.get_by_test_id("call-hold")).to_contain_text("1000")
    write_a_record(page, str(row.get_attribute("data-call-id")))
    expect(drawer.get_by_test_id("call-record")).to_contain_text("要两百台")
    page.screenshot(path=SCREENSHOTS / "call-held.png")
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()


def write_a_record(page: Page, call: str) -> None:
    """As the card of this call does, for a customer who has its number."""
    told = page.evaluate(
        """async call => {
          const session = await (await fetch('/api/v1/session')).json();
          const headers = { 'Content-Type': 'application/json', 'X-Tapdeck-CSRF': session.csrf };
          const send = async (path, body) =>
            (await fetch('/api/v1' + path, { method: 'POST', body: JSON.stringify(body), headers })).json();
          const phones = [{ number: '13812345678' }];
          const customer = await send('/customers', { name: '周先生', phones });
          return send('/communications', { customer_id: customer.id, call_id: call, content: '要两百台' });
        }""",
        call,
    )
    assert told["call_id"] == call, told


def by_name(page: Page) -> None:
    """A customer's name finds the calls with the customer's numbers."""
    rows = page.get_by_test_id("call-row")
    page.get_by_test_id("filter-number").fill("周先")
    expect(page.get_by_role("option", name="周先生")).to_be_visible()
    page.get_by_test_id("filter-number").press("Enter")
    expect(page.locator(".chips")).to_contain_text("周先生")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("138 1234 5678")
    page.locator(".chips button").click()
    expect(rows).to_have_count(3)


def collect(page: Page) -> None:
    for number in ("138 1234 5678", "139 0000 1111", "186 0000 2222"):
        page.locator("[data-testid=call-row]", has_text=number).get_by_test_id("choose-row").click()
    page.get_by_test_id("chosen-basket").click()
    page.reload()
    page.get_by_test_id("basket-open").click()
    expect(page.get_by_test_id("basket-item")).to_have_count(2)
    with page.expect_download() as download:
        page.get_by_test_id("basket-download").click()
    with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as archive:
        assert archive.testzip() is None
        kinds = sorted(name.rsplit(".", 1)[1] for name in archive.namelist())
    assert kinds == ["flac", "flac", "json", "json"]
    page.keyboard.press("Escape")


def delete(page: Page) -> None:
    row = page.locator("[data-testid=call-row]", has_text="139 0000 1111")
    row.get_by_test_id("choose-row").click()
    page.get_by_test_id("chosen-delete").click()
    dialog = page.get_by_test_id("deletion-dialog")
    expect(dialog).to_contain_text("139 0000 1111")
    expect(dialog.get_by_test_id("deletion-go")).to_be_disabled()
    dialog.locator("input").fill("客户要求删除")
    dialog.get_by_test_id("deletion-go").click()
    expect(row.get_by_test_id("play")).to_have_count(0, timeout=20_000)


def written_down(home: Home) -> None:
    """Who did what is in the audit log."""
    crm = open_store(home.crm_db, readonly=True)
    try:
        actions = [row[0] for row in crm.conn.execute("SELECT action FROM audit ORDER BY id")]
    finally:
        crm.conn.close()
    assert actions.count("call.note") == 3
    assert actions.count("recording.download") == 2
    assert actions.count("call.tags") == 5
    for action in ("recording.listen", "recording.verify", "recording.delete"):
        assert action in actions, action
