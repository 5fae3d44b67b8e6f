"""What the firmware of a serial line card does, without the serial port: the other end of the driver."""

from __future__ import annotations

from collections import deque
from functools import singledispatchmethod

import numpy as np

from drivers.api import LinkCounters, Pcm
from drivers.exchange_card.meter import LineMeter
from drivers.exchange_card.ring import StreamFrame, StreamRing
from drivers.exchange_card.source import LineSource
from drivers.g711 import encode_alaw, encode_ulaw
from drivers.serial_card.frames import FrameReader, encode_frame
from drivers.serial_card.messages import (
    BOOT_ID_BYTES,
    MAX_PORTS,
    Codec,
    Event,
    Hello,
    HelloRequest,
    MessageError,
    Ping,
    Pong,
    Position,
    Resend,
    Set,
    SettingAck,
    SettingNak,
    Start,
    Status,
    Stop,
    from_host,
)
from drivers.serial_card.messages import Pcm as PcmMessage
from drivers.serial_card.settings import Setting, refusal_of
from firmware.errors import ConfigError

SAMPLE_RATE_HZ = 8_000
SAMPLES_PER_MS = 8
SLICE_SAMPLES = 160
BUFFER_MS = 8_000
STATUS_SLICES = 12  # STATUS every 240 ms
MAX_REPLIES = 64  # a host that asks without reading loses the oldest answers, as in any small machine

_SEQ_MASK = 0xFFFF_FFFF


