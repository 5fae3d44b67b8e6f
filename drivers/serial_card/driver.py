"""Driver of the Tapdeck serial line card (docs/serial-line-card.md)."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from drivers.api import Capabilities, CardIdentity, EventKind, LineEvent, LinkCounters, Pcm, PcmBlock, ResumePoint
from drivers.g711 import decode_alaw, decode_ulaw
from drivers.serial_card.frames import FrameReader, encode_frame
from drivers.serial_card.messages import (
    NO_VALUE,
    CardMessage,
    Codec,
    Event,
    Hello,
    HelloRequest,
    HostMessage,
    MessageError,
    Ping,
    Pong,
    PortState,
    Position,
    ProtocolVersionError,
    Resend,
    Set,
    SettingAck,
    SettingNak,
    Start,
    Status,
    Stop,
    StreamMessage,
    WireEvent,
    from_card,
)
from drivers.serial_card.messages import Pcm as PcmMessage
from drivers.serial_card.sample_clock import SampleClock
from drivers.serial_card.settings import to_messages
from drivers.serial_card.stream import MAX_JUMP_S, Slice, States, StreamAssembler, StreamItem
from drivers.serial_card.transport import DEFAULT_BAUD, SerialTransport, Transport
from firmware.errors import ConfigError, LineCardGone, LineCardProtocolError

FAMILY = "serial"
ANSWER_TIMEOUT_S = 5.0
RETRY_S = 0.5
PING_AFTER_S = 2.0
GONE_AFTER_S = 4.0
NO_PROGRESS_S = 10.0

_TICK_S = 0.1  # longest wait inside read(), so that time-outs are noticed
_BAUDS = (9_600, 12_000_000)
_EVENT_KINDS = {int(kind): EventKind[kind.name] for kind in WireEvent}

_Answer = TypeVar("_Answer", Hello, Position)


@dataclass(frozen=True, slots=True)
class HostClock:
    """The host's clocks in ns: one that only rises, and Unix time."""

    monotonic_ns: Callable[[], int] = time.monotonic_ns
    wall_ns: Callable[[], int] = time.time_ns


