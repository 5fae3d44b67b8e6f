"""File names and manifests of recordings (docs/evidence.md)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from firmware.clock import iso_utc
from recorder.cutting.seconds import AudioFormat, seconds_of

if TYPE_CHECKING:
    from recorder.tape.missing import Missing

_WAYS = {"incoming": "in", "outgoing": "out", "continuous": "cont", "manual": "man"}


def recording_name(row: Mapping[str, Any], call: Mapping[str, Any] | None) -> PurePosixPath:
    """Where a recording (or a call without one: ``row`` is the call) lies below the recordings folder.

    Without its ending; in the box's local time.
    """
    local = datetime.fromtimestamp(row["started_ms"] / 1000).astimezone()
    channel = f"CH{row['channel']:03d}"
    parts = [local.strftime("%Y%m%dT%H%M%S%z"), channel]
    if call is None:
        parts.append(_WAYS[row["kind"]])
    else:
        parts += [_WAYS[call["direction"]], re.sub(r"[^0-9A-Za-z+]", "-", other_number(call) or "unknown")[:32]]
    return PurePosixPath(local.strftime("%Y/%m/%d")) / channel / "_".join([*parts, row["id"]])


def other_number(call: Mapping[str, Any]) -> str | None:
    """The number at the other end of a call."""
    number: str | None = call["caller_number" if call["direction"] == "incoming" else "dialled_number"]
    return number


def call_record(call: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a calls row that describes the call itself."""
    left_out = {"handled_by", "manifest"}
    return {key: value for key, value in call.items() if key not in left_out}


def audio_facts(
    name: str, audio_format: AudioFormat, content: bytes, sample_rate_hz: int, channels: int, samples: int
) -> dict[str, Any]:
    """``audio`` of a manifest: the file ``name`` with these bytes, hashed as a whole and second by second.

    Raises BadInput: the file is damaged.
    """
    header_bytes, seconds = seconds_of(audio_format, content, sample_rate_hz, channels)
    view = memoryview(content)
    return {
        "file": name,
        "format": audio_format,
        "sample_rate_hz": sample_rate_hz,
        "channels": channels,
        "samples": samples,
        "bytes": len(content),
        "sha256": _hash(view),
        "header": {"bytes": header_bytes, "sha256": _hash(view[:header_bytes])},
        "seconds": [[first, size, _hash(view[offset : offset + size])] for first, offset, size in seconds],
    }


def _hash(content: memoryview) -> str:
    return hashlib.sha256(content).hexdigest()


def recording_manifest(
    begun: Mapping[str, Any],
    row: Mapping[str, Any],
    call: Mapping[str, Any] | None,
    audio: Mapping[str, Any],
    stored: Mapping[str, Any] | None,
    gaps: Sequence[Missing],
    pauses: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """What a recording is and how complete it is; ``begun`` is what every manifest begins with.

    ``gaps`` and ``pauses`` count from the recording's first sample; ``row`` has the ``port`` of its channel.
    """
    return {
        **begun,
        "recording_kind": row["kind"],
        "channel": row["channel"],
        "segment": row["segment"],
        "started_ms": row["started_ms"],
        "started_at": iso_utc(row["started_ms"]),
        "call": None if call is None else call_record(call),
        "audio": audio,
        "stored": stored,
        "tape": {
            "card": row["card_id"],
            "port": row["port"],
            "epoch": row["tape_epoch"],
            "from_sample": row["from_sample"],
            "to_sample": row["to_sample"],
        },
        "gaps": [one._asdict() for one in gaps],
        "missing_samples": sum(one.to_sample - one.from_sample for one in gaps),
        "pauses": list(pauses),
    }


def call_manifest(begun: Mapping[str, Any], call: Mapping[str, Any]) -> dict[str, Any]:
    """A finished call without a recording."""
    return {**begun, "call": call_record(call)}
