"""What the page on a stick knows: its calls in pieces and their waveforms, as scripts, for a page from a disk may fetch
nothing."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from crm_client_api.answers.calls import CallInfo
from crm_client_api.domain.calls import Call
from crm_client_api.domain.recordings import Recording
from crm_client_api.take_home.forms import Absence
from firmware.config import Home
from firmware.errors import BadInput
from firmware.time_zone import zone_here

WAVE_COLUMNS = 400
"""The most columns that a waveform has."""


def calls_piece(number: int) -> str:
    """Where a piece of the list is."""
    return f"data/calls-{number:04d}.js"


def waves_piece(number: int) -> str:
    """Where the waveforms of that piece are."""
    return f"data/waves-{number:04d}.js"


def head_script(about: Mapping[str, Any]) -> bytes:
    """``data/head.js``: what this is, and how many pieces are there."""
    return _script("tapdeckHead", about)


def calls_script(number: int, rows: Sequence[Sequence[Any]]) -> bytes:
    """A piece of the list."""
    return _script("tapdeckCalls", number, rows)


def waves_script(number: int, waves: Mapping[str, Sequence[str]]) -> bytes:
    """The waveforms of a piece: by recording, for each track the loudness from 0 to 128, in base64."""
    return _script("tapdeckWaves", number, waves)


def _script(function: str, *values: Any) -> bytes:
    texts = b", ".join(msgspec.json.encode(one) for one in values)
    return function.encode() + b"(" + texts + b");\n"


def row_of(
    call: Call,
    info: CallInfo,
    operator: str,
    note: str,
    held: bool,
    recordings: Sequence[Recording],
    place_of: Callable[[str], str | None],
    absence_of: Callable[[str], Absence | None],
) -> list[Any]:
    """A call as the page lists it; the order is that of ``FIELDS`` in its script."""
    return [
        call.id, _local_ms(call.started_ms), call.channel, info.channel_name, call.direction, call.result or "",
        call.caller_number or "", call.dialled_number or "", info.number_place or "", info.number_place_en or "",
        " / ".join(one.name for one in info.customers if one.name),
        " / ".join(one.company for one in info.customers if one.company),
        operator, call.ring_ms, call.talk_ms, note, int(held),
        [
            [one.id, place, one.duration_ms, one.missing_ms]
            for one in recordings
            if (place := place_of(one.id)) is not None
        ],
        sum(one.deleted_ms is not None for one in recordings),
        sorted({why for one in recordings if (why := absence_of(one.id)) is not None}),
    ]  # fmt: skip


def _local_ms(at_ms: int) -> int:
    """The wall clock of the site, as if it were UTC: the page shows it alike wherever it is opened."""
    local = datetime.fromtimestamp(at_ms / 1000, zone_here())
    offset = (local if local.tzinfo is not None else local.astimezone()).utcoffset()
    return at_ms + (0 if offset is None else int(offset.total_seconds() * 1000))


def wave_of(home: Home, recording: Recording) -> list[str] | None:
    """How loud each track of a recording is over its time; None: the recorder left no outline of it."""
    import numpy as np  # a courier at rest needs neither

    from recorder.cutting.peaks import peaks_path, read_peaks

    try:
        peaks = read_peaks(peaks_path(home.recordings / (recording.path or "")).read_bytes())
    except (BadInput, OSError):
        return None
    if not len(peaks):
        return None
    loud = np.abs(peaks.astype(np.int16)).max(axis=2)
    edges = np.linspace(0, len(loud), min(WAVE_COLUMNS, len(loud)), endpoint=False).astype(int)
    columns = np.maximum.reduceat(loud, edges, axis=0).astype(np.uint8)
    return [base64.b64encode(columns[:, track].tobytes()).decode() for track in range(columns.shape[1])]
