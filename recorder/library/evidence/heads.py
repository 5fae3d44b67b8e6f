"""Signed heads of an evidence log: at this moment it had so many leaves and this root."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from firmware.clock_quality import ClockQuality, clock_quality
from recorder.library.evidence.files import GENESIS
from recorder.library.evidence.line_file import LineFile, last_line
from recorder.library.evidence.signing import Signer, canonical, device_of, is_signed, sha256_hex

Reason = Literal["start", "entry", "heartbeat", "stop"]


class Head(msgspec.Struct, frozen=True):
    """What is signed. ``previous`` is the hash of the head line before; ``root`` as in RFC 9162, section 2.1.1."""

    at_ms: int
    clock: ClockQuality
    device: str
    log: str
    previous: str
    reason: Reason
    root: str
    tree_size: int


class HeadLine(msgspec.Struct, frozen=True):
    """One line of a heads file; key and signature in base64."""

    head: Head
    public_key: str
    signature: str

    def is_genuine(self) -> bool:
        """Whether the key that it names signed it, and the device id is that key's."""
        try:
            raw = base64.b64decode(self.public_key, validate=True)
        except (ValueError, binascii.Error):
            return False
        return self.head.device == device_of(raw) and is_signed(self.head, self.public_key, self.signature)


_lines = msgspec.json.Decoder(HeadLine)


def last_head(path: Path) -> HeadLine | None:
    """The last whole line of a heads file; None when there is none. Raises OSError; ValueError: it is damaged."""
    line, _ = last_line(path)
    if not line:
        return None
    try:
        head = _lines.decode(line)
    except msgspec.DecodeError as error:
        raise ValueError("its last head is damaged") from error
    if not head.is_genuine():
        raise ValueError("its last head is not genuine")
    return head


def read_heads(path: Path) -> Iterator[HeadLine]:
    """Every line of a heads file that can be read, its signature not looked at; none without a file. Raises OSError."""
    try:
        with path.open("rb") as file:
            for line in file:
                with suppress(msgspec.DecodeError, UnicodeDecodeError):
                    yield _lines.decode(line)
    except FileNotFoundError:
        return


class HeadsFile:
    """Writes the heads of one log. Thread: the log's. Every method raises OSError."""

    def __init__(self, path: Path, name: str, signer: Signer) -> None:
        self._file, self._name, self._signer = LineFile(path), name, signer
        line, self._file.end = last_line(path)
        self._previous = sha256_hex(line) if line else GENESIS
        self.written_ms = 0
        self.tree_size = -1

    def write(self, reason: Reason, at_ms: int, root: bytes, tree_size: int) -> None:
        """Sign a head and write it durably."""
        head = Head(
            at_ms, clock_quality(), self._signer.device, self._name, self._previous, reason, root.hex(), tree_size
        )
        line = canonical(HeadLine(head, self._signer.public_key, self._signer.sign(head)))
        self._file.append(line + b"\n")
        self._previous, self.written_ms, self.tree_size = sha256_hex(line), at_ms, tree_size