class EmulatedCard:
    """A card with ``ports`` lines from ``source``: measures, codes, buffers, answers.

    Pure: ``receive`` takes the host's bytes, ``advance`` makes one slice of 20 ms, ``next_frame`` gives what to
    send. Raises ConfigError for an impossible number of ports. Thread: one.
    """

    def __init__(
        self, source: LineSource, ports: int, boot_id: bytes, serial_number: str, model: str = "Emulated line card"
    ) -> None:
        if not 1 <= ports <= MAX_PORTS:
            raise ConfigError(f"ports = {ports}: must be from 1 to {MAX_PORTS}")
        if len(boot_id) != BOOT_ID_BYTES:
            raise ConfigError(f"boot id of {len(boot_id)} bytes: must be {BOOT_ID_BYTES}")
        self.counters = LinkCounters()
        self._source = source
        self._ports = ports
        self._boot_id = boot_id
        self._serial_number = serial_number
        self._model = model
        self._meter = LineMeter(ports)
        self._ring = StreamRing(BUFFER_MS * SAMPLES_PER_MS)
        self._reader = FrameReader(self.counters)
        self._replies: deque[bytes] = deque(maxlen=MAX_REPLIES)
        self._cursor: int | None = None  # sequence of the next frame to send; None: no stream
        self._sent_end = 0  # first sample that the host has not been given
        self._slices = 0
        self.advance()  # a card measures its lines before it answers

    @property
    def streaming(self) -> bool:
        """Whether a host has started the stream."""
        return self._cursor is not None

    @property
    def next_sample(self) -> int:
        """First sample that is not yet measured."""
        return self._ring.next_sample

    @property
    def sent_sample(self) -> int:
        """First sample that the host has not been given; goes back when the host asks for more again."""
        return self._sent_end

    def advance(self) -> None:
        """Measure and buffer the next slice, whether or not anybody listens."""
        lines = self._source.render(SLICE_SAMPLES)
        first_sample = self._ring.next_sample
        states = self._meter.states()
        for change in self._meter.measure(lines):
            at_sample = change.at_ms * SAMPLES_PER_MS
            self._store(Event(self._seq(), at_sample, change.port, change.kind, change.value), states)
        states = self._meter.states()
        self._slices += 1
        if self._slices % STATUS_SLICES == 0:
            voltages_mv = tuple(map(int, self._meter.loop_mv))
            self._store(Status(self._seq(), first_sample, voltages_mv, states), states)
        codec = Codec(int(self._meter.level(Setting.CODEC)[0]))
        data = _encode(self._amplify(lines.audio), codec)
        self._store(PcmMessage(self._seq(), first_sample, codec, 0, self._ports, SLICE_SAMPLES, data), states)

    def next_frame(self) -> bytes | None:
        """The next bytes to send, a whole frame; None when all is sent. Answers go before the stream."""
        if self._replies:
            return self._replies.popleft()
        if self._cursor is None:
            return None
        if self._cursor < self._ring.oldest_seq:
            self._overrun()
            return self._replies.popleft()
        frame = self._ring.frame(self._cursor)
        if frame is None:
            return None
        self._cursor += 1
        self._sent_end = frame.first_sample + frame.samples
        return frame.wire

    def receive(self, data: bytes) -> None:
        """Take bytes from the host; bad ones are counted in ``counters``."""
        for body in self._reader.feed(data):
            try:
                self._answer(from_host(body))
            except MessageError:
                self.counters.bad_frames += 1

    @singledispatchmethod
    def _answer(self, message: object) -> None:
        raise MessageError(f"unexpected {message}")

    @_answer.register
    def _(self, message: HelloRequest) -> None:
        self._cursor = None
        ring = self._ring
        codecs = sum(1 << codec for codec in Codec)
        self._reply(
            Hello(
                self._boot_id, self._ports, SAMPLE_RATE_HZ, codecs, BUFFER_MS, ring.oldest_sample, ring.next_sample,
                self._model, self._serial_number,
            ).pack()
        )  # fmt: skip

    @_answer.register
    def _(self, message: Start) -> None:
        if message.boot_id != self._boot_id:
            self._answer(HelloRequest())
            return
        from_sample = self._ring.next_sample if message.from_sample is None else message.from_sample
        self._go_to(from_sample)

    @_answer.register
    def _(self, message: Stop) -> None:
        self._cursor = None

    @_answer.register
    def _(self, message: Resend) -> None:
        if self._cursor is not None:
            self.counters.resend_requests += 1
            self._go_to(message.from_sample)

    @_answer.register
    def _(self, message: Set) -> None:
        refusal = refusal_of(message, self._ports)
        if refusal is not None:
            self._reply(SettingNak(message.port, message.parameter, refusal).pack())
            return
        self._meter.set(message.port, Setting(message.parameter), message.value)
        self._reply(SettingAck(message.port, message.parameter, message.value).pack())

    @_answer.register
    def _(self, message: Ping) -> None:
        self._reply(Pong(message.token, self._boot_id).pack())

    def _go_to(self, from_sample: int) -> None:
        """Continue the stream at ``from_sample``, and say so."""
        self._cursor = self._ring.seek(from_sample)
        self._sent_end = self._ring.sample_at(self._cursor)
        self._reply(self._position(from_sample, lost=from_sample < self._ring.oldest_sample))

    def _overrun(self) -> None:
        """The host did not read: what it should have got next is overwritten."""
        self._cursor = self._ring.oldest_seq
        asked_sample, self._sent_end = self._sent_end, self._ring.oldest_sample
        self.counters.lost_samples += self._ring.oldest_sample - asked_sample
        self._reply(self._position(asked_sample, lost=True))

    def _position(self, asked_sample: int, lost: bool) -> bytes:
        cursor = self._ring.next_seq if self._cursor is None else self._cursor
        frame = self._ring.frame(cursor)
        states = self._meter.states() if frame is None else frame.states
        first_sample = self._ring.sample_at(cursor)
        return Position(asked_sample, first_sample, cursor & _SEQ_MASK, states, lost).pack()

    def _reply(self, body: bytes) -> None:
        self._replies.append(encode_frame(body))

    def _seq(self) -> int:
        return self._ring.next_seq & _SEQ_MASK

    def _store(self, message: PcmMessage | Event | Status, states: bytes) -> None:
        samples = message.samples if isinstance(message, PcmMessage) else 0
        self._ring.append(StreamFrame(encode_frame(message.pack()), self._ring.next_sample, samples, states))

    def _amplify(self, audio: Pcm) -> Pcm:
        gain_centi_db = self._meter.level(Setting.GAIN_CENTI_DB)
        if not gain_centi_db.any():
            return audio
        factor = 10.0 ** (gain_centi_db[:, None] / 2000)
        return np.rint(audio * factor).clip(-32768, 32767).astype(np.int16)


def _encode(audio: Pcm, codec: Codec) -> bytes:
    if codec is Codec.LINEAR16:
        return audio.astype("<i2").tobytes()
    audio = np.ascontiguousarray(audio)
    return (encode_alaw(audio) if codec is Codec.ALAW else encode_ulaw(audio)).tobytes()
