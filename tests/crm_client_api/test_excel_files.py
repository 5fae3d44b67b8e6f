"""Files as other programs write them, and files as attackers make them."""

from __future__ import annotations

import contextlib
import random
import shutil
import subprocess
import zipfile
from datetime import datetime
from io import BytesIO
from pathlib import Path

import openpyxl
import pytest
from excel_office import customer, customers_book

from crm_client_api.domain.invalid import Invalid
from crm_client_api.excel import refusal, vcard
from crm_client_api.excel.cells import BadCell, local_of_ms, ms_of_local, text_of, time_of
from crm_client_api.excel.columns import CUSTOMERS
from crm_client_api.excel.reading import open_book

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
STRICT = "http://purl.oclc.org/ooxml/spreadsheetml/main"
DOC = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
PARTS = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
    "_rels/.rels": f'<Relationships xmlns="{PACKAGE}"><Relationship Id="r1" Type="{DOC}/officeDocument"'
    ' Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{DOC}"><sheets><sheet name="S" sheetId="1" r:id="r1"/>'
    "</sheets></workbook>",
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}"><Relationship Id="r1" Type="{DOC}/worksheet"'
    f' Target="worksheets/sheet1.xml"/><Relationship Id="r2" Type="{DOC}/sharedStrings" Target="sharedStrings.xml"/>'
    f'<Relationship Id="r3" Type="{DOC}/styles" Target="/xl/styles.xml"/></Relationships>',
    "xl/styles.xml": f'<styleSheet xmlns="{MAIN}"><numFmts><numFmt numFmtId="170" formatCode="yyyy&quot;年&quot;m"/>'
    '<numFmt numFmtId="171" formatCode="[Red]0.0;[h]:mm"/></numFmts><cellXfs><xf numFmtId="0"/><xf numFmtId="22"/>'
    '<xf numFmtId="170"/><xf numFmtId="171"/></cellXfs></styleSheet>',
}  # fmt: skip


def packed(sheet: str, compression: int = zipfile.ZIP_DEFLATED, **parts: str | bytes) -> bytes:
    """A workbook from the markup of its sheet data (or of a whole sheet); ``parts``: __ stands for /."""
    target = BytesIO()
    whole = sheet if sheet.startswith("<?") else f'<worksheet xmlns="{MAIN}"><sheetData>{sheet}</sheetData></worksheet>'
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name, content in {**PARTS, "xl/worksheets/sheet1.xml": whole}.items():
            archive.writestr(name, parts.pop(name.replace("/", "__"), content))
        for name, content in parts.items():
            archive.writestr(name.replace("__", "/"), content)
    return target.getvalue()


def read(data: bytes, folder: Path) -> list[list[object]]:
    """The rows of the first sheet."""
    file = folder / "file"
    file.write_bytes(data)
    with open_book(file, folder) as sheets:
        return [[row.number, *row.cells] for sheet in sheets[:1] for row in sheet.rows()]


def code(data: bytes, folder: Path) -> str:
    with pytest.raises(Invalid) as refused:
        read(data, folder)
    return refused.value.code


WANTED = [
    [1, "姓名", "电话", "时间"],
    [2, "张伟", "013812345678", datetime(2026, 1, 2, 8, 30)],
    [4, "Ann <&> O'Neill", "010-1", datetime(2026, 12, 31)],
]


