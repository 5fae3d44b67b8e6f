"""How much of a core the live board takes in the browser: all channels talk, as tiles, list, wall.

``python tests/acceptance/bench_board.py [CHANNELS [WEB_ROOT]]`` prints, for each look of the board, what the page
main thread and all of the browser's processes took of one core. The API is real; a status file is written four
times a second with levels and voltages that change on every channel.
"""

# ruff: noqa: E402
from __future__ import annotations

import json
import random
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1] / "crm_client_api"), str(Path(__file__).parents[2])]

import psutil
from browser import CHROMIUM
from crm_office import PASSWORD, Exchange, hire
from playwright.sync_api import Page, sync_playwright

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.http.server import ApiServer
from firmware.clock import now_ms
from firmware.config import Home
from firmware.live_file import write_live
from firmware.store.connection import open_store
from firmware.store.migrations import migrate

CHANNELS = int(sys.argv[1]) if len(sys.argv) > 1 else 256
WEB_ROOT = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parents[2] / "webui" / "dist"
MEASURED_S = 20.0
LOOKS = {"tiles": "#/lines", "list": "#/lines", "wall": "#/lines?wall=1"}


def main() -> None:
    """Serve, look, measure, print."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.create()
        migrate(home)
        crm, exchange = open_store(home.crm_db), Exchange(home)
        hire(crm, "1", "super", permissions=ALL_PERMISSIONS - {Permission.NET_POPUP})
        exchange.wire(*range(1, CHANNELS + 1))
        exchange.now_ms = now_ms() - 2000 * CHANNELS
        for number in range(1, CHANNELS + 1):
            exchange.answer(exchange.call(number, f"138{number:08d}"))
        stop = threading.Event()
        writer = threading.Thread(target=talk, args=(home, stop))
        writer.start()
        server = ApiServer(home, "127.0.0.1", 0, web_root=WEB_ROOT)
        server.start()
        try:
            look(f"http://127.0.0.1:{server.port}/")
        finally:
            stop.set()
            writer.join()
            server.stop()
            exchange.close()
            crm.conn.close()


def talk(home: Home, stop: threading.Event) -> None:
    """Every channel talks: its level jumps, its voltage moves a little."""
    dice = random.Random(1)
    file = home.status / "test-1.live"
    while not stop.wait(0.25):
        ports = [
            {
                "channel": number, "line": "present", "hook": "off", "ringing": False, "recording": True,
                "volts": round(7 + dice.uniform(-0.3, 0.3), 1), "level_dbm0": round(dice.uniform(-55, -5), 1),
            }
            for number in range(1, CHANNELS + 1)
        ]  # fmt: skip
        report = {"card_id": "test-1", "at_ms": now_ms(), "connected": True, "ports": ports}
        write_live(file, json.dumps(report).encode())


def look(url: str) -> None:
    """Measure each look of the board."""
    with sync_playwright() as player:
        flags = ["--no-sandbox", "--disable-gpu", "--no-first-run"]
        browser = player.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_context(locale="zh-CN", viewport={"width": 1920, "height": 1080}).new_page()
        page.goto(url)
        for field in ("login-staff-no", "login-password"):
            inner = page.get_by_test_id(field).locator("input")
            box = inner if inner.count() else page.get_by_test_id(field)
            box.fill("1" if field == "login-staff-no" else PASSWORD)
        page.get_by_test_id("login-submit").click()
        page.get_by_test_id("nav-lines").wait_for()
        for name, place in LOOKS.items():
            page.evaluate("place => { location.hash = place }", place)
            page.get_by_test_id("channel-tile").first.wait_for()
            if name != "wall":
                page.get_by_test_id("board-tiles" if name == "tiles" else "board-rows").click()
            page.wait_for_timeout(3000)
            there = page.get_by_test_id("channel-tile").count()
            main_part, all_part = measured(page)
            drawn = f"{name:6} {CHANNELS} channels, {there} drawn"
            print(f"{drawn}: main thread {main_part:.1%}, browser {all_part:.1%} of a core", flush=True)
        browser.close()


def measured(page: Page) -> tuple[float, float]:
    """What the page's main thread was busy, and all processes of the browser, as parts of one core."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    begun, used, begun_s = busy(session), processes_s(), time.monotonic()
    page.wait_for_timeout(MEASURED_S * 1000)
    took_s = time.monotonic() - begun_s
    return (busy(session) - begun) / took_s, (processes_s() - used) / took_s


def busy(session: Any) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))


def processes_s() -> float:
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            if "chrom" in process.name():
                times = process.cpu_times()
                total += times.user + times.system
        except psutil.Error:
            continue
    return total


if __name__ == "__main__":
    main()
