"""``tapdeck bench page``: what the web UI costs in a browser, and whether that is within its budget."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import psutil

from crm_client_api.bench.page_office import PASSWORD, STAFF_NO, customers_of, everybody_talks, furnish_page
from crm_client_api.bench.popup_page import NOTE, browser_of, cards_painted
from crm_client_api.bench.push_office import Recorder, Size
from crm_client_api.http.server import WEB_ROOT, ApiServer
from firmware.config import Home
from firmware.errors import BoxError
from recorder.bench.goals import Goal, goals_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession, Page

LIMITS = {
    "first_load_kb": 500.0,
    "login_usable_ms": 1500.0,
    "desk_usable_ms": 1500.0,
    "table_frame_ms": 20.0,
    "board_core": 0.1,
    "popup_painted_ms": 100.0,
}
"""The most that each figure may be; 20 ms a frame are 50 frames a second."""
_CALLS_PER_S = 1.0
_SETTLES_MS = 3000
_STEP_PX = 40
_LOOKS = (("tiles", "#/lines", "board-tiles"), ("list", "#/lines", "board-rows"), ("wall", "#/lines?wall=1", None))
_SCROLL = """async ([forMs, stepPx]) => {
  const body = [...document.querySelectorAll('[role=table] *')]
    .find((one) => one.scrollHeight > one.clientHeight + 100 && getComputedStyle(one).overflowY !== 'visible');
  const began = performance.now();
  let frames = -1, last = began;
  await new Promise((done) => {
    const frame = (now) => {
      frames += 1;
      last = now;
      body.scrollTop += stepPx;
      if (now - began < forMs) requestAnimationFrame(frame); else done();
    };
    requestAnimationFrame(frame);
  });
  return [frames, last - began, body.scrollTop];
}"""


class PageFigures(msgspec.Struct, frozen=True):
    """What was measured; times to the first use and ``…_slowed`` with the main thread slowed down.

    ``first_load_kb``: on the wire, log-in form and desk, with nothing in the cache. ``…_frame_ms``: from frame to
    frame; ``table_busy_ms``: what a frame keeps the main thread busy, which tells the page from a busy machine.
    ``board_…``: parts of one core that the page's main thread takes, ``board_core`` in the costliest look, and
    ``board_browser`` all processes of the browser in that. ``popup_painted_ms``: the slowest of all pop-ups.
    """

    slowed: float
    first_load_kb: float
    login_usable_ms: float
    desk_usable_ms: float
    table_customers: int
    table_frame_ms: float
    table_busy_ms: float
    table_frame_slowed_ms: float
    popups: int
    popup_painted_ms: float
    board_channels: int
    board_tiles: float
    board_list: float
    board_wall: float
    board_core: float
    board_browser: float
    goals: list[Goal] = []


def measure(
    customers: int,
    channels: int,
    seconds: float,
    slowed: float,
    web_root: Path | None,
    say: Callable[[str], None],
) -> PageFigures:
    """Measure in a home of its own, which is removed; ``seconds``: how long each thing is watched. Raises BoxError."""
    with tempfile.TemporaryDirectory(prefix="tapdeck-page-") as folder:
        home = Home(Path(folder) / "home")
        token = furnish_page(home, channels)
        server = ApiServer(home, "127.0.0.1", 0, web_root=web_root or WEB_ROOT)
        server.start()
        url = f"http://127.0.0.1:{server.port}/"
        try:
            with browser_of("page") as browser:
                page = _page(browser)
                say("first load")
                found = _first_load(page, url, slowed)
                say("table")
                found |= _table(page, url, customers, seconds, slowed)
                say("pop-ups")
                found |= _popups(page, url, home, seconds)
                page.context.close()
                say("board")
                with everybody_talks(home, channels):
                    found |= _board(_page(browser, url, token), url, channels, seconds)
        finally:
            server.stop()
    found["goals"] = goals_of(found, LIMITS)
    return msgspec.convert({"slowed": slowed, **found}, PageFigures)


def _page(browser: Browser, url: str = "", token: str = "") -> Page:
    context = browser.new_context(locale="zh-CN", viewport={"width": 1440, "height": 900})
    if token:
        context.add_cookies([{"name": "tapdeck_session", "value": token, "url": url}])
    context.add_init_script(NOTE)
    return context.new_page()


def _first_load(page: Page, url: str, slowed: float) -> dict[str, object]:
    devtools = page.context.new_cdp_session(page)
    taken: dict[str, int] = {}
    devtools.on(
        "Network.loadingFinished", lambda one: taken.__setitem__(one["requestId"], int(one["encodedDataLength"]))
    )
    devtools.send("Network.enable")
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": slowed})
    page.goto(url)
    page.get_by_test_id("login-staff-no").wait_for()
    login_ms = _since_start_ms(page)
    page.get_by_test_id("login-staff-no").fill(STAFF_NO)
    page.get_by_test_id("login-password").fill(PASSWORD)
    page.get_by_test_id("login-submit").click()
    page.get_by_test_id("tasks").wait_for()
    page.wait_for_timeout(_SETTLES_MS)
    first_load_kb = sum(taken.values()) / 1000
    devtools.send("Network.clearBrowserCache")
    page.reload()
    page.get_by_test_id("tasks").wait_for()
    desk_ms = _since_start_ms(page)
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    devtools.detach()
    return {
        "first_load_kb": round(first_load_kb, 1),
        "login_usable_ms": round(login_ms),
        "desk_usable_ms": round(desk_ms),
    }


def _since_start_ms(page: Page) -> float:
    """Since the navigation began, up to the next frame that is painted."""
    return float(page.evaluate("() => new Promise((done) => requestAnimationFrame(() => done(performance.now())))"))


def _table(page: Page, url: str, customers: int, seconds: float, slowed: float) -> dict[str, object]:
    page.route("**/api/v1/customers?*", customers_of(customers))
    page.goto(f"{url}#/customers")
    page.get_by_test_id("customer-row").first.wait_for()
    page.wait_for_timeout(_SETTLES_MS)
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    before_s = _busy_s(devtools)
    frames, took_ms = _scroll(page, seconds)
    busy_ms = 1000 * (_busy_s(devtools) - before_s) / frames
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": slowed})
    slowed_frames, slowed_ms = _scroll(page, seconds)
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    devtools.detach()
    page.unroute_all()
    return {
        "table_customers": customers,
        "table_frame_ms": round(took_ms / frames, 1),
        "table_busy_ms": round(busy_ms, 1),
        "table_frame_slowed_ms": round(slowed_ms / slowed_frames, 1),
    }


def _scroll(page: Page, seconds: float) -> tuple[int, float]:
    frames, took_ms, scrolled_px = page.evaluate(_SCROLL, [1000 * seconds, _STEP_PX])
    if not frames or not scrolled_px:
        raise BoxError("the table did not scroll")
    return frames, took_ms


def _popups(page: Page, url: str, home: Home, seconds: float) -> dict[str, object]:
    page.goto(f"{url}#/desk")
    page.get_by_test_id("tasks").wait_for()
    recorder = Recorder(home, Size(1, 1, 1), _CALLS_PER_S)
    recorder.start()
    page.wait_for_timeout(1000 * seconds + _SETTLES_MS)
    took_ms = [one.painted - one.came for one in cards_painted(page) if one.came]
    recorder.stop()
    if not took_ms:
        raise BoxError("no card was painted")
    return {"popups": len(took_ms), "popup_painted_ms": round(max(took_ms), 1)}


def _board(page: Page, url: str, channels: int, seconds: float) -> dict[str, object]:
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    found: dict[str, tuple[float, float]] = {}
    for name, place, look in _LOOKS:
        page.goto(url + place)
        page.get_by_test_id("channel-tile").first.wait_for()
        if look:
            page.get_by_test_id(look).click()
        page.wait_for_timeout(_SETTLES_MS)
        busy_s, used_s, begun_s = _busy_s(devtools), _browser_s(), time.monotonic()
        page.wait_for_timeout(1000 * seconds)
        took_s = time.monotonic() - begun_s
        found[name] = (_busy_s(devtools) - busy_s) / took_s, (_browser_s() - used_s) / took_s
    main_thread, browser = max(found.values())
    return {
        "board_channels": channels,
        **{f"board_{name}": round(part, 3) for name, (part, _) in found.items()},
        "board_core": round(main_thread, 3),
        "board_browser": round(browser, 3),
    }


def _busy_s(devtools: CDPSession) -> float:
    """How long the page's main thread was busy so far, in time of that thread."""
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))


def _browser_s() -> float:
    """What all processes of the browser have taken so far."""
    total_s = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            if "chrom" in process.name():
                times = process.cpu_times()
                total_s += times.user + times.system
        except psutil.Error:
            continue
    return total_s