class SerialLineCard:
    """A card on a serial port; a ``drivers.api.LineCard``.

    ``settings``: as in ``drivers.serial_card.settings``, sent at every open. ``connect`` opens the transport.
    ``identity``, ``capabilities`` and ``boot_id`` are valid after ``open``. Ports are numbered from 0.
    ``counters.extra``: ``unknown_events`` (kinds of a newer card), ``settings_refused``.

    Raises: ConfigError for a bad setting. Thread: one.
    """

    def __init__(
        self,
        port: str,
        settings: Mapping[str, object] | None = None,
        connect: Callable[[], Transport] | None = None,
        clock: HostClock | None = None,
    ) -> None:
        self.identity = CardIdentity(FAMILY, "")
        self.capabilities = Capabilities(channels=0)
        self.boot_id = ""
        self.counters = LinkCounters()
        self._port = port
        self._settings = to_messages(settings or {})
        self._connect = connect or (lambda: SerialTransport(port))
        self._clock = clock or HostClock()
        self._transport: Transport | None = None
        self._ready: deque[PcmBlock | LineEvent] = deque()
        self._reader = FrameReader(self.counters)
        self._inbox: deque[CardMessage] = deque()
        self._unconfirmed: dict[tuple[int, int], Set] = {}
        self._stream: StreamAssembler | None = None
        self._heard_s = self._progress_s = self._left_s = self._pinged_s = self._settings_s = 0.0

    def open(self, resume: ResumePoint | None = None) -> None:
        """Connect, read HELLO, apply the settings, start the stream; see ``LineCard.open``.

        With a ``resume`` of an earlier power-up the stream starts at the oldest sample of this one.
        Raises: LineCardGone, LineCardProtocolError; ConfigError when the card refuses a setting.
        """
        self.close()
        self.counters = LinkCounters()
        self._reader = FrameReader(self.counters)
        self._inbox.clear()
        self._unconfirmed.clear()
        self._stream = None
        self._transport = self._connect()
        try:
            self._start(resume)
        except BaseException:
            self.close()
            raise

    def read(self, timeout_s: float) -> PcmBlock | LineEvent | None:
        """Next block or event; see ``LineCard.read``. RING_ON that was on before the start has value None."""
        if self._ready:
            return self._ready.popleft()
        now_s = self._now_s()
        deadline_s = now_s + timeout_s
        away_s = now_s - self._left_s  # nobody listened: no silence of the card's
        self._heard_s += away_s
        self._progress_s += away_s
        while True:
            self._pump(min(_TICK_S, max(deadline_s - now_s, 0.0)))
            now_s = self._left_s = self._now_s()
            if self._ready:
                return self._ready.popleft()
            if now_s >= deadline_s:
                return None

    def apply(self, settings: Mapping[str, object], port: int | None = None) -> None:
        """Change settings of one port or all (None) while the stream runs; takes effect within a slice or two.

        A refusal counts in ``counters.extra["settings_refused"]``. Raises ConfigError, LineCardGone.
        """
        if port is not None and not 0 <= port < self.capabilities.channels:
            raise ConfigError(f"port = {port}: the card has ports 0 to {self.capabilities.channels - 1}")
        self._send_settings(to_messages(settings, port))

    def close(self) -> None:
        """Stop the stream and let go of the port. Idempotent, never raises."""
        transport, self._transport = self._transport, None
        self._ready.clear()
        if transport is None:
            return
        try:
            transport.write(encode_frame(Stop().pack()))
        except LineCardGone:
            pass  # a card that is gone needs no STOP
        finally:
            transport.close()

    # Start-up: one question after the other.

    def _start(self, resume: ResumePoint | None) -> None:
        self._heard_s = self._progress_s = self._left_s = self._now_s()
        self._pinged_s = 0.0
        hello = self._ask(HelloRequest(), Hello)
        self._sample_clock = SampleClock(hello.sample_rate_hz, hello.next_sample, self._clock.monotonic_ns())
        self._hello = hello
        self.boot_id = hello.boot_id.hex()
        self.identity = CardIdentity(FAMILY, hello.serial_number, hello.model)
        self.capabilities = Capabilities(
            channels=hello.ports, sample_rate_hz=hello.sample_rate_hz, buffer_ms=hello.buffer_ms
        )
        self._confirm_settings()
        asked = None
        if resume is not None:
            asked = resume.next_sample if resume.boot_id == self.boot_id else hello.oldest_sample
            if not 0 <= asked <= hello.next_sample:
                raise LineCardProtocolError(
                    f"{self._port}: asked to resume at sample {asked}, the card is at {hello.next_sample}"
                )
        position = self._ask(Start(hello.boot_id, asked), Position)
        wrong_answer = asked is not None and position.asked_sample != asked
        if wrong_answer or abs(position.first_sample - hello.next_sample) > MAX_JUMP_S * hello.sample_rate_hz:
            raise LineCardProtocolError(f"{self._port}: impossible start position {position.first_sample}")
        try:
            self._stream = StreamAssembler(position, asked, hello.ports, hello.sample_rate_hz, self.counters)
        except MessageError as error:
            raise LineCardProtocolError(f"{self._port}: {error}") from error
        self._collect()
        while self._inbox:
            self._on_message(self._inbox.popleft())
        self._heard_s = self._progress_s = self._left_s = self._now_s()

    def _ask(self, question: HostMessage, answer: type[_Answer]) -> _Answer:
        """Send ``question`` until the card gives such an answer; what follows the answer waits in the inbox."""
        deadline_s = self._now_s() + ANSWER_TIMEOUT_S
        ask_s = 0.0
        self._inbox.clear()
        while (now_s := self._now_s()) < deadline_s:
            if now_s >= ask_s:
                self._send(question)
                ask_s = now_s + RETRY_S
            self._receive(min(ask_s, deadline_s) - now_s)
            while self._inbox:
                message = self._inbox.popleft()
                if isinstance(message, answer):
                    return message
        raise LineCardGone(f"{self._port}: no {answer.__name__.upper()} within {ANSWER_TIMEOUT_S:g} s")

    def _confirm_settings(self) -> None:
        self._send_settings(self._settings)
        deadline_s = self._now_s() + ANSWER_TIMEOUT_S
        while self._unconfirmed:
            if self._now_s() >= deadline_s:
                raise LineCardGone(f"{self._port}: no answer to settings within {ANSWER_TIMEOUT_S:g} s")
            self._receive(_TICK_S)
            while self._inbox:
                message = self._inbox.popleft()
                if isinstance(message, SettingNak):
                    raise ConfigError(f"{self._port}: the card refuses setting {message.parameter} ({message.reason})")
                if isinstance(message, SettingAck):
                    self._on_message(message)
            self._repeat_settings()

    # While the stream runs.

    def _pump(self, timeout_s: float) -> None:
        """One read, all its messages, then what is due."""
        self._receive(timeout_s)
        while self._inbox:
            self._on_message(self._inbox.popleft())
        if self._stream is None:
            raise LineCardGone(f"{self._port}: not open")
        now_s = self._now_s()
        if self._stream.resend_due(now_s):
            self._send(Resend(self._stream.next_sample))
        self._repeat_settings()
        self._check_silence(now_s)

    def _receive(self, timeout_s: float) -> None:
        """Read once; good messages go to the inbox."""
        if self._transport is None:
            raise LineCardGone(f"{self._port}: not open")
        data = self._transport.read(timeout_s)
        if not data:
            return
        for body in self._reader.feed(data):
            try:
                self._inbox.append(from_card(body))
            except ProtocolVersionError as error:
                raise LineCardProtocolError(f"{self._port}: {error}") from error
            except MessageError:
                self.counters.bad_frames += 1
            else:
                self._heard_s = self._now_s()

    def _on_message(self, message: CardMessage) -> None:
        if isinstance(message, SettingAck | SettingNak):
            asked = self._unconfirmed.get((message.port, message.parameter))
            older = isinstance(message, SettingAck) and asked is not None and asked.value != message.value
            if not older:
                self._unconfirmed.pop((message.port, message.parameter), None)
            if isinstance(message, SettingNak):
                self._count_extra("settings_refused")
        elif isinstance(message, Hello | Pong):
            if message.boot_id != self._hello.boot_id:
                raise LineCardGone(f"{self._port}: the card started anew")
        else:
            self._on_stream_message(message)

    def _on_stream_message(self, message: StreamMessage | Position) -> None:
        if self._stream is None:
            return
        try:
            if isinstance(message, Position):
                self._stream.on_position(message)
            else:
                self._stream.on_message(message)
        except MessageError:
            self.counters.bad_frames += 1
        self._collect()

    def _collect(self) -> None:
        if self._stream is None:
            return
        while self._stream.items:
            item = self._stream.items.popleft()
            if isinstance(item, Slice):
                self._progress_s = self._now_s()
            self._ready.extend(self._to_api(item))

    def _check_silence(self, now_s: float) -> None:
        silence_s = now_s - self._heard_s
        if silence_s > GONE_AFTER_S:
            raise LineCardGone(f"{self._port}: silent for {silence_s:.1f} s")
        if now_s - self._progress_s > NO_PROGRESS_S:
            raise LineCardProtocolError(f"{self._port}: answers, but its stream stands still")
        if self._stream is None or now_s - max(self._progress_s, self._pinged_s) <= PING_AFTER_S:
            return
        self._pinged_s = now_s
        self._send(Ping(int(now_s) & 0xFFFF_FFFF))
        self._stream.ask_again()

    # From the wire to the API.

    def _to_api(self, item: StreamItem) -> list[PcmBlock] | list[LineEvent]:
        if isinstance(item, Slice):
            return [self._to_block(item)]
        if isinstance(item, States):
            return [event for port, state in enumerate(item.states) for event in _state_events(port, state, item)]
        if isinstance(item, Status):
            return [
                LineEvent(EventKind.VOLTAGE, port, item.at_sample, mv / 1000)
                for port, mv in enumerate(item.voltages_mv)
            ]
        return self._to_event(item)

    def _to_event(self, event: Event) -> list[LineEvent]:
        kind = _EVENT_KINDS.get(event.kind)
        if kind is None:
            self._count_extra("unknown_events")
            return []
        value = event.value / 1000 if kind is EventKind.RING_ON and event.value != NO_VALUE else None
        return [LineEvent(kind, event.port, event.at_sample, value)]

    def _to_block(self, piece: Slice) -> PcmBlock:
        message = piece.message
        first_sample = message.first_sample + piece.skip
        arrival_ns, wall_ns = self._clock.monotonic_ns(), self._clock.wall_ns()
        heard_ns = self._sample_clock.heard_ns(first_sample, message.first_sample + message.samples, arrival_ns)
        samples = _decode(message)
        if piece.skip:
            samples = np.ascontiguousarray(samples[:, piece.skip :])
        return PcmBlock(samples, first_sample, heard_ns, wall_ns - (arrival_ns - heard_ns), piece.missing)

    # Sending.

    def _send_settings(self, messages: list[Set]) -> None:
        for message in messages:
            self._unconfirmed[message.port, message.parameter] = message
            self._send(message)
        self._settings_s = self._now_s()

    def _repeat_settings(self) -> None:
        if self._unconfirmed and self._now_s() - self._settings_s >= RETRY_S:
            self._send_settings(list(self._unconfirmed.values()))

    def _send(self, message: HostMessage) -> None:
        if self._transport is None:
            raise LineCardGone(f"{self._port}: not open")
        self._transport.write(encode_frame(message.pack()))

    def _count_extra(self, name: str) -> None:
        self.counters.extra[name] = self.counters.extra.get(name, 0) + 1

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / 1e9


