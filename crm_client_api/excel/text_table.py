"""Tables as text: ``.csv`` and ``.txt`` in UTF-8, UTF-16 or GB 18030, separated by comma, semicolon or tab."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from crm_client_api.domain.invalid import Invalid
from crm_client_api.excel import refusal
from crm_client_api.excel.cells import LONGEST_CELL_CHARACTERS, BadCell, Cell
from crm_client_api.excel.refusal import damaged, too_large
from crm_client_api.excel.sheet_rows import Row

_PIECE_CHARACTERS = 1 << 20
_BINARY = frozenset(map(chr, range(32))) - set("\t\n\r\x0b\x0c\x1a\x1b")
_SEPARATORS = ",;\t"


@dataclass(slots=True)
class TextTable:
    """The one table of a text file. See ``reading.Sheet``."""

    file: Path
    encoding: str
    separator: str
    name: str = ""
    merged: list[str] = field(default_factory=list)

    def rows(self) -> Iterator[Row]:
        """The rows with a value; ``number`` counts records, not lines. Raises Invalid."""
        csv.field_size_limit(refusal.LONGEST_TEXT_CHARACTERS)
        with self.file.open(encoding=self.encoding, newline="") as stream:
            records = csv.reader(stream, delimiter=self.separator, strict=False)
            try:
                for number, record in enumerate(records, 1):
                    if len(record) > refusal.MOST_COLUMNS:
                        raise too_large(f"row {number} has more than {refusal.MOST_COLUMNS} columns")
                    if any(record):
                        yield Row(number, [_cell(text) for text in record])
            except csv.Error as error:
                raise damaged(error) from error


def _cell(text: str) -> Cell:
    if len(text) > LONGEST_CELL_CHARACTERS:
        return BadCell("too_long", text[:100])
    if text[:1] == "=" and text[1:2] == '"' and text[-1:] == '"':  # ="013800138000": how numbers are kept as text
        return text[2:-1]
    return text or None


def read_text_table(file: Path) -> TextTable:
    """Find out how a text file is written. Raises Invalid when it is none, or in another encoding."""
    with file.open("rb") as stream:
        beginning = stream.read(4)
    if beginning.startswith(b"\xef\xbb\xbf"):
        encodings = ["utf-8-sig"]
    elif beginning.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    else:
        encodings = ["utf-8", "gb18030"]
    encoding = next((one for one in encodings if _reads(file, one)), None)
    if encoding is None:
        raise Invalid("file_encoding", "the text is neither UTF-8 nor GB 18030: save it as one of them")
    with file.open(encoding=encoding, newline="") as stream:
        first = stream.readline(_PIECE_CHARACTERS)
    outside = "".join(first.split('"')[::2])
    return TextTable(file, encoding, max(_SEPARATORS, key=outside.count))


def _reads(file: Path, encoding: str) -> bool:
    """Raises Invalid when the file decodes, but to no text."""
    try:
        with file.open(encoding=encoding, newline="") as stream:
            while piece := stream.read(_PIECE_CHARACTERS):
                if not _BINARY.isdisjoint(piece):
                    raise Invalid("file_kind", "this is no workbook: send .xlsx, .xls, .csv, .txt or .vcf")
    except UnicodeError:
        return False
    return True
