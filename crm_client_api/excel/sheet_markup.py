"""The markup of one sheet that the box writes: its beginning, its rows, its end. Pure functions."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from crm_client_api.excel.book_parts import HEADER, LINK, MAIN, OFFICE, PLAIN, TEXT, TIME
from crm_client_api.excel.cells import LONGEST_CELL_CHARACTERS, serial_of_local
from crm_client_api.excel.columns import Column


@dataclass(frozen=True, slots=True)
class Linked:
    """Text of a cell that leads to ``target``: a file beside the workbook, with slashes."""

    text: str
    target: str


Value = None | str | int | float | datetime
"""What a row holds. ``datetime``: local time without a zone."""

MOST_LINKS = 65_000
"""A sheet may have 65,530 (Excel's limits); further cells lead there by a formula."""

# What XML spells otherwise, what it cannot hold at all, and a line that would begin a spelt-out character (ST_Xstring).
_SPECIAL = re.compile("[&<>\x00-\x08\x0b-\x1f\ufffe\uffff\ud800-\udfff]|_(?=x[0-9A-Fa-f]{4}[_\x00-\x08\x0b-\x1f])")
_SPELT = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "_": "_x005F_"}
_STYLES = {"text": TEXT, "time": TIME}
_PADDING = 0.7109375  # what Excel adds to a width in characters


def column_letters(index: int) -> str:
    """The letters of a column that counts from 0."""
    letters = ""
    number = index + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


class SheetMarkup:
    """The markup of sheets with these columns."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        styles = [_STYLES.get(column.kind, PLAIN) for column in columns]  # so that numbers typed there keep their zero
        letters = [column_letters(index) for index in range(len(columns))]
        self._cells = list(zip(letters, styles, strict=True))
        self._last = letters[-1]
        self.links: list[tuple[str, str]] = []
        """The cells of the sheet that lead somewhere, and where to."""

    def begin(self, headings: Iterable[str]) -> str:
        """All before the first row of data: a header that stays in sight, widths of the columns."""
        self.links = []
        widths = "".join(
            f'<col min="{index}" max="{index}" width="{column.width + _PADDING}" style="{style}" customWidth="1"/>'
            for index, (column, (_, style)) in enumerate(zip(self._columns, self._cells, strict=True), 1)
        )
        header = "".join(
            f'<c r="{letters}1" s="{HEADER}" t="inlineStr"><is><t>{spelt(heading)}</t></is></c>'
            for (letters, _), heading in zip(self._cells, headings, strict=True)
        )
        return (
            f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<worksheet xmlns="{MAIN}"><sheetViews>'
            '<sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
            '<selection pane="bottomLeft"/></sheetView></sheetViews><sheetFormatPr defaultRowHeight="15"/>'
            f'<cols>{widths}</cols><sheetData><row r="1">{header}</row>'
        )

    def row(self, number: int, values: Iterable[Value | Linked]) -> str:
        """One row; None and "" leave a cell empty."""
        given = list(values)
        # One look at all texts of the row: no pattern of what is special goes across a tab.
        plain = _SPECIAL.search("\t".join([value for value in given if type(value) is str])) is None
        cells = [f'<row r="{number}">']
        for (letters, style), value in zip(self._cells, given, strict=False):
            if value is None or value == "":
                continue
            if isinstance(value, str):
                text = value[:LONGEST_CELL_CHARACTERS] if plain else spelt(value[:LONGEST_CELL_CHARACTERS])
                outer = ' xml:space="preserve"' if len(text.strip()) < len(text) else ""
                cells.append(f'<c r="{letters}{number}" s="{TEXT}" t="inlineStr"><is><t{outer}>{text}</t></is></c>')
            elif isinstance(value, datetime):
                serial = serial_of_local(value)
                if serial is None:
                    text = value.isoformat(" ", "seconds")
                    cells.append(f'<c r="{letters}{number}" s="{TEXT}" t="inlineStr"><is><t>{text}</t></is></c>')
                else:
                    cells.append(f'<c r="{letters}{number}" s="{TIME}"><v>{serial!r}</v></c>')
            elif isinstance(value, Linked):
                cells.append(self._linked(f"{letters}{number}", value))
            elif math.isfinite(value):
                cells.append(f'<c r="{letters}{number}" s="{style}"><v>{+value!r}</v></c>')
        cells.append("</row>")
        return "".join(cells)

    def end(self, rows: int) -> str:
        """All behind the last row of ``rows``, the header not counted."""
        links = "".join(f'<hyperlink ref="{cell}" r:id="rId{n}"/>' for n, (cell, _) in enumerate(self.links, 1))
        links = f'<hyperlinks xmlns:r="{OFFICE}/relationships">{links}</hyperlinks>' if links else ""
        return f'</sheetData><autoFilter ref="A1:{self._last}{rows + 1}"/>{links}</worksheet>'

    def _linked(self, cell: str, value: Linked) -> str:
        text = spelt(value.text[:LONGEST_CELL_CHARACTERS])
        if len(self.links) < MOST_LINKS:
            self.links.append((cell, value.target))
            return f'<c r="{cell}" s="{LINK}" t="inlineStr"><is><t>{text}</t></is></c>'
        target = value.target.replace('"', '""')
        formula = spelt(f'HYPERLINK("{target}","{target}")')
        return f'<c r="{cell}" s="{LINK}" t="str"><f>{formula}</f><v>{spelt(value.target)}</v></c>'

    def span(self, rows: int) -> str:
        """The range of the header and ``rows`` rows, as a reference from elsewhere."""
        return f"$A$1:${self._last}${rows + 1}"


def spelt(text: str) -> str:
    """Text as a workbook spells it: control characters as ``_xHHHH_``, what XML cannot hold at all as U+FFFD."""
    return _SPECIAL.sub(_spelling, text) if _SPECIAL.search(text) else text


def _spelling(found: re.Match[str]) -> str:
    given = found[0]
    if given in _SPELT:
        return _SPELT[given]
    return f"_x{ord(given):04X}_" if given < " " else "\ufffd"
