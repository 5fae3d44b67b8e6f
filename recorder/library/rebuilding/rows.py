"""Rows of ``calls`` and ``recordings`` as a manifest or the tags of an audio file describe them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from recorder.library.rebuilding.paperwork import Audio, Paper, Pause, Tape

Row = dict[str, Any]
STORE_LOST = "store_lost"
"""``end_reason`` of a call that was running when its store was lost, until its recorder knows better."""

_CALL_COLUMNS = frozenset(
    (
        "id", "channel", "card_id", "direction", "state", "result", "caller_number", "caller_name", "absence",
        "dialled_number", "caller_id", "answer_basis", "end_reason", "started_ms", "answered_ms", "ended_ms",
        "ring_ms", "talk_ms", "tape_epoch", "from_sample", "to_sample", "kept", "kept_reason", "pauses",
        "machine", "caller_key", "dialled_key",
    )
)  # fmt: skip


def recording_row(paper: Paper, tape: Tape) -> Row:
    """All of a recording but where its audio is now."""
    assert paper.audio is not None
    call = paper.call or {}
    audio = paper.audio
    return {
        "id": paper.id,
        "kind": paper.recording_kind,
        "call_id": call.get("id"),
        "channel": paper.channel or call.get("channel"),
        "segment": paper.segment,
        "card_id": tape.card,
        "tape_epoch": tape.epoch,
        "from_sample": tape.from_sample,
        "to_sample": tape.to_sample,
        "sample_rate_hz": audio.sample_rate_hz,
        "started_ms": paper.began_ms,
        "duration_ms": _duration_ms(tape, audio),
        "tracks": audio.channels,
        "pauses": _pauses(paper.pauses, tape.from_sample),
        "wanted_format": "g711" if audio.format in ("alaw", "ulaw") else "flac",
        "missing_samples": paper.missing_samples,
        "simulated": paper.simulated,
    }


def ended_ms(recording: Row) -> int:
    """When a recording ended, Unix ms."""
    return int(recording["started_ms"] + recording["duration_ms"])


def _pauses(pauses: Collection[Pause], from_sample: int) -> str:
    """As the store has them: in positions of the tape."""
    moved = [
        msgspec.structs.replace(one, from_sample=one.from_sample + from_sample, to_sample=one.to_sample + from_sample)
        for one in pauses
    ]
    return msgspec.json.encode(moved).decode()


def call_row(paper: Paper, record: Mapping[str, Any], manifest: str, ends_ms: int = 0) -> Row:
    """A call; ``ends_ms``: when it has ended at the earliest, if the record does not say it."""
    row = {name: value for name, value in record.items() if name in _CALL_COLUMNS}
    row |= {"manifest": manifest, "simulated": paper.simulated}
    if not isinstance(row.get("pauses", ""), str):
        row["pauses"] = msgspec.json.encode(row["pauses"]).decode()
    if row.get("state") != "ended":
        row |= {
            "state": "ended",
            "result": row.get("result") or "abandoned",
            "ended_ms": ends_ms,
            "end_reason": STORE_LOST,
        }
    return row


def _duration_ms(tape: Tape, audio: Audio) -> int:
    """Of what was cut: a conversion is a little longer."""
    return (tape.to_sample - tape.from_sample) * 1000 // audio.sample_rate_hz
