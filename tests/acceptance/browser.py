"""Debian's Chromium, driven as a person would: log in, look, click."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from office import PASSWORD
from playwright.sync_api import Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip
SCREENSHOTS = Path(__file__).parents[2] / "screenshots"

_WATCH_POPUPS = """() => {
  window.seen = [];
  const known = new WeakSet();  // a card that only moves within the stack is taken out and put in again
  const note = (card) => {
    if (known.has(card) || !card.isConnected) return;  // the stack measures with a copy that it drops at once
    known.add(card);
    window.seen.push({ call: card.dataset.callId, number: card.dataset.number, state: card.dataset.state });
  };
  document.querySelectorAll('[data-testid=popup]').forEach(note);
  new MutationObserver((changes) => changes.forEach((change) => change.addedNodes.forEach((node) => {
    if (node.nodeType !== 1) return;
    if (node.matches('[data-testid=popup]')) note(node);
    node.querySelectorAll('[data-testid=popup]').forEach(note);
  }))).observe(document.body, { childList: true, subtree: true });
}"""


@contextmanager
def chromium(locale: str = "zh-CN", width: int = 1440, height: int = 900) -> Iterator[Page]:
    """A page of a fresh browser; errors in its console fail the test that asks ``console_errors``."""
    SCREENSHOTS.mkdir(exist_ok=True)
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield browser.new_context(locale=locale, viewport={"width": width, "height": height}).new_page()
        finally:
            browser.close()


def log_in(page: Page, url: str, staff_no: str, one_time_password: str) -> None:
    """Log in with the one-time password and choose one's own, as on the first day."""
    page.goto(url)
    page.evaluate("staff => sessionStorage.setItem('tapdeck.first-start-left', staff)", staff_no)  # not now
    _type(page, "login-staff-no", staff_no)
    _type(page, "login-password", one_time_password)
    page.get_by_test_id("login-submit").click()
    page.get_by_test_id("new-password-form").wait_for()
    _type(page, "new-password", PASSWORD)
    _type(page, "new-password-again", PASSWORD)
    page.get_by_test_id("new-password-submit").click()
    page.get_by_test_id("nav-lines").wait_for()


def _type(page: Page, field: str, text: str) -> None:
    found = page.get_by_test_id(field)
    inner = found.locator("input")
    (inner if inner.count() else found).fill(text)


def watch_popups(page: Page) -> None:
    """From now on, note every pop-up card that is put on the page, with its state at that moment."""
    page.evaluate(_WATCH_POPUPS)


def popups_seen(page: Page) -> list[dict[str, Any]]:
    """Cards noted so far, in order: call, number, state when it came up."""
    seen: list[dict[str, Any]] = page.evaluate("() => window.seen")
    return seen
