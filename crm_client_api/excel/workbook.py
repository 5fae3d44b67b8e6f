"""Workbooks of Excel, WPS and LibreOffice (``.xlsx``): which sheets there are, and what their cells refer to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element

from crm_client_api.domain.invalid import Invalid
from crm_client_api.excel.container import Container
from crm_client_api.excel.markup import SharedStrings
from crm_client_api.excel.refusal import damaged
from crm_client_api.excel.sheet_rows import BookFacts, Row, SheetReader

_RELATION_ID = re.compile(r"\{http://[^}]*relationships\}id$")
_TIME_FORMATS = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})  # ECMA-376 18.8.30
_LITERAL = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]|_.|\*.')
_MOST_SHEETS = 200
_WITHOUT_CELLS = ("chartsheet", "dialogsheet", "macrosheet")


@dataclass(slots=True)
class WorkbookSheet:
    """A tab of an open workbook. See ``reading.Sheet``."""

    name: str
    part: str
    container: Container
    facts: BookFacts
    merged: list[str] = field(default_factory=list)

    def rows(self) -> Iterator[Row]:
        """The rows with a value. Raises Invalid."""
        self.merged.clear()
        return SheetReader(self.facts, self.merged).rows(self.container.open(self.part))


@contextmanager
def read_workbook(file: Path, folder: Path) -> Iterator[list[WorkbookSheet]]:
    """The tabs in their order, hidden ones left out. Raises Invalid."""
    container = Container(file)
    strings: SharedStrings | None = None
    try:
        main = _main_part(container)
        targets = container.targets(main)
        workbook = container.tree(main)
        paths = {path.rpartition("/")[2].lower(): path for path in targets.values()}
        shared = paths.get("sharedstrings.xml")
        strings = SharedStrings(container.open(shared) if shared and container.has(shared) else None, folder)
        styles = paths.get("styles.xml")
        facts = BookFacts(strings, _time_styles(container, styles), _counts_from_1904(workbook))
        yield [WorkbookSheet(name, part, container, facts) for name, part in _parts(container, workbook, targets)]
    finally:
        if strings is not None:
            strings.close()
        container.close()


def _parts(container: Container, workbook: Element, targets: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Names and parts of the tabs that hold cells. Raises Invalid when one is missing."""
    for name, relation in _sheets(workbook):
        part = targets.get(relation, "")
        if not container.has(part):
            raise damaged(f"the sheet {name[:40]!r} is missing")
        if not any(other in part.lower() for other in _WITHOUT_CELLS):
            yield name, part


def _main_part(container: Container) -> str:
    if not container.has("[Content_Types].xml"):
        raise Invalid("file_kind", "this is no workbook: send .xlsx, .xls, .csv, .txt or .vcf")
    for part in container.targets("").values():
        if part.lower().endswith(".xml") and container.has(part) and _local(container.tree(part).tag) == "workbook":
            return part
    raise Invalid("file_kind", "this is no workbook: send .xlsx, .xls, .csv, .txt or .vcf")


def _sheets(workbook: Element) -> Iterator[tuple[str, str]]:
    """Names and relation ids of the tabs that are shown."""
    found = 0
    for element in workbook.iter():
        if _local(element.tag) == "sheet" and element.get("state", "visible") == "visible":
            found += 1
            if found > _MOST_SHEETS:
                raise damaged("it has hundreds of sheets")
            relation = next((value for key, value in element.attrib.items() if _RELATION_ID.search(key)), "")
            yield element.get("name", ""), relation


def _counts_from_1904(workbook: Element) -> bool:
    return any(_local(one.tag) == "workbookPr" and one.get("date1904") in ("1", "true") for one in workbook.iter())


def _time_styles(container: Container, part: str | None) -> frozenset[str]:
    """The style numbers whose cells are shown as times."""
    if part is None or not container.has(part):
        return frozenset()
    root = container.tree(part)
    own = {
        one.get("numFmtId"): _shows_time(one.get("formatCode", ""))
        for one in root.iter()
        if _local(one.tag) == "numFmt"
    }
    cells = next((one for one in root if _local(one.tag) == "cellXfs"), ())
    found = set()
    for index, style in enumerate(cells):
        number = style.get("numFmtId", "0")
        if own[number] if number in own else number.isdecimal() and int(number) in _TIME_FORMATS:
            found.add(str(index))
    return frozenset(found)


def _shows_time(code: str) -> bool:
    """Whether a number format shows a day: a duration (``[h]:mm``) or a number does not."""
    plain = _LITERAL.sub("", code.split(";")[0]).lower()
    return any(letter in plain for letter in "yd") or ("m" in plain and "h" in plain)


def _local(tag: object) -> str:
    return str(tag).rpartition("}")[2]
