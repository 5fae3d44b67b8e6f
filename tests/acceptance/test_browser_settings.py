"""A fresh box is set up by hand in a browser, and looked after: lines, rules, evidence, erasure, own access."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from browser import SCREENSHOTS, chromium, log_in
from office import PASSWORD, office
from playwright.sync_api import Locator, Page, expect
from scripted import wait_until

from crm_client_api.domain.totp import code_of, step_at
from drivers.exchange.calls import Happening, IncomingCall, LineCut, LineSettings
from drivers.exchange.script import Script
from firmware.clock import now_ms
from firmware.config import Home
from firmware.parameters import get_value
from firmware.store.connection import open_store

pytestmark = [pytest.mark.acceptance, pytest.mark.browser, pytest.mark.timeout(300)]
CALLER, FORGOTTEN = "13812345678", "13700009999"
SLOW_MS = 60_000
_RECORDED = """async (number) => {
  const answer = await fetch(`/api/v1/recordings?number=${number}`);
  return (await answer.json()).recordings.some((one) => one.state === 'ready');
}"""


def calls_and_cuts() -> Script:
    """Line 1 is called again and again, line 4 once; line 2 is pulled out and plugged in; line 3 shows no numbers."""
    ringing = [IncomingCall(0, 10.0 + 22 * turn, CALLER, answer_after_s=4.0, rings=2, talk_s=5.0) for turn in range(8)]
    silent = [
        IncomingCall(2, 14.0 + 22 * turn, "13900001111", answer_after_s=4.0, rings=2, talk_s=3.0) for turn in range(8)
    ]
    cuts = [LineCut(1, 3.0 + 14 * turn, 7.0) for turn in range(14)]
    once = IncomingCall(3, 24.0, FORGOTTEN, answer_after_s=4.0, rings=2, talk_s=3.0)
    calls: list[Happening] = [*ringing, *silent, *cuts, once]
    fsk, none = LineSettings(caller_id="fsk"), LineSettings(caller_id="none")
    return Script(4, tuple(calls), 21, (fsk, fsk, none, fsk))


def typed(page: Page, field: str, text: str) -> None:
    found = page.get_by_test_id(field)
    inner = found.locator("input")
    (inner if inner.count() else found).fill(text)


def row_of(page: Page, channel: int) -> Locator:
    return page.locator(f"[data-testid=line-test-row][data-channel='{channel}']")


def test_a_fresh_box_is_set_up_line_by_line(home: Home, tmp_path: Path) -> None:
    with office(home, tmp_path, calls_and_cuts()) as (box, _), chromium() as page:
        log_in(page, box.url, *box.one_time_password())
        page.evaluate("sessionStorage.clear()")  # log_in says "not now"; a fresh tab does not
        page.reload()
        expect(page.get_by_test_id("first-start")).to_be_visible()
        page.get_by_test_id("setup-next").click()
        page.locator("#parameter-site_area_code").fill("0755")
        typed(page, "setup-number", "26001234")
        expect(page.get_by_text("+86 755 2600 1234")).to_be_visible()
        page.get_by_test_id("setup-later").click()
        expect(page.get_by_test_id("first-start")).to_have_count(0)
        page.reload()
        expect(page.get_by_test_id("nav-lines")).to_be_visible()
        page.goto(f"{box.url}/#/first-start")  # it goes on where it was left
        for _ in range(3):
            page.get_by_test_id("setup-next").click()
        name_the_line_that_came_alive(page)
        page.get_by_test_id("setup-next").click()
        page.get_by_test_id("setup-desk-add").click()
        typed(page, "operator-staff-no", "1001")
        typed(page, "operator-name", "Li")
        page.get_by_test_id("operator-save").click()
        page.get_by_test_id("password-noted").click()
        expect(page.get_by_test_id("setup-desk")).to_contain_text("1 · 2 · 3 · 4")
        page.get_by_test_id("setup-next").click()
        expect(row_of(page, 1).locator("[data-state=ok]")).to_have_count(6, timeout=SLOW_MS)
        expect(row_of(page, 3).locator("[data-check=number] [data-state=bad]")).to_be_visible(timeout=SLOW_MS)
        page.screenshot(path=SCREENSHOTS / "setup-test.png")
        page.emulate_media(media="print")
        expect(page.get_by_test_id("line-test-sheet")).to_contain_text("138 1234 5678")
        page.emulate_media(media="screen")
        page.get_by_test_id("setup-finish").click()
        expect(page.get_by_test_id("channel-tile")).to_have_count(4)
        page.evaluate("sessionStorage.clear()")
        page.goto(box.url)
        page.reload()
        expect(page.get_by_test_id("nav-lines")).to_be_visible()
        expect(page.get_by_test_id("first-start")).to_have_count(0)
    crm = open_store(home.crm_db)
    try:
        assert get_value(crm, "system", "setup_done") is True
        assert get_value(crm, "system", "site_area_code") == "0755"
        assert get_value(crm, "channel", "name", subject="2") == "Fax"
        assert crm.conn.execute("SELECT count(*) FROM drafts WHERE key = 'first-start'").fetchone()[0] == 0
    finally:
        crm.conn.close()


def name_the_line_that_came_alive(page: Page) -> None:
    fresh = page.locator("[data-testid=setup-line][data-channel='2'][data-fresh=true]")
    fresh.wait_for(timeout=SLOW_MS)
    page.screenshot(path=SCREENSHOTS / "setup-lines.png")
    card = page.locator("[data-testid=setup-line][data-channel='2']")
    card.locator("input[type=text]").fill("Fax")
    card.locator("input[type=text]").press("Enter")
    expect(page.get_by_test_id("setup-lines-count")).to_contain_text("1")
    expect(page.locator("[data-testid=setup-line][data-fresh=true]")).to_have_count(0, timeout=SLOW_MS)


def test_the_box_is_looked_after(home: Home, tmp_path: Path) -> None:
    with office(home, tmp_path, calls_and_cuts()) as (box, _), chromium(locale="en-US") as page:
        staff_no, password = box.one_time_password()
        log_in(page, box.url, staff_no, password)
        try_the_rules(page, box.url)
        set_a_rule(page, box.url)
        check_alarms(page, box.url)
        verify_and_erase(page, box.url)
        secret = own_access(page, box.url)
        program(box.url, secret)


def try_the_rules(page: Page, url: str) -> None:
    page.goto(f"{url}/#/settings/channels?channel=1&open=rules")
    page.locator("#parameter-never_record_numbers").fill("138*")  # typed, not saved
    typed(page, "rule-number", CALLER)
    page.get_by_test_id("rule-judge").click()
    expect(page.get_by_test_id("rule-outcome")).to_have_attribute("data-reason", "never_list")
    expect(page.get_by_test_id("rule-person")).to_have_count(1)
    page.locator("#parameter-never_record_numbers").fill("")
    page.get_by_test_id("fold-callers").click()
    expect(page.get_by_test_id("caller-id").first).to_contain_text("138 1234 5678", timeout=SLOW_MS)
    page.get_by_test_id("ring-play").first.click()
    page.wait_for_function("() => document.querySelector('audio[data-testid=ring-audio]')?.duration > 3")
    page.get_by_test_id("fold-line").click()
    expect(page.get_by_test_id("line-graph-volts")).not_to_have_text("– V")
    page.locator("#parameter-off_hook_v").fill("22")
    page.get_by_test_id("parameters-save").click()
    changed = page.locator("[data-testid=parameter][data-key=off_hook_v]")
    expect(changed).to_contain_text("1000")
    changed.get_by_test_id("parameter-history").click()
    expect(page.get_by_test_id("parameter-changes")).to_contain_text("20 V → 22 V")


def set_a_rule(page: Page, url: str) -> None:
    page.goto(f"{url}/#/settings/storage")
    page.get_by_test_id("rule-add").click()
    page.get_by_test_id("rule-subject").click()
    page.get_by_role("option", name="3").click()
    page.get_by_test_id("rule-look").click()
    expect(page.get_by_test_id("rule-preview")).to_be_visible()
    page.get_by_test_id("rule-set").click()
    expect(page.get_by_test_id("rule-row")).to_contain_text("365")
    page.get_by_test_id("hold-add").click()
    typed(page, "hold-number", "13700000000")
    typed(page, "hold-why", "a quarrel")
    page.get_by_test_id("hold-set").click()
    expect(page.get_by_test_id("hold-row")).to_contain_text("a quarrel")
    page.screenshot(path=SCREENSHOTS / "storage-rules-en.png", full_page=True)


def check_alarms(page: Page, url: str) -> None:
    page.goto(f"{url}/#/settings/alarms")
    for name in ("recorder", "keeper", "api", "courier", "integrations"):
        expect(page.locator(f"[data-testid=daemon][data-name={name}]")).to_have_attribute(
            "data-state", "running", timeout=SLOW_MS
        )


def verify_and_erase(page: Page, url: str) -> None:
    wait_until(lambda: page.evaluate(_RECORDED, FORGOTTEN), SLOW_MS / 1000, "the call's recording")
    page.goto(f"{url}/#/settings/evidence")
    expect(page.get_by_test_id("evidence-device")).to_be_visible()
    page.get_by_test_id("verify-go").click()
    expect(page.get_by_test_id("verified").first).to_contain_text("authentic", timeout=SLOW_MS)
    page.screenshot(path=SCREENSHOTS / "evidence-en.png")
    page.goto(f"{url}/#/settings/erasure")
    typed(page, "erase-number", "137-0000-9999")
    page.get_by_test_id("erase-search").click()
    expect(page.get_by_test_id("erase-found")).to_contain_text("137 0000 9999")
    with page.expect_download() as download:
        page.get_by_test_id("erase-export").click()
    assert download.value.suggested_filename == "number.zip"
    typed(page, "erase-again", "13700009998")
    expect(page.get_by_test_id("erase-do")).to_be_disabled()
    typed(page, "erase-again", FORGOTTEN)
    page.get_by_test_id("erase-do").click()
    with page.expect_download(timeout=SLOW_MS) as download:
        page.get_by_test_id("certificate").click(timeout=SLOW_MS)
    signed = json.loads(Path(download.value.path()).read_bytes())
    assert signed["manifest"]["kind"] == "erasure"
    assert FORGOTTEN not in json.dumps(signed)
    typed(page, "erase-number", FORGOTTEN)
    page.get_by_test_id("erase-search").click()
    expect(page.get_by_test_id("empty")).to_contain_text("137 0000 9999")


def own_access(page: Page, url: str) -> str:
    """Switch the second factor on with a code as a telephone computes it; make a token, and answer its secret."""
    page.goto(f"{url}/#/settings/security")
    page.get_by_test_id("factor-begin").click()
    typed(page, "factor-password", PASSWORD)
    page.get_by_test_id("factor-go").click()
    expect(page.get_by_test_id("qr-code")).to_be_visible()
    code = code_of(page.get_by_test_id("factor-secret").inner_text(), step_at(now_ms()))
    typed(page, "factor-code", code)
    page.get_by_test_id("factor-confirm").click()
    expect(page.get_by_test_id("recovery-codes").get_by_role("listitem")).to_have_count(10)
    page.get_by_test_id("recovery-noted").click()
    expect(page.get_by_test_id("factor-on")).to_be_visible()
    page.get_by_test_id("token-open").click()
    typed(page, "token-name", "wallboard")
    page.get_by_test_id("token-make").click()
    secret = page.get_by_test_id("token-secret").inner_text()
    page.get_by_test_id("token-noted").click()
    expect(page.get_by_test_id("token")).to_contain_text("wallboard")
    return secret


def program(url: str, secret: str) -> None:
    """The token works, and reads only."""
    asked = urllib.request.Request(f"{url}/api/v1/channels", headers={"Authorization": f"Bearer {secret}"})
    with urllib.request.urlopen(asked, timeout=20) as answer:
        assert len(json.load(answer)["channels"]) == 4
    change = urllib.request.Request(
        f"{url}/api/v1/agent-state", b"{}", {"Authorization": f"Bearer {secret}"}, method="PUT"
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(change, timeout=20)
    assert refused.value.code == 403
