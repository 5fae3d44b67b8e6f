"""The pop-up desk in a browser: cards, notes, colleagues; and nothing typed is lost, whatever breaks down."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlite_utils
from browser import CHROMIUM, SCREENSHOTS
from crm_office import PASSWORD, Exchange, hire
from office import Box, Person
from playwright.sync_api import Browser, Page, expect, sync_playwright
from scripted import wait_until

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.clock import now_ms
from firmware.config import Home
from firmware.parameters import set_value
from firmware.store.connection import open_store, write

pytestmark = [pytest.mark.acceptance, pytest.mark.browser, pytest.mark.timeout(300)]
ALONE = ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE, Permission.OPERATOR_MANAGE}
_HEAR = """() => {
  window.tones = 0;
  const start = OscillatorNode.prototype.start;
  OscillatorNode.prototype.start = function (...at) { window.tones += 1; return start.apply(this, at); };
}"""


class Wire:
    """A network between browser and box that can be cut and mended."""

    def __init__(self, url: str) -> None:
        self._to = urlsplit(url)
        self._cut = False
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._door.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self) -> None:
        """Every connection breaks, and new ones break at once."""
        with self._lock:
            self._cut = True
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self._cut = False

    def _serve(self) -> None:
        while True:
            near, _ = self._door.accept()
            with self._lock:
                try:
                    if self._cut:
                        raise ConnectionRefusedError
                    far = socket.create_connection((self._to.hostname or "", self._to.port or 0))
                except OSError:
                    near.close()
                    continue
                self._open |= {near, far}
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass
        with self._lock:
            for end in (one, other):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)  # a thread that still reads from it holds it open otherwise
                self._open.discard(end)


@dataclass
class Room:
    """A box with people, and an exchange of which we say ourselves when it rings."""

    box: Box
    crm: sqlite_utils.Database
    exchange: Exchange
    browser: Browser

    def page(self, staff_no: str, url: str = "") -> Page:
        """A browser of its own in which somebody is logged in."""
        page = self.browser.new_context(locale="zh-CN", viewport={"width": 1440, "height": 900}).new_page()
        page.goto(url or self.box.url)
        self.log_in(page, staff_no)
        return page

    def log_in(self, page: Page, staff_no: str) -> None:
        page.get_by_test_id("login-staff-no").fill(staff_no)
        page.get_by_test_id("login-password").fill(PASSWORD)
        page.get_by_test_id("login-submit").click()
        page.locator("[data-testid=connection][data-state=live]").wait_for(state="attached")

    def ring(self, number: str, channel: int = 1) -> dict[str, Any]:
        self.exchange.now_ms = now_ms()
        return self.exchange.call(channel, number)

    def records(self, staff_no: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = Person(self.box.url, staff_no, PASSWORD).call("GET", "/communications")[
            "communications"
        ]
        return found


@pytest.fixture
def room(home: Home) -> Iterator[Room]:
    crm, exchange = open_store(home.crm_db), Exchange(home)
    hire(crm, "1000", "super")
    for staff_no in ("3001", "3002"):
        hire(crm, staff_no, "ordinary", 1, (1, 2), ALONE)
    set_value(crm, "system", "setup_done", True)
    exchange.wire(1, 2)
    with Box(home, "--no-exchange") as box, sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield Room(box, crm, exchange, browser)
        finally:
            browser.close()
            exchange.close()
            crm.conn.close()


def card(page: Page, call: dict[str, Any]) -> Any:
    return page.locator(f"[data-testid=popup][data-call-id='{call['id']}']")


def text_of(page: Page, call: dict[str, Any]) -> Any:
    return card(page, call).get_by_test_id("note-text")


def test_calls_are_noted_handed_on_and_taken_without_losing_the_cursor(room: Room) -> None:
    page, colleague = room.page("3001"), room.page("3002")
    page.evaluate(_HEAR)
    page.get_by_test_id("alert-sound").click()
    heard = page.evaluate("() => window.tones")
    assert heard == 2, "the switch lets one hear it"
    first = room.ring("13800138000")
    card(page, first).wait_for()
    page.wait_for_function("before => window.tones > before", arg=heard)
    # An unknown caller is a customer after two keys.
    page.keyboard.press("Alt+n")
    expect(card(page, first).get_by_test_id("new-customer-name")).to_be_focused()
    page.keyboard.press("Enter")
    expect(card(page, first).get_by_test_id("popup-customer")).to_contain_text("138 0013 8000")
    page.keyboard.press("Alt+m")
    page.keyboard.type("问上批货的发票,")
    second = room.ring("13900139000", channel=2)
    card(page, second).wait_for()
    page.keyboard.type("周五前寄出")
    expect(text_of(page, first)).to_be_focused()
    expect(text_of(page, first)).to_have_value("问上批货的发票,周五前寄出")
    room.exchange.answer(second)
    room.exchange.end(second)
    expect(card(page, second)).to_have_attribute("data-state", "ended")
    expect(text_of(page, first)).to_be_focused()
    page.screenshot(path=SCREENSHOTS / "desk-note.png")
    page.keyboard.press("Control+Enter")
    expect(card(page, first).get_by_test_id("card-note")).to_contain_text("周五前寄出")
    (record,) = room.records("3001")
    assert (record["call_id"], record["content"]) == (first["id"], "问上批货的发票,周五前寄出")

    # A card goes to a colleague who has it not, and who then says "I take it".
    assert card(colleague, first).count() == 1, "nobody knew the caller when it rang"
    expect(card(colleague, first).get_by_test_id("popup-handed-by")).to_have_count(0)
    card(page, first).get_by_test_id("popup-hand").click()
    page.get_by_test_id("hand-to").filter(has_text="3002").click()
    expect(card(colleague, first).get_by_test_id("popup-handed-by")).to_contain_text("3001")
    card(colleague, first).get_by_test_id("popup-take").click()
    expect(card(page, first)).to_have_count(0)


def test_nothing_typed_is_lost(room: Room) -> None:
    wire = Wire(room.box.url)
    page = room.page("3001", wire.url)
    known = Person(room.box.url, "3001", PASSWORD)
    known.call("POST", "/customers", {"name": "王小梅", "phones": [{"number": "13800138000"}]})
    call = room.ring("13800138000")
    text_of(page, call).click()
    page.keyboard.type("一")
    live = page.locator("[data-testid=connection]")

    # The network is gone: typing goes on, the note is saved once it is back, and the call of meanwhile comes up.
    wire.cut()
    expect(live).to_have_attribute("data-state", "reconnecting")
    page.keyboard.type("二")
    page.keyboard.press("Control+Enter")
    card(page, call).get_by_test_id("note-waits").wait_for()
    meanwhile = room.ring("13900139000", channel=2)
    room.exchange.end(meanwhile)
    wire.mend()
    expect(card(page, call).get_by_test_id("card-note")).to_contain_text("一二", timeout=40_000)
    expect(card(page, meanwhile)).to_have_attribute("data-result", "missed")
    assert [one["content"] for one in room.records("3001")] == ["一二"], "once"

    # The API is killed and comes back by itself.
    text_of(page, call).click()
    page.keyboard.type("三")
    room.box.kill("api")
    page.keyboard.type("四")
    expect(live).to_have_attribute("data-state", "live", timeout=40_000)
    expect(text_of(page, call)).to_have_value("三四")
    expect(text_of(page, call)).to_be_focused()

    # The session ends in mid-typing: nothing can be seen, and after logging in the cursor is where it was.
    with write(room.crm) as connection:
        connection.execute("DELETE FROM sessions")
    page.get_by_test_id("login-password").wait_for(timeout=40_000)
    assert not card(page, call).is_visible()
    expect(page.get_by_test_id("login-staff-no")).to_have_value("3001")
    room.log_in(page, "3001")
    expect(text_of(page, call)).to_be_focused()
    page.keyboard.type("五")
    expect(text_of(page, call)).to_have_value("三四五")
    kept(room, known_again(room), f"desk.note.{call['id']}", "三四五")

    # The page is loaded anew, with the call over; then the computer is another one.
    room.exchange.answer(call)
    room.exchange.end(call)
    page.reload()
    expect(text_of(page, call)).to_have_value("三四五", timeout=20_000)
    other = room.page("3001")
    expect(text_of(other, call)).to_have_value("三四五", timeout=20_000)
    stranger = room.page("3002")
    expect(stranger.get_by_test_id("call-backs")).to_be_visible()
    expect(stranger.get_by_test_id("note-text")).to_have_count(0)
    card(other, call).get_by_test_id("note-save").click()
    expect(card(other, call).get_by_test_id("card-note").first).to_contain_text("三四五")
    assert [one["content"] for one in room.records("3001")] == ["三四五", "一二"]


def known_again(room: Room) -> Person:
    return Person(room.box.url, "3001", PASSWORD)


def kept(room: Room, person: Person, key: str, text: str) -> None:
    """The box has the draft, too."""

    def look() -> bool:
        status, draft = person.try_call("GET", f"/drafts/{key}")
        return status == 200 and text in draft["body"]

    wait_until(look, 20, "the draft is kept")


def test_missed_calls_tasks_and_why_no_card_came(room: Room) -> None:
    page = room.page("3001")
    owner = Person(room.box.url, "3002", PASSWORD)
    owner.call("POST", "/customers", {"name": "陈", "phones": [{"number": "13700137000"}]})
    call = room.ring("13700137000")
    room.exchange.end(call)
    row = page.locator(f"[data-testid=call-back][data-call-id='{call['id']}']")
    row.get_by_test_id("call-back-take").click()
    expect(row).to_have_attribute("data-state", "taken")
    colleague = room.page("3002")
    their = colleague.locator(f"[data-testid=call-back][data-call-id='{call['id']}']")
    expect(their.get_by_test_id("call-back-state")).to_contain_text("3001")
    row.get_by_test_id("call-back-done").click()
    expect(row).to_have_count(0)
    expect(their).to_have_count(0)

    page.get_by_test_id("task-subject").fill("寄发票")
    page.get_by_test_id("task-add").click()
    task = page.get_by_test_id("task")
    expect(task).to_contain_text("寄发票")
    task.get_by_test_id("task-done").click()
    expect(task).to_have_count(0)
    page.get_by_test_id("tasks-done").click()
    expect(page.get_by_test_id("task")).to_contain_text("寄发票")

    page.get_by_test_id("agent-state").click()
    page.get_by_test_id("agent-state-away").click()
    expect(page.get_by_test_id("agent-state")).to_have_attribute("data-state", "away")

    # Everybody finds out alone why no card came; who manages operators sees it for all, and what would be.
    page.get_by_test_id("desk-my-line").click()
    line = page.locator("[data-testid=my-line][data-channel='1']")
    expect(line.get_by_test_id("my-line-number")).to_have_text("137 0013 7000")
    expect(line.get_by_test_id("my-line-call")).to_have_attribute("data-cause", "customer_of_others")
    expect(line.locator("[data-check=page]")).to_have_attribute("data-passed", "yes")
    boss = room.page("1000")
    expect(boss.locator("[data-testid=agent][data-staff-no='3001']")).to_have_attribute("data-state", "away")
    boss.get_by_test_id("call-backs-done").click()
    boss.get_by_test_id("call-backs").get_by_test_id("why").click()
    outcome = lambda staff_no: boss.locator(f"[data-testid=reason][data-staff-no='{staff_no}']")  # noqa: E731
    expect(outcome("3001")).to_have_attribute("data-outcome", "none")
    expect(outcome("3002")).to_have_attribute("data-outcome", "missed")
    boss.get_by_test_id("why-suppose").click()
    boss.get_by_test_id("suppose-number").fill("13600136000")
    boss.get_by_test_id("suppose-ask").click()
    expect(outcome("3001")).to_have_attribute("data-outcome", "would")
    boss.screenshot(path=SCREENSHOTS / "desk-why.png")
