"""What a line does to a message on its way: level, twist, noise, codecs and other harm, always the same for a seed.

White noise: Gaussian, 0 to 4 kHz. ``snr_db`` is the mean power of the message, from the first bit of its seizure
signal to its last bit, over the power of that part of the noise which lies in 300 to 3400 Hz (EN 300 659-1 and
BT SIN 227 state it in this band): 3100/4000 of all the noise. The noise lasts from the beginning of the row to its end,
and all receivers get all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drivers.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from recorder.bench import spandsp
from recorder.bench.signalling_messages import RATE_HZ, Audio, Sent, to_pcm
from recorder.dsp.filters import band_pass, same
from recorder.dsp.levels import mean_square

NOISE_BAND = (3400.0 - 300.0) / (RATE_HZ / 2)
"""Share of white noise that lies in the band of the signal-to-noise ratio."""
DRIFT = 200e-6
"""Of the sender's clock against the receiver's."""
_LEAD_SAMPLES = 4800  # 0.6 s: room for the rest of a ring burst
_LEAD_SPREAD_SAMPLES = 800  # a message begins anywhere in a block
_TAIL_SAMPLES = 3200

Rows = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Line:
    """A line with white noise. ``level_dbm0`` None: as sent; ``twist_db``: mark over space; ``harm``: see ``HARMS``."""

    snr_db: float
    level_dbm0: float | None = None
    twist_db: float = 0.0
    harm: str = "none"


@dataclass(frozen=True, slots=True)
class Received:
    """Rows int16 (messages, n) at 8 kHz, and after which sample of its row each message ends, int64 (messages,)."""

    rows: Rows
    ends: npt.NDArray[np.int64]


def through(line: Line, sent: list[Sent], rng: np.random.Generator) -> Received:
    """The messages as they arrive, each on a row of its own."""
    leads = _LEAD_SAMPLES + rng.integers(0, _LEAD_SPREAD_SAMPLES, len(sent))
    samples = int(max(lead + len(each.audio) for lead, each in zip(leads, sent, strict=True))) + _TAIL_SAMPLES
    rows = np.zeros((len(sent), samples), np.int16)
    for row, lead, each in zip(rows, leads, sent, strict=True):
        row[:] = _pcm(_arrives(line, each, int(lead), samples, rng), line.harm)
    return Received(rows, leads + np.array([each.end for each in sent]))


def _arrives(line: Line, sent: Sent, lead: int, samples: int, rng: np.random.Generator) -> Audio:
    audio = sent.audio if line.twist_db == 0.0 else _twisted(sent, line.twist_db)
    power = float(np.mean(np.square(audio[: sent.end], dtype=np.float64)))
    if line.level_dbm0 is not None:
        audio = audio * np.float32(np.sqrt(mean_square(line.level_dbm0) / power))
        power = mean_square(line.level_dbm0)
    noise_power = power / 10.0 ** (line.snr_db / 10.0) / NOISE_BAND
    row = rng.standard_normal(samples, dtype=np.float32) * np.float32(np.sqrt(noise_power))
    row[lead : lead + len(audio)] += audio
    harm = _ANALOGUE.get(line.harm)
    return row if harm is None else harm(row, power, lead, rng)


def _twisted(sent: Sent, twist_db: float) -> Audio:
    """Mark ``twist_db`` louder than space, by a line whose gain in dB is straight from one to the other."""
    standard = sent.standard
    spectrum = np.fft.rfft(sent.audio)
    frequency_hz = np.fft.rfftfreq(len(sent.audio), 1.0 / RATE_HZ)
    gain_db = np.interp(frequency_hz, (standard.mark_hz, standard.space_hz), (twist_db / 2.0, -twist_db / 2.0))
    return np.fft.irfft(spectrum * 10.0 ** (gain_db / 20.0), len(sent.audio)).astype(np.float32)


def _hum(row: Audio, power: float, lead: int, rng: np.random.Generator) -> Audio:
    """50 Hz as loud as the message, with harmonics up to 500 Hz that fall with the square of their number."""
    time_s = np.arange(len(row)) / RATE_HZ
    order = np.arange(1, 11)
    phase = rng.uniform(0.0, 2.0 * np.pi, len(order))
    waves = np.sin(2.0 * np.pi * 50.0 * np.outer(time_s, order) + phase) / order**2
    return np.asarray(row + np.sqrt(2.0 * power) * waves.sum(axis=1), dtype=np.float32)


def _clicks(row: Audio, power: float, lead: int, rng: np.random.Generator) -> Audio:
    """Two clicks of one or two samples, three times as high as the message's RMS, anywhere in the row."""
    for at in rng.integers(0, len(row) - 2, 2):
        row[at : at + int(rng.integers(1, 3))] += np.float32(3.0 * np.sqrt(power)) * rng.choice((-1, 1))
    return row


def _ring(row: Audio, power: float, lead: int, rng: np.random.Generator) -> Audio:
    """What a line interface lets through of a 25 Hz ring burst that ends 0.3 s before the message."""
    time_s = np.arange(lead - 2400) / RATE_HZ
    clipped = np.clip(6.0 * np.sin(2.0 * np.pi * 25.0 * time_s), -1.0, 1.0)
    burst = np.clip(8.0 * np.diff(clipped, prepend=0.0) + 0.2 * clipped, -1.0, 1.0)
    row[: len(burst)] += (burst * np.sqrt(2.0 * mean_square(3.0))).astype(np.float32)
    return row


def _band_limited(row: Audio, power: float, lead: int, rng: np.random.Generator) -> Audio:
    """300 to 3400 Hz."""
    return same(row, _TELEPHONE_BAND)


_TELEPHONE_BAND = band_pass(300.0, 3400.0, 129)


def _offset(row: Audio, power: float, lead: int, rng: np.random.Generator) -> Audio:
    """A sixteenth of full scale of direct current."""
    return row + np.float32(2048.0 * rng.choice((-1, 1)))


def _clipped(row: Audio, power: float, lead: int, rng: np.random.Generator) -> Audio:
    """Everything over the RMS of the message is cut off, 3 dB below the peak of its tones."""
    limit = np.float32(np.sqrt(power))
    return np.clip(row, -limit, limit)


_ANALOGUE: dict[str, Callable[[Audio, float, int, np.random.Generator], Audio]] = {
    "hum": _hum,
    "clicks": _clicks,
    "ring": _ring,
    "band": _band_limited,
    "offset": _offset,
    "clipped": _clipped,
}

_CODECS: dict[str, Callable[[Rows], Rows]] = {
    "alaw": lambda pcm: decode_alaw(encode_alaw(pcm)),
    "ulaw": lambda pcm: decode_ulaw(encode_ulaw(pcm)),
    "g726": spandsp.g726,
}

HARMS = ("none", *_ANALOGUE, *_CODECS, "drift")
"""``hum``: 50 Hz and harmonics; ``ring``: rest of a ring burst; ``band``: 300–3400 Hz; ``offset``: DC; ``g726``:
32 kbit/s; ``drift``: 200 ppm, which the sender makes (``DRIFT``)."""


def _pcm(row: Audio, harm: str) -> Rows:
    pcm = to_pcm(row)
    codec = _CODECS.get(harm)
    return pcm if codec is None else codec(pcm)
