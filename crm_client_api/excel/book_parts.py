"""The small parts around the sheets of a workbook that the box writes (ECMA-376). Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from crm_client_api.excel.columns import VERSION

VERSION_PROPERTY: Final = "tapdeck-columns"
"""The custom property of the workbook that holds ``columns.VERSION``."""
PLAIN, TEXT, TIME, HEADER = 0, 1, 2, 3
"""Numbers of the cell styles."""

_DECLARED = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_SPREADSHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_FONT = '<sz val="11"/><name val="Calibri"/><family val="2"/>'
_STYLES = (
    f'{_DECLARED}<styleSheet xmlns="{MAIN}">'
    '<numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss"/></numFmts>'
    f'<fonts count="2"><font>{_FONT}</font><font><b/>{_FONT}</font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill>'
    '</fills><borders count="2"><border><left/><right/><top/><bottom/><diagonal/></border><border><left/><right/><top/>'
    '<bottom style="thin"><color auto="1"/></bottom><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="4"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="49" fontId="1" fillId="0" borderId="1" xfId="0" applyNumberFormat="1" applyFont="1"'
    ' applyBorder="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)
_CUSTOM = (
    f'{_DECLARED}<Properties xmlns="{_OFFICE}/custom-properties" xmlns:vt="{_OFFICE}/docPropsVTypes">'
    f'<property fmtid="{{D5CDD505-2E9C-101B-9397-08002B2CF9AE}}" pid="2" name="{VERSION_PROPERTY}">'
    f"<vt:i4>{VERSION}</vt:i4></property></Properties>"
)


@dataclass(frozen=True, slots=True)
class Tab:
    """A tab of the workbook: its name, and the range of its header and rows (``$A$1:$Z$9``)."""

    name: str
    span: str


def sheet_part(number: int) -> str:
    """The name of the part that holds the ``number``-th tab, from 1."""
    return f"xl/worksheets/sheet{number}.xml"


def parts(tabs: Sequence[Tab]) -> Iterator[tuple[str, str]]:
    """Names and contents of all parts but the sheets."""
    sheets = range(1, len(tabs) + 1)
    kinds = [
        ("xl/workbook.xml", f"{_SPREADSHEET}.sheet.main+xml"),
        *((sheet_part(number), f"{_SPREADSHEET}.worksheet+xml") for number in sheets),
        ("xl/styles.xml", f"{_SPREADSHEET}.styles+xml"),
        ("docProps/custom.xml", "application/vnd.openxmlformats-officedocument.custom-properties+xml"),
    ]
    yield (
        "[Content_Types].xml",
        (
            f'{_DECLARED}<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels"'
            ' ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Default Extension="xml" ContentType="application/xml"/>'
            + "".join(f'<Override PartName="/{name}" ContentType="{kind}"/>' for name, kind in kinds)
            + "</Types>"
        ),
    )
    yield "_rels/.rels", _relations(("officeDocument", "xl/workbook.xml"), ("custom-properties", "docProps/custom.xml"))
    yield "docProps/custom.xml", _CUSTOM
    yield "xl/styles.xml", _STYLES
    yield (
        "xl/_rels/workbook.xml.rels",
        _relations(*(("worksheet", f"worksheets/sheet{number}.xml") for number in sheets), ("styles", "styles.xml")),
    )
    yield "xl/workbook.xml", _workbook(tabs)


def _relations(*targets: tuple[str, str]) -> str:
    return (
        f'{_DECLARED}<Relationships xmlns="{_PACKAGE}/relationships">'
        + "".join(
            f'<Relationship Id="rId{number}" Type="{_OFFICE}/relationships/{kind}" Target="{target}"/>'
            for number, (kind, target) in enumerate(targets, 1)
        )
        + "</Relationships>"
    )


def _workbook(tabs: Sequence[Tab]) -> str:
    sheets = "".join(
        f'<sheet name={quoteattr(tab.name)} sheetId="{number}" r:id="rId{number}"/>'
        for number, tab in enumerate(tabs, 1)
    )
    filters = "".join(
        f'<definedName name="_xlnm._FilterDatabase" localSheetId="{index}" hidden="1">{_quoted(tab.name)}!{tab.span}'
        "</definedName>"
        for index, tab in enumerate(tabs)
    )
    return (
        f'{_DECLARED}<workbook xmlns="{MAIN}" xmlns:r="{_OFFICE}/relationships"><bookViews><workbookView/></bookViews>'
        f"<sheets>{sheets}</sheets><definedNames>{filters}</definedNames></workbook>"
    )


def _quoted(name: str) -> str:
    """A tab's name as a reference spells it."""
    return "'" + escape(name).replace("'", "''") + "'"
