"""Puts the stream of a serial line card together: nothing out of order, nothing twice, every loss counted.

Pure: messages in, items out, no I/O; the driver sends what ``resend_due`` asks for.

The stream frames (PCM, EVENT, STATUS) carry one rising sequence number. A frame ahead of the expected one means
loss: it is thrown away and the stream is asked for again from the first sample that is lacking (go-back-N).
A frame behind is a duplicate. POSITION says that the stream goes on as asked; LOST that the gap stays for ever.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from drivers.api import LinkCounters
from drivers.serial_card.messages import Event, MessageError, Pcm, Position, Status, StreamMessage

RESEND_RETRY_S = 0.3
"""An answer to RESEND that takes longer is taken for lost."""

MAX_JUMP_S = 86_400
"""A card that claims to have lost more than a day is not believed."""

EVENT_SPAN_S = 10
"""An event further than this from the stream's position is not believed (the card may be 0.2 s late)."""

_SEQ_MASK = 0xFFFF_FFFF
_SEQ_HALF = 0x8000_0000


@dataclass(frozen=True, slots=True)
class Slice:
    """PCM that joins the stream: ``message`` without its first ``skip`` samples, after ``missing`` lost ones."""

    message: Pcm
    skip: int
    missing: int


@dataclass(frozen=True, slots=True)
class States:
    """The card states how every port is at ``at_sample`` (after a start or a loss): one byte a port."""

    at_sample: int
    states: bytes


StreamItem = Slice | States | Event | Status


class StreamAssembler:
    """Order out of what the line lets through, for one START.

    ``position`` must be the card's answer to that START. ``asked_sample`` is the first sample wanted (None: any).
    Raises MessageError when the position is impossible. Thread: one.
    """

    def __init__(
        self, position: Position, asked_sample: int | None, ports: int, sample_rate_hz: int, counters: LinkCounters
    ) -> None:
        if len(position.states) != ports:
            raise MessageError(f"position for {len(position.states)} ports, the card has {ports}")
        self._ports = ports
        self._rate_hz = sample_rate_hz
        self._counters = counters
        self._expected_seq = position.seq
        self._next_sample = position.first_sample
        self._wanted_from = position.first_sample if asked_sample is None else asked_sample
        self._missing = 0
        self._recovering = False
        self._answered = False
        self._request_s: float | None = None
        self.items: deque[StreamItem] = deque([States(max(self._next_sample, self._wanted_from), position.states)])
        if self._next_sample > self._wanted_from:
            self._lose(self._next_sample - self._wanted_from)

    @property
    def next_sample(self) -> int:
        """First sample that is not yet here."""
        return self._next_sample

    def resend_due(self, now_s: float) -> bool:
        """Whether RESEND from ``next_sample`` is to be sent now; the caller then sends it."""
        if not self._recovering:
            return False
        if self._request_s is not None and now_s - self._request_s < RESEND_RETRY_S:
            return False
        self._request_s = now_s
        self._counters.resend_requests += 1
        return True

    def ask_again(self) -> None:
        """Go back to the first sample that is lacking, for instance after a silence."""
        self._recovering = True
        self._answered = False

    def on_message(self, message: StreamMessage) -> None:
        """Take one stream frame; what it completes appears in ``items``. Raises MessageError."""
        ahead = (message.seq - self._expected_seq) & _SEQ_MASK
        if ahead >= _SEQ_HALF:
            return
        if ahead:
            self._on_gap()
            return
        if isinstance(message, Pcm):
            self._take_pcm(message)
        else:
            self._take_report(message)
        self._expected_seq = (self._expected_seq + 1) & _SEQ_MASK
        self._recovering = False

    def on_position(self, position: Position) -> None:
        """Take the answer to a RESEND, or a LOST that the card sends of itself. Raises MessageError."""
        if len(position.states) != self._ports:
            raise MessageError("position for another number of ports")
        if position.asked_sample != self._next_sample:
            return  # the answer to an older request
        if not position.lost:
            self._answered = True
            return
        jump = position.first_sample - self._next_sample
        if not 0 <= jump <= MAX_JUMP_S * self._rate_hz:
            raise MessageError(f"a loss of {jump} samples")
        self._lose(jump)
        self._next_sample = position.first_sample
        self._expected_seq = position.seq
        self._recovering = False
        self.items.append(States(position.first_sample, position.states))

    def _on_gap(self) -> None:
        if not self._recovering or self._answered:
            self._request_s = None
        self._recovering = True
        self._answered = False

    def _lose(self, samples: int) -> None:
        self._missing += samples
        self._counters.lost_samples += samples

    def _take_pcm(self, pcm: Pcm) -> None:
        if pcm.first_port or pcm.port_count != self._ports:
            raise MessageError("PCM of other ports than the card has")
        if pcm.samples > self._rate_hz:
            raise MessageError("PCM of more than a second")
        if pcm.first_sample != self._next_sample:
            self._on_gap()
            raise MessageError(f"PCM at sample {pcm.first_sample}, expected {self._next_sample}")
        self._next_sample += pcm.samples
        skip = max(self._wanted_from - pcm.first_sample, 0)
        if skip < pcm.samples:
            self.items.append(Slice(pcm, skip, self._missing))
            self._missing = 0

    def _take_report(self, message: Event | Status) -> None:
        if abs(message.at_sample - self._next_sample) > EVENT_SPAN_S * self._rate_hz:
            raise MessageError(f"report at sample {message.at_sample}, the stream is at {self._next_sample}")
        if isinstance(message, Event) and message.port >= self._ports:
            raise MessageError(f"event on port {message.port}, the card has {self._ports}")
        if isinstance(message, Status) and len(message.states) != self._ports:
            raise MessageError("status of another number of ports")
        self.items.append(message)
