"""Anchors: all heads of the box's logs at one moment, signed, numbered and chained (docs/evidence.md).

An anchor that somebody outside has seen fixes everything that the logs said until then, also against whoever holds
the device's key.
"""

from __future__ import annotations

import base64
import fcntl
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from firmware.clock import iso_utc
from firmware.config import Home
from firmware.durable import write_whole
from firmware.errors import Refused, StoreError
from recorder.library.evidence.files import GENESIS, SET_ASIDE, evidence_folder
from recorder.library.evidence.heads import HeadLine, last_head
from recorder.library.evidence.signing import canonical, sha256_hex, signer

log = logging.getLogger("library")


class AnchoredHead(msgspec.Struct, frozen=True):
    """The root of one log."""

    log: str
    root: str
    tree_size: int


class AnchorBody(msgspec.Struct, frozen=True):
    """What is signed. ``number`` counts from 1; ``previous`` is the digest of the anchor before."""

    at_ms: int
    device: str
    heads: Sequence[AnchoredHead]
    number: int
    previous: str


class AnchorFile(msgspec.Struct, frozen=True):
    """An anchor with what those outside said about it. ``receipts``: objects with ``kind`` and ``at_ms``."""

    anchor: AnchorBody
    public_key: str
    signature: str
    receipts: Sequence[Mapping[str, Any]] = ()

    def digest(self) -> str:
        """SHA-256 of the canonical anchor: what is stamped, printed, and named by the next."""
        return sha256_hex(canonical(self.anchor))


ANCHORS = "anchors"
_anchor_files = msgspec.json.Decoder(AnchorFile)


def anchors_folder(home: Home, simulated: bool) -> Path:
    """Where the anchors are."""
    return evidence_folder(home, simulated) / ANCHORS


def anchor_paths(home: Home, simulated: bool) -> list[Path]:
    """Every anchor file by its number, damaged ones where their names stand.

    Names are times, and a clock that went back gives an anchor an earlier name than the one before it has.
    """
    return anchors_in(evidence_folder(home, simulated))


def anchors_in(folder: Path) -> list[Path]:
    """The same for the folder with a device's logs."""
    return [path for _, path, _ in _numbered(folder)]


def readable_anchors(home: Home, simulated: bool) -> list[Path]:
    """Every anchor file that is not damaged, by its number."""
    return readable_anchors_in(evidence_folder(home, simulated))


def readable_anchors_in(folder: Path) -> list[Path]:
    """The same for the folder with a device's logs."""
    return [path for _, path, is_readable in _numbered(folder) if is_readable]


def _numbered(folder: Path) -> list[tuple[int, Path, bool]]:
    """Number, file, whether it can be read; the number of a damaged one follows from that of its neighbour."""
    found: list[tuple[int, Path, bool]] = []
    for path in sorted((folder / ANCHORS).glob("*.json")):
        try:
            found.append((read_anchor(path).anchor.number, path, True))
        except StoreError as error:
            log.error("%s", error)
            found.append((found[-1][0] + 1 if found else 1, path, False))
    return sorted(found)


def read_anchor(path: Path) -> AnchorFile:
    """Raises StoreError: the file is damaged or cannot be read."""
    try:
        return _anchor_files.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"anchor {path.name}: {error}") from error


def make_anchor(home: Home, simulated: bool, at_ms: int) -> Path:
    """Sign the present heads of all logs; returns the new file.

    Raises Refused: there is no log yet, or an anchor of this second; StoreError.
    """
    with _only_one(home, simulated) as folder:
        path = folder / f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y%m%dT%H%M%SZ}.json"
        if path.exists():
            raise Refused(f"there is an anchor of this second: {path.name}")
        lines = newest_heads(home, simulated)
        heads = [AnchoredHead(line.head.log, line.head.root, line.head.tree_size) for line in lines]
        if not heads:
            raise Refused("there is no evidence log yet")
        number = max((one[0] for one in _numbered(folder.parent)), default=0) + 1
        before = readable_anchors(home, simulated)[-1:]
        previous = read_anchor(before[0]).digest() if before else GENESIS
        hand = signer(home, simulated)
        body = AnchorBody(at_ms, hand.device, heads, number, previous)
        write_whole(path, _pretty(AnchorFile(body, hand.public_key, hand.sign(body))))
        return path


def add_receipt(home: Home, simulated: bool, path: Path, receipt: Mapping[str, Any]) -> None:
    """Keep what somebody outside said about an anchor. Raises StoreError."""
    with _only_one(home, simulated):
        anchor = read_anchor(path)
        write_whole(path, _pretty(msgspec.structs.replace(anchor, receipts=[*anchor.receipts, receipt])))


def newest_heads(home: Home, simulated: bool) -> Iterator[HeadLine]:
    """The last signed head of every log, by name; a log whose heads are damaged is left out."""
    return (head for _, head in _last_heads(home, simulated) if isinstance(head, HeadLine))


def damaged_heads(home: Home, simulated: bool) -> dict[str, str]:
    """The logs whose last head cannot be read or is not genuine, with the reason: no anchor can speak of them."""
    return {name: head for name, head in _last_heads(home, simulated) if isinstance(head, str)}


def _last_heads(home: Home, simulated: bool) -> Iterator[tuple[str, HeadLine | str]]:
    for path in sorted(evidence_folder(home, simulated).glob("*.heads")):
        if path.name.endswith(f"{SET_ASIDE}.heads"):
            continue
        try:
            head = last_head(path)
        except (OSError, ValueError) as error:
            yield path.stem, str(error)
        else:
            if head is not None:
                yield path.stem, head


@contextmanager
def _only_one(home: Home, simulated: bool) -> Iterator[Path]:
    """The folder of anchors, while no other process numbers or changes them. Raises StoreError."""
    folder = anchors_folder(home, simulated)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(fd)


def _pretty(anchor: AnchorFile) -> bytes:
    return msgspec.json.format(msgspec.json.encode(anchor), indent=1) + b"\n"


def printed_page(anchor: AnchorFile) -> str:
    """A page to print and file: whoever holds it can check any recording made before, against these digits.

    The first sixteen digits are enough by hand; the verifier takes as many as are typed.
    """
    digits = anchor.digest()
    groups = [digits[start : start + 4] for start in range(0, 64, 4)]
    fingerprint = sha256_hex(base64.b64decode(anchor.public_key))
    lines = [
        "Tapdeck evidence anchor   录音盒存证",
        "",
        f"Number 编号      {anchor.anchor.number}",
        f"Time 时间        {iso_utc(anchor.anchor.at_ms)}",
        f"Device 设备      {fingerprint[:32]}",
        "",
        "Digits 摘要",
        *("    " + "  ".join(groups[row : row + 4]) for row in range(0, 16, 4)),
        "",
        f"Short form 简式  {'-'.join(groups[:4])}",
        "",
        "Logs 日志",
        *(f"    {one.log}  {one.tree_size}  {one.root}" for one in anchor.anchor.heads),
        "",
        "Keep this page away from the box. 请将此页与设备分开保存。",
        "Signed 签名  ______________________    Date 日期  ______________",
    ]
    return "\n".join(lines) + "\n"
