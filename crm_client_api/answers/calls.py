"""What the API says: the structs of its answers and of the events it pushes.

Times are ISO 8601 UTC with milliseconds (``*_at``), durations ms (``*_ms``), levels dBm0, voltages V.
"""

from __future__ import annotations

from typing import Literal

import msgspec

LineState = Literal["present", "lost", "unknown"]
HookState = Literal["on", "off", "unknown"]


class OperatorInfo(msgspec.Struct, frozen=True):
    """The operator who is logged in."""

    staff_no: str
    name: str
    level: str
    group: int | None
    channels: list[int]
    permissions: list[str]


class SessionInfo(msgspec.Struct, frozen=True):
    """A session. ``csrf`` goes into the header X-Tapdeck-CSRF of every request that changes something."""

    operator: OperatorInfo
    must_change_password: bool
    csrf: str
    must_set_second_factor: bool = False


class StaffMember(msgspec.Struct, frozen=True):
    """An operator as those who manage operators see one. ``warnings``: codes of settings that cannot work.

    ``new_permissions``: came with a software update, and may be granted once.
    """

    staff_no: str
    name: str
    level: str
    group: int | None
    channels: list[int]
    permissions: list[str]
    active: bool
    warnings: list[str] = []
    new_permissions: list[str] = []


class Staff(msgspec.Struct, frozen=True):
    """All operators."""

    operators: list[StaffMember]


class NewPassword(msgspec.Struct, frozen=True):
    """A one-time password, shown once; it must be changed at the first log-in. ``warnings``: as of StaffMember."""

    staff_no: str
    one_time_password: str
    warnings: list[str] = []


class Health(msgspec.Struct, frozen=True):
    """The API answers."""

    status: str
    version: str


class CustomerName(msgspec.Struct, frozen=True):
    """A customer in a call's row."""

    id: str
    name: str
    company: str


class PhoneInfo(msgspec.Struct, frozen=True):
    """A customer's telephone number as typed, and as E.164 (null for short codes).

    ``kind``: phone, mobile, fax or other.
    """

    label: str
    number: str
    e164: str | None
    kind: str = "phone"


class CustomerInfo(msgspec.Struct, frozen=True):
    """A customer. ``custom``: values of the office's own fields by field id; a date is ``YYYY-MM-DD``."""

    id: str
    name: str
    gender: str
    company: str
    title: str
    wechat: str
    email: str
    region: str
    address: str
    postcode: str
    category: str
    level: str
    status: str
    source: str
    note: str
    consent: str
    next_contact_at: str | None
    phones: list[PhoneInfo]
    tags: list[str]
    custom: dict[str, str | float | bool]
    author: str
    owner: str
    created_at: str
    changed_at: str


class CustomerPage(msgspec.Struct, frozen=True):
    """Customers, newest first; ``next`` is the ``after`` of the next page, null at the end."""

    customers: list[CustomerInfo]
    next: str | None


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


class CallInfo(msgspec.Struct, frozen=True):
    """A call, with the customers in the reader's scope who have its number.

    ``kept``: whether its recording is kept, by ``kept_reason``. ``paused``: its recording is paused right now.
    ``machine``: whose tones were heard in it, fax or modem. ``handled_how``: ``taken`` by saying so, or the
    ``only_one`` who can have answered. Numbers stand as they were received, and as E.164 by the settings of the site at
    which they were heard (null: an extension, a short or service number).
    """

    id: str
    channel: int
    channel_name: str
    direction: str
    state: str
    result: str | None
    caller_number: str | None
    caller_e164: str | None
    caller_name: str | None
    absence: str | None
    dialled_number: str | None
    dialled_e164: str | None
    number_place: str | None
    number_place_en: str | None
    started_at: str
    answered_at: str | None
    ended_at: str | None
    ring_ms: int
    talk_ms: int
    simulated: bool
    handled_by: str | None
    handled_how: Literal["taken", "only_one"] | None
    kept: bool
    kept_reason: str | None
    paused: bool
    machine: str | None
    customers: list[CustomerName]
    recordings: list[RecordingInfo]


class CallPage(msgspec.Struct, frozen=True):
    """Calls, newest first; ``next`` is the ``before`` of the next page, null at the end.

    A search for something rare can end before the page is full, even empty, with a ``next``: there may be more.
    """

    calls: list[CallInfo]
    next: str | None


