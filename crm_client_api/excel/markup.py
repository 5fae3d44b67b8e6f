"""The XML of sheets and shared strings as a stream: nothing is kept that was handed on, nothing outside is fetched."""

from __future__ import annotations

import os
import zipfile
import zlib
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO
from xml.parsers import expat

from crm_client_api.excel import refusal
from crm_client_api.excel.cells import unescaped
from crm_client_api.excel.refusal import damaged, too_large

_CHUNK_BYTES = 1 << 16
_LONGEST_TOKEN_BYTES = 4 << 20
_MOST_NAMES = 1_000


class Names:
    """Local names of elements, whatever prefix a program gives them; each name is looked at once."""

    def __init__(self, codes: dict[str, int]) -> None:
        self._codes = codes
        self._seen: dict[str, int] = {}

    def code(self, name: str) -> int:
        """The code of an element's name, 0 for one that does not matter."""
        found = self._seen.get(name)
        if found is None:
            if len(self._seen) > _MOST_NAMES:
                raise damaged("it has too many kinds of elements")
            found = self._seen[name] = self._codes.get(name.rpartition(":")[2], 0)
        return found


def parse(
    stream: IO[bytes],
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None],
    text: Callable[[str], None],
) -> Iterator[None]:
    """Feed a stream to the handlers and yield after each piece. Raises Invalid: broken, or declares entities."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    fed = 0
    try:
        while piece := stream.read(_CHUNK_BYTES):
            fed += len(piece)
            parser.Parse(piece, False)
            if fed - parser.CurrentByteIndex > _LONGEST_TOKEN_BYTES:
                raise too_large("one piece of markup has no end")
            yield
        parser.Parse(b"", True)
        yield
    except (expat.ExpatError, zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise damaged(error) from error


def _refuse_doctype(*_: object) -> None:
    raise damaged("it declares a document type")


_SI, _T, _RPH = 1, 2, 3


class SharedStrings:
    """The table of texts that cells refer to by number, in a file beside ``folder``'s others: it may be huge.

    Short and early texts (headings, categories) stay in memory.
    """

    _KEPT = 20_000

    def __init__(self, stream: IO[bytes] | None, folder: Path) -> None:
        self._ends = array("Q")
        self._kept: list[str] = []
        path = folder / "strings.part"
        self._file = path.open("w+b")
        path.unlink()
        if stream is not None:
            with stream:
                self._load(stream)
        self._file.flush()

    def _load(self, stream: IO[bytes]) -> None:
        names = Names({"si": _SI, "t": _T, "rPh": _RPH})
        parts: list[str] = []
        taking = phonetic = False
        length = position = 0

        def start(name: str, _attributes: dict[str, str]) -> None:
            nonlocal taking, phonetic, length
            code = names.code(name)
            if code == _T:
                taking = not phonetic
            elif code == _RPH:
                phonetic = True
            elif code == _SI:
                parts.clear()
                length = 0

        def text(data: str) -> None:
            nonlocal length
            if taking:
                length += len(data)
                if length > refusal.LONGEST_TEXT_CHARACTERS:
                    raise too_large("a cell holds more than a million characters")
                parts.append(data)

        def end(name: str) -> None:
            nonlocal taking, phonetic, position
            code = names.code(name)
            if code == _T:
                taking = False
            elif code == _RPH:
                phonetic = False
            elif code == _SI:
                whole = unescaped("".join(parts))
                if len(self._kept) < self._KEPT:
                    self._kept.append(whole)
                data = whole.encode("utf-8", "replace")
                position += len(data)
                if position > refusal.MOST_TEXT_BYTES:
                    raise too_large("its texts fill gigabytes")
                self._file.write(data)
                self._ends.append(position)

        for _ in parse(stream, start, end, text):
            pass

    def __getitem__(self, index: int) -> str:
        """Raises IndexError."""
        if index < 0:
            raise IndexError(index)
        if index < len(self._kept):
            return self._kept[index]
        end = self._ends[index]
        begin = self._ends[index - 1] if index else 0
        return os.pread(self._file.fileno(), end - begin, begin).decode("utf-8")

    def close(self) -> None:
        """Forget them."""
        self._file.close()
