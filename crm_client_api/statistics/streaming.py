"""Answers too long to be made in one go: their JSON a piece at a time, kept compressed until it is sent."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import msgspec

_ELEMENTS_AT_ONCE = 256
_PIECE_BYTES = 64 * 1024
_SHORT_BYTES = 256 * 1024
"""So much is kept and sent as it is."""
_FAST = 1
_GZIP = 31  # zlib's wbits for a gzip header
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Long:
    """An answer of the shape ``kind``. ``parts``: its fields; an array may be any iterable, an object a Long."""

    kind: type[msgspec.Struct]
    parts: Mapping[str, object]


def json_pieces(answer: Long) -> Iterator[bytes]:
    """The same bytes that encoding the whole struct would give."""
    opening = b"{"
    for field in msgspec.structs.fields(answer.kind):
        yield opening + _encode(field.encode_name) + b":"
        value = answer.parts[field.name]
        if isinstance(value, Long):
            yield from json_pieces(value)
        elif isinstance(value, Iterator):
            yield from _array(value)
        else:
            yield _encode(value)
        opening = b","
    yield b"}" if opening == b"," else b"{}"


def _array(elements: Iterator[object]) -> Iterator[bytes]:
    opening = b"["
    while some := list(islice(elements, _ELEMENTS_AT_ONCE)):
        yield opening + _encode(some)[1:-1]
        opening = b","
    yield b"]" if opening == b"," else b"[]"


@dataclass(frozen=True, slots=True)
class Packed:
    """A body of ``size_bytes``, as ``pieces``; ``packed``: these are the body in gzip."""

    size_bytes: int
    pieces: tuple[bytes, ...]
    packed: bool

    def plain(self) -> Iterator[bytes]:
        """The body itself, unpacked on the way."""
        if not self.packed:
            yield from self.pieces
            return
        unpack = zlib.decompressobj(_GZIP)
        for piece in self.pieces:
            while piece:
                yield unpack.decompress(piece, _PIECE_BYTES)
                piece = unpack.unconsumed_tail
        yield unpack.flush()


def pack(body: Iterable[bytes]) -> Packed:
    """Keep a body in a tenth of its size; the processor is free for others meanwhile."""
    pieces: list[bytes] = []
    waiting = bytearray()
    packer = None
    size = 0
    for piece in body:
        waiting += piece
        size += len(piece)
        if len(waiting) < (_PIECE_BYTES if packer else _SHORT_BYTES):
            continue
        packer = packer or zlib.compressobj(_FAST, wbits=_GZIP)
        pieces.append(packer.compress(waiting))
        waiting.clear()
    if packer is None:
        return Packed(size, (bytes(waiting),), packed=False)
    pieces.append(packer.compress(waiting) + packer.flush())
    return Packed(size, tuple(one for one in pieces if one), packed=True)
