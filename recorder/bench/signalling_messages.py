"""Caller-ID messages of random contents, made audible by senders that are not ours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soxr

from recorder.bench import minimodem, spandsp
from recorder.dsp.levels import FULL_SCALE

RATE_HZ = 8000
SEIZURE_BITS, MARK_BITS = 300, 180  # GR-30-CORE and EN 300 659-1, on hook, before ringing or between the bursts
END_BITS = 5
BIT_SAMPLES = RATE_HZ / minimodem.BAUD
_SPACE_BITS = 60  # of mark, between messages in one run of minimodem

_SDMF, _MDMF = 0x04, 0x80
_DATE, _NUMBER, _NAME = 0x01, 0x02, 0x07  # parameters of GR-30-CORE
_FEWEST_DIGITS, _MOST_DIGITS = 3, 15
_FAMILY_NAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗"
_GIVEN_NAMES = "伟芳娜敏静丽强磊军洋勇艳杰涛明超秀兰霞平刚桂英华玉春梅"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

Audio = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Standard:
    """A kind of FSK: frequencies in Hz, and what libspandsp calls it."""

    name: str
    mark_hz: float
    space_hz: float
    spandsp: int


BELL_202 = Standard("bell202", 1200.0, 2200.0, spandsp.CLASS)  # GR-30-CORE
V_23 = Standard("v23", 1300.0, 2100.0, spandsp.CLIP)  # EN 300 659-1, ITU-T V.23 mode 2


@dataclass(frozen=True, slots=True)
class Message:
    """What a message says. ``date``: MMDDHHMM, empty if not sent; ``name``: as sent, empty if not."""

    kind: int
    number: str
    date: str = ""
    name: bytes = b""

    @property
    def fields(self) -> list[spandsp.Field]:
        """Parameters in the order of GR-30-CORE; SDMF is one field of type 0."""
        number = self.number.encode()
        if self.kind == _SDMF:
            return [(0, self.date.encode() + number)]
        fields = [(_DATE, self.date.encode()), (_NUMBER, number), (_NAME, self.name)]
        return [(kind, content) for kind, content in fields if content]

    @property
    def data(self) -> bytes:
        """Type, length, payload, checksum."""
        if self.kind == _SDMF:
            payload = self.fields[0][1]
        else:
            payload = b"".join(bytes([kind, len(content)]) + content for kind, content in self.fields)
        body = bytes([self.kind, len(payload)]) + payload
        return body + bytes([-sum(body) % 256])


@dataclass(frozen=True, slots=True)
class Sent:
    """A message as audio, float32 (n,) at 8 kHz in 16-bit units; ``end``: samples up to the end of its last bit."""

    message: Message
    standard: Standard
    audio: Audio
    end: int


def random_message(rng: np.random.Generator) -> Message:
    """A number of 3 to 15 digits; SDMF, or MDMF with or without date and name (ASCII or GBK)."""
    digits = rng.integers(_FEWEST_DIGITS, _MOST_DIGITS + 1)
    number = "".join(map(str, rng.integers(0, 10, digits)))
    month, day, hour, minute = rng.integers((1, 1, 0, 0), (13, 29, 24, 60))
    date = f"{month:02}{day:02}{hour:02}{minute:02}"
    if rng.random() < 0.25:
        return Message(_SDMF, number, date)
    return Message(_MDMF, number, date if rng.random() < 0.9 else "", _random_name(rng))


def _random_name(rng: np.random.Generator) -> bytes:
    which = rng.random()
    if which < 0.3:
        return b""
    if which < 0.65:
        letters = "".join(rng.choice(list(_LETTERS), rng.integers(3, 15)))
        at = int(rng.integers(1, len(letters)))
        return f"{letters[:at]} {letters[at:]}".encode()[:15]
    given = "".join(rng.choice(list(_GIVEN_NAMES), rng.integers(1, 3)))
    return f"{rng.choice(list(_FAMILY_NAMES))}{given}".encode("gbk")


def to_pcm(audio: Audio) -> npt.NDArray[np.int16]:
    """Audio in 16-bit units, clipped as a codec clips."""
    return np.asarray(np.clip(np.rint(audio), -32768, 32767), dtype=np.int16)


def bits_of(data: bytes) -> list[int]:
    """Seizure, mark, the characters with start and stop bits, a few bits of mark."""
    bits = [i & 1 for i in range(SEIZURE_BITS)] + [1] * MARK_BITS
    for byte in data:
        bits += [0, *(byte >> k & 1 for k in range(8)), 1]
    return bits + [1] * END_BITS


def by_spandsp(messages: list[Message], standard: Standard) -> list[Sent]:
    """The messages as ``adsi_tx`` sends them, −14 dBm0."""
    sent = []
    for message in messages:
        pcm = spandsp.caller_id(
            standard.spandsp, message.fields, kind=message.kind, mark_bits=MARK_BITS, lead_samples=0, tail_samples=0
        )
        bits = SEIZURE_BITS + MARK_BITS + 10 * len(message.data)
        sent.append(Sent(message, standard, pcm.astype(np.float32), round(bits * BIT_SAMPLES)))
    return sent


def by_minimodem(messages: list[Message], standard: Standard, frequency: float = 1.0, rate: float = 1.0) -> list[Sent]:
    """The messages as minimodem sends them, all in one run. ``frequency``, ``rate``: factors of tones and of baud."""
    each = [bits_of(message.data) for message in messages]
    spaced = [np.array(bits + [1] * _SPACE_BITS, np.uint8) for bits in each]
    sent = minimodem.send(
        np.concatenate(spaced), standard.mark_hz * frequency / rate, standard.space_hz * frequency / rate
    )
    audio = soxr.resample(sent * np.float32(FULL_SCALE), minimodem.SENT_RATE_HZ * rate, RATE_HZ)
    samples_a_bit = BIT_SAMPLES / rate
    starts = minimodem.LEADER_BITS + np.concatenate(([0], np.cumsum([len(bits) for bits in spaced])))
    result = []
    for message, bits, start in zip(messages, each, starts, strict=False):
        first, last = round(start * samples_a_bit), round((start + len(bits)) * samples_a_bit)
        end = round((len(bits) - END_BITS) * samples_a_bit)
        result.append(Sent(message, standard, audio[first:last], end))
    return result


def markers(count: int, standard: Standard) -> list[npt.NDArray[np.int16]]:
    """Undamaged messages for ``minimodem.receive``, int16 (n,)."""
    messages = [Message(_MDMF, minimodem.marker_number(index)) for index in range(count)]
    return [sent.audio.astype(np.int16) for sent in by_spandsp(messages, standard)]