class CallNoteInfo(msgspec.Struct, frozen=True):
    """A note on a call. ``position_ms``: at which moment, from the call's beginning (null: about all of it).

    ``score``: 1 to 5, null without one.
    """

    id: int
    call_id: str
    at: str
    author: str
    author_name: str
    position_ms: int | None
    text: str
    score: int | None


class CallNotes(msgspec.Struct, frozen=True):
    """What was noted on a call, as it was written one after the other."""

    notes: list[CallNoteInfo]


class ChannelInfo(msgspec.Struct, frozen=True):
    """A channel: its settings, its line at this moment (unknown while it is not enabled), and the call on it."""

    number: int
    name: str
    group: int | None
    popup: bool
    line_kind: Literal["exchange", "extension"]
    enabled: bool
    card_id: str
    port: int
    simulated: bool
    line: LineState
    hook: HookState
    ringing: bool
    volts: float | None
    level_dbm0: float | None
    recording: bool
    call: CallInfo | None


class Channels(msgspec.Struct, frozen=True):
    """The channels in scope."""

    channels: list[ChannelInfo]


class LinkInfo(msgspec.Struct, frozen=True):
    """Health of the link to a card since it was opened."""

    frames: int = 0
    bad_frames: int = 0
    garbage_bytes: int = 0
    resend_requests: int = 0
    lost_samples: int = 0


class CardInfo(msgspec.Struct, frozen=True):
    """A line card."""

    card_id: str
    driver: str
    model: str
    ports: int
    simulated: bool
    connected: bool
    link: LinkInfo


class Cards(msgspec.Struct, frozen=True):
    """All line cards."""

    cards: list[CardInfo]


class PortState(msgspec.Struct, frozen=True):
    """A channel's line at this moment, as pushed to the board."""

    number: int
    line: LineState = "unknown"
    hook: HookState = "unknown"
    ringing: bool = False
    volts: float | None = None
    level_dbm0: float | None = None
    recording: bool = False


class SideQuality(msgspec.Struct, frozen=True):
    """How good one side of a line sounds. Levels in dBm0 (ITU-T G.711, A-law).

    Of the last second: ``rms_dbm0``, ``peak_dbm0``, ``dc_percent`` of full scale. ``noise_dbm0``: the softest 0.1 s of
    the last half minute. ``hum_dbm0``, ``hum_hz``: mains and harmonics, null without hum. Of the running or last call:
    ``seconds``, ``clipped_percent``, ``clipped_runs``, ``silent_percent``, ``longest_silence_ms``, ``loud_dbm0`` (what
    was not silence).
    """

    rms_dbm0: float
    peak_dbm0: float
    dc_percent: float
    noise_dbm0: float | None
    hum_dbm0: float | None
    hum_hz: int | None
    seconds: float
    clipped_percent: float
    clipped_runs: int
    silent_percent: float
    longest_silence_ms: int
    loud_dbm0: float | None


class ChannelQuality(msgspec.Struct, frozen=True):
    """How good a channel's line sounds, for diagnosis. ``sides``: one, or near and far; none while the recorder does
    not tell. ``difference_db``: how much louder near is than far. ``at``: when it was measured.
    """

    number: int
    at: str | None = None
    sides: list[SideQuality] = []
    difference_db: float | None = None


class Board(msgspec.Struct, frozen=True):
    """Event ``board``: the channels that changed."""

    channels: list[PortState]


class RecordingEvent(msgspec.Struct, frozen=True):
    """Event ``recording``: a recording is ready, lost or deleted."""

    call_id: str | None
    recording: RecordingInfo


class LineEventInfo(msgspec.Struct, frozen=True):
    """Event ``line``: a line was lost or is there again."""

    channel: int
    kind: str
    at: str


class CardEventInfo(msgspec.Struct, frozen=True):
    """Event ``card``: a line card was lost or is there again."""

    card_id: str
    kind: str


class Reset(msgspec.Struct, frozen=True):
    """Event ``reset``: the position is not known here, load everything anew and go on from this one."""

    position: str


class ErrorBody(msgspec.Struct, frozen=True):
    """What went wrong: a code for programs, a sentence for people."""

    code: str
    message: str


class ErrorAnswer(msgspec.Struct, frozen=True):
    """The one shape of every error."""

    error: ErrorBody
