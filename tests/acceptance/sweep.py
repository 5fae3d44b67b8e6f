"""Every page of the UI and what opens on it, and what is looked for on each: axe, text that does not fit, strangers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lived_in import CARTER, FANG, LI, OPERATOR, WALKER
from playwright.sync_api import Page

AXE = Path(__file__).parents[2] / "webui" / "node_modules" / "axe-core" / "axe.min.js"
_BEFORE = """() => {
  window.refused = [];
  document.addEventListener('securitypolicyviolation', (event) =>
    window.refused.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample} ${event.sourceFile}`));
}"""
_AXE = """async () => {
  const found = await axe.run(document, { resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a',
    'wcag21aa', 'wcag22aa', 'best-practice'] });
  return found.violations.filter((one) => one.impact === 'serious' || one.impact === 'critical').flatMap((one) =>
    one.nodes.map((node) => `${one.id}: ${node.target.join(' ')} ${node.html.slice(0, 160)} — ` +
      node.any.concat(node.all, node.none).map((check) => check.message).join('; ').slice(0, 200)));
}"""
_UNFIT = """() => {
  const texts = 'button, label, h1, h2, h3, legend, dt, th, [role=columnheader], [role=tab], [role=menuitem],' +
    '.el-tag, .el-dialog__title, .el-drawer__title, .el-form-item__label, .el-radio-button__inner, .el-checkbox__label';
  const found = [];
  const scrolls = (one) => one && !one.matches('.el-overlay-dialog, .el-overlay-message-box') &&
    (['auto', 'scroll'].includes(getComputedStyle(one).overflowX) ||
    one.matches('.el-table-v2, .el-scrollbar') || scrolls(one.parentElement));
  const say = (one) => `${one.tagName.toLowerCase()}.${String(one.className).slice(0, 60)} "` +
    `${one.textContent.trim().slice(0, 50)}" ${one.scrollWidth}x${one.scrollHeight} in ` +
    `${one.clientWidth}x${one.clientHeight}`;
  for (const one of document.querySelectorAll(texts)) {
    const box = one.getBoundingClientRect();
    if (!one.checkVisibility({ visibilityProperty: true, opacityProperty: true }) || box.width < 2 ||
      one.closest('.visually-hidden')) continue;
    if (one.closest('[role=row]') && !one.matches('[role=columnheader]')) continue;  // what people typed
    const parts = [one, ...one.querySelectorAll('*')].filter((part) =>
      [...part.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()));
    for (const part of parts) {
      const style = getComputedStyle(part);
      if (part.clientWidth <= 1 || style.display === 'inline') continue;  // for those who hear it
      if (part.matches('.cut-text') && part.closest('[title]')) continue;  // what people named, told whole on hover
      if (part.scrollWidth > part.clientWidth + 1) found.push(say(part));
      if (part.scrollHeight > part.clientHeight + 3 && style.overflowY === 'hidden') found.push(say(part));
    }
    if ((box.right > innerWidth + 1 || box.left < -1) && !scrolls(one))
      found.push(`beyond the edge: ${say(one)}`);
  }
  const pen = document.createElement('canvas').getContext('2d');
  for (const one of document.querySelectorAll('input[placeholder]')) {
    if (one.value || one.clientWidth < 2 || !one.checkVisibility({ visibilityProperty: true })) continue;
    const style = getComputedStyle(one);
    pen.font = style.font;
    const room = one.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    if (pen.measureText(one.placeholder).width > room + 1) found.push(`placeholder cut: "${one.placeholder}"`);
  }
  const page = document.scrollingElement;
  if (page.scrollWidth > page.clientWidth + 1) found.push(`the page is ${page.scrollWidth} wide`);
  const main = document.querySelector('main');
  if (main && main.scrollWidth > main.clientWidth + 1) found.push(`the place is ${main.scrollWidth} wide`);
  return found;
}"""
_STRANGERS = "() => [...document.querySelectorAll('img[src=x], [onerror]')].length + (window.hacked ? 1 : 0)"
_SETTLED = """() => ![...document.querySelectorAll('.el-skeleton.is-animated')].some((one) => one.checkVisibility()) &&
  ![...document.querySelectorAll('[data-testid=chart]')].some((one) => !one.querySelector('canvas')) &&
  document.getAnimations().every((one) =>
    one.playState !== 'running' || one.effect.getTiming().iterations === Infinity)"""
_ARRIVED = """at => document.querySelector('main') &&
  document.querySelector('#app').__vue_app__.config.globalProperties.$route.fullPath === at"""
_ANSWERED = "[data-result=answered]"
Step = Callable[[Page], object]


def tap(*test_ids: str) -> Step:
    """Click one after the other."""

    def walk(page: Page) -> None:
        for test_id in test_ids:
            page.get_by_test_id(test_id).first.click()

    return walk


def row(test_id: str, text: str, *then: str) -> Step:
    """Open the row with this text, then click on."""

    def walk(page: Page) -> None:
        page.get_by_test_id(test_id).filter(has_text=text).first.click(position={"x": 90, "y": 12})
        tap(*then)(page)

    return walk


def chosen(test_id: str, count: int, then: str, which: str = "") -> Step:
    """Choose the first rows (``which``: those alone that match), then click."""

    def walk(page: Page) -> None:
        rows = page.locator(f"[data-testid={test_id}]{which}")
        rows.first.wait_for()
        for at in range(count):
            rows.nth(at).get_by_test_id("choose-row").click()
        page.get_by_test_id(then).click()

    return walk


@dataclass(frozen=True)
class View:
    """A page, by whom it is looked at, and what is done on it; ``plain``: nothing is."""

    name: str
    at: str
    who: str = WALKER
    step: Step | None = None

    @property
    def plain(self) -> bool:
        """A page as it stands."""
        return self.step is None


def _play(page: Page) -> None:
    page.locator(f"[data-testid=call-row]{_ANSWERED} [data-testid=play]").first.click()
    page.locator("[data-testid=player-position]", has_text=re.compile("0:0[1-9]")).wait_for()
    page.get_by_test_id("player-toggle").click()


def _timeline(page: Page) -> None:
    row("call-row", "138 1234 5678")(page)
    page.get_by_test_id("call-drawer").get_by_test_id("drawer-timeline").click()
    page.get_by_test_id("timeline-call").first.wait_for()


def _ended_timeline(page: Page) -> None:
    page.locator(f"[data-testid=call-row]{_ANSWERED}").filter(has_text="139 0000 1111").first.click(
        position={"x": 90, "y": 12}
    )
    page.get_by_test_id("call-drawer").get_by_test_id("drawer-timeline").click()
    page.get_by_test_id("timeline-call").first.wait_for()


def _together(page: Page) -> None:
    _ended_timeline(page)
    for at in range(2):
        page.locator("[data-testid=together-join]:not(.is-disabled)").nth(at).click()
    page.get_by_test_id("together-call").nth(1).wait_for()
    page.get_by_test_id("together").scroll_into_view_if_needed()


def _basket(page: Page) -> None:
    chosen("call-row", 3, "chosen-basket", _ANSWERED)(page)
    tap("basket-open")(page)


def _card(page: Page) -> None:
    page.get_by_test_id("popup").filter(has_text="138 1234 5678").get_by_test_id("note-text").click()


def _folds(page: Page) -> None:
    for name in ("rules", "callers", "line"):
        page.get_by_test_id(f"fold-{name}").click()


def _command(page: Page) -> None:
    page.keyboard.press("Control+k")
    page.get_by_test_id("command-input").locator("input").or_(
        page.locator("input[data-testid=command-input]")
    ).first.fill("王")
    page.get_by_test_id("command").filter(has_text="王芳").first.wait_for()


def _why(page: Page) -> None:
    page.get_by_test_id("call-row").first.get_by_test_id("why").click()
    page.get_by_test_id("reason").first.wait_for()


def _suppose(page: Page) -> None:
    tap("desk-suppose")(page)
    field = page.get_by_test_id("suppose-number")
    (field.locator("input") if field.locator("input").count() else field).fill(FANG)
    tap("suppose-ask")(page)
    page.get_by_test_id("reason").first.wait_for()


def _jobs_of(page: Page) -> None:
    page.get_by_test_id("jobs-whose").click()
    page.get_by_role("option", name="周晓燕").click()
    page.get_by_test_id("job-row").first.wait_for()


def _more(key: str) -> Step:
    return tap("list-more", f"more-{key}")


_PLACES = ("desk", "my-line", "lines", "calls", "customers", "communications", "reports", "first-start", "settings")
_SETTINGS = (
    "system", "channels", "line-test", "storage", "sticks", "backup", "evidence", "practice", "alarms", "operators",
    "groups", "rights", "hand-overs", "sessions", "security", "custom-fields", "phrases", "jobs", "erasure", "audit",
)  # fmt: skip
VIEWS: tuple[View, ...] = (
    *(View(name, f"/{name}", OPERATOR if name in ("desk", "my-line") else WALKER) for name in _PLACES),
    *(View(f"settings-{name}", f"/settings/{name}") for name in _SETTINGS),
    *(
        View(f"first-start-{step}", "/first-start", WALKER, tap(f"setup-step-{step}"))
        for step in ("site", "password", "storage", "lines", "desks", "test")
    ),
    View("desk-card", "/desk", OPERATOR, _card),
    View("desk-why", "/desk", "1000", _why),
    View("desk-suppose", "/desk", WALKER, _suppose),
    View("desk-leader", "/desk", WALKER, lambda page: page.get_by_test_id("agents").wait_for()),
    View("command", "/desk", WALKER, _command),
    View("operator-menu", "/desk", WALKER, tap("operator-menu")),
    View("agent-state", "/desk", OPERATOR, tap("agent-state")),
    View("lines-rows", "/lines", WALKER, tap("board-rows")),
    View("lines-wall", "/lines", WALKER, tap("board-wall")),
    View("call", f"/calls?number={CARTER}", WALKER, row("call-row", "139 0000 1111")),
    View("call-running", f"/calls?number={LI}", WALKER, row("call-row", "010 6234 5678")),
    View("call-player", "/calls?result=answered", WALKER, _play),
    View("call-player-keys", "/calls?result=answered", WALKER, lambda page: (_play(page), page.keyboard.press("?"))),
    View("calls-filters", "/calls", WALKER, tap("filters")),
    View("calls-columns", "/calls", WALKER, tap("columns")),
    View("calls-timeline", f"/calls?number={FANG}", WALKER, _timeline),
    View("calls-together", f"/calls?number={CARTER}", WALKER, _together),
    View("calls-basket", "/calls?result=answered", WALKER, _basket),
    View("calls-delete", "/calls?result=answered", WALKER, chosen("call-row", 4, "chosen-delete", _ANSWERED)),
    View("calls-hold", "/calls", WALKER, chosen("call-row", 2, "chosen-hold")),
    View("calls-others", "/calls", WALKER, _more("others")),
    View("calls-take-home", "/calls", WALKER, _more("takeHome")),
    View("customer", "/customers", WALKER, row("customer-row", "王芳")),
    View("customer-new", "/customers", WALKER, tap("customer-add")),
    View("customer-change", "/customers", WALKER, row("customer-row", "Emily Carter", "customer-change")),
    View("customers-batch", "/customers", WALKER, chosen("customer-row", 3, "batch-open")),
    View("customers-merge", "/customers", WALKER, chosen("customer-row", 2, "merge-open")),
    View("customers-views", "/customers", WALKER, tap("views")),
    View("customers-import", "/customers", WALKER, _more("import")),
    View("customers-bin", "/customers", WALKER, _more("bin")),
    View("customers-clear", "/customers", WALKER, _more("clear")),
    View("communication", "/communications", WALKER, row("communication-row", "合同续签")),
    View("communication-new", "/communications", WALKER, tap("communication-add")),
    View("operator", "/settings/operators", "1000", row("operator-row", "周晓燕")),
    View("operator-new", "/settings/operators", "1000", tap("operator-add")),
    View("operator-replace", "/settings/operators", "1000", row("operator-row", "吴强", "operator-replace")),
    View("operator-leave", "/settings/operators", "1000", row("operator-row", "周晓燕", "operator-leave")),
    View("custom-field-new", "/settings/custom-fields", WALKER, tap("field-add")),
    View("jobs-others", "/settings/jobs", WALKER, _jobs_of),
    View("channel-open", "/settings/channels?channel=1", WALKER, _folds),
    View("channel-copy", "/settings/channels?channel=1", WALKER, tap("copy-open")),
    View("storage-rule", "/settings/storage", WALKER, tap("rule-add")),
    View("storage-hold", "/settings/storage", WALKER, tap("hold-add")),
    View("security-factor", "/settings/security", WALKER, tap("factor-begin")),
    View("security-token", "/settings/security", WALKER, tap("token-open")),
    View("log-in", "/", ""),
)
PLAIN = tuple(view for view in VIEWS if view.plain)


class Sweeper:
    """Goes to views in one browser page and tells what is wrong there."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self._url = page, url
        page.add_init_script(f"({_BEFORE})()")
        page.set_default_timeout(20_000)
        self._axe = AXE.read_text(encoding="utf-8")

    def open(self, view: View, *, anew: bool = True) -> None:
        """Go there (``anew``: the page is loaded again, so that nothing is open), and do what is to be done."""
        self.page.goto(f"{self._url}/#{view.at}")
        if anew:
            self.page.reload()
        if view.who:
            self.page.wait_for_function(_ARRIVED, arg=view.at)
        self.settle()
        if view.step:
            view.step(self.page)
            self.settle()

    def settle(self) -> None:
        """Wait until nothing moves and nothing is awaited."""
        self.page.wait_for_function("() => document.querySelector('h1, form, main')")
        self.page.wait_for_function(_SETTLED)

    def faults(self, *, axe: bool = True, fits: bool = True) -> list[str]:
        """Serious findings of axe, texts that do not fit, what the policy refused, and HTML made of names."""
        found = [f"does not fit: {one}" for one in self.page.evaluate(_UNFIT)] if fits else []
        found += [f"refused: {one}" for one in self.page.evaluate("() => window.refused")]
        if self.page.evaluate(_STRANGERS):
            found.append("a name became HTML")
        if axe:
            self.page.evaluate(f"() => {{ {self._axe} }}")
            found += [f"axe: {one}" for one in self.page.evaluate(_AXE)]
        return found
