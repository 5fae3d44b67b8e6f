"""The sound of a line while it rang: with the caller ID, up to the answer; as long as the tape holds it."""

from __future__ import annotations

import sqlite_utils

from crm_client_api.audio.pcm import JoinedSource, PcmSource, TapeSource
from crm_client_api.audio.tapes import rows_of_channel, tape_of_epoch
from crm_client_api.domain.caller_ids import RingPlace
from firmware.config import Home
from firmware.errors import NotFound
from recorder.tape.reader import TapeReader

LEAD_MS = 2500
"""A DTMF caller ID is sent before the first ring."""


def tape_holds(tape: TapeReader, place: RingPlace) -> bool:
    """Whether the first block of the ringing is still there."""
    return tape.head(place.from_sample // tape.geometry.block_samples) is not None


def open_ring(home: Home, calls: sqlite_utils.Database, channel: int, place: RingPlace, lead_ms: int) -> PcmSource:
    """What was heard from ``lead_ms`` before the first signal up to answer or end. Raises NotFound when it is gone."""
    tape = tape_of_epoch(home, place.tape_epoch)
    if tape is None:
        raise NotFound("the tape does not hold this ringing any more")
    try:
        if not tape_holds(tape, place):
            raise NotFound("the tape does not hold this ringing any more")
        rate = tape.geometry.sample_rate_hz
        start = max(0, place.from_sample - max(0, min(LEAD_MS, lead_ms)) * rate // 1000)
        end = place.from_sample + place.duration_ms * rate // 1000
        rows = rows_of_channel(calls, channel, tape)
        return JoinedSource([TapeSource(tape, rows, start, end, [])], tape)
    except BaseException:
        tape.close()
        raise
