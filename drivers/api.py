"""What every line-card driver offers to the recorder: audio blocks and line events.

A driver emits what the card says, as it arrives, and infers nothing. ``None`` as an event value means
"seen, but unreadable"; a thing a card cannot tell is simply never emitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Pcm: TypeAlias = "npt.NDArray[np.int16]"  # a name alone: daemons that touch no audio need no numpy
EventSource = Literal["hardware", "in_band"]


class EventKind(StrEnum):
    """The one list of line events, for hardware and in-band sources alike."""

    LINE_PRESENT = "line_present"
    LINE_LOST = "line_lost"
    RING_ON = "ring_on"
    RING_OFF = "ring_off"
    OFF_HOOK = "off_hook"
    ON_HOOK = "on_hook"
    POLARITY_REVERSED = "polarity_reversed"
    VOLTAGE = "voltage"
    DIGITS = "digits"
    CALLER_ID = "caller_id"
    ALARM = "alarm"
    ALARM_CLEARED = "alarm_cleared"
    CALL_SETUP = "call_setup"
    CALL_ALERTING = "call_alerting"
    CALL_CONNECTED = "call_connected"
    CALL_RELEASED = "call_released"


@dataclass(frozen=True, slots=True)
class CardIdentity:
    """Names a line card so that it is known again after re-plugging.

    ``card_id`` is the name used for processes, files and store rows: ``<family>-<serial>``,
    only ``[A-Za-z0-9_.-]``.
    """

    family: str
    serial: str
    model: str = ""

    @property
    def card_id(self) -> str:
        """The name for processes, files and store rows."""
        safe = "".join(c if c.isalnum() or c in "_.-" else "_" for c in self.serial)
        return f"{self.family}-{safe}"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a card can do. ``channels``: its ports, each one conversation.

    ``two_way``: a port hears both directions apart. Its blocks then have two PCM rows a port, first near (the
    subscriber), then far; else one. ``ring_sense``: it tells RING_ON and RING_OFF itself; else ringing is heard in the
    audio.
    """

    channels: int
    sample_rate_hz: int = 8000
    audio: bool = True
    signals: bool = True
    hook_sense: bool = True
    two_way: bool = False
    buffer_ms: int = 0
    ring_sense: bool = True

    @property
    def tracks(self) -> int:
        """PCM rows of the card's blocks."""
        return self.channels * (2 if self.two_way else 1)


@dataclass(frozen=True, slots=True)
class PcmBlock:
    """PCM of all ports of a card, one row a port, or two (see ``Capabilities``).

    ``samples``: int16, shape ``(tracks, n)``, C-contiguous, linear PCM (G.711 already decoded).
    ``first_sample``: position of column 0 on the card's sample clock (64 bit, rises for one ``boot_id``).
    ``monotonic_ns``, ``wall_ns``: when column 0 was heard.
    ``missing``: samples lost for ever directly before ``first_sample`` (0 when the block joins the last one).
    """

    samples: Pcm
    first_sample: int
    monotonic_ns: int
    wall_ns: int
    missing: int = 0


@dataclass(frozen=True, slots=True)
class LineEvent:
    """One thing that happened on one port.

    ``at_sample`` is on the same clock as ``PcmBlock.first_sample``. ``value`` by kind: VOLTAGE the loop
    voltage in V (float), RING_ON the ring voltage in Vrms (float) or None, DIGITS the digits (str),
    ALARM/ALARM_CLEARED a short code (str), CALLER_ID a JSON object as text, else None.

    Message signalling (ISDN, VoIP): CALL_SETUP a JSON object as text, ``{"direction": "incoming" | "outgoing",
    "caller_number", "caller_name", "dialled_number"}``, texts or null; CALL_ALERTING, CALL_CONNECTED None;
    CALL_RELEASED None or the cause, a short code such as ``busy``. A port has one call at a time: a set-up ends the
    call before it, so a card that comes back does not repeat the set-up of a call that goes on.
    """

    kind: EventKind
    port: int
    at_sample: int
    value: float | str | None = None
    source: EventSource = "hardware"


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where a reader wants the card to go on: the first sample it does not have, for that power-up."""

    boot_id: str
    next_sample: int


@dataclass(slots=True)
class LinkCounters:
    """Health of the link to a card since open; every field only rises."""

    frames: int = 0
    bad_frames: int = 0  # wrong CRC, bad COBS, unknown type, impossible fields, over-long
    garbage_bytes: int = 0  # bytes thrown away while looking for a frame
    resend_requests: int = 0
    lost_samples: int = 0  # samples per port that the card could not send again
    extra: dict[str, int] = field(default_factory=dict)


class LineCard(Protocol):
    """A line card. Errors: ``LineCardGone`` (unplugged, silent) and ``LineCardProtocolError``."""

    identity: CardIdentity
    capabilities: Capabilities
    boot_id: str  # changes when the card's sample clock starts anew
    counters: LinkCounters

    def open(self, resume: ResumePoint | None = None) -> None:
        """Open the card and start the stream; identity, capabilities and boot_id are valid afterwards.

        With ``resume`` of the same boot_id the stream goes on at ``resume.next_sample`` as far as the
        card's buffer reaches; what it no longer has is reported by ``PcmBlock.missing``.
        """

    def read(self, timeout_s: float) -> PcmBlock | LineEvent | None:
        """Next block or event, None after ``timeout_s``. Raises LineCardGone, LineCardProtocolError."""

    def close(self) -> None:
        """Idempotent, never raises."""


@runtime_checkable
class AdjustableCard(Protocol):
    """A line card whose ports can be told how to measure: ``drivers.parameters``, by name."""

    def apply(self, settings: Mapping[str, object], port: int | None = None) -> None:
        """Change settings of one port or all (None) while the card is open; the thread that reads calls it.

        Raises ConfigError for a value out of range, LineCardGone.
        """
