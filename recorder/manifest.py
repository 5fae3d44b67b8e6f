"""File names and manifests of recordings."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import PurePosixPath
from typing import Any

from firmware.clock import iso_utc
from recorder.tape.format import Range

MANIFEST_VERSION = 1


def recording_name(started_ms: int, channel: int, direction: str, number: str | None, identifier: str) -> PurePosixPath:
    """Where a recording lies below the recordings folder, without its ending; in the box's local time."""
    local = datetime.fromtimestamp(started_ms / 1000).astimezone()
    speaking = re.sub(r"[^0-9A-Za-z+]", "-", number or "unknown")[:32]
    stamp = local.strftime("%Y%m%dT%H%M%S%z")
    way = "in" if direction == "incoming" else "out"
    folder = PurePosixPath(local.strftime("%Y/%m/%d")) / f"CH{channel:03d}"
    return folder / f"{stamp}_CH{channel:03d}_{way}_{speaking}_{identifier}"


def call_record(call: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a calls row that describes the call itself."""
    left_out = {"handled_by", "manifest"}
    return {key: value for key, value in call.items() if key not in left_out}


def recording_manifest(
    call: Mapping[str, Any], recording: Mapping[str, Any], name: str, audio: bytes | memoryview, gaps: Sequence[Range]
) -> dict[str, Any]:
    """What a recording is and how complete it is: the file ``name`` with the bytes ``audio``.

    Gaps are written from the recording's first sample.
    """
    start, rate = recording["from_sample"], recording["sample_rate_hz"]
    return {
        "manifest_version": MANIFEST_VERSION,
        "kind": "recording",
        "id": recording["id"],
        "simulated": bool(recording["simulated"]),
        "software": f"tapdeck {version('tapdeck')}",
        "call": call_record(call),
        "segment": recording["segment"],
        "started_at": iso_utc(recording["started_ms"]),
        "audio": {
            "file": name,
            "format": "flac",
            "sample_rate_hz": rate,
            "channels": 1,
            "samples": recording["to_sample"] - start,
            "bytes": len(audio),
            "sha256": hashlib.sha256(audio).hexdigest(),
        },
        "tape": {
            "card": recording["card_id"],
            "epoch": recording["tape_epoch"],
            "from_sample": start,
            "to_sample": recording["to_sample"],
        },
        "missing_samples": sum(high - low for low, high in gaps),
        "gaps": [
            {"from_sample": low - start, "to_sample": high - start, "reason": "not received"} for low, high in gaps
        ],
    }


def call_manifest(call: Mapping[str, Any]) -> dict[str, Any]:
    """A finished call without a recording."""
    return {
        "manifest_version": MANIFEST_VERSION,
        "kind": "call",
        "id": call["id"],
        "simulated": bool(call["simulated"]),
        "software": f"tapdeck {version('tapdeck')}",
        "call": call_record(call),
    }
