"""The audio of a whole call, also while it runs: what is cut from its recordings, the rest from the tape."""

from __future__ import annotations

from collections.abc import Sequence

import sqlite_utils

from crm_client_api.audio.pcm import FileSource, JoinedSource, PcmSource, SilentSource, TapeSource
from crm_client_api.audio.tapes import rows_of_channel, tape_of_epoch
from crm_client_api.domain.calls import Call
from crm_client_api.domain.recordings import Recording, silent_ranges
from firmware.config import Home
from firmware.errors import NotFound, Refused
from recorder.library.audio.stored import open_audio
from recorder.tape.absence import heard_to
from recorder.tape.reader import TapeReader


def open_call(home: Home, calls: sqlite_utils.Database, call: Call, recordings: Sequence[Recording]) -> PcmSource:
    """What may be heard of a call up to now. ``recordings``: all of the call's, by segment.

    Of a call that has ended only what became (or becomes) a recording; deleted stretches are silence.
    Raises Refused when the call is not kept, NotFound when there is nothing to hear.
    """
    if not call.kept:
        raise Refused(f"this call is not recorded ({call.kept_reason or 'by rule'})")
    tape = None if call.tape_epoch is None else tape_of_epoch(home, call.tape_epoch)
    parts: list[PcmSource] = []
    try:
        rows = range(1) if tape is None else rows_of_channel(calls, call.channel, tape)
        end = _end(call, recordings, tape)
        silent = silent_ranges(call.pauses, end)
        position = call.from_sample
        for one in recordings:
            if one.readable and one.path is not None:
                parts.append(FileSource(open_audio(home, one.path)))
            elif one.awaited and tape is not None and one.tape_epoch == tape.epoch:
                parts.append(TapeSource(tape, rows, one.from_sample, one.to_sample, silent))
            else:
                parts.append(SilentSource(one.sample_rate_hz, one.tracks, one.to_sample - one.from_sample))
            position = one.to_sample
        if tape is not None and call.state != "ended" and position is not None and position < end:
            parts.append(TapeSource(tape, rows, position, end, silent))
        if all(isinstance(part, SilentSource) for part in parts):
            raise NotFound("there is nothing to hear of this call")
        return JoinedSource(parts, tape)
    except BaseException:
        for part in parts:
            part.close()
        if tape is not None:
            tape.close()
        raise


def _end(call: Call, recordings: Sequence[Recording], tape: TapeReader | None) -> int:
    """The position up to which the call can be heard: no further than where its recorder or its card went away, though
    the store may not know yet that it ended there.
    """
    ends = [one.to_sample for one in recordings]
    if call.to_sample is not None:
        ends.append(call.to_sample)
    elif call.state != "ended" and tape is not None and (last := tape.last_head()) is not None:
        since = max(ends, default=call.from_sample or 0)
        ends.append(heard_to(tape, since, (last.number + 1) * tape.geometry.block_samples))
    return max(ends, default=0)
