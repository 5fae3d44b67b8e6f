"""Every page once: no serious finding of axe, no text that does not fit, nothing that the policy refuses.

Many of the names are pieces of HTML here: they stay text. ``./tapdeck test --screenshots`` looks at everything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, FLAGS
from lived_in import HOSTILE, OPERATOR, STRANGERS, WALKER, Lived, lived_in
from playwright.sync_api import Browser, expect, sync_playwright
from sweep import PLAIN, VIEWS, Sweeper

from firmware.config import Home
from firmware.store.migrations import migrate

pytestmark = [pytest.mark.acceptance, pytest.mark.browser, pytest.mark.timeout(300)]
ROUTER = Path(__file__).parents[2] / "webui" / "src" / "router.ts"
ON_A_PHONE = ("desk", "lines", "calls", "customers", "settings-channels")
SPOILT = (
    ("/lines", "channel-tile"), ("/communications", "communication-row"), ("/settings/operators", "operator-row"),
    ("/settings/groups", "group-row"), ("/settings/phrases", "phrase-line"), ("/settings/storage", "hold-row"),
    ("/settings/custom-fields", "field-row"), ("/desk", "task"),
)  # fmt: skip
"""Pages, and in what on them the names stand."""


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    folder = tmp_path_factory.mktemp("lived")
    home = Home(folder / "home")
    home.create()
    migrate(home)
    with lived_in(home, folder, hostile=True) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as player:
        opened = player.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield opened
        opened.close()


def test_every_page_of_the_router_is_looked_at() -> None:
    text = ROUTER.read_text(encoding="utf-8")
    top, below = text.split("children: [")
    pages = re.findall(r'path: "/([a-z-]+)", (?:name|component)', top + below.split("],\n    },")[1])
    children = re.findall(r'path: "([a-z-]+)"', below)
    known = {view.at.split("?")[0] for view in VIEWS if view.plain}
    assert {f"/{page}" for page in pages} | {f"/settings/{page}" for page in children} <= known


def test_every_page_is_without_serious_fault(lived: Lived, browser: Browser) -> None:
    faults = []
    for phone in (False, True):
        sweepers = {
            who: Sweeper(lived.page(browser, who, dark=phone, phone=phone), lived.box.url)
            for who in (WALKER, OPERATOR, "")
        }
        for view in PLAIN:
            if not phone or view.name in ON_A_PHONE:
                sweepers[view.who].open(view, anew=False)
                size = "phone" if phone else "desktop"
                faults += [f"{view.name}, {size}: {one}" for one in sweepers[view.who].faults()]
        for sweeper in sweepers.values():
            sweeper.page.context.close()
    assert not faults, "\n".join(faults)


def test_names_that_are_html_stay_text(lived: Lived, browser: Browser) -> None:
    page = lived.page(browser, WALKER)
    sweeper = Sweeper(page, lived.box.url)
    page.goto(f"{lived.box.url}/#/customers")
    page.get_by_test_id("customer-row").filter(has_text=HOSTILE).click(position={"x": 90, "y": 12})
    drawer = page.get_by_test_id("customer-drawer")
    for test_id in ("popup-customer", "story-entry"):
        expect(drawer.get_by_test_id(test_id).first).to_contain_text(HOSTILE)
    page.get_by_test_id("customer-change").click()
    expect(page.get_by_test_id("customer-dialog")).to_contain_text(HOSTILE)
    unharmed(sweeper)
    for at, test_id in SPOILT:
        page.goto(f"{lived.box.url}/#{at}")
        expect(page.get_by_test_id(test_id).filter(has_text=HOSTILE).first).to_be_visible()
        unharmed(sweeper)
    page.goto(f"{lived.box.url}/#/settings/jobs")  # one is of a file with such a name
    page.get_by_test_id("job-row").first.wait_for()
    unharmed(sweeper)
    page.goto(f"{lived.box.url}/#/calls?number={STRANGERS[0]}")
    page.get_by_test_id("call-row").first.click(position={"x": 90, "y": 12})
    expect(page.get_by_test_id("call-drawer")).to_contain_text(HOSTILE)
    page.get_by_test_id("drawer-timeline").click()
    expect(page.get_by_test_id("timeline-call").filter(has_text=HOSTILE).first).to_be_visible()
    page.get_by_test_id("timeline").get_by_test_id("chart").hover()
    unharmed(sweeper)
    page.context.close()


def unharmed(sweeper: Sweeper) -> None:
    """No name runs, and none would have: there is no element that a name made."""
    sweeper.settle()
    assert sweeper.faults(axe=False, fits=False) == []
