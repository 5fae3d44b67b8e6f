"""Writes workbooks row by row in bounded memory: text stays text, times are true times, sheets split when full."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType

import xlsxwriter
from xlsxwriter.exceptions import XlsxWriterException
from xlsxwriter.worksheet import Worksheet

from crm_client_api.excel.cells import LONGEST_CELL_CHARACTERS, writable
from crm_client_api.excel.columns import VERSION, Column, Language, SheetShape
from firmware.errors import StoreError, StoreFull

ROWS_A_SHEET = 1_000_000
"""Rows below the header; a spreadsheet has room for 1,048,576."""

Value = None | str | int | float | datetime
"""What a row holds. ``datetime``: local time without a zone."""

VERSION_PROPERTY = "tapdeck-columns"
"""The custom property of the workbook that holds VERSION."""


class BookWriter:
    """A workbook on its way to ``target``. Use as a context manager: it is whole after the block, or not there.

    Temporary files lie beside ``target`` until then. Raises StoreFull, StoreError.
    """

    def __init__(self, target: Path, language: Language, rows_a_sheet: int = ROWS_A_SHEET) -> None:
        self._target = target
        self._language = language
        self._rows_a_sheet = rows_a_sheet
        self._book = xlsxwriter.Workbook(
            str(target.with_name(target.name + ".part")),
            {
                "constant_memory": True,
                "tmpdir": str(target.parent),
                "strings_to_formulas": False,
                "strings_to_numbers": False,
                "strings_to_urls": False,
                "use_zip64": True,
            },
        )
        self._book.set_custom_property(VERSION_PROPERTY, VERSION)
        self._time = self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._text = self._book.add_format({"num_format": "@"})
        self._header = self._book.add_format({"bold": True, "num_format": "@", "bottom": 1})

    def sheet(self, shape: SheetShape, further: Sequence[Column] = ()) -> SheetWriter:
        """Begin a sheet with its header. ``further``: columns behind the fixed ones."""
        return SheetWriter(self, shape, (*shape.columns, *further))

    def begin(self, name: str, columns: Sequence[Column]) -> Worksheet:
        """A new tab with a header that stays in sight, and widths of the columns."""
        worksheet = self._book.add_worksheet(name[:31])
        worksheet.freeze_panes(1, 0)
        for index, column in enumerate(columns):
            kinds = {"time": self._time, "text": self._text}  # so that numbers typed there keep their leading zero
            worksheet.set_column(index, index, column.width, kinds.get(column.kind))
        for index, column in enumerate(columns):
            worksheet.write_string(0, index, writable(column.heading(self._language)), self._header)
        return worksheet

    def title(self, shape: SheetShape, number: int) -> str:
        """The name of the ``number``-th tab of a kind."""
        return shape.title(self._language) + (f" {number}" if number > 1 else "")

    @property
    def rows_a_sheet(self) -> int:
        """How many rows a tab takes before the next one begins."""
        return self._rows_a_sheet

    @property
    def plain(self) -> object:
        """The format of any text."""
        return self._text

    @property
    def time_format(self) -> object:
        """The format of cells with a time."""
        return self._time

    def __enter__(self) -> BookWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        part = Path(self._book.filename)
        try:
            if isinstance(error, OSError):  # a temporary file could not take a row
                raise error
            if kind is None:
                self._book.close()
                part.replace(self._target)
        except (OSError, XlsxWriterException) as failure:
            text = str(failure)
            full = "No space left" in text or "Errno 28" in text
            raise (StoreFull if full else StoreError)(f"{self._target.name} cannot be written: {text}") from failure
        finally:
            self._book.fileclosed = True  # its destructor warns otherwise
            part.unlink(missing_ok=True)


class SheetWriter:
    """Rows of one kind, in as many tabs as they need."""

    def __init__(self, book: BookWriter, shape: SheetShape, columns: Sequence[Column]) -> None:
        self._book = book
        self._shape = shape
        self._columns = columns
        self._tabs = 0
        self._row = 0
        self._tab = self._next_tab()

    def _next_tab(self) -> Worksheet:
        if self._tabs:
            self._filter()
        self._tabs += 1
        self._row = 0
        return self._book.begin(self._book.title(self._shape, self._tabs), self._columns)

    def _filter(self) -> None:
        self._tab.autofilter(0, 0, max(self._row, 1), len(self._columns) - 1)

    def write(self, values: Iterable[Value]) -> None:
        """One row; None and "" leave a cell empty. Raises StoreError when the disk is full."""
        if self._row == self._book.rows_a_sheet:
            self._tab = self._next_tab()
        self._row += 1
        tab, row = self._tab, self._row
        time_format = self._book.time_format
        for index, value in enumerate(values):
            if value is None or value == "":
                continue
            if isinstance(value, str):
                text = writable(value)[:LONGEST_CELL_CHARACTERS]
                if text.startswith("<r>"):  # what ends with </r> as well would be taken for markup
                    tab.write_rich_string(row, index, text[:1], self._book.plain, text[1:])
                else:
                    tab.write_string(row, index, text)
            elif isinstance(value, datetime):
                tab.write_datetime(row, index, value, time_format)
            else:
                tab.write_number(row, index, value)

    def end(self) -> None:
        """Finish the last tab."""
        self._filter()
