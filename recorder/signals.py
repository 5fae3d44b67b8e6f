"""What the detectors say to the call tracker, beside the card's own line events."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from drivers.api import LineEvent


class Tone(StrEnum):
    """Call progress tones by frequency and cadence (ITU-T E.180 and its Supplement 2), and those of fax and modem.

    ``SPECIAL_INFORMATION``: the call cannot be completed (number unobtainable, an announcement follows).
    ``HOWLER``: the receiver was left off the hook. ``FAX_CALLING``: CNG (ITU-T T.30). ``FAX_ANSWER``: CED, or the
    plain answer tone of V.25. ``MODEM_ANSWER``: answer tone with phase reversals (V.25) or modulated (V.8 ANSam).
    """

    DIAL = "dial"
    RINGBACK = "ringback"
    BUSY = "busy"
    CONGESTION = "congestion"
    SPECIAL_INFORMATION = "special_information"
    CALL_WAITING = "call_waiting"
    HOWLER = "howler"
    FAX_CALLING = "fax_calling"
    FAX_ANSWER = "fax_answer"
    MODEM_ANSWER = "modem_answer"


class CallerId(msgspec.Struct, frozen=True):
    """One caller-ID message as heard on a line; also the JSON of ``tapdeck callerid``.

    A damaged message has ``valid`` False and ``number`` None; what could be read of it is in ``partial``.
    ``date`` is MM-DD, ``time`` HH:MM, as sent by the exchange. ``absence``, ``name_absence``: why there is no number or
    name, ``withheld``, ``unavailable``, ``payphone`` or ``service_conflict``. ``dialled``: the number that was called.
    ``redirecting``: the number that redirected the call, ``redirect_reason`` why (``busy``, ``no_answer``, ``always``
    …). ``call_type``, ``caller_type``: what kind of call and of caller it is, as far as the exchange tells.
    ``waiting_messages``: how many wait, 1 where only a lamp is lit, 0 where it goes out.
    ``quality`` runs from 0 (barely decoded) to 1 (clean).
    """

    signalling: str  # fsk-bell202 | fsk-v23 | dtmf
    format: str  # mdmf | sdmf | jclip | mwi | dtmf-a-c | dtmf-d-c | dtmf-a-hash | dtmf-hash | …
    number: str | None = None
    name: str | None = None
    date: str | None = None
    time: str | None = None
    absence: str | None = None
    valid: bool = True
    quality: float = 1.0
    partial: str | None = None
    name_absence: str | None = None
    dialled: str | None = None
    redirecting: str | None = None
    redirect_reason: str | None = None
    call_type: str | None = None
    caller_type: str | None = None
    long_distance: bool = False
    waiting_messages: int | None = None


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
