"""The one spectrum that every detector looks at: 20 ms Hann frames each 10 ms, for all channels at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recorder.dsp.filters import SAMPLE_RATE_HZ

FRAME_SAMPLES = 160  # 20 ms at 8 kHz: bins of 50 Hz, so that 450 Hz falls on a bin
HOP_SAMPLES = 80  # 10 ms
BIN_HZ = 50.0
_FIRST_BIN, _LAST_BIN = 5, 68  # 250 … 3400 Hz
_BINS = _LAST_BIN - _FIRST_BIN + 1

DTMF_LOW_HZ = (697.0, 770.0, 852.0, 941.0)  # ITU-T Q.23
DTMF_HIGH_HZ = (1209.0, 1336.0, 1477.0, 1633.0)  # ITU-T Q.23
PROGRESS_HZ = 450.0  # ITU-T E.180 Supplement 2, China

_COLUMNS = 4 + len(DTMF_LOW_HZ) + len(DTMF_HIGH_HZ)


@dataclass(frozen=True, slots=True)
class Frames:
    """What the frames of one block hold, float32 of shape (channels, frames) unless said otherwise.

    Powers are mean squares in squared 16-bit sample units: a sine of amplitude A gives A²/2.
    ``first_frame``: number of the first frame since the last reset; frame k covers the 160 samples
    that end before sample ``origin + 80 (k + 1)``.
    ``speech``: 250–3400 Hz. ``above``: 600–3300 Hz, where DTMF and FSK live and dial tone does not.
    ``fsk``: 950–2450 Hz. ``progress``: 375–525 Hz. ``progress_turn``: phase advance per hop of the 450 Hz
    bin, radians away from that of exactly 450 Hz. ``low``, ``high``: power of the strongest DTMF tone
    of each group.
    """

    first_frame: int
    speech: npt.NDArray[np.float32]
    above: npt.NDArray[np.float32]
    fsk: npt.NDArray[np.float32]
    progress: npt.NDArray[np.float32]
    progress_turn: npt.NDArray[np.float32]
    low: npt.NDArray[np.float32]
    high: npt.NDArray[np.float32]

    @property
    def count(self) -> int:
        """Number of frames."""
        return int(self.speech.shape[1])


def _bin_matrix() -> npt.NDArray[np.float32]:
    """Weights (hop, 4 · bins) that turn a hop into what it adds to the bins of the frame that it ends, real parts
    and then imaginary ones, and to those of the frame that it begins.
    """
    window = np.hanning(FRAME_SAMPLES + 1)[:-1]
    bins = np.arange(_FIRST_BIN, _LAST_BIN + 1)
    angle = 2.0 * np.pi * np.outer(np.arange(FRAME_SAMPLES), bins) * BIN_HZ / SAMPLE_RATE_HZ
    waves = np.concatenate((np.cos(angle), -np.sin(angle)), axis=1) * window[:, None]
    return np.concatenate((waves[HOP_SAMPLES:], waves[:HOP_SAMPLES]), axis=1, dtype=np.float32)


def _band_matrix() -> npt.NDArray[np.float32]:
    """Weights (bins, columns) that turn bin powers into the columns speech, above, fsk, progress, low, high."""
    bands = np.zeros((_LAST_BIN + 1, _COLUMNS), dtype=np.float32)
    for column, (low_hz, high_hz) in enumerate(((250, 3400), (600, 3300), (950, 2450), (400, 500))):
        bands[round(low_hz / BIN_HZ) : round(high_hz / BIN_HZ) + 1, column] = 1.0
    for column, tone_hz in enumerate(DTMF_LOW_HZ + DTMF_HIGH_HZ, start=4):
        centre = round(tone_hz / BIN_HZ)
        bands[centre - 1 : centre + 2, column] = 1.0
    # A Hann window spreads a sine over three bins: 1 + 1/4 + 1/4 of (A/2 · sum of the window)².
    return bands[_FIRST_BIN:] / np.float32(2.0 * 1.5 * (FRAME_SAMPLES / 4.0) ** 2)


class SpectrumBank:
    """Streaming spectra of ``channels`` rows of 8 kHz audio. Blocks are multiples of 80 samples."""

    def __init__(self, channels: int) -> None:
        self._tail = np.zeros((channels, HOP_SAMPLES), dtype=np.float32)
        self._turn: npt.NDArray[np.complex64] = np.zeros((channels, 1), dtype=np.complex64)
        self._frame = 0
        self._bins = _bin_matrix()
        self._bands = _band_matrix()
        self._progress_bin = round(PROGRESS_HZ / BIN_HZ) - _FIRST_BIN
        # 450 Hz turns 4.5 times per hop: half a turn is taken off each frame.
        self._half_turn = np.complex64(-1.0)

    def process(self, block: npt.NDArray[np.int16]) -> Frames:
        """Frames that end inside ``block``, int16 (channels, n)."""
        channels, count = block.shape[0], block.shape[1] // HOP_SAMPLES
        joined = np.concatenate((self._tail, block), axis=1, dtype=np.float32)
        self._tail = joined[:, -HOP_SAMPLES:].copy()
        adds = (joined.reshape(-1, HOP_SAMPLES) @ self._bins).reshape(channels, count + 1, -1)
        parts = adds[:, 1:, : 2 * _BINS] + adds[:, :-1, 2 * _BINS :]
        squares = parts * parts
        power = squares[:, :, :_BINS] + squares[:, :, _BINS:]
        bands = (power.reshape(-1, _BINS) @ self._bands).reshape(channels, count, -1)
        real, imaginary = parts[:, :, self._progress_bin], parts[:, :, _BINS + self._progress_bin]
        here = real + np.complex64(1j) * imaginary
        phasor = np.concatenate((self._turn, here), axis=1, dtype=np.complex64)
        self._turn = phasor[:, -1:].copy()
        turn = np.angle(phasor[:, 1:] * phasor[:, :-1].conj() * self._half_turn)
        first, self._frame = self._frame, self._frame + count
        return Frames(
            first_frame=first,
            speech=bands[:, :, 0],
            above=bands[:, :, 1],
            fsk=bands[:, :, 2],
            progress=bands[:, :, 3],
            progress_turn=turn.astype(np.float32),
            low=bands[:, :, 4:8].max(axis=2),
            high=bands[:, :, 8:12].max(axis=2),
        )

    def reset(self, port: int) -> None:
        """Forget the audio of one row."""
        self._tail[port] = 0
        self._turn[port] = 0
