"""What a channel is set to and what its tracker remembers: plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import msgspec

from recorder.calls import Call, Pause
from recorder.numbers import Site
from recorder.signals import CallerId
from recorder.tracking.pulses import PulseTrain


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """Channel parameters that the tracker follows (see ``recorder.parameters``); the last ones are the system's."""

    enabled: bool = True
    record_mode: Literal["all", "incoming", "outgoing", "on_demand", "none"] = "all"
    start_trigger: Literal["hook", "voice", "signalling"] = "hook"
    continuous: bool = False
    voice_hang_ms: int = 8000
    record_schedule: str = ""
    record_on_holidays: bool = True
    never_record_numbers: str = ""
    always_record_numbers: str = ""
    record_percent: int = 100
    pause_code: str = ""
    resume_code: str = ""
    recording_format: Literal["flac", "g711"] = "flac"
    pre_roll_ms: int = 1000
    post_roll_ms: int = 300
    shortest_recording_ms: int = 800
    longest_segment_s: int = 1200
    hook_flash_max_ms: int = 700
    ring_end_ms: int = 5000
    abandoned_below_ms: int = 5000
    line_lost_ends_call: bool = True
    caller_id_type: Literal["auto", "fsk_bell202", "fsk_v23", "dtmf", "none"] = "auto"
    caller_id_time: Literal["auto", "before", "after"] = "auto"
    tone_country: str = "cn"
    voice_level_dbm0: int = -45
    holidays: str = ""
    site_country: str = "CN"
    site_area_code: str = "010"
    outside_line_prefix: str = ""
    time_zone: str = "Asia/Shanghai"

    @property
    def site(self) -> Site:
        """By whose rules numbers are read."""
        return Site(self.site_country, self.site_area_code, self.outside_line_prefix)


SYSTEM_SETTINGS = ("holidays", "site_country", "site_area_code", "outside_line_prefix", "time_zone")
"""Fields of TrackerSettings that are system parameters."""


def differences(settings: TrackerSettings) -> dict[str, Any]:
    """Settings as they are stored with a running call: where they are not as they come from the factory."""
    factory = TrackerSettings()
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    return {name: value for name, value in values.items() if value != getattr(factory, name)}


def settings_of(stored: Mapping[str, Any]) -> TrackerSettings:
    """The settings again; what this version does not know is left out."""
    known = {field.name for field in fields(TrackerSettings)}
    return TrackerSettings(**{name: value for name, value in stored.items() if name in known})


class Take(msgspec.Struct, omit_defaults=True):
    """A recording that runs beside the calls: what it has from ``from_sample`` (heard at ``from_ms``) is not cut yet.

    ``segment`` counts what was cut.
    """

    from_sample: int
    from_ms: int
    segment: int = 0


class ChannelState(msgspec.Struct, omit_defaults=True):
    """Everything the tracker remembers of a channel between two events; positions are samples.

    ``off_hook`` is where the call's audio begins: off-hook, speech or set-up, by the start trigger. ``on_hook`` is
    where it ends unless it goes on within the patience of the trigger. ``wish`` is what ``wish_by`` asked for last.
    ``calls_at``: the last place where a call began, and how many began there or, told late, before it.
    ``pulses``: the digit that the hook switch is dialling.
    ``rings``: how often it rang for the running call.
    ``code`` and ``code_at``: digits heard within the call, and where each begins. ``heard_to``: where the audio of the
    last call ended. ``manual_to``: where the last recording by hand ended. ``settings``: what the running call follows,
    where it differs from the factory, once other settings came.
    """

    line: str = "unknown"
    hook: str = "unknown"
    ringing: bool = False
    call: Call | None = None
    ring_on: int | None = None
    ring_off: int | None = None
    rings: int = 0
    answered: int | None = None
    off_hook: int | None = None
    on_hook: int | None = None
    digits: str = ""
    last_digit: int = 0
    pulses: PulseTrain = msgspec.field(default_factory=PulseTrain)
    number_told: bool = False
    early_caller_id: CallerId | None = None
    early_caller_id_at: int = 0
    calls_at: tuple[int, int] = (-1, 0)
    answer_supervision: bool = False
    segment: int = 0
    segment_from: int = 0
    segment_ms: int | None = None
    wish: Literal["keep", "discard"] | None = None
    wish_by: str = ""
    pauses: list[Pause] = []
    code: str = ""
    code_at: list[int] = []
    continuous: Take | None = None
    manual: Take | None = None
    manual_to: int = 0
    heard_to: int = 0
    settings: dict[str, Any] | None = None
