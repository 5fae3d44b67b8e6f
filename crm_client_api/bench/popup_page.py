"""The browser of ``bench popup`` and ``bench page``: it notes when a card came, and when it was painted."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from firmware.errors import BoxError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
_LOOKS_AT_CLOCK = 50

# A card counts as painted at the second animation frame behind its coming: the first is the one that paints it.
NOTE = """(() => {
  const at = () => performance.timeOrigin + performance.now();
  const came = new Map();
  const known = new WeakSet();  // a card that only moves within the stack is taken out and put in again
  window.painted = [];
  const Real = window.EventSource;
  window.EventSource = class extends Real {
    constructor(...given) {
      super(...given);
      this.addEventListener("popup", (event) => came.set(JSON.parse(event.data).call.id, at()));
    }
  };
  const note = (card) => {
    if (known.has(card) || !card.isConnected) return;  // the stack measures with a copy that it drops at once
    known.add(card);
    const added = at(), call = card.dataset.callId;
    requestAnimationFrame(() => requestAnimationFrame(() => window.painted.push({
      call, number: card.dataset.number, text: card.innerText, came: came.get(call) ?? 0, added, painted: at(),
    })));
  };
  new MutationObserver((changes) => changes.forEach((change) => change.addedNodes.forEach((node) => {
    if (node.nodeType !== 1) return;
    if (node.matches("[data-testid=popup]")) note(node);
    node.querySelectorAll("[data-testid=popup]").forEach(note);
  }))).observe(document, { childList: true, subtree: true });
})()"""


class Painted(msgspec.Struct, frozen=True):
    """A card: what it showed, and when its event came to the page, it was put there, and it was painted.

    ``came``, ``added``, ``painted``: CLOCK_MONOTONIC ms, which the page's clock was compared with; ``came`` 0: it came
    with the pop-ups that ran already.
    """

    call: str
    number: str
    text: str
    came: float
    added: float
    painted: float


@contextmanager
def browser_of(bench: str) -> Iterator[Browser]:
    """A browser for the benchmark of this name. Raises BoxError without one."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise BoxError(f"bench {bench} needs playwright, which comes with the developers' tools") from error
    program = shutil.which("chromium")
    if program is None:
        raise BoxError(f"bench {bench} needs the program chromium")
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=program, args=list(_FLAGS))
        try:
            yield browser
        except Error as error:
            raise BoxError(f"the browser: {error.message}") from error
        finally:
            browser.close()


@contextmanager
def opened_page(url: str, token: str) -> Iterator[Page]:
    """The web UI at ``url``, logged in with a session's token. Raises BoxError without a browser."""
    with browser_of("popup") as browser:
        context = browser.new_context(locale="zh-CN", viewport={"width": 1440, "height": 900})
        context.add_cookies([{"name": "tapdeck_session", "value": token, "url": url}])
        context.add_init_script(NOTE)
        page = context.new_page()
        page.goto(url)
        page.get_by_test_id("nav-lines").wait_for()
        yield page


def cards_painted(page: Page) -> list[Painted]:
    """All cards so far, in order, their times by this machine's monotonic clock (to about a millisecond)."""
    offset_ms = _page_ahead_ms(page)
    cards = msgspec.convert(page.evaluate("() => window.painted"), list[Painted])
    return [
        msgspec.structs.replace(
            one,
            came=one.came and one.came - offset_ms,
            added=one.added - offset_ms,
            painted=one.painted - offset_ms,
        )
        for one in cards
    ]


def _page_ahead_ms(page: Page) -> float:
    """How far the page's clock is ahead of the monotonic one: by the quickest of several questions."""
    found: list[tuple[float, float]] = []
    for _ in range(_LOOKS_AT_CLOCK):
        before = time.monotonic_ns()
        there = float(page.evaluate("() => performance.timeOrigin + performance.now()"))
        after = time.monotonic_ns()
        found.append(((after - before) / 1e6, there - (before + after) / 2e6))
    return min(found)[1]
