"""The whole box in a browser: lines come alive, cards pop up while it rings, recordings play."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from browser import SCREENSHOTS, chromium, log_in, popups_seen, watch_popups
from office import office
from playwright.sync_api import expect
from scripted import settled, what_was_sent

from drivers.exchange.calls import Happening, IncomingCall, LineSettings
from drivers.exchange.script import Script
from firmware.config import Home

pytestmark = [pytest.mark.acceptance, pytest.mark.browser, pytest.mark.timeout(300)]
FIRST_CALL_S = 24
"""The box and the browser are up by then, also on a slow machine."""


def incoming_calls(lines: int, turns: int, seed: int) -> Script:
    """``turns`` incoming calls on every line, each with a number of its own, answered or missed."""
    dice = random.Random(seed)
    calls: list[Happening] = []
    for line in range(lines):
        at_s = FIRST_CALL_S + dice.uniform(0, 8)
        for turn in range(turns):
            number = f"1{dice.choice('3578')}{line:03d}{turn}{dice.randrange(10**5):05d}"
            missed = dice.random() < 0.2
            talk_s = round(dice.uniform(2.5, 5), 2)
            answer = None if missed else round(dice.uniform(6.5, 8), 2)
            calls.append(IncomingCall(line, round(at_s, 2), number, answer_after_s=answer, rings=2, talk_s=talk_s))
            at_s += 18 + dice.uniform(0, 2)
    settings = tuple(
        LineSettings(caller_id="dtmf" if line % 3 == 1 else "fsk", noise_dbm0=-62, loss_db=line % 5)
        for line in range(lines)
    )
    return Script(lines, tuple(calls), seed, settings)


def test_hundred_calls_pop_up_with_their_number_while_it_rings(home: Home, tmp_path: Path) -> None:
    script = incoming_calls(lines=25, turns=4, seed=11)
    truth = what_was_sent(script).truth
    numbers = {call.number for call in truth}
    assert len(numbers) == len(truth) == 100
    with office(home, tmp_path, script) as (box, exchange), chromium() as page:
        log_in(page, box.url, *box.one_time_password())
        page.get_by_test_id("nav-lines").click()
        expect(page.get_by_test_id("channel-tile")).to_have_count(25)
        watch_popups(page)
        assert exchange.at(FIRST_CALL_S) > 0, "the browser was too late for this script"
        page.locator("[data-testid=popup][data-state=ringing]").first.wait_for(timeout=60_000)
        page.screenshot(path=SCREENSHOTS / "lines-ringing.png")
        last_s = max(call.end_sample for call in truth) / 8000
        while exchange.at(last_s + 8) > 0:
            page.wait_for_timeout(500)
        settled(home)
        seen = popups_seen(page)
        page.get_by_test_id("nav-calls").click()
        page.locator("[data-testid=call-row] [data-testid=play]").first.click()
        page.screenshot(path=SCREENSHOTS / "calls-player.png")
        player = page.get_by_test_id("player")
        expect(player.get_by_test_id("player-position")).to_have_text("0:02", timeout=15_000)
        assert page.get_by_test_id("player-error").count() == 0
        page.screenshot(path=SCREENSHOTS / "calls-player.png")
    right = [card for card in seen if card["number"] in numbers]
    assert len({card["number"] for card in right}) >= 99
    assert len(seen) == len(right), "a wrong number was shown"
    assert set(Counter(card["call"] for card in seen).values()) == {1}, "a pop-up came twice"
    assert [card for card in seen if card["state"] != "ringing"] == [], "a pop-up came after the ringing"


def test_browser_reconnects_without_a_missed_or_doubled_popup(home: Home, tmp_path: Path) -> None:
    script = incoming_calls(lines=8, turns=2, seed=12)
    truth = what_was_sent(script).truth
    with office(home, tmp_path, script) as (box, exchange), chromium(locale="en-US") as page:
        log_in(page, box.url, *box.one_time_password())
        watch_popups(page)
        for at_s in (FIRST_CALL_S + 5.0, FIRST_CALL_S + 24.5):
            page.wait_for_timeout(exchange.at(at_s) * 1000)
            box.kill("api")
        last_s = max(call.end_sample for call in truth) / 8000
        while exchange.at(last_s + 5) > 0:
            page.wait_for_timeout(500)
        seen = popups_seen(page)
        page.screenshot(path=SCREENSHOTS / "after-restart-en.png")
    assert Counter(card["number"] for card in seen) == Counter(call.number for call in truth)
