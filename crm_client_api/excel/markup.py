"""The XML of sheets and shared strings as a stream: nothing is kept that was handed on, nothing outside is fetched."""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from array import array
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from xml.parsers import expat

from crm_client_api.excel import refusal
from crm_client_api.excel.cells import unescaped
from crm_client_api.excel.refusal import damaged, too_large

_CHUNK_BYTES = 1 << 16
_LONGEST_TOKEN_BYTES = 4 << 20
_LONGEST_HEAD_BYTES = 1 << 18
_LONGEST_PIECE_BYTES = 1 << 18
_MOST_NAMES = 1_000
_DECLARATION = re.compile(
    rb"(?:\xef\xbb\xbf)?<\?xml version=[\"']1\.0[\"'](?: encoding=[\"'](?i:utf-8)[\"'])?"
    rb"(?: standalone=[\"'](?:yes|no)[\"'])? ?\?>"
)
_NEVER_PLAIN = (b"<!", b"<?", b"]]>", b"\r", b"\xef\xbf\xbe", b"\xef\xbf\xbf")
_FORBIDDEN_BYTES = bytes(byte for byte in range(32) if byte not in b"\t\n\r")  # in XML 1.0


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


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A way past the parser for what stands a million times in a part, as long as it is written as plainly as usual.

    ``opening`` finds the element that all of it is in; ``closing`` ends each of them (``</row>``). ``take`` is given
    one, without its ``closing``, and returns False when it is not so plain: then the parser gets it.
    """

    opening: re.Pattern[bytes]
    closing: bytes
    take: Callable[[str], bool]


def parse(
    stream: IO[bytes],
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None],
    text: Callable[[str], None],
    shortcut: Shortcut,
) -> Iterator[None]:
    """Feed a stream to the handlers and yield after each piece. Raises Invalid: broken, or declares entities.

    What the shortcut takes is whole elements, so the parser finds the rest as well formed as it is without them.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    fed = 0

    def feed(data: bytes) -> None:
        nonlocal fed
        fed += len(data)
        parser.Parse(data, False)
        if fed - parser.CurrentByteIndex > _LONGEST_TOKEN_BYTES:
            raise too_large("one piece of markup has no end")

    try:
        rest = yield from _shortened(stream, feed, shortcut)
        while rest:
            for at in range(0, len(rest), _CHUNK_BYTES):
                feed(rest[at : at + _CHUNK_BYTES])
                yield
            rest = stream.read(_CHUNK_BYTES)
        parser.Parse(b"", True)
        yield
    except (expat.ExpatError, zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise damaged(error) from error


def _shortened(stream: IO[bytes], feed: Callable[[bytes], None], shortcut: Shortcut) -> Generator[None, None, bytes]:
    """Read as long as there are plain elements; what was read beyond is for the parser, and so is all that follows."""
    head = stream.read(_CHUNK_BYTES)
    while (opening := shortcut.opening.search(head)) is None:
        piece = stream.read(_CHUNK_BYTES) if len(head) < _LONGEST_HEAD_BYTES else b""
        if not piece:
            return head
        head += piece
    at = opening.end()
    declared = _DECLARATION.match(head)
    before = head[declared.end() if declared else 0 : at]
    if b"<!" in before or b"<?" in before:  # it may stand in a comment, or be in another encoding
        return head
    feed(head[:at])
    rest = head[at:]
    while len(rest) < _LONGEST_PIECE_BYTES:
        upto = rest.rfind(shortcut.closing) + len(shortcut.closing)
        if upto >= len(shortcut.closing):
            block, rest = rest[:upto], rest[upto:]
            if any(mark in block for mark in _NEVER_PLAIN) or len(block.translate(None, _FORBIDDEN_BYTES)) != upto:
                return block + rest
            for element in block.decode().split(shortcut.closing.decode())[:-1]:
                if not shortcut.take(element):
                    feed(element.encode() + shortcut.closing)
            yield
        piece = stream.read(_CHUNK_BYTES)
        if not piece:
            break
        rest += piece
    return rest


def _refuse_doctype(*_: object) -> None:
    raise damaged("it declares a document type")


_SI, _T, _RPH = 1, 2, 3
_TABLE = re.compile(rb"<sst(?: [^<>]*)?>")
_PLAIN_TEXT = re.compile(r'\s*<si><t(?: xml:space="preserve")?>([^<&]*)</t>')


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
            nonlocal taking, phonetic
            code = names.code(name)
            if code == _T:
                taking = False
            elif code == _RPH:
                phonetic = False
            elif code == _SI:
                add("".join(parts))

        def add(raw: str) -> None:
            nonlocal position
            whole = unescaped(raw)
            if len(self._kept) < self._KEPT:
                self._kept.append(whole)
            data = whole.encode("utf-8", "replace")
            position += len(data)
            if position > refusal.MOST_TEXT_BYTES:
                raise too_large("its texts fill gigabytes")
            self._file.write(data)
            self._ends.append(position)

        def take(element: str) -> bool:
            plain = _PLAIN_TEXT.fullmatch(element)
            if plain is None:
                return False
            add(plain[1])
            return True

        for _ in parse(stream, start, end, text, Shortcut(_TABLE, b"</si>", take)):
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
