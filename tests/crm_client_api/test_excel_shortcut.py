"""Rows that are written as plainly as usual go past the XML parser: with the same result, and not one refusal less."""

from __future__ import annotations

import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_excel_files import MAIN, code, packed, read

from crm_client_api.domain.invalid import Invalid
from crm_client_api.excel import markup, sheet_rows
from crm_client_api.excel.columns import CALLS, COMMUNICATIONS
from crm_client_api.excel.reading import open_book
from crm_client_api.excel.sheet_markup import column_letters
from crm_client_api.excel.writing import BookWriter

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff"), max_size=8)
LETTERS = st.sampled_from(["A", "B", "C", "Z", "AA", "IV", "IW"])
STYLES = st.sampled_from(["", ' s="0"', ' s="1"', ' s="2"', ' s="3"'])
NUMBERS = st.one_of(
    st.integers(-5, 10**16).map(str), st.floats(allow_nan=False).map(repr), st.sampled_from(["", " ", "x"])
)
ODDITIES = [
    "<!-- <row r='9'><c><v>1</v></c></row> -->", "<?p <row r='9'></row> ?>", "<x/>", " \n\t", "text",
    '<row r="7"/>', "<row><c><v>8</v></c></row>", "<mergeCell ref='A1:B2'/>",
]  # fmt: skip


@st.composite
def cells(draw: st.DrawFn) -> str:
    """One cell, plain or not."""
    reference, style = draw(LETTERS), draw(STYLES)
    text = escape(draw(TEXTS)).replace("\x00", "").replace("\r", "&#13;")
    text = "".join(character for character in text if character in "\t\n" or character >= " ")
    space = draw(st.sampled_from(["", ' xml:space="preserve"']))
    return draw(
        st.sampled_from(
            [
                f'<c r="{reference}1"{style} t="inlineStr"><is><t{space}>{text}</t></is></c>',
                f'<c r="{reference}1"{style} t="str"><v>{text}</v></c>',
                f'<c r="{reference}1"{style}/>',
                f'<c r="{reference}1"{style}></c>',
                f'<c r="{reference}1"{style}><f>1+1</f><v>2</v></c>',
                f'<c r="{reference}1" t="b"><v>1</v></c>',
                f'<c r="{reference}1" t="e"><v>#REF!</v></c>',
                f'<c r="{reference}1"{style} t="s"><v>{draw(st.integers(0, 3))}</v></c>',
                f'<c r="{reference}1"{style}><v>{draw(NUMBERS)}</v></c>',
                f'<c r="{reference}1" t="inlineStr"><is><r><t>{text}</t></r><rPh><t>x</t></rPh></is></c>',
                f'<c r="{reference}1" t="inlineStr"><is><t><![CDATA[{text}]]></t></is></c>',
            ]
        )
    )


@st.composite
def sheets(draw: st.DrawFn) -> str:
    """The rows of a sheet, most of them plain and in order."""
    parts, number = [], 0
    for _ in range(draw(st.integers(0, 6))):
        number += draw(st.sampled_from([1, 1, 1, 2, 0]))
        attributes = draw(
            st.sampled_from(["", ' spans="1:3"', ' ht="15" customHeight="1"', ' ht="1" ht="2"', " r='1'"])
        )
        inner = "".join(draw(st.lists(cells(), max_size=4)))
        parts.append(f'<row r="{number}"{attributes}>{inner}</row>')
        if draw(st.integers(0, 9)) == 0:
            parts.append(draw(st.sampled_from(ODDITIES)))
    return "".join(parts)


def judged(data: bytes, folder: Path) -> object:
    """The rows, or the code of the refusal."""
    try:
        return read(data, folder)
    except Invalid as error:
        return error.code


