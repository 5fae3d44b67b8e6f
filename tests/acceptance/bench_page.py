"""What the first load weighs, how soon the page is of use, how smoothly the table of customers scrolls.

``python tests/acceptance/bench_page.py [CUSTOMERS [WEB_ROOT]]`` prints, with Chromium's main thread slowed down four
times: bytes on the wire and time to the log-in form and to the desk, and frames a second while the table of all
customers is scrolled. The API is real, only the pages of the table are made up, of CUSTOMERS (1,000,000) rows.
"""

# ruff: noqa: E402
from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

sys.path[:0] = [str(Path(__file__).parents[1] / "crm_client_api"), str(Path(__file__).parents[2])]

from browser import CHROMIUM
from crm_office import PASSWORD, hire
from playwright.sync_api import Browser, CDPSession, Page, Route, sync_playwright

from crm_client_api.http.server import ApiServer
from firmware.config import Home
from firmware.parameters import set_value
from firmware.store.connection import open_store
from firmware.store.migrations import migrate

CUSTOMERS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
WEB_ROOT = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parents[2] / "webui" / "dist"
SLOWED = 4
SCROLLED_MS = 8000
STEP_PX = 40
_SCROLL = """async ([forMs, stepPx]) => {
  const body = [...document.querySelectorAll('.el-table-v2__main *')]
    .find((one) => one.scrollHeight > one.clientHeight + 100 && getComputedStyle(one).overflowY !== 'visible');
  const gaps = [];
  const began = performance.now();
  let last = began;
  await new Promise((done) => {
    const frame = (now) => {
      if (now > began) gaps.push(now - last);
      last = now;
      body.scrollTop += stepPx;
      if (now - began < forMs) requestAnimationFrame(frame); else done();
    };
    requestAnimationFrame(frame);
  });
  gaps.shift();
  gaps.sort((one, two) => one - two);
  return { frames: gaps.length, ms: last - began, p95_ms: gaps[Math.floor(gaps.length * 0.95)], worst_ms: gaps.at(-1),
           scrolled_px: body.scrollTop, left_px: body.scrollHeight };
}"""


def main() -> None:
    """Serve, measure, print."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.create()
        migrate(home)
        crm = open_store(home.crm_db)
        hire(crm, "1", "super")
        set_value(crm, "system", "setup_done", True)
        server = ApiServer(home, "127.0.0.1", 0, web_root=WEB_ROOT)
        server.start()
        try:
            with sync_playwright() as player:
                browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
                measure(browser, f"http://127.0.0.1:{server.port}/")
                browser.close()
        finally:
            server.stop()
            crm.conn.close()


def measure(browser: Browser, url: str) -> None:
    """First load with an empty cache, log-in, then the table."""
    page = browser.new_context(locale="zh-CN", viewport={"width": 1440, "height": 900}).new_page()
    cdp = page.context.new_cdp_session(page)
    cdp.send("Network.enable")
    cdp.send("Emulation.setCPUThrottlingRate", {"rate": SLOWED})
    taken = count_bytes(cdp)
    page.goto(url)
    page.get_by_test_id("login-staff-no").wait_for()
    print(f"log-in form: {sum(taken.values()) / 1000:.0f} kB on the wire, usable after {since_start(page):.0f} ms")
    page.get_by_test_id("login-staff-no").fill("1")
    page.get_by_test_id("login-password").fill(PASSWORD)
    page.get_by_test_id("login-submit").click()
    page.get_by_test_id("tasks").wait_for()
    page.wait_for_load_state("networkidle")
    print(f"log-in form and desk: {sum(taken.values()) / 1000:.0f} kB on the wire")
    page.reload()
    page.get_by_test_id("tasks").wait_for()
    print(f"desk, loaded again: usable after {since_start(page):.0f} ms")
    page.route("**/api/v1/customers?*", some_customers)
    page.goto(f"{url}#/customers")
    page.get_by_test_id("customer-row").first.wait_for()
    found: dict[str, Any] = page.evaluate(_SCROLL, [SCROLLED_MS, STEP_PX])
    print(
        f"{CUSTOMERS} customers, CPU slowed {SLOWED}×: {found['frames'] / found['ms'] * 1000:.1f} frames/s over"
        f" {found['scrolled_px']:.0f} px; 95 % of frames within {found['p95_ms']:.1f} ms,"
        f" longest {found['worst_ms']:.1f} ms"
    )


def count_bytes(cdp: CDPSession) -> dict[str, int]:
    """Bytes on the wire of each request that is over."""
    taken: dict[str, int] = {}
    cdp.on("Network.loadingFinished", lambda one: taken.__setitem__(one["requestId"], int(one["encodedDataLength"])))
    return taken


def since_start(page: Page) -> float:
    """Since the navigation began, in ms, up to the next frame that is painted."""
    found: float = page.evaluate("() => new Promise((done) => requestAnimationFrame(() => done(performance.now())))")
    return found


def some_customers(route: Route) -> None:
    """A page of the list as the API answers it."""
    query = parse_qs(urlsplit(route.request.url).query)
    begin, limit = int(query.get("after", ["0"])[0]), int(query["limit"][0])
    end = min(begin + limit, CUSTOMERS)
    page = {
        "customers": [one_customer(number) for number in range(begin, end)],
        "next": str(end) if end < CUSTOMERS else None,
    }
    route.fulfill(status=200, content_type="application/json", body=json.dumps(page))


def one_customer(number: int) -> dict[str, Any]:
    texts = (
        "gender",
        "title",
        "wechat",
        "email",
        "region",
        "address",
        "postcode",
        "status",
        "source",
        "note",
        "consent",
    )
    return {
        **dict.fromkeys(texts, ""),
        "id": str(number + 1),
        "name": f"客户{number}",
        "company": f"某某贸易公司{number % 977}",
        "category": "老客户",
        "level": "A",
        "phones": [{"number": f"138{number:08d}", "label": "", "kind": "mobile", "e164": f"+86138{number:08d}"}],
        "tags": ["重点"],
        "custom": {},
        "next_contact_at": None,
        "author": "1",
        "owner": "1",
        "created_at": "2026-11-03T08:00:00.000Z",
        "changed_at": "2026-11-03T08:00:00.000Z",
    }


if __name__ == "__main__":
    main()