def test_inline_and_shared_strings_prefixes_strict_namespaces_and_missing_references(tmp_path):
    inline = (
        '<row><c t="inlineStr"><is><t>姓名</t></is></c><c t="inlineStr"><is><r><t>电</t></r><r><t>话</t></r><rPh>'
        '<t>x</t></rPh></is></c><c t="str"><v>时间</v></c></row>'
        '<row><c t="inlineStr"><is><t>张伟</t></is></c><c t="str"><v>013812345678</v></c><c s="1"><v>46024.354166666664'
        '</v></c></row><row r="3"/><row r="4"><c r="A4" t="str"><v>Ann &lt;&amp;&gt; O\'Neill</v></c><c r="B4" t="str">'
        '<f>A1</f><v>010-1</v></c><c r="C4" t="d"><v>2026-12-31T00:00:00</v></c></row>'
    )
    assert read(packed(inline), tmp_path) == WANTED
    shared = (
        '<x:row r="1"><x:c r="A1" t="s"><x:v>0</x:v></x:c><x:c r="B1" t="s"><x:v>1</x:v></x:c>'
        '<x:c r="C1" t="s"><x:v>2</x:v></x:c></x:row><x:row r="2" spans="1:3"><x:c r="A2" t="s"><x:v>3</x:v></x:c>'
        '<x:c r="B2" t="s"><x:v>4</x:v></x:c><x:c r="C2" s="2"><x:v>46024.354166666664</x:v></x:c></x:row>'
        '<x:row r="4"><x:c r="A4" t="s"><x:v>5</x:v></x:c><x:c r="B4" t="s"><x:v>6</x:v></x:c>'
        '<x:c r="C4" s="1"><x:v>46387</x:v></x:c></x:row>'
    )
    texts = ["姓名", "电话", "时间", "张伟", "013812345678", "Ann &lt;&amp;&gt; O'Neill", "010-1"]
    strings = f'<sst xmlns="{STRICT}">' + "".join(f"<si><t>{one}</t></si>" for one in texts) + "</sst>"
    sheet = (
        f'<?xml version="1.0" encoding="UTF-8"?><x:worksheet xmlns:x="{STRICT}"><x:sheetData>{shared}</x:sheetData>'
        "</x:worksheet>"
    )
    assert read(packed(sheet, **{"xl__sharedStrings.xml": strings}), tmp_path) == WANTED


def test_more_texts_than_are_kept_in_memory_and_the_calendar_of_1904(tmp_path):
    count = 25_000
    strings = f'<sst xmlns="{MAIN}">' + "".join(f"<si><t>文{i}</t></si>" for i in range(count)) + "</sst>"
    rows = "".join(f'<row><c t="s"><v>{i}</v></c></row>' for i in (0, 19_999, 20_000, count - 1, 20_000))
    found = read(packed(rows, **{"xl__sharedStrings.xml": strings}), tmp_path)
    assert [row[1] for row in found] == ["文0", "文19999", "文20000", f"文{count - 1}", "文20000"]
    assert code(packed(f'<row><c t="s"><v>{count}</v></c></row>', **{"xl__sharedStrings.xml": strings}), tmp_path)
    of_1904 = PARTS["xl/workbook.xml"].replace("<sheets>", '<workbookPr date1904="1"/><sheets>')
    assert read(packed('<row><c s="1"><v>44562.5</v></c></row>', **{"xl__workbook.xml": of_1904}), tmp_path) == [
        [1, datetime(2026, 1, 2, 12)]
    ]


@pytest.mark.parametrize("kind", ["xlsx", "xls", "csv"])
def test_what_libreoffice_writes_is_read(tmp_path, kind):
    if shutil.which("soffice") is None:
        pytest.skip("LibreOffice is not installed")
    source = tmp_path / "in.xlsx"
    source.write_bytes(
        customers_book(
            customer(name="张伟", phone1="01062345678", note="一\n二", next_contact=datetime(2026, 1, 2, 8, 30))
        )
    )
    wanted = {"csv": "csv:Text - txt - csv (StarCalc):44,34,76"}.get(kind, kind)
    subprocess.run(
        ["soffice", f"-env:UserInstallation=file://{tmp_path}/profile", "--headless", "--convert-to", wanted,
         "--outdir", str(tmp_path / "out"), str(source)],
        check=True, capture_output=True, timeout=240,
    )  # fmt: skip
    found = read((tmp_path / "out" / f"in.{kind}").read_bytes(), tmp_path)
    assert found[0][1:] == CUSTOMERS.headings("zh")
    row = dict(zip((one.key for one in CUSTOMERS.columns), found[1][1:], strict=False))
    assert (row["name"], row["phone1"], row["note"]) == ("张伟", "01062345678", "一\n二")
    assert time_of(row["next_contact"]) == datetime(2026, 1, 2, 8, 30)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_text_files(tmp_path, encoding, separator):
    lines = [["姓名", "电话;手机,传真", "备注"], ["张伟", '="0138"', 'a"b\n,c'], ["", "", ""], ["李", "1", ""]]
    quoted = ["".join(separator.join(f'"{one.replace(chr(34), chr(34) * 2)}"' for one in line)) for line in lines]
    found = read(("\r\n".join(quoted) + "\r\n").encode(encoding), tmp_path)
    assert found == [
        [1, "姓名", "电话;手机,传真", "备注"],
        [2, "张伟", "0138", 'a"b\n,c'],
        [4, "李", "1", None],
    ]


