"""Writes workbooks row by row in bounded memory: text stays text, times are true times, sheets split when full."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from crm_client_api.excel.book_parts import Tab, links_markup, links_part, parts, sheet_part
from crm_client_api.excel.columns import Column, Language, SheetShape
from crm_client_api.excel.sheet_markup import Linked, SheetMarkup, Value
from firmware.durable import sync_folder
from firmware.errors import StoreError, StoreFull

ROWS_A_SHEET = 1_000_000
"""Rows below the header; a spreadsheet has room for 1,048,576."""

_COMPRESSION_LEVEL = 3  # twice as fast as the usual 6, for a twentieth more
_PIECE_CHARACTERS = 1 << 16
_LONGEST_TITLE_CHARACTERS = 31


class BookWriter:
    """A workbook on its way to ``target``. Use as a context manager: it is whole after the block, or not there.

    One sheet is compressed straight into the file; those that grow beside it lie in unnamed files of the same folder
    until then. Raises StoreFull, StoreError.
    """

    def __init__(self, target: Path, language: Language, rows_a_sheet: int = ROWS_A_SHEET) -> None:
        self._target = target
        self._part = target.with_name(target.name + ".part")
        self.language: Language = language
        self.rows_a_sheet = rows_a_sheet
        """How many rows a tab takes before the next one begins."""
        self._open = ExitStack()
        self._straight: IO[bytes] | None = None
        self._tabs: list[Tab] = []
        self._aside: list[tuple[str, IO[bytes]]] = []
        self._links: dict[int, Sequence[str]] = {}
        try:
            self._file = self._open.enter_context(self._part.open("wb"))
        except OSError as error:
            raise self._translated(error) from error
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION_LEVEL)

    def sheet(self, shape: SheetShape, further: Sequence[Column] = ()) -> SheetWriter:
        """Begin a sheet with its header. ``further``: columns behind the fixed ones."""
        return SheetWriter(self, shape, (*shape.columns, *further))

    def begin(self, name: str) -> tuple[int, IO[bytes]]:
        """A new tab: its index, and the stream that takes its markup."""
        part = sheet_part(len(self._tabs) + 1)
        self._tabs.append(Tab(name[:_LONGEST_TITLE_CHARACTERS], ""))
        if self._straight is None:
            stream = self._straight = self._zip.open(part, "w", force_zip64=True)
        else:
            path = self._part.with_suffix(f".{len(self._tabs)}.part")
            stream = self._open.enter_context(path.open("w+b"))
            path.unlink()
            self._aside.append((part, stream))
        return len(self._tabs) - 1, stream

    def end(self, index: int, stream: IO[bytes], span: str, links: Sequence[str] = ()) -> None:
        """A tab has all its rows; ``span`` is where they stand, ``links`` where its cells lead."""
        if links:
            self._links[index] = links
        self._tabs[index] = Tab(self._tabs[index].name, span)
        if stream is self._straight:
            stream.close()
            self._straight = None

    def _finish(self) -> None:
        for part, stream in self._aside:
            stream.seek(0)
            with self._zip.open(part, "w", force_zip64=True) as entry:
                shutil.copyfileobj(stream, entry, _PIECE_CHARACTERS)
        for index, links in self._links.items():
            self._zip.writestr(links_part(index + 1), links_markup(links))
        for part, markup in parts(self._tabs):
            self._zip.writestr(part, markup)
        self._zip.close()
        self._file.flush()
        os.fsync(self._file.fileno())  # before the job says that the file is there, or clears what it holds
        self._open.close()
        self._part.replace(self._target)
        sync_folder(self._target.parent)

    def __enter__(self) -> BookWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if kind is None:
                self._finish()
        except OSError as failure:
            raise self._translated(failure) from failure
        finally:
            self._drop()
        if isinstance(error, OSError):  # the disk did not take a row
            raise self._translated(error) from error

    def _drop(self) -> None:
        """Close what is open, and leave no part of a file behind."""
        with suppress(OSError, ValueError):
            if self._straight is not None:
                self._straight.close()
        with suppress(OSError, ValueError):
            self._zip.close()
        with suppress(OSError):
            self._open.close()
        self._part.unlink(missing_ok=True)

    def _translated(self, error: OSError) -> StoreError:
        full = "No space left" in str(error) or error.errno == 28
        return (StoreFull if full else StoreError)(f"{self._target.name} cannot be written: {error}")


class SheetWriter:
    """Rows of one kind, in as many tabs as they need."""

    def __init__(self, book: BookWriter, shape: SheetShape, columns: Sequence[Column]) -> None:
        self._book = book
        self._shape = shape
        self._markup = SheetMarkup(columns)
        self._headings = [column.heading(book.language) for column in columns]
        self._tabs = 0
        self._next_tab()

    def _next_tab(self) -> None:
        self._tabs += 1
        title = self._shape.title(self._book.language)
        self._index, self._stream = self._book.begin(f"{title} {self._tabs}" if self._tabs > 1 else title)
        self._rows = 0
        self._pending = [self._markup.begin(self._headings)]
        self._characters = 0

    def write(self, values: Iterable[Value | Linked]) -> None:
        """One row; None and "" leave a cell empty. Raises OSError, which ``BookWriter`` translates."""
        if self._rows == self._book.rows_a_sheet:
            self.end()
            self._next_tab()
        self._rows += 1
        row = self._markup.row(self._rows + 1, values)
        self._pending.append(row)
        self._characters += len(row)
        if self._characters > _PIECE_CHARACTERS:
            self._flush()

    def _flush(self) -> None:
        self._stream.write("".join(self._pending).encode())
        self._pending.clear()
        self._characters = 0

    def end(self) -> None:
        """Finish the last tab."""
        self._pending.append(self._markup.end(self._rows))
        self._flush()
        links = [target for _, target in self._markup.links]
        self._book.end(self._index, self._stream, self._markup.span(self._rows), links)
