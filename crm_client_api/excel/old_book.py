"""Workbooks of the years before 2007 (``.xls``), which have at most 65,536 rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook, PasswordError

from crm_client_api.domain.invalid import Invalid
from crm_client_api.excel import refusal
from crm_client_api.excel.cells import LONGEST_CELL_CHARACTERS, BadCell, Cell
from crm_client_api.excel.refusal import damaged, too_large
from crm_client_api.excel.sheet_rows import Row


@dataclass(slots=True)
class OldSheet:
    """A tab of an old workbook. See ``reading.Sheet``."""

    name: str
    book: Any
    merged: list[str] = field(default_factory=list)

    def rows(self) -> Iterator[Row]:
        """The rows with a value. Raises Invalid."""
        try:
            sheet = self.book.get_sheet_by_name(self.name)
        except CalamineError as error:
            raise damaged(error) from error
        self.merged[:] = [f"{start} to {end}" for start, end in sheet.merged_cell_ranges or ()]
        for number, record in enumerate(sheet.iter_rows(), (sheet.start or (0, 0))[0] + 1):
            if len(record) > refusal.MOST_COLUMNS:
                raise too_large(f"row {number} has more than {refusal.MOST_COLUMNS} columns")
            cells = [_cell(value) for value in record]
            if any(cell is not None for cell in cells):
                yield Row(number, cells)


def read_old_book(file: Path) -> list[OldSheet]:
    """The tabs. Raises Invalid."""
    try:
        book = CalamineWorkbook.from_path(file)
        return [OldSheet(name, book) for name in book.sheet_names]
    except PasswordError as error:
        raise Invalid("file_encrypted", "the file is protected by a password: save it without one") from error
    except CalamineError as error:
        raise damaged(error) from error
    except BaseException as error:  # the library's own panic is no Exception
        if type(error).__name__ == "PanicException":
            raise damaged("it cannot be understood") from None
        raise


def _cell(value: object) -> Cell:
    if isinstance(value, str):
        return BadCell("too_long", value[:100]) if len(value) > LONGEST_CELL_CHARACTERS else value or None
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None)
    if isinstance(value, dt.date):
        return dt.datetime.combine(value, dt.time.min)
    if value is None or isinstance(value, int | float):
        return value
    return str(value)
