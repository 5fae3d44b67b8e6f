"""Opens what people send: ``.xlsx``, ``.xls``, ``.csv`` and ``.txt``; by its content, never by its name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from crm_client_api.domain.invalid import Invalid
from crm_client_api.excel import refusal
from crm_client_api.excel.old_book import read_old_book
from crm_client_api.excel.refusal import too_large
from crm_client_api.excel.sheet_rows import Row
from crm_client_api.excel.text_table import read_text_table
from crm_client_api.excel.vcard import CardTable, is_card_file
from crm_client_api.excel.workbook import read_workbook

_ZIP = b"PK\x03\x04"
_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
_BEGINNING_BYTES = 64
_SCAN_BYTES = 1 << 20


class Sheet(Protocol):
    """One table of a file. ``rows`` may be asked for several times."""

    @property
    def name(self) -> str:
        """What the tab is called."""

    @property
    def merged(self) -> list[str]:
        """Ranges of merged cells, known once all rows were read."""

    def rows(self) -> Iterator[Row]:
        """The rows with a value, in order. Raises Invalid."""


@contextmanager
def open_book(file: Path, folder: Path) -> Iterator[list[Sheet]]:
    """The tables of a file, to be read inside the block; ``folder`` takes what does not fit into memory.

    Raises Invalid for what cannot be read, or must not be.
    """
    size = file.stat().st_size
    if size > refusal.LARGEST_FILE_BYTES:
        raise too_large(f"{size >> 20} MB")
    with file.open("rb") as stream:
        beginning = stream.read(_BEGINNING_BYTES)
    if beginning.startswith(_ZIP):
        with read_workbook(file, folder) as sheets:
            yield list(sheets)
    elif beginning.startswith(_COMPOUND):
        if size > refusal.LARGEST_OLD_BOOK_BYTES:
            raise too_large("save it as .xlsx")
        if _holds(file, _ENCRYPTED_PACKAGE):
            raise Invalid("file_encrypted", "the file is protected by a password: save it without one")
        yield list(read_old_book(file))
    elif not beginning:
        raise Invalid("file_empty", "the file is empty")
    elif is_card_file(beginning):
        yield [CardTable(file)]
    else:
        yield [read_text_table(file)]


def _holds(file: Path, mark: bytes) -> bool:
    rest = b""
    with file.open("rb") as stream:
        while piece := stream.read(_SCAN_BYTES):
            if mark in rest + piece:
                return True
            rest = piece[-len(mark) :]
    return False
