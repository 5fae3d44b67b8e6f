"""Frames on the serial line: COBS between zero bytes, closed by a CRC32C.

::

    ┌──────────── COBS-encoded ─────────────┐
    │ type u8 │ payload … │ crc32c u32 LE   │ 0x00
    └───────────────────────────────────────┘

A *body* is ``type`` and ``payload``. The CRC covers the body. Pure: no I/O, no clock.

Garbled lines: a flipped, lost or inserted byte spoils the CRC, the COBS code or the frame boundary; whichever
it is, the reader throws away at most the bytes up to the next zero byte and is in step again. Two good frames
whose zero byte was lost are both lost. A wrong frame passes the CRC once in 2^32.
"""

from __future__ import annotations

import crc32c
from cobs import cobs

from drivers.api import LinkCounters

MAX_FRAME_BYTES = 131_072
"""Longest encoded frame without its zero byte: 255 ports of 20 ms linear PCM need 81,940 bytes."""

_CRC_BYTES = 4
_SHORTEST_BYTES = 1 + _CRC_BYTES


def encode_frame(body: bytes) -> bytes:
    """The bytes on the line for one body, closing zero byte included."""
    crc = crc32c.crc32c(body).to_bytes(_CRC_BYTES, "little")
    return bytes(cobs.encode(body + crc)) + b"\0"


class FrameReader:
    """Cuts a byte stream into bodies; counts what is bad and never raises.

    Holds at most ``MAX_FRAME_BYTES`` plus one ``feed`` of bytes. Thread: one.
    """

    def __init__(self, counters: LinkCounters) -> None:
        self._counters = counters
        self._tail = b""
        self._skipping = False

    def feed(self, data: bytes) -> list[bytes]:
        """Bodies of all good frames that end in ``data``, in order."""
        pieces = (self._tail + data).split(b"\0")
        self._tail = pieces.pop()
        bodies = []
        for piece in pieces:
            if self._skipping:
                self._counters.garbage_bytes += len(piece)
                self._skipping = False
            elif piece:
                body = self._open_frame(piece)
                if body is not None:
                    bodies.append(body)
        if self._skipping or len(self._tail) > MAX_FRAME_BYTES:
            self._drop_tail()
        return bodies

    def _drop_tail(self) -> None:
        if not self._skipping:
            self._counters.bad_frames += 1
        self._skipping = True
        self._counters.garbage_bytes += len(self._tail)
        self._tail = b""

    def _open_frame(self, piece: bytes) -> bytes | None:
        body = _checked_body(piece)
        if body is None:
            self._counters.bad_frames += 1
            self._counters.garbage_bytes += len(piece)
        else:
            self._counters.frames += 1
        return body


def _checked_body(piece: bytes) -> bytes | None:
    if len(piece) > MAX_FRAME_BYTES:
        return None
    try:
        raw = bytes(cobs.decode(piece))
    except cobs.DecodeError:
        return None
    body, crc = raw[:-_CRC_BYTES], raw[-_CRC_BYTES:]
    if len(raw) < _SHORTEST_BYTES or crc32c.crc32c(body) != int.from_bytes(crc, "little"):
        return None
    return body
