"""The one spectrum that every detector looks at: 20 ms Hann frames each 10 ms, for all channels at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recorder.dsp.filters import SAMPLE_RATE_HZ

FRAME_SAMPLES = 160  # 20 ms at 8 kHz: bins of 50 Hz, so that 450 Hz falls on a bin
HOP_SAMPLES = 80  # 10 ms
BIN_HZ = 50.0
_FIRST_BIN, _LAST_BIN = 5, 68  # 250 … 3400 Hz
_BINS = _LAST_BIN - _FIRST_BIN + 1
_WINDOW = np.hanning(FRAME_SAMPLES + 1)[:-1]

DTMF_LOW_HZ = (697.0, 770.0, 852.0, 941.0)  # ITU-T Q.23
DTMF_HIGH_HZ = (1209.0, 1336.0, 1477.0, 1633.0)  # ITU-T Q.23

_BANDS_HZ = ((250, 3400), (600, 3300), (950, 2450), (2050, 2200), (2700, 2800), (1900, 3300))
_ROWS_AT_ONCE = 64  # so that what is between stays in the cache: half the time of all at once
_COLUMNS = len(_BANDS_HZ) + len(DTMF_LOW_HZ) + len(DTMF_HIGH_HZ)
_LOW = slice(len(_BANDS_HZ), len(_BANDS_HZ) + len(DTMF_LOW_HZ))
_HIGH = slice(_LOW.stop, _COLUMNS)


@dataclass(frozen=True, slots=True)
class Frames:
    """What the frames of one block hold, float32 of shape (channels, frames) unless said otherwise.

    Powers are mean squares in squared 16-bit sample units: a sine of amplitude A gives A²/2.
    ``first_frame``: number of the first frame since the last reset; frame k covers the 160 samples
    that end before sample ``origin + 80 (k + 1)``.
    ``speech``: 250–3400 Hz. ``above``: 600–3300 Hz, where DTMF and FSK live and dial tone does not.
    ``fsk``: 950–2450 Hz. ``low``, ``high``: power of the strongest DTMF tone of each group.
    ``alert_low``: 2050–2200 Hz, ``alert_high``: 2700–2800 Hz, ``upper``: 1900–3300 Hz, for alerting signals.
    ``power``: (channels, frames, bins), of each bin from 250 Hz in steps of 50 Hz; see ``band_weights``.
    ``parts``: (channels, frames, 2 · bins), real and then imaginary parts of the bins; see ``phasors``.
    """

    first_frame: int
    speech: npt.NDArray[np.float32]
    above: npt.NDArray[np.float32]
    fsk: npt.NDArray[np.float32]
    low: npt.NDArray[np.float32]
    high: npt.NDArray[np.float32]
    alert_low: npt.NDArray[np.float32]
    alert_high: npt.NDArray[np.float32]
    upper: npt.NDArray[np.float32]
    power: npt.NDArray[np.float32]
    parts: npt.NDArray[np.float32]

    @property
    def count(self) -> int:
        """Number of frames."""
        return int(self.speech.shape[1])

    def phasors(self, port: int, tone_hz: float) -> npt.NDArray[np.complex64]:
        """The bin nearest to a tone, complex64 (frames,): a sine of amplitude A and frequency f gives
        ``A / 2 · bin_gain(f)`` and turns by 2π f · 10 ms from frame to frame.
        """
        at = nearest_bin(tone_hz)
        here = self.parts[port, :, at] + np.complex64(1j) * self.parts[port, :, _BINS + at]
        return here.astype(np.complex64)


def nearest_bin(tone_hz: float) -> int:
    """Index of the bin of ``Frames.power`` nearest to a frequency; those outside of them have the first or last."""
    return min(max(round(tone_hz / BIN_HZ), _FIRST_BIN), _LAST_BIN) - _FIRST_BIN


def bin_gain(tone_hz: float) -> float:
    """How much the nearest bin makes of a tone."""
    away_hz = tone_hz - BIN_HZ * (nearest_bin(tone_hz) + _FIRST_BIN)
    angle = 2.0 * np.pi * away_hz / SAMPLE_RATE_HZ * np.arange(FRAME_SAMPLES)
    return float(abs(np.sum(_WINDOW * np.exp(1j * angle))))


def band_weights(bands_hz: Sequence[Sequence[tuple[float, float]]]) -> npt.NDArray[np.float32]:
    """Weights (bins, columns) that turn ``Frames.power`` into mean squares: each column adds up the bins within its
    spans of Hz.
    """
    weights = np.zeros((_LAST_BIN + 1, len(bands_hz)), dtype=np.float32)
    for column, spans_hz in enumerate(bands_hz):
        for low_hz, high_hz in spans_hz:
            weights[math.ceil(low_hz / BIN_HZ) : math.floor(high_hz / BIN_HZ) + 1, column] = 1.0
    # A Hann window spreads a sine over three bins: 1 + 1/4 + 1/4 of (A/2 · sum of the window)².
    return weights[_FIRST_BIN:] / np.float32(2.0 * 1.5 * (FRAME_SAMPLES / 4.0) ** 2)


def _bin_matrix() -> npt.NDArray[np.float32]:
    """Weights (hop, 4 · bins) that turn a hop into what it adds to the bins of the frame that it ends, real parts
    and then imaginary ones, and to those of the frame that it begins.
    """
    bins = np.arange(_FIRST_BIN, _LAST_BIN + 1)
    angle = 2.0 * np.pi * np.outer(np.arange(FRAME_SAMPLES), bins) * BIN_HZ / SAMPLE_RATE_HZ
    waves = np.concatenate((np.cos(angle), -np.sin(angle)), axis=1) * _WINDOW[:, None]
    return np.concatenate((waves[HOP_SAMPLES:], waves[:HOP_SAMPLES]), axis=1, dtype=np.float32)


def _band_matrix() -> npt.NDArray[np.float32]:
    """Weights (bins, columns) that turn bin powers into the columns of ``_BANDS_HZ``, low and high."""
    tones = [round(tone_hz / BIN_HZ) * BIN_HZ for tone_hz in DTMF_LOW_HZ + DTMF_HIGH_HZ]
    spans = [*_BANDS_HZ, *((centre_hz - BIN_HZ, centre_hz + BIN_HZ) for centre_hz in tones)]
    return band_weights([[span] for span in spans])


class SpectrumBank:
    """Streaming spectra of ``channels`` rows of 8 kHz audio. Blocks are multiples of 80 samples."""

    def __init__(self, channels: int) -> None:
        self._tail = np.zeros((channels, HOP_SAMPLES), dtype=np.float32)
        self._frame = 0
        self._bins = _bin_matrix()
        self._bands = _band_matrix()

    def process(self, block: npt.NDArray[np.int16]) -> Frames:
        """Frames that end inside ``block``, int16 (channels, n)."""
        channels, count = block.shape[0], block.shape[1] // HOP_SAMPLES
        parts = np.empty((channels, count, 2 * _BINS), np.float32)
        power = np.empty((channels, count, _BINS), np.float32)
        bands = np.empty((channels, count, _COLUMNS), np.float32)
        for start in range(0, channels, _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            joined = np.concatenate((self._tail[rows], block[rows]), axis=1, dtype=np.float32)
            self._tail[rows] = joined[:, -HOP_SAMPLES:]
            adds = (joined.reshape(-1, HOP_SAMPLES) @ self._bins).reshape(len(joined), count + 1, -1)
            np.add(adds[:, 1:, : 2 * _BINS], adds[:, :-1, 2 * _BINS :], out=parts[rows])
            squares = parts[rows] * parts[rows]
            np.add(squares[:, :, :_BINS], squares[:, :, _BINS:], out=power[rows])
            bands[rows] = (power[rows].reshape(-1, _BINS) @ self._bands).reshape(len(joined), count, -1)
        first, self._frame = self._frame, self._frame + count
        return Frames(
            first_frame=first,
            speech=bands[:, :, 0],
            above=bands[:, :, 1],
            fsk=bands[:, :, 2],
            low=bands[:, :, _LOW].max(axis=2),
            high=bands[:, :, _HIGH].max(axis=2),
            alert_low=bands[:, :, 3],
            alert_high=bands[:, :, 4],
            upper=bands[:, :, 5],
            power=power,
            parts=parts,
        )

    def reset(self, port: int) -> None:
        """Forget the audio of one row."""
        self._tail[port] = 0
