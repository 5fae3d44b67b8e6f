"""What lands on a stick opens elsewhere: the page in a real browser from a disk; the workbook's links lead to files."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from urllib.parse import unquote

import openpyxl
import pytest
from made_calls import Made, put_calls
from stick_office import folder_of, take, within

from crm_client_api.excel.columns import CALLS, CUSTOMERS
from crm_client_api.excel.sheet_markup import Linked
from crm_client_api.excel.writing import BookWriter
from crm_client_api.take_home import choice

sys.path.append(str(Path(__file__).parents[1] / "acceptance"))


def link_column() -> int:
    return [column.key for column in CALLS.columns].index("file")


def test_every_row_leads_to_its_file(office, home, browse, stick):
    place, medium = stick
    for number in ("13812345678", None, "13900001111"):
        office.recorded(number)
    folder = folder_of(place, take(home, browse("1"), medium))
    sheet = openpyxl.load_workbook(folder / "通话记录.xlsx").worksheets[0]
    links = [row[link_column()].hyperlink for row in sheet.iter_rows(min_row=2)]
    targets = [folder / unquote(link.target) for link in links]
    assert len({one for one in targets if one.is_file()}) == 3
    assert sheet.auto_filter.ref == f"A1:Y{sheet.max_row}"


def test_links_beyond_what_a_sheet_takes_lead_there_by_a_formula(tmp_path, monkeypatch):
    monkeypatch.setattr("crm_client_api.excel.sheet_markup.MOST_LINKS", 2)
    with BookWriter(tmp_path / "t.xlsx", "zh") as book:
        sheet = book.sheet(CUSTOMERS)
        for name in ("a.flac", "b&c.flac", '张"三.flac'):
            sheet.write([Linked(name, name), "=1+1"])
        sheet.end()
    read = openpyxl.load_workbook(tmp_path / "t.xlsx").worksheets[0]
    assert [row[0].hyperlink and row[0].hyperlink.target for row in read.iter_rows(min_row=2)] == [
        "a.flac", "b&c.flac", None,
    ]  # fmt: skip
    assert read.cell(4, 1).value == '=HYPERLINK("张""三.flac","张""三.flac")'
    assert read.cell(4, 2).data_type == "s", "what people wrote is no formula"
    with zipfile.ZipFile(tmp_path / "t.xlsx") as archive:
        assert archive.testzip() is None


@pytest.fixture
def page(request):
    browser = pytest.importorskip("browser")
    if not Path(browser.CHROMIUM).exists():
        pytest.skip("needs Debian's Chromium")
    with browser.chromium() as opened:
        opened.asked = []
        opened.on("request", lambda one: opened.asked.append(one.url))
        opened.complaints = []
        opened.on("console", lambda one: opened.complaints.append(one.text) if one.type == "error" else None)
        opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
        yield opened


def open_folder(page, folder):
    page.goto((folder / "index.html").as_uri())
    page.wait_for_selector("html[data-ready=yes]")


def until(page, condition: str) -> None:
    """As ``wait_for_function``, which the page's own policy forbids."""
    assert within(20, lambda: page.evaluate(condition)), condition


def shown(page) -> list[str]:
    return page.eval_on_selector_all("#space .row", "rows => rows.map(row => row.innerText)")


@pytest.mark.browser
@pytest.mark.parametrize("form", ["original", "wav", "mp3", "opus"])
def test_the_page_lists_searches_and_plays_from_a_disk(office, home, crm, browse, stick, page, form):
    place, medium = stick
    browser = browse("1")
    sent = {"name": "<b>张三</b>", "company": "远大", "phones": [{"number": "13812345678"}]}
    assert browser.ask("POST", "/customers", sent).status == 201
    office.recorded("13812345678", seconds=3)
    office.recorded("01062345678", channel=2, seconds=2)
    missed = office.exchange.call(1, "13900001111")
    office.exchange.end(missed)
    open_folder(page, folder_of(place, take(home, browser, medium, format=form)))
    assert len(shown(page)) == 3
    page.fill("#words", "张三")
    assert len(shown(page)) == 1
    assert "<b>张三</b>" in shown(page)[0], "names are text"
    page.fill("#words", "6234")
    assert "01062345678" in shown(page)[0]
    page.fill("#words", "")
    page.select_option("#result", "missed")
    assert [("13900001111" in one) for one in shown(page)] == [True]
    page.select_option("#result", "")
    page.select_option("#channel", "1")
    page.check("#audio-only")
    page.click("#space .row")
    until(page, "document.getElementById('audio').currentTime > 0.2")
    assert page.eval_on_selector("#audio", "audio => Math.round(audio.duration)") == 3
    painted = page.evaluate(
        "() => { const c = document.getElementById('wave');"
        " return new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size }"
    )
    assert painted > 4, "the waveform is drawn"
    page.click("#language")
    assert page.inner_text("#title") in ("Recordings", "录音导出")
    assert all(url.startswith("file://") for url in page.asked), page.asked
    assert page.complaints == []


@pytest.mark.browser
def test_the_page_says_what_was_left_out_and_why(office, home, browse, stick, page, monkeypatch):
    place, medium = stick
    office.recorded("13812345678", seconds=4)
    lost, _, _ = office.recorded("13900001111", seconds=0.5)
    next((home.recordings / "2026").glob(f"{lost['id']}*.flac")).unlink()
    monkeypatch.setattr(choice, "LARGEST_FILE_BYTES", {"folder": 100_000})
    open_folder(page, folder_of(place, take(home, browse("1"), medium, format="wav")))
    assert "未导出的录音：2 个" in page.inner_text("#about")
    for number, why in (("13812345678", "FAT 为 4 GiB"), ("13900001111", "录音盒读不出")):
        page.fill("#words", number)
        assert ["未导出" in one and why in one for one in shown(page)] == [True]
    page.click("#language")
    assert "left out: 2" in page.inner_text("#about")
    assert page.complaints == []


@pytest.mark.browser
def test_ten_thousand_calls_stay_fast(office, home, exchange, browse, stick, page):
    place, medium = stick
    begin_ms = exchange.now_ms - 40 * 86_400_000
    put_calls(exchange.db, [Made(begin_ms + n * 200_000, number=f"139{n:08d}", talk_ms=n) for n in range(10_000)])
    office.recorded("13812345678")
    open_folder(page, folder_of(place, take(home, browse("1"), medium, evidence=False)))
    assert "10001" in page.inner_text("#found")
    assert page.eval_on_selector_all("#space .row", "rows => rows.length") < 80, "only what is seen is drawn"
    page.fill("#words", "13900009998")
    assert len(shown(page)) == 1
    page.fill("#words", "")
    took_ms = page.evaluate(
        "() => { const begun = performance.now(); for (let n = 0; n < 20; n++) filter();"
        " return (performance.now() - begun) / 20 }"
    )
    assert took_ms < 2000, "a search that takes seconds is broken"
    page.evaluate("() => { document.getElementById('list').scrollTop = 1e9 }")
    until(page, f"document.querySelector('#space').innerText.includes('{'139' + '0' * 8}')")
    assert page.complaints == []
