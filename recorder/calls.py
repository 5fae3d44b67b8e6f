"""The call record and what happens to it: the plain values that tracker, store and manifests share."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

Direction = Literal["incoming", "outgoing"]
Result = Literal["answered", "missed", "abandoned"]
AnswerBasis = Literal["off_hook", "polarity", "voice", "signalling"]
Machine = Literal["fax", "modem"]
RecordingKind = Literal["call", "continuous", "manual"]


class CallState(StrEnum):
    """Where a call is between its first signal and its end."""

    RINGING = "ringing"
    DIALLING = "dialling"
    TALKING = "talking"
    ENDED = "ended"


class Pause(msgspec.Struct, frozen=True):
    """Samples of the tape that no recording may hold, from–to; ``to_sample`` None: until somebody resumes.

    ``by``: the staff number of whoever asked, ``code`` for digits within the call, ``rule`` for the record policy.
    """

    from_sample: int
    to_sample: int | None
    by: str
    reason: str


class Call(msgspec.Struct):
    """One use of a channel. ``*_sample`` are positions on the tape; ``*_ms`` Unix ms UTC or durations in ms.

    ``from_sample`` to ``to_sample`` is the call's audio: from when it has some, to when it has ended. ``tape_epoch``
    None: the tape that is being written. ``kept``, ``kept_reason``: see ``recorder.tracking.policy``.
    ``machine``: whose tones were heard in the call's audio. ``*_key``: see ``recorder.numbers.match_key``; what a
    number meant at the site where it was heard stays true when the site's settings change.
    """

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
    tape_epoch: str | None = None
    from_sample: int | None = None
    to_sample: int | None = None
    kept: bool = True
    kept_reason: str | None = None
    pauses: list[Pause] = []
    machine: Machine | None = None
    caller_key: str | None = None
    dialled_key: str | None = None


class CallEventKind(StrEnum):
    """Kinds of rows that the tracker adds to the event log."""

    CALL_STARTED = "call_started"
    CALLER_ID = "caller_id"
    DIALLED_NUMBER = "dialled_number"
    CALL_ANSWERED = "call_answered"
    CALL_ENDED = "call_ended"
    CALL_WAITING = "call_waiting"
    MACHINE_HEARD = "machine_heard"
    RECORDING_PAUSED = "recording_paused"
    RECORDING_RESUMED = "recording_resumed"
    RECORDING_KEPT = "recording_kept"
    RECORDING_DISCARDED = "recording_discarded"
    LINE_LOST = "line_lost"
    LINE_PRESENT = "line_present"


class CallEvent(msgspec.Struct, frozen=True):
    """Something that happened to a channel; ``call`` is the call as it was right then (None for the line itself).

    ``waiting``: JSON of the ``CallerId`` of somebody else who calls meanwhile.
    """

    kind: CallEventKind
    channel: int
    at_sample: int
    at_ms: int
    call: Call | None
    waiting: str | None = None


class Cut(msgspec.Struct, frozen=True):
    """Order to cut a recording from the tape, samples from–to: segment ``segment`` (from 0) of a call.

    Without a call (``kind`` continuous or manual) ``channel`` and ``simulated`` say whose audio it is. ``pauses`` lie
    within from–to and do not overlap.
    """

    recording_id: str
    call: Call | None
    segment: int
    from_sample: int
    to_sample: int
    started_ms: int
    kind: RecordingKind = "call"
    channel: int = 0
    simulated: bool = False
    pauses: tuple[Pause, ...] = ()
    wanted_format: Literal["flac", "g711"] = "flac"


class Withdrawn(msgspec.Struct, frozen=True):
    """What was cut of a call must go: its rows get ``deleted_rule`` and ``deleted_by``, and the keeper deletes them."""

    call_id: str
    rule: str
    by: str


class OrderDone(msgspec.Struct, frozen=True):
    """An order of somebody in the office was carried out, or could not be: ``message`` says why."""

    order_id: int
    ok: bool
    message: str


News = CallEvent | Cut | Withdrawn | OrderDone
"""What goes into the store, in this order, all of it with the checkpoint behind it."""
