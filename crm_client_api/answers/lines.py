"""What the API says of channels, their lines and line cards: the structs of these answers and events.

Times are ISO 8601 UTC with milliseconds (``*_at``), durations ms (``*_ms``), levels dBm0, voltages V.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from crm_client_api.answers.calls import CallInfo

LineState = Literal["present", "lost", "unknown"]
HookState = Literal["on", "off", "unknown"]


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


class LineEventInfo(msgspec.Struct, frozen=True):
    """Event ``line``: a line was lost or is there again."""

    channel: int
    kind: str
    at: str


class CardEventInfo(msgspec.Struct, frozen=True):
    """Event ``card``: a line card was lost or is there again."""

    card_id: str
    kind: str
