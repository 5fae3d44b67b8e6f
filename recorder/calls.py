"""The call record and what happens to it: the plain values that tracker, store and manifests share."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

Direction = Literal["incoming", "outgoing"]
Result = Literal["answered", "missed", "abandoned"]
AnswerBasis = Literal["off_hook", "polarity", "voice"]


class CallState(StrEnum):
    """Where a call is between its first signal and its end."""

    RINGING = "ringing"
    DIALLING = "dialling"
    TALKING = "talking"
    ENDED = "ended"


class Call(msgspec.Struct):
    """One use of a channel. ``*_sample`` are positions on the tape; ``*_ms`` Unix ms UTC or durations in ms."""

    id: str
    channel: int
    direction: Direction
    state: CallState
    started_sample: int
    started_ms: int
    result: Result | None = None
    caller_number: str | None = None
    caller_name: str | None = None
    absence: str | None = None
    caller_id: str | None = None
    dialled_number: str | None = None
    answer_basis: AnswerBasis | None = None
    end_reason: str | None = None
    answered_ms: int | None = None
    ended_ms: int | None = None
    ring_ms: int = 0
    talk_ms: int = 0
    simulated: bool = False


class CallEventKind(StrEnum):
    """Kinds of rows that the tracker adds to the event log."""

    CALL_STARTED = "call_started"
    CALLER_ID = "caller_id"
    DIALLED_NUMBER = "dialled_number"
    CALL_ANSWERED = "call_answered"
    CALL_ENDED = "call_ended"
    LINE_LOST = "line_lost"
    LINE_PRESENT = "line_present"


class CallEvent(msgspec.Struct, frozen=True):
    """Something that happened to a channel; ``call`` is the call as it was right then (None for the line itself)."""

    kind: CallEventKind
    channel: int
    at_sample: int
    at_ms: int
    call: Call | None


class Cut(msgspec.Struct, frozen=True):
    """Order to cut a recording from the tape: segment ``segment`` (from 0) of a call, samples from–to."""

    recording_id: str
    call: Call
    segment: int
    from_sample: int
    to_sample: int
    started_ms: int