def test_what_people_write_for_a_time():
    for text in (
        "2026-01-02 08:30",
        "2026/1/2 8:30:00",
        "2026.1.2 8:30",
        "2026年1月2日 8时30分",
        "2026-01-02T08:30:00",
    ):
        assert time_of(text) == datetime(2026, 1, 2, 8, 30), text
    assert time_of("20260102") == time_of(20260102) == datetime(2026, 1, 2)
    for text in ("01/02/2026", "1-2-26", "2026-02-30", "明天", "2026-01-02 25:00", "46024"):
        with pytest.raises(ValueError):
            time_of(text)
    with pytest.raises(ValueError, match="no time"):
        time_of(46024.5)
    for at_ms in (0, 1_790_000_000_123, 946_684_799_999):
        assert ms_of_local(local_of_ms(at_ms)) == at_ms


def test_numbers_keep_their_digits():
    assert [text_of(one) for one in (13812345678, 13812345678.0, 1.5, True, 123456789012345.0, 0.00001)] == [
        "13812345678", "13812345678", "1.5", "1", "123456789012345", "1e-05",
    ]  # fmt: skip


def test_a_value_that_cannot_be_taken_is_a_wrong_cell(tmp_path):
    found = read(
        packed(
            "<row><c><f>SUM(A2)</f></c><c><f>1+1</f><v>2</v></c><c t='e'><v>#REF!</v></c><c s='1'><v>1e300</v></c>"
            f"<c t='str'><v>{'长' * 32_768}</v></c><c t='d'><v>neulich</v></c></row>"
        ),
        tmp_path,
    )
    kinds = [one.code if isinstance(one, BadCell) else one for one in found[0][1:]]
    assert kinds == ["formula", 2, "error", "error", "too_long", "error"]


