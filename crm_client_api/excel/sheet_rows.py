"""The rows of one sheet of a workbook, from its markup."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO

from crm_client_api.excel import refusal
from crm_client_api.excel.cells import LONGEST_CELL_CHARACTERS, BadCell, Cell, local_of_serial, unescaped
from crm_client_api.excel.markup import Names, SharedStrings, Shortcut, parse
from crm_client_api.excel.refusal import damaged, too_large

_C, _V, _T, _ROW, _F, _RPH, _MERGE = 1, 2, 3, 4, 5, 6, 7
_CODES = {"c": _C, "v": _V, "t": _T, "row": _ROW, "f": _F, "rPh": _RPH, "mergeCell": _MERGE}
_LAST_ROW = 1_048_576
_BAD_TEXT_CHARACTERS = 100
_SHEET_DATA = re.compile(rb"<sheetData>")
_PLAIN_ROW = re.compile(r'\s*<row r="([0-9]{1,7})"((?: [A-Za-z][A-Za-z:0-9]{0,39}="[^"<&\n\t]{0,40}"){0,12})>')
# The last alternative takes anything else to the row's end: then the row is not so plain.
_PLAIN_CELL = re.compile(
    r'<c r="([A-Z]{1,3})[0-9]{1,7}"(?: s="([0-9]{1,5})")?(?: t="([a-zA-Z]{1,9})")?'
    r'(?:/>|>(?:<v>([^<&]*)</v>|<is><t(?: xml:space="preserve")?>([^<&]*)</t></is>)?</c>)|([\s\S]+)'
)
_MOST_LAYOUTS = 1_000


@dataclass(frozen=True, slots=True)
class Row:
    """A row with at least one value. ``number`` counts from 1 as the spreadsheet shows it; ``cells`` from column A."""

    number: int
    cells: list[Cell]


@dataclass(frozen=True, slots=True)
class BookFacts:
    """What a sheet's cells refer to."""

    strings: SharedStrings
    time_styles: Set[str]
    date_1904: bool


@dataclass(slots=True)
class SheetReader:
    """Reads one sheet once. ``merged`` is filled while reading: the ranges of merged cells."""

    facts: BookFacts
    merged: list[str] = field(default_factory=list)

    def rows(self, stream: IO[bytes]) -> Iterator[Row]:
        """Rows with a value, in the order of the file. Raises Invalid."""
        found = _Found(self.facts)
        shortcut = Shortcut(_SHEET_DATA, b"</row>", _PlainRows(found).take)
        with stream:
            for _ in parse(stream, *_handlers(found, self.merged), shortcut):
                if found.rows:
                    yield from found.rows
                    found.rows.clear()


@dataclass(slots=True)
class _Found:
    """What was read of a sheet, in whichever way: its rows, the last row's number, the columns by their letters."""

    facts: BookFacts
    rows: list[Row] = field(default_factory=list)
    row_number: int = 0
    columns: dict[str, int] = field(default_factory=dict)

    def column(self, letters: str) -> int:
        """The number of a column, from 1. Raises Invalid."""
        number = self.columns.get(letters)
        if number is None:
            number = self.columns[letters] = _column_number(letters)
        return number

    def begin_row(self, given: str) -> None:
        """Another row; ``given``: its number, if it has one. Raises Invalid."""
        number = int(given) if given.isdecimal() else self.row_number + 1
        if number <= self.row_number or number > _LAST_ROW:
            raise damaged(f"row {number} follows row {self.row_number}")
        self.row_number = number

    def put(self, cells: list[Cell], column: int, raw: str, kind: str, style: str, formula: bool) -> None:
        """Add a value to the cells of the row. Raises Invalid."""
        if column > refusal.MOST_COLUMNS:
            if raw:
                raise too_large(f"row {self.row_number} has values beyond column {refusal.MOST_COLUMNS}")
            return
        value = _value(raw, kind, style, formula, self.facts) if column > 0 else None
        if value is not None:
            if len(cells) >= column:
                raise damaged(f"row {self.row_number} holds a cell twice")
            cells.extend([None] * (column - 1 - len(cells)))
            cells.append(value)


class _PlainRows:
    """Reads a row whose markup is what nearly every program writes."""

    __slots__ = ("_found", "_layouts")

    def __init__(self, found: _Found) -> None:
        self._found = found
        self._layouts: set[str] = set()

    def take(self, element: str) -> bool:
        """Whether it was such a row, and is read."""
        found = self._found
        opening = _PLAIN_ROW.match(element)
        if opening is None or not found.row_number < (number := int(opening[1])) <= _LAST_ROW:
            return False
        if opening[2] not in self._layouts and not self._learn(opening[2]):
            return False
        cells = self._cells(element, opening.end())
        if cells is None:
            return False
        found.row_number = number
        if cells:
            found.rows.append(Row(number, cells))
        return True

    def _learn(self, layout: str) -> bool:
        """Whether a row may have these attributes behind its number."""
        good = len(self._layouts) <= _MOST_LAYOUTS and _names_differ(layout)
        if good:
            self._layouts.add(layout)
        return good

    def _cells(self, element: str, begin: int) -> list[Cell] | None:
        """The cells of a row, None when one of them is not so plain."""
        facts, columns, column = self._found.facts, self._found.columns, self._found.column
        cells: list[Cell] = []
        for letters, style, kind, value_text, inline_text, other in _PLAIN_CELL.findall(element, begin):
            if other:
                return None
            if raw := value_text or inline_text:
                place = columns.get(letters) or column(letters)
                if place > refusal.MOST_COLUMNS:
                    return None
                value: Cell
                if kind == "inlineStr":
                    plain = "_x" not in raw and len(raw) <= LONGEST_CELL_CHARACTERS
                    value = raw if plain else _text(unescaped(raw))
                else:
                    value = _value(raw, kind or "n", style or "0", False, facts)
                if value is not None:
                    gap = place - 1 - len(cells)
                    if gap:
                        if gap < 0:
                            return None
                        cells.extend([None] * gap)
                    cells.append(value)
        return cells


