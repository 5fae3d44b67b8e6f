"""The small parts around the sheets of a workbook that the box writes (ECMA-376). Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from crm_client_api.excel.columns import VERSION

VERSION_PROPERTY: Final = "tapdeck-columns"
"""The custom property of the workbook that holds ``columns.VERSION``."""
PLAIN, TEXT, TIME, HEADER, LINK = 0, 1, 2, 3, 4
"""Numbers of the cell styles."""

_DECLARED = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_SPREADSHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_FONT = '<sz val="11"/><name val="Calibri"/><family val="2"/>'
_STYLES = (
    f'{_DECLARED}<styleSheet xmlns="{MAIN}">'
    '<numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss"/></numFmts>'
    f'<fonts count="3"><font>{_FONT}</font><font><b/>{_FONT}</font>'
    f'<font><u/><sz val="11"/><color rgb="FF2B56C6"/><name val="Calibri"/><family val="2"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill>'
    '</fills><borders count="2"><border><left/><right/><top/><bottom/><diagonal/></border><border><left/><right/><top/>'
    '<bottom style="thin"><color auto="1"/></bottom><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="5"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="49" fontId="1" fillId="0" borderId="1" xfId="0" applyNumberFormat="1" applyFont="1"'
    ' applyBorder="1"/><xf numFmtId="49" fontId="2" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"'
    ' applyFont="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)
_CUSTOM = (
    f'{_DECLARED}<Properties xmlns="{OFFICE}/custom-properties" xmlns:vt="{OFFICE}/docPropsVTypes">'
    f'<property fmtid="{{D5CDD505-2E9C-101B-9397-08002B2CF9AE}}" pid="2" name="{VERSION_PROPERTY}">'
    f"<vt:i4>{VERSION}</vt:i4></property></Properties>"
)


@dataclass(frozen=True, slots=True)
class Tab:
    """A tab of the workbook: its name, and the range of its header and rows (``$A$1:$Z$9``)."""

    name: str
    span: str


def links_part(number: int) -> str:
    """The name of the part that says where the links of the ``number``-th tab lead."""
    return f"xl/worksheets/_rels/sheet{number}.xml.rels"


def links_markup(targets: Sequence[str]) -> str:
    """Its content; ``targets`` are files beside the workbook, by the numbers of their links."""
    return (
        f'{_DECLARED}<Relationships xmlns="{_PACKAGE}/relationships">'
        + "".join(
            f'<Relationship Id="rId{number}" Type="{OFFICE}/relationships/hyperlink"'
            f' Target={quoteattr(target)} TargetMode="External"/>'
            for number, target in enumerate(targets, 1)
        )
        + "</Relationships>"
    )


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
            f'<Relationship Id="rId{number}" Type="{OFFICE}/relationships/{kind}" Target="{target}"/>'
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
        f'{_DECLARED}<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}/relationships"><bookViews><workbookView/></bookViews>'
        f"<sheets>{sheets}</sheets><definedNames>{filters}</definedNames></workbook>"
    )


def _quoted(name: str) -> str:
    """A tab's name as a reference spells it."""
    return "'" + escape(name).replace("'", "''") + "'"
