"""``./tapdeck test --screenshots``: every page, drawer and dialog in both languages, light, dark, large and small.

Each is photographed into ``build/screenshots`` and must be without a serious fault: axe, text that does not fit, what
the Content-Security-Policy refused, an error in the console. It takes about an hour: ``-k en-dark-phone`` does one of
the eight parts, and after a stop ``TAPDECK_RESUME=1`` leaves out what was found without fault before.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, FLAGS
from lived_in import FAKETIME, Lived, lived_in
from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import Error as BrowserError
from sweep import VIEWS, Sweeper

from firmware.config import Home
from firmware.store.migrations import migrate

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.browser,
    pytest.mark.soak,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(FAKETIME is None, reason="no libfaketime (Debian package faketime)"),
]
FOLDER = Path(os.environ.get("TAPDECK_SCREENSHOTS") or Path(__file__).parents[2] / "build" / "screenshots")
ONLY = os.environ.get("TAPDECK_VIEWS", "")
"""Names of views, with commas between: no others are looked at."""
RESUME = bool(os.environ.get("TAPDECK_RESUME"))
"""What an earlier run photographed without fault is left out."""


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    folder = tmp_path_factory.mktemp("lived")
    home = Home(folder / "home")
    home.create()
    migrate(home)
    with lived_in(home, folder, days_ago=6) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as player:
        opened = player.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.mark.parametrize("size", ["desktop", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_is_photographed_and_without_fault(
    lived: Lived, browser: Browser, language: str, theme: str, size: str
) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    looks = {"dark": theme == "dark", "phone": size == "phone", "zh": language == "zh"}
    sweepers: dict[str, Sweeper] = {}
    faults: list[str] = []
    part = f"{language}.{theme}.{size}"
    fine = FOLDER / f"{part}.fine"
    passed = fine.read_text().split() if RESUME and fine.exists() else []
    for view in VIEWS:
        if (ONLY and view.name not in ONLY.split(",")) or view.name in passed:
            continue
        if view.who not in sweepers:
            sweepers[view.who] = Sweeper(lived.page(browser, view.who, **looks), lived.box.url)
        sweeper = sweepers[view.who]
        try:
            sweeper.open(view)
            found = sweeper.faults()
        except BrowserError as error:
            found = [f"cannot be opened: {str(error)[:300]}"]
        sweeper.page.screenshot(path=FOLDER / f"{view.name}.{part}.png")
        faults += [f"{view.name}: {one}" for one in found]
        if not found:
            passed.append(view.name)
            fine.write_text("\n".join(passed))
    for sweeper in sweepers.values():
        sweeper.page.context.close()
    assert not faults, f"{len(faults)} faults\n" + "\n".join(faults)
