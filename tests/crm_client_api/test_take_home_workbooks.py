"""The workbooks on a stick: true to their format's schema, the same in LibreOffice cell by cell, with every link."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import openpyxl
import pytest
from excel_office import cells, customer, customers_book, take_in
from stick_office import audio_of, folder_of, take

from crm_client_api.excel.columns import CALLS, COMMUNICATIONS, CUSTOMERS, word

FILE = [column.key for column in CALLS.columns].index("file")
NAMES = {
    "zh": ("通话记录.xlsx", "客户资料.xlsx", "沟通记录.xlsx"),
    "en": ("calls.xlsx", "customers.xlsx", "communications.xlsx"),
}


@pytest.fixture
def folders(office, home, browse, sticks, stick):
    """What lies on the stick in each language: two calls with recordings, one of two parts, and three without."""
    place, medium = stick
    browser = browse("1")
    people = [
        customer(name="张三", mobile1="13812345678", company="远大 <&> 公司"),
        customer(name="=1+1", note="一\n二 "),
    ]
    take_in(home, browser, customers_book(*people))
    call, _, _ = office.recorded()
    office.recording_of(call, segment=1)
    office.recorded("01062345678", channel=2, direction="outgoing")
    rung_out, given_up, unanswered = (
        office.exchange.call(channel, number, direction)
        for channel, number, direction in (
            (1, "13900001111", "incoming"),
            (2, None, "incoming"),
            (1, "95588", "outgoing"),
        )
    )
    for missed in (rung_out, given_up, unanswered):
        office.exchange.end(missed)
    owner = browser.get("/customers")["customers"][-1]["id"]
    sent = {"customer_id": owner, "content": "谈价格\n=再谈 ", "at": "2026-09-21T10:00:00+08:00"}
    assert browser.ask("POST", "/communications", sent).status == 201
    found = {}
    for language in NAMES:
        job = take(home, browser, medium, language=language, customers=True, communications=True)
        found[language] = folder_of(place, job)
        medium = sticks.replug(place)
    return found


def links_of(file: Path) -> dict[int, str]:
    """Where the cells of the file column lead, by row."""
    sheet = openpyxl.load_workbook(file).worksheets[0]
    column = [cell.value for cell in sheet[1]].index(CALLS.columns[FILE].heading("zh" if "通" in file.name else "en"))
    return {
        row[column].row: row[column].hyperlink.target for row in sheet.iter_rows(min_row=2) if row[column].hyperlink
    }


def test_calls_without_a_recording_are_listed_with_all_that_is_known_of_them(folders):
    for language, folder in folders.items():
        (sheet,) = cells(folder / NAMES[language][0]).values()
        assert list(sheet[0]) == CALLS.headings(language)
        keys = [column.key for column in CALLS.columns]
        rows = [dict(zip(keys, row, strict=True)) for row in sheet[1:]]
        assert len(rows) == 5
        silent = [row for row in rows if row["recording"] is None]
        assert [(row["caller"], row["dialled"], row["talk"]) for row in silent] == [
            (None, "95588", 0), (None, None, 0), ("13900001111", None, 0),
        ]  # fmt: skip
        for row in silent:
            assert row["id"]
            assert row["started"] <= row["ended"]
            assert row["call_result"] in (word("missed", language), word("abandoned", language)), row
            assert row["direction"] == word("outgoing" if row["dialled"] else "incoming", language)
            assert [row[key] for key in ("file", "missing", "sha256", "held")] == [None] * 4, "of no recording, nothing"


def test_every_recording_is_led_to_by_a_link_that_stays_on_the_stick(folders):
    for language, folder in folders.items():
        links = links_of(folder / NAMES[language][0])
        targets = {(folder / unquote(link)).resolve() for link in links.values()}
        assert len(targets) == 2
        assert targets <= {one.resolve() for one in audio_of(folder)}
        assert any("张三" in one.name for one in targets)
        (sheet,) = cells(folder / NAMES[language][0]).values()
        listed = {place for row in sheet[1:] if row[FILE] for place in row[FILE].split(" / ")}
        assert {folder / place for place in listed} == set(audio_of(folder)), (
            "the second part is named beside the first"
        )


def test_they_satisfy_the_schema_of_their_format(folders, tmp_path):
    """By the rules of Microsoft's Open XML SDK for Office 2007 (ECMA-376, first edition), which another library has."""
    audit = pytest.importorskip("openxml_audit", reason="needs the development library openxml-audit")
    validator = audit.OpenXmlValidator(file_format=audit.FileFormat.OFFICE_2007)

    def wrong(file: Path) -> list[str]:
        # A theme is no part that a workbook must have (ECMA-376-1, 12.2); the library asks for one all the same.
        return [
            f"{one.part_uri}: {one.description}"
            for one in validator.validate(file).errors
            if one.severity is audit.ValidationSeverity.ERROR and one.id != "Sem_MissingRelationshipType"
        ]

    for language, folder in folders.items():
        for name in NAMES[language]:
            assert wrong(folder / name) == [], name
    good = folders["zh"] / NAMES["zh"][0]
    for part, old, new in (
        ("xl/worksheets/sheet1.xml", "<autoFilter", "<bogus/><autoFilter"),
        ("xl/worksheets/sheet1.xml", '<row r="2">', '<row r="two">'),
        ("xl/workbook.xml", ' sheetId="1"', ""),
    ):
        assert wrong(_changed(good, tmp_path / "wrong.xlsx", part, old, new)), "the check finds what is wrong"


def _changed(file: Path, target: Path, part: str, old: str, new: str) -> Path:
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(target, "w") as changed:
        for name in source.namelist():
            content = source.read(name).decode()
            assert name != part or old in content
            changed.writestr(name, content.replace(old, new, 1) if name == part else content)
    return target


@pytest.mark.skipif(shutil.which("soffice") is None, reason="needs LibreOffice (apt-get install libreoffice-calc)")
def test_libreoffice_reads_every_cell_and_link_as_it_was_written(folders, tmp_path):
    ours = [folders[language] / name for language in NAMES for name in NAMES[language]]
    out = tmp_path / "out"
    subprocess.run(
        ["soffice", f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}", "--headless", "--convert-to", "xlsx",
         "--outdir", str(out), *map(str, ours)],
        check=True, capture_output=True, timeout=280,
    )  # fmt: skip
    shapes = (CALLS, CUSTOMERS, COMMUNICATIONS)
    for language in NAMES:
        for name, shape in zip(NAMES[language], shapes, strict=True):
            written, read = cells(folders[language] / name), cells(out / name)
            assert list(written) == list(read)
            assert list(read[shape.title(language)][0]) == shape.headings(language)
            for title, rows in written.items():
                assert rows == read[title], (name, title)
        calls = NAMES[language][0]
        written_links, read_links = links_of(folders[language] / calls), links_of(out / calls)
        assert written_links.keys() == read_links.keys() != set()
        for row, link in read_links.items():  # a link that was saved elsewhere leads back to the stick
            led = Path(unquote(urlsplit(urljoin((out / calls).as_uri(), link)).path))
            assert led.resolve() == (folders[language] / unquote(written_links[row])).resolve()
            assert led.is_file()
