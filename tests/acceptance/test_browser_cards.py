"""Pop-up cards under a hand: they stay where they are, one's own stays on top, and no drawer hides a ringing call."""

from __future__ import annotations

from typing import Any

import pytest
from browser import SCREENSHOTS
from crm_office import PASSWORD, hire
from office import Person
from playwright.sync_api import Locator, Page, expect
from test_browser_desk import Room, card, room, text_of  # noqa: F401 - the fixture

pytestmark = [pytest.mark.acceptance, pytest.mark.browser, pytest.mark.timeout(300)]

_SETTLES_MS = 300
_FAINT = "rgb(96, 106, 122)"
_HIT = """([x, y, id]) => {
  const cardAt = () => document.elementFromPoint(x, y).closest('[data-testid=popup]')?.dataset.callId ?? null;
  window.hit = new Promise((done) => {
    const look = () => document.querySelector('[data-testid=popup]').dataset.callId === id
      ? done(cardAt()) : requestAnimationFrame(look);
    look();
  });
}"""
"""What a press at a place would reach at the moment when a card has come to the top."""


def order(page: Page) -> list[str]:
    """The calls whose cards are shown, from the top."""
    found: list[str] = page.get_by_test_id("popup").evaluate_all("cards => cards.map(one => one.dataset.callId)")
    return found


def middle(found: Locator) -> tuple[float, float]:
    box = found.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def away(page: Page) -> None:
    page.mouse.move(300, 20)


def taken_by(room: Room, call: dict[str, Any]) -> str | None:  # noqa: F811
    found = Person(room.box.url, "3001", PASSWORD).call("GET", f"/calls/{call['id']}")["handled_by"]
    return None if found is None else str(found)


def test_no_card_moves_under_the_hand_and_my_call_stays_on_top(room: Room) -> None:  # noqa: F811
    page = room.page("3001")
    first = room.ring("13800138000")
    card(page, first).get_by_test_id("popup-take").hover()
    second = room.ring("13900139000", channel=2)
    card(page, second).wait_for()
    assert order(page) == [first["id"], second["id"]], "a new card does not push down the one under the pointer"

    # The pointer is elsewhere: the new card is on top; one that has just slid away from under a press is not taken.
    away(page)
    expect(page.get_by_test_id("popup").first).to_have_attribute("data-call-id", second["id"])
    page.wait_for_timeout(_SETTLES_MS + 100)
    page.evaluate(_HIT, [*middle(card(page, second).get_by_test_id("popup-take")), first["id"]])
    room.exchange.answer(second)
    room.exchange.end(second)
    expect(page.get_by_test_id("popup").first).to_have_attribute("data-call-id", first["id"])
    assert page.evaluate("() => window.hit") is None, "the press was meant for the card that has just gone"
    away(page)
    card(page, first).get_by_test_id("popup-take").click()
    expect(card(page, first).get_by_test_id("popup-taken")).to_be_visible()
    assert taken_by(room, first) == "3001"

    # What I took stays on top while others ring, and is marked as mine when it is over.
    away(page)
    third = room.ring("13700137000", channel=2)
    card(page, third).wait_for()
    assert order(page)[:2] == [first["id"], third["id"]]
    page.screenshot(path=SCREENSHOTS / "desk-mine.png")

    # A drawer over the cards: the ringing call is there all the same, and is taken from there.
    card(page, first).get_by_test_id("popup-dismiss").click()
    away(page)
    expect(page.get_by_test_id("ringing")).to_have_count(0)
    page.get_by_test_id("nav-customers").click()
    page.get_by_test_id("customer-add").click()
    strip = page.locator(f"[data-testid=ringing][data-call='{third['id']}']")
    expect(strip).to_be_visible()
    page.screenshot(path=SCREENSHOTS / "desk-strip.png")
    strip.get_by_test_id("popup-take").click()
    expect(strip.get_by_test_id("popup-taken")).to_be_visible()
    assert taken_by(room, third) == "3001"


def test_one_act_saves_customer_and_note(room: Room) -> None:  # noqa: F811
    page = room.page("3001")
    call = room.ring("13800138000")
    room.exchange.answer(call)
    text_of(page, call).click()
    page.keyboard.type("问报价")
    page.keyboard.press("Control+Enter")
    expect(card(page, call).get_by_test_id("new-customer-name")).to_be_focused()
    page.keyboard.type("周先生")
    page.keyboard.press("Enter")
    expect(card(page, call).get_by_test_id("card-note")).to_contain_text("问报价")
    expect(text_of(page, call)).to_have_value("")
    (record,) = room.records("3001")
    assert record["content"] == "问报价"

    # Without a customer it stands with the call.
    other = room.ring("13900139000", channel=2)
    text_of(page, other).click()
    page.keyboard.type("打错了")
    card(page, other).get_by_test_id("note-save-alone").click()
    expect(card(page, other).get_by_test_id("card-call-note")).to_contain_text("打错了")
    assert len(room.records("3001")) == 1

    # A call that is missed later does not redden the one that was answered.
    room.exchange.end(call)
    again = room.ring("13800138000")
    room.exchange.end(again)
    history = card(page, again).get_by_test_id("popup-history").first
    expect(history.get_by_test_id("call-kind").locator("svg")).to_have_css("stroke", _FAINT)

    # "Called back" is not where "I call back" was, and can be undone.
    row = page.locator(f"[data-testid=call-back][data-call-id='{again['id']}']")
    place = middle(row.get_by_test_id("call-back-take"))
    row.get_by_test_id("call-back-take").click()
    row.get_by_test_id("call-back-done").wait_for()
    page.mouse.click(*place)
    row.get_by_test_id("call-back-done").click()
    expect(row).to_have_count(0)
    page.get_by_test_id("undo").click()
    expect(row).to_have_attribute("data-state", "taken")

    # Who logs in for the first time types the new password at once.
    hire(room.crm, "3009", fresh=True)
    fresh = room.browser.new_context(locale="zh-CN").new_page()
    fresh.goto(room.box.url)
    fresh.get_by_test_id("login-staff-no").fill("3009")
    fresh.get_by_test_id("login-password").fill(PASSWORD)
    fresh.get_by_test_id("login-submit").click()
    expect(fresh.locator("#new-password")).to_be_focused()