def test_bombs_and_broken_files_are_refused(tmp_path, monkeypatch):
    laughs = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY l "ha"><!ENTITY m "&l;&l;&l;">]><worksheet>&m;</worksheet>'
    outside = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY l SYSTEM "file:///etc/passwd">]><worksheet>&l;</worksheet>'
    assert code(packed(laughs), tmp_path) == "file_damaged"
    assert code(packed(outside), tmp_path) == "file_damaged"
    for part in ("xl__workbook.xml", "xl__styles.xml", "xl__sharedStrings.xml", "_rels__.rels"):
        assert code(packed("<row/>", **{part: outside}), tmp_path) == "file_damaged", part
    assert code(packed("<row/>" + " " * (64 << 20)), tmp_path) == "file_too_large"
    assert code(packed(f"<row><c t='str'><v>{'x' * 2_000_000}</v></c></row>", zipfile.ZIP_STORED), tmp_path) == (
        "file_too_large"
    )
    assert code(packed(f"<row spans='{'x' * 6_000_000}'/>", zipfile.ZIP_STORED), tmp_path) == "file_too_large"
    many = {f"xl__x{i}.xml": "" for i in range(refusal.MOST_PARTS)}
    assert code(packed("<row/>", **many), tmp_path) == "file_too_large"
    whole = packed("<row><c t='str'><v>x</v></c></row>" * 1000, zipfile.ZIP_STORED)
    assert code(whole[: len(whole) // 2], tmp_path) == "file_damaged"
    broken = bytearray(whole)
    broken[whole.index(b"<row>") + 2000] ^= 1  # the check sum tells
    assert code(bytes(broken), tmp_path) == "file_damaged"
    assert code(packed("<row r='2'/><row r='1'/>"), tmp_path) == "file_damaged"
    assert code(packed("<row r='1048577'/>"), tmp_path) == "file_damaged"
    assert code(packed("<row><c r='XFE1'><v>1</v></c></row>"), tmp_path) == "file_too_large"
    assert code(packed("<row><c r='A1'><v>1</v></c><c r='A1'"), tmp_path) == "file_damaged"
    assert code(packed("<row><c r='ZZZZZZZZZZ1'><v>1</v></c></row>"), tmp_path) == "file_damaged"
    assert code(b"", tmp_path) == "file_empty"
    assert code(b"\x89PNG\r\n\x1a\n" + bytes(1000), tmp_path) == "file_kind"
    assert code(b"PK\x03\x04" + bytes(1000), tmp_path) == "file_damaged"
    other = BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("hello.txt", "x")
    assert code(other.getvalue(), tmp_path) == "file_kind"
    assert code(b"a,b\x00\x01,c", tmp_path) == "file_kind"
    assert code("Straße".encode("latin-1") + b"\xff\xff", tmp_path) == "file_encoding"
    monkeypatch.setattr(refusal, "LARGEST_FILE_BYTES", 10)
    assert code(b"x" * 11, tmp_path) == "file_too_large"


def test_macros_links_and_passwords_are_refused(tmp_path):
    assert code(packed("<row/>", **{"xl__vbaProject.bin": "x"}), tmp_path) == "workbook_macros"
    assert code(packed("<row/>", **{"xl__externalLinks__externalLink1.xml": "<x/>"}), tmp_path) == "workbook_links"
    assert code(packed("<row/>", **{"xl__connections.xml": "<x/>"}), tmp_path) == "workbook_links"
    compound = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000)
    assert code(compound + "EncryptedPackage".encode("utf-16-le") + bytes(500), tmp_path) == "file_encrypted"
    assert code(compound, tmp_path) == "file_damaged"
    locked = bytearray(packed("<row/>", zipfile.ZIP_STORED))
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    assert code(bytes(locked), tmp_path) == "file_encrypted"


def test_a_million_empty_rows_and_sixteen_thousand_columns_cost_nothing(tmp_path):
    empty = "".join(f'<row r="{i}" s="1" ht="15"><c r="A{i}" s="1"/></row>' for i in range(1, 200_001))
    assert read(packed(empty), tmp_path) == []
    wide = "<row r='1'>" + "".join("<c s='1'/>" for _ in range(16_384)) + "</row>"
    assert read(packed(wide), tmp_path) == []
    assert code(packed("<row r='1'>" + "<c><v>1</v></c>" * 16_384 + "</row>"), tmp_path) == "file_too_large"
    assert code((",".join(["x"] * 16_384)).encode(), tmp_path) == "file_too_large"


def test_random_damage_never_ends_in_anything_but_a_refusal(tmp_path):
    whole = customers_book(*[customer(name=f"名{i}", phone1=str(i)) for i in range(50)])
    chance = random.Random(7)
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 20)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        with contextlib.suppress(Invalid):
            read(bytes(data), tmp_path)


def test_hidden_sheets_are_left_out(tmp_path):
    made = openpyxl.Workbook()
    made.active.append(["secret"])
    made.active.sheet_state = "hidden"
    made.create_sheet("shown").append(["shown"])
    target = BytesIO()
    made.save(target)
    assert read(target.getvalue(), tmp_path) == [[1, "shown"]]


CARDS = (
    "BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=GBK;ENCODING=QUOTED-PRINTABLE:=D5=C5;=CE=B0;;;\r\n"
    "TEL;CELL;PREF:13812345678\r\nTEL;WORK;FAX:010-62345678\r\nEND:VCARD\r\n"
    "begin:vcard\nversion:4.0\nFN:Ann\n  Lee\nORG:Acme\\, Inc.;Sales\n"
    'item1.TEL;TYPE="voice,work";VALUE=uri:tel:+86-10-1\n'
    "TEL;TYPE=cell:1\nTEL;TYPE=cell:2\nADR;TYPE=WORK:;;1 Main St;Haidian;Beijing;100000;CN\nNOTE:a\\nb\\;c\n"
    "end:vcard\n"
)


def test_visiting_cards(tmp_path):
    found = read(CARDS.encode(), tmp_path)
    keys = [one.key for one in CUSTOMERS.columns]
    cards = [{key: cell for key, cell in zip(keys, row[1:], strict=True) if cell} for row in found[1:]]
    assert cards == [
        {"name": "张伟", "mobile1": "13812345678", "fax": "010-62345678"},
        {
            "name": "Ann Lee", "company": "Acme, Inc.", "phone1": "+86-10-1", "mobile1": "1 / 2",
            "address": "1 Main St", "region": "Beijing Haidian", "postcode": "100000", "note": "a\nb;c",
        },
    ]  # fmt: skip
    assert vcard.is_card_file(b"\xef\xbb\xbf\r\nBEGIN:VCARD\r\n")
