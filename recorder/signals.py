"""What the detectors say to the call tracker, beside the card's own line events."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from drivers.api import LineEvent


class Tone(StrEnum):
    """Call progress tones as classified by cadence (ITU-T E.180 Sup. 2; China: 450 Hz)."""

    DIAL = "dial"
    RINGBACK = "ringback"
    BUSY = "busy"
    CONGESTION = "congestion"


class CallerId(msgspec.Struct, frozen=True):
    """One caller-ID message as heard on a line; also the JSON of ``tapdeck callerid``.

    A damaged message has ``valid`` False and ``number`` None; what could be read of it is in ``partial``.
    ``date`` is MM-DD, ``time`` HH:MM, as sent by the exchange. ``absence`` is ``withheld`` or ``unavailable``.
    ``quality`` runs from 0 (barely decoded) to 1 (clean).
    """

    signalling: str  # fsk-bell202 | fsk-v23 | dtmf
    format: str  # mdmf | sdmf | dtmf-a-c | dtmf-d-c | dtmf-a-hash | dtmf-hash | …
    number: str | None = None
    name: str | None = None
    date: str | None = None
    time: str | None = None
    absence: str | None = None
    valid: bool = True
    quality: float = 1.0
    partial: str | None = None


@dataclass(frozen=True, slots=True)
class ToneHeard:
    """A call progress tone began (``tone``) or ended (None) on a port."""

    port: int
    at_sample: int
    tone: Tone | None


@dataclass(frozen=True, slots=True)
class VoiceActivity:
    """Speech (energy that is neither call progress tone nor DTMF) began or ended on a port."""

    port: int
    at_sample: int
    active: bool


Signal = LineEvent | ToneHeard | VoiceActivity
