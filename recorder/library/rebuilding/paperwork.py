"""What lies beside audio on the disk: manifests of every version and tombstones, read as plain values.

Nothing is believed: sizes, names and types are checked, signatures are not (that is what ``tapdeck verify`` is for).
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

LARGEST_BYTES = 64 * 1024 * 1024
"""A manifest of 24 hours has some 9 MB."""

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Text = Annotated[str, msgspec.Meta(max_length=4096)]
FileName = Annotated[str, msgspec.Meta(pattern=r"^[^/\x00]{1,255}$")]
Channel = Annotated[int, msgspec.Meta(ge=1, le=2**31)]
Port = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
RecordingKind = Literal["call", "continuous", "manual"]
Format = Literal["flac", "alaw", "ulaw", "opus", "mp3"]


class Audio(msgspec.Struct, frozen=True):
    """The samples and the file that holds them; ``bytes`` and ``sha256`` before encryption."""

    file: FileName
    format: Format
    sample_rate_hz: Annotated[int, msgspec.Meta(gt=0, le=1_000_000)]
    samples: Count
    bytes: Count
    sha256: Text
    channels: Annotated[int, msgspec.Meta(ge=1, le=2)] = 1


class Stored(msgspec.Struct, frozen=True):
    """The encrypted file on the disk."""

    file: FileName
    bytes: Count
    sha256: Text


class Tape(msgspec.Struct, frozen=True):
    """Where the samples came from; ``port`` is not in version 1."""

    card: Text
    epoch: Text
    from_sample: Count
    to_sample: Count
    port: Port | None = None


class Pause(msgspec.Struct, frozen=True):
    """Samples from the recording's first one."""

    from_sample: Count
    to_sample: Count
    by: Text = ""
    reason: Text = ""


class Master(msgspec.Struct, frozen=True):
    """What a conversion was made of."""

    manifest_id: Text


class Paper(msgspec.Struct, frozen=True):
    """A manifest or tombstone; which fields it has follows from ``kind`` (docs/evidence.md)."""

    kind: Literal["recording", "call", "conversion", "tombstone"]
    id: Text
    simulated: bool = False
    recording_kind: RecordingKind = "call"
    channel: Channel | None = None
    segment: Count = 0
    started_ms: Count | None = None
    started_at: Text | None = None
    call: dict[str, Any] | None = None
    audio: Audio | None = None
    stored: Stored | None = None
    tape: Tape | None = None
    missing_samples: Count = 0
    pauses: tuple[Pause, ...] = ()
    master: Master | None = None
    of: Text = ""
    what: Text = ""
    deleted_at: Text | None = None
    by: Text = ""
    rule: Text = ""

    @property
    def began_ms(self) -> int | None:
        """Unix ms of the first sample; version 1 has it as text only."""
        return self.started_ms if self.started_ms is not None else at_ms(self.started_at)


class _File(msgspec.Struct, frozen=True):
    manifest: Paper


_decoder = msgspec.json.Decoder(_File)


def read_paper(path: Path) -> Paper | None:
    """The manifest or tombstone at ``path``; None when it is damaged or none that we know. Raises OSError."""
    if path.stat().st_size > LARGEST_BYTES:
        return None
    try:
        paper = _decoder.decode(path.read_bytes()).manifest
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return paper if _is_whole(paper) else None


def _is_whole(paper: Paper) -> bool:
    if paper.kind == "tombstone":
        return bool(paper.of)
    if paper.kind == "call":
        return paper.call is not None
    complete = paper.audio is not None and paper.tape is not None and paper.began_ms is not None
    return complete and (paper.kind == "recording" or paper.master is not None)


def at_ms(text: str | None) -> int | None:
    """Unix ms of an ISO 8601 time, None when it is none."""
    try:
        return None if text is None else round(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        return None


_NAME = re.compile(
    r"(?P<stamp>\d{8}T\d{6}[+-]\d{4})\d*_CH(?P<channel>\d{3,9})"
    r"_(?:(?P<way>in|out)_(?P<number>[^_.]*)|(?P<kind>cont|man))_"
)


class Named(msgspec.Struct, frozen=True):
    """What a recording's file name says. ``way``: ``in``, ``out``, ``cont`` or ``man``."""

    started_ms: int
    channel: int
    way: str
    number: str | None


def parse_name(stem: str) -> Named | None:
    """What the name of a recording without its endings says; None when it is none of ours."""
    found = _NAME.match(stem)
    if found is None:
        return None
    try:
        started = datetime.strptime(found["stamp"], "%Y%m%dT%H%M%S%z")
        started_ms = int(started.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
    number = None if found["number"] in ("", "unknown") else found["number"]
    return Named(started_ms, int(found["channel"]), found["way"] or found["kind"], number)