def _decode(message: PcmMessage) -> Pcm:
    """int16 (ports, samples), C-contiguous and writable."""
    shape = (message.port_count, message.samples)
    if message.codec is Codec.LINEAR16:
        return np.frombuffer(message.data, "<i2").astype(np.int16).reshape(shape)
    codes = np.frombuffer(message.data, np.uint8).reshape(shape)
    return decode_alaw(codes) if message.codec is Codec.ALAW else decode_ulaw(codes)


def _state_events(port: int, state: int, at: States) -> list[LineEvent]:
    if not state & PortState.LINE_PRESENT:
        return [LineEvent(EventKind.LINE_LOST, port, at.at_sample)]
    hook = EventKind.OFF_HOOK if state & PortState.OFF_HOOK else EventKind.ON_HOOK
    kinds = [EventKind.LINE_PRESENT, hook]
    if state & PortState.RINGING:
        kinds.append(EventKind.RING_ON)
    return [LineEvent(kind, port, at.at_sample) for kind in kinds]


def open_card(address: str, **settings: object) -> SerialLineCard:
    """The registry's factory: a card at serial port ``address``, not yet opened.

    ``settings``: ``baud`` and those of ``drivers.serial_card.settings``. Raises ConfigError.
    """
    baud = settings.pop("baud", DEFAULT_BAUD)
    if not isinstance(baud, int) or not _BAUDS[0] <= baud <= _BAUDS[1]:
        raise ConfigError(f"baud = {baud!r}: a whole number from {_BAUDS[0]} to {_BAUDS[1]}")
    return SerialLineCard(address, settings, connect=lambda: SerialTransport(address, baud))
