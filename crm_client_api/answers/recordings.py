"""What the API says of recordings: the structs of these answers, and of the event that tells of one.

Times are ISO 8601 UTC with milliseconds (``*_at``), durations ms (``*_ms``).
"""

from __future__ import annotations

import msgspec


class PauseInfo(msgspec.Struct, frozen=True):
    """Silence where somebody paused, from the recording's first sample. ``by``: a staff number, or ``code``."""

    from_ms: int
    to_ms: int
    by: str
    reason: str


class RecordingInfo(msgspec.Struct, frozen=True):
    """A recording; ``missing_ms`` of it were lost and are silence.

    ``kind``: call, continuous, manual. ``state``: pending, ready, lost, deleted. ``format``: flac, alaw, ulaw, opus,
    mp3. ``tracks`` 2: left is the near side, right the far one.
    """

    id: str
    kind: str
    call_id: str | None
    channel: int
    segment: int
    state: str
    started_at: str
    duration_ms: int
    tracks: int
    missing_ms: int
    pauses: list[PauseInfo]
    format: str | None
    bytes: int | None
    sha256: str | None
    encrypted: bool
    simulated: bool
    deleted_at: str | None
    deleted_rule: str | None
    deleted_by: str | None


class RecordingCount(msgspec.Struct, frozen=True):
    """How many recordings were found; not ``complete``: there are more, or some were not looked at."""

    count: int
    complete: bool


class RecordingPage(msgspec.Struct, frozen=True):
    """Recordings in the order that was asked for; ``next`` is the ``before`` of the next page, null at the end.

    A search for something rare can end before the page is full, even empty, with a ``next``: there may be more.
    """

    recordings: list[RecordingInfo]
    next: str | None


class PeaksInfo(msgspec.Struct, frozen=True):
    """A recording's waveform: for each track its lowest and highest value in turn, -127 to 127."""

    per_second: int
    tracks: list[list[int]]


class RecordingEvent(msgspec.Struct, frozen=True):
    """Event ``recording``: a recording is ready, lost or deleted."""

    call_id: str | None
    recording: RecordingInfo