def _handlers(
    found: _Found, merged: list[str]
) -> tuple[Callable[[str, dict[str, str]], None], Callable[[str], None], Callable[[str], None]]:
    """What reads rows from whatever markup there is: start, end and text for a parser. They raise Invalid.

    Functions with variables of their own: attributes of an object would cost a tenth of the time.
    """
    code_of = Names(_CODES).code
    cells: list[Cell] = []
    parts: list[str] = []
    columns = found.columns
    kind = style = ""
    column = length = 0
    taking = phonetic = formula = False

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal kind, style, column, length, taking, phonetic, formula
        code = code_of(name)
        if code == _C:
            reference = attributes.get("r")
            if reference is None:
                column += 1
            else:
                letters = reference.rstrip("0123456789")
                column = columns.get(letters) or found.column(letters)
            kind, style = attributes.get("t", "n"), attributes.get("s", "0")
            formula = False
            parts.clear()
            length = 0
        elif code == _V:
            taking = True
        elif code == _T:
            taking = not phonetic
        elif code == _ROW:
            found.begin_row(attributes.get("r", ""))
            column = 0
            cells.clear()
        elif code == _F:
            formula = True
        elif code == _RPH:
            phonetic = True
        elif code == _MERGE and len(merged) < refusal.MOST_COLUMNS:
            merged.append(attributes.get("ref", ""))

    def text(data: str) -> None:
        nonlocal length
        if taking:
            length += len(data)
            if length > refusal.LONGEST_TEXT_CHARACTERS:
                raise too_large("a cell holds more than a million characters")
            parts.append(data)

    def end(name: str) -> None:
        nonlocal taking, phonetic
        code = code_of(name)
        if code in (_V, _T):
            taking = False
        elif code == _C:
            if parts or formula:
                raw = parts[0] if len(parts) == 1 else "".join(parts)
                found.put(cells, column, raw, kind, style, formula)
        elif code == _ROW:
            if cells:
                found.rows.append(Row(found.row_number, cells.copy()))
        elif code == _RPH:
            phonetic = False

    return start, end, text


def _names_differ(attributes: str) -> bool:
    """Whether a row's attributes behind its number are each given once."""
    names = ["r", *(one.partition("=")[0] for one in attributes.split('" '))]
    plain = [name.strip() for name in names]
    return len(set(plain)) == len(plain)


def _column_number(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        if not "A" <= letter <= "Z" or number > 20_000:
            raise damaged(f"{letters[:20]!r} names no column")
        number = number * 26 + ord(letter) - 64
    return number


def _value(raw: str, kind: str, style: str, formula: bool, facts: BookFacts) -> Cell:
    if kind == "s":
        try:
            text = facts.strings[int(raw)]
        except (ValueError, IndexError) as error:
            raise damaged(f"a cell refers to text {raw[:20]!r}, which is not there") from error
        return _text(text)
    if kind in ("inlineStr", "str"):
        if formula and not raw:
            return BadCell("formula", "")
        return _text(unescaped(raw))
    if not raw.strip():
        return BadCell("formula", "") if formula else None
    if kind == "n":
        return _number(raw, style, facts)
    if kind == "b":
        return raw.strip() == "1"
    if kind == "d":
        try:
            return datetime.fromisoformat(raw.strip()).replace(tzinfo=None)
        except ValueError:
            return BadCell("error", raw[:_BAD_TEXT_CHARACTERS])
    return BadCell("error", raw[:_BAD_TEXT_CHARACTERS])


def _text(text: str) -> Cell:
    if len(text) > LONGEST_CELL_CHARACTERS:
        return BadCell("too_long", text[:_BAD_TEXT_CHARACTERS])
    return text or None


def _number(raw: str, style: str, facts: BookFacts) -> Cell:
    try:
        number = float(raw)
    except ValueError:
        return BadCell("error", raw[:_BAD_TEXT_CHARACTERS])
    if style in facts.time_styles:
        local = local_of_serial(number, date_1904=facts.date_1904)
        return BadCell("error", raw[:_BAD_TEXT_CHARACTERS]) if local is None else local
    return int(raw) if raw.isdecimal() and len(raw) <= 15 else number