@settings(deadline=None, max_examples=300)
@given(sheets(), st.sampled_from([7, 60, 65_536]))
def test_the_shortcut_reads_what_the_parser_reads(tmp_path_factory, rows, chunk):
    folder = tmp_path_factory.mktemp("rows")
    strings = f'<sst xmlns="{MAIN}"><si><t>张伟</t></si><si><t> a&amp;b </t></si><si><r><t>c</t></r></si></sst>'
    data = packed(rows, **{"xl__sharedStrings.xml": strings})
    commented = strings.replace("<si>", "<!-- --><si>", 1)
    parsed = packed("<!-- the parser reads this -->" + rows, **{"xl__sharedStrings.xml": commented})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(markup, "_CHUNK_BYTES", chunk)
        found = judged(data, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(markup, "_NEVER_PLAIN", (b"",))
        assert found == judged(data, folder)
    assert found == judged(parsed, folder)


def test_plain_rows_never_reach_the_parser(tmp_path, monkeypatch):
    plain = "".join(
        f'<row r="{i}" spans="1:3"><c r="A{i}" s="2" t="inlineStr"><is><t>名{i}</t></is></c><c r="C{i}"><v>{i}</v></c>'
        "</row>"
        for i in range(1, 40)
    )
    monkeypatch.setattr(sheet_rows, "_CODES", {})  # then the parser knows no element
    assert read(packed(plain), tmp_path) == [[i, f"名{i}", None, i] for i in range(1, 40)]
    odd = '<row r="40"><c r="A40"><f>1</f><v>1</v></c></row>'
    assert len(read(packed(plain + odd), tmp_path)) == 39


@pytest.mark.parametrize(
    "row",
    [
        b'<row r="2"><c r="A2" t="str"><v>\x01</v></c></row>',
        b'<row r="2"><c r="A2" t="str"><v>\xff</v></c></row>',
        b'<row r="2"><c r="A2" t="str"><v>\xef\xbf\xbf</v></c></row>',
        b'<row r="2"><c r="A2" t="str"><v>]]></v></c></row>',
        b'<row r="2"><c r="A2" t="str"><v>&nothing;</v></c></row>',
        b'<row r="2" ht="1" ht="1"><c r="A2" t="str"><v>x</v></c></row>',
        b'<row r="1"><c r="A2" t="str"><v>x</v></c></row>',
        b'<row r="2"><c r="A2" t="str"><v>x</v></c><c r="A2" t="str"><v>x</v></c></row>',
        b'<row r="2"><c r="A2" t="str"><v>x</c></v></row>',
        b'<row r="2"><c r="A2" t="str"><v>x</v></row>',
        b'</sheetData><row r="2"><c r="A2" t="str"><v>x</v></c></row>',
    ],
)  # fmt: skip
def test_what_is_not_well_formed_is_refused_all_the_same(tmp_path, row):
    first = b'<row r="1"><c r="A1" t="str"><v>x</v></c></row>'
    whole = f'<worksheet xmlns="{MAIN}"><sheetData>'.encode() + first + row + b"</sheetData></worksheet>"
    assert code(packed("", **{"xl__worksheets__sheet1.xml": whole}), tmp_path) == "file_damaged"


def test_other_encodings_and_rows_in_a_comment(tmp_path):
    row = '<row r="1"><c r="A1" t="str"><v>张伟 é</v></c></row>'
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        whole = f'<?xml version="1.0"?><worksheet><sheetData>{row}</sheetData></worksheet>'.encode(encoding)
        assert read(packed("", **{"xl__worksheets__sheet1.xml": whole}), tmp_path) == [[1, "张伟 é"]]
    latin = '<?xml version="1.0" encoding="iso-8859-1"?><worksheet><sheetData><row r="1"><c r="A1" t="str"><v>é</v></c>'
    whole = (latin + "</row></sheetData></worksheet>").encode("latin-1")
    assert read(packed("", **{"xl__worksheets__sheet1.xml": whole}), tmp_path) == [[1, "é"]]
    hidden = f"<worksheet><!-- <sheetData>{row} --><sheetData>{row.replace('张伟', '李')}</sheetData></worksheet>"
    assert read(packed("", **{"xl__worksheets__sheet1.xml": hidden}), tmp_path) == [[1, "李 é"]]


def test_times_before_spreadsheets_count_days_and_texts_that_look_spelt_out_come_back(tmp_path):
    moments = [datetime(1850, 5, 6, 7, 8), datetime(1900, 1, 1), datetime(1900, 2, 28, 12), datetime(1900, 3, 1)]
    odd = ["_x0041_x0042_", "_x0041\x01", "_x0041", "x_", "_x005F_", " a ", "\n", "a" * 40_000, "\ud800<&>"]
    with BookWriter(tmp_path / "t.xlsx", "zh") as writer:
        sheet, calls = writer.sheet(COMMUNICATIONS), writer.sheet(CALLS)
        for moment in moments:
            sheet.write([None, moment])
        calls.write(odd)
        sheet.end()
        calls.end()
    data = (tmp_path / "t.xlsx").read_bytes()
    assert [row[2] for row in read(data, tmp_path)[1:]] == ["1850-05-06 07:08:00", *moments[1:]]
    with open_book(tmp_path / "t.xlsx", tmp_path) as [_, second]:
        assert list(second.rows())[1].cells == [*odd[:7], "a" * 32_767, "\ufffd<&>"]


def test_letters_of_columns():
    assert [column_letters(index) for index in (0, 25, 26, 51, 52, 255, 701, 702)] == [
        "A", "Z", "AA", "AZ", "BA", "IV", "ZZ", "AAA",
    ]  # fmt: skip


def test_libreoffice_takes_what_we_write_for_what_it_is(tmp_path):
    if shutil.which("soffice") is None:
        pytest.skip("LibreOffice is not installed")
    row = ["1", datetime(2026, 1, 2, 8, 30, 15), None, 7, "=1+1", 2.5, " 一\n二 ", "<&>", "013812345678"]
    with BookWriter(tmp_path / "t.xlsx", "en", rows_a_sheet=1) as writer:
        sheet = writer.sheet(CALLS)
        sheet.write(row)
        sheet.write(row)
        sheet.end()
    subprocess.run(
        ["soffice", f"-env:UserInstallation=file://{tmp_path}/profile", "--headless", "--convert-to", "xlsx",
         "--outdir", str(tmp_path / "out"), str(tmp_path / "t.xlsx")],
        check=True, capture_output=True, timeout=240,
    )  # fmt: skip
    with open_book(tmp_path / "out" / "t.xlsx", tmp_path) as sheets:
        assert [one.name for one in sheets] == ["Calls", "Calls 2"]
        for one in sheets:
            assert [found.cells for found in one.rows()] == [CALLS.headings("en"), row]
