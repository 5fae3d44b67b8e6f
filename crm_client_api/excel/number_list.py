"""A list of telephone numbers in a file, for the number lists among a channel's parameters. Reads, changes nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from crm_client_api.domain.invalid import Invalid
from crm_client_api.excel.cells import Cell, numbers_in, text_of
from crm_client_api.excel.columns import COMMUNICATIONS, CUSTOMERS, FURTHER_PHONES, PHONE_COLUMNS, Column, column_of
from crm_client_api.excel.reading import Sheet
from crm_client_api.excel.refusal import too_large
from firmware.errors import ConfigError
from firmware.parameters import LONGEST_TEXT_CHARACTERS
from recorder.numbers import Site, e164
from recorder.tracking.numbers import check_numbers

MOST_ROWS = 20_000
MOST_TOLD = 200
"""So many wrong cells are told."""
_FURTHER = (
    ("联系电话", "Phone"), ("电话", "Telephone"), ("手机号", "Mobile phone"), ("手机号码", "Mobile number"),
    ("电话号", "Phone no."), ("号码", "Numbers"),
)  # fmt: skip
_PHONE_HEADINGS = (
    *(column for column in CUSTOMERS.columns if column.key in PHONE_COLUMNS),
    *(column for shape in (COMMUNICATIONS, FURTHER_PHONES) for column in shape.columns if column.key == "number"),
    *(Column("number", zh, en) for zh, en in _FURTHER),
)
_BETWEEN = re.compile(r"[\s()（）.\u00a0\u2010-\u2015-]+")
_DIGITS = re.compile(r"[0-9*]")
_FEWEST_DIGITS = 3


MOST_COLUMNS, LONGEST_CELL = 32, 500
"""Wider tables are no lists; a longer text (in characters) is none of numbers."""


@dataclass(frozen=True, slots=True)
class WrongNumber:
    """A cell that holds no number; ``column`` counts from 0."""

    sheet: str
    row: int
    column: int
    text: str


@dataclass(frozen=True, slots=True)
class NumberList:
    """The numbers of a file as a parameter spells them, each once, in their order; what else stood in their columns."""

    numbers: tuple[str, ...]
    wrong: tuple[WrongNumber, ...]
    rows: int


def read_number_list(sheet: Sheet, site: Site, step: Callable[[int], None]) -> NumberList:
    """The numbers in a table: of the columns whose headings say so, else of the one that holds most numbers.

    ``step`` is told how many rows were read. Raises Invalid: no numbers, or more than a parameter takes.
    """
    rows = list(_rows(sheet, step))
    columns = _columns_of(rows, site)
    numbers: dict[str, None] = {}
    wrong: list[WrongNumber] = []
    for number, cells in rows:
        for column in columns:
            text = text_of(cells[column]) if column < len(cells) else ""
            found = [entry_of(one, site) for one in numbers_in(text)]
            numbers |= dict.fromkeys(one for one in found if one is not None)
            if None in found and not (number == rows[0][0] and not any(found)):  # the first row may be a header
                wrong.append(WrongNumber(sheet.name, number, column, text))
    if not numbers:
        raise Invalid("number_list_empty", "there is no telephone number in the first table of the file")
    if len(",".join(numbers)) > LONGEST_TEXT_CHARACTERS:
        raise Invalid("number_list_long", f"a list takes {LONGEST_TEXT_CHARACTERS} characters: use * for many numbers")
    return NumberList(tuple(numbers), tuple(wrong), len(rows))


def entry_of(text: str, site: Site) -> str | None:
    """A number as a list of numbers spells it; None: it is none, or has an extension, which such a list cannot say."""
    entry = _BETWEEN.sub("", text)
    if len(_DIGITS.findall(entry)) < _FEWEST_DIGITS:
        return None
    try:
        check_numbers(entry)
    except ConfigError:
        return None
    return entry if "*" in entry or e164(text, site) in (None, e164(entry, site)) else None


def _rows(sheet: Sheet, step: Callable[[int], None]) -> Iterator[tuple[int, Sequence[Cell]]]:
    for count, row in enumerate(sheet.rows(), 1):
        if count > MOST_ROWS:
            raise too_large(f"a list of numbers has at most {MOST_ROWS} rows")
        if len(row.cells) > MOST_COLUMNS:
            raise too_large(f"a list of numbers has at most {MOST_COLUMNS} columns")
        step(count)
        yield row.number, [cell if len(text_of(cell)) <= LONGEST_CELL else "" for cell in row.cells]


def _columns_of(rows: Sequence[tuple[int, Sequence[Cell]]], site: Site) -> list[int]:
    header = rows[0][1] if rows else ()
    named = [index for index, cell in enumerate(header) if column_of(text_of(cell), _PHONE_HEADINGS) is not None]
    if named:
        return named
    held = Counter(
        index
        for _, cells in rows
        for index, cell in enumerate(cells)
        if any(entry_of(one, site) for one in numbers_in(text_of(cell)))
    )
    most = max(held.values(), default=0)
    return sorted(index for index, count in held.items() if count == most)[:1]
