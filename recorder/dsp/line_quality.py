"""How good a line sounds: levels, clipping, DC, hum, noise and silence, from sums that cost next to nothing.

Levels are in dBm0 after ITU-T G.711, A-law: a full-scale sine is +3.14 dBm0, RMS and peak alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from recorder.dsp.filters import SAMPLE_RATE_HZ
from recorder.dsp.levels import SILENCE_DBM0, dbm0, mean_square
from recorder.dsp.ranks import median
from recorder.dsp.spectrum import HOP_SAMPLES

_HOP_MS = 1000 * HOP_SAMPLES // SAMPLE_RATE_HZ
_HOPS_PER_S = SAMPLE_RATE_HZ // HOP_SAMPLES
_EVERY = 5  # so many samples one is enough for power and mean: no tone of a telephone line lies near 1600 or 3200 Hz
_MEAN = np.full(HOP_SAMPLES // _EVERY, _EVERY / HOP_SAMPLES, dtype=np.float32)
_NOISE_HOPS = 10
_NOISE_S = 30  # idle noise is the softest 0.1 s of so long

CLIPPED = 31_100
"""Magnitude at or next to the largest of a codec: A-law 32256 and 31232, µ-law 32124 and 31100 (ITU-T G.711)."""
_CLIPPED_RUN = 3  # a peak that only just fits is shorter

_SILENT = mean_square(-45.0)
_OVER_NOISE = 10.0 ** (6.0 / 10.0)
_NEVER_SILENT = mean_square(-30.0)  # a tone that goes on and on is no noise

_HUM_UP_TO_HZ = 400
_MAINS_HZ = (50, 60)
_LINE_BINS = 2  # on both sides, that a Hann window spreads a tone over, and the mains are off
_NEAR_BINS = 8  # on both sides, that a line of the spectrum is compared with
_STANDS_OUT = 10.0
_WINDOW = np.hanning(SAMPLE_RATE_HZ + 1)[:-1].astype(np.float32)
_ROWS_PER_HUM = 32  # of so many rows one is looked at each second


class LineQuality(msgspec.Struct, frozen=True):
    """What was measured on one row of PCM.

    Of the last second: ``rms_dbm0``, ``peak_dbm0``, ``dc_percent`` (of full scale, signed). ``noise_dbm0``: the softest
    0.1 s of the last half minute without its DC. ``hum_dbm0``: lines of 50 or 60 Hz (``hum_hz``) and their harmonics up
    to 400 Hz, measured every few seconds; None: no hum.
    Since ``begin``: ``seconds``, ``clipped_percent`` of the samples, ``clipped_runs``, ``silent_percent`` of the time,
    ``longest_silence_ms``, ``loud_dbm0`` (RMS of what was not silence; None: all was).
    """

    rms_dbm0: float = SILENCE_DBM0
    peak_dbm0: float = SILENCE_DBM0
    dc_percent: float = 0.0
    noise_dbm0: float | None = None
    hum_dbm0: float | None = None
    hum_hz: int | None = None
    seconds: float = 0.0
    clipped_percent: float = 0.0
    clipped_runs: int = 0
    silent_percent: float = 0.0
    longest_silence_ms: int = 0
    loud_dbm0: float | None = None


def difference_db(near: LineQuality, far: LineQuality) -> float | None:
    """How much louder the near side of a port is than the far side, dB; None unless both were heard."""
    if near.loud_dbm0 is None or far.loud_dbm0 is None:
        return None
    return round(near.loud_dbm0 - far.loud_dbm0, 1)


@dataclass(frozen=True, slots=True)
class _Second:
    """Of one second, all rows: mean square, peak, mean, each (rows,)."""

    power: npt.NDArray[np.float32]
    peak: npt.NDArray[np.float32]
    mean: npt.NDArray[np.float32]


class LineQualityBank:
    """Measures ``rows`` rows of 8 kHz audio. Thread: one."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._last = _Second(*(np.zeros(rows, dtype=np.float32) for _ in range(3)))
        self._softest = np.full((rows, _NOISE_S), np.inf, dtype=np.float32)  # 0.1 s of each second
        self._noise = np.zeros(rows, dtype=np.float32)
        self._hum_power = np.zeros(rows, dtype=np.float32)
        self._hum_hz = np.zeros(rows, dtype=np.int64)
        self._turn = 0  # the next row to look at for hum
        self._seconds = 0
        self._tail = np.zeros((rows, _CLIPPED_RUN), dtype=np.int16)
        self._hops = np.zeros(rows, dtype=np.int64)
        self._clipped = np.zeros((2, rows), dtype=np.int64)  # samples, runs
        self._silent = np.zeros((3, rows), dtype=np.int64)  # hops: all, longest row of them, present row of them
        self._loud = np.zeros(rows, dtype=np.float64)  # sum of the power of hops that are not silent
        self._second = np.zeros((rows, SAMPLE_RATE_HZ), dtype=np.int16)
        self._new_second()

    def _new_second(self) -> None:
        self._heard = 0  # samples of the second
        self._filled = 0  # hops that are measured
        self._power = np.empty((self.rows, _HOPS_PER_S), dtype=np.float32)
        self._mean = np.empty((self.rows, _HOPS_PER_S), dtype=np.float32)
        self._peak = np.zeros(self.rows, dtype=np.int32)
        many = -(-self.rows // _ROWS_PER_HUM)
        self._looked_at = (self._turn + np.arange(many)) % max(1, self.rows)

    def process(self, block: npt.NDArray[np.int16]) -> None:
        """Take in ``block``, int16 (rows, n), n a multiple of 80. Raises ValueError for a block of the wrong shape."""
        if block.ndim != 2 or block.shape[0] != self.rows or block.shape[1] % HOP_SAMPLES:
            raise ValueError(f"block of shape {block.shape}; expected ({self.rows}, a multiple of {HOP_SAMPLES})")
        done = 0
        while done < block.shape[1]:
            part = block[:, done : done + SAMPLE_RATE_HZ - self._heard]
            self._second[:, self._heard : self._heard + part.shape[1]] = part
            self._heard += part.shape[1]
            done += part.shape[1]
            if self._heard == SAMPLE_RATE_HZ:
                self._measure()
                self._close_second()

    def _measure(self) -> None:
        """What has been heard since the last time: seldom, because a few columns cost as much as many."""
        since = self._filled * HOP_SAMPLES
        if self._heard > since:
            self._add(self._second[:, since : self._heard])

    def _add(self, part: npt.NDArray[np.int16]) -> None:
        """A part of the present second."""
        values = part[:, ::_EVERY].astype(np.float32).reshape(-1, HOP_SAMPLES // _EVERY)
        power = (np.einsum("hn,hn->h", values, values) * np.float32(_EVERY / HOP_SAMPLES)).reshape(self.rows, -1)
        mean = (values @ _MEAN).reshape(self.rows, -1)
        filled = self._filled + power.shape[1]
        self._power[:, self._filled : filled] = power
        self._mean[:, self._filled : filled] = mean
        self._filled = filled
        highest = np.maximum(part.max(axis=1).astype(np.int32), -part.min(axis=1).astype(np.int32))
        self._peak = np.maximum(self._peak, highest)
        self._count_clipped(part, np.flatnonzero(highest >= CLIPPED))
        self._count_silence(power)
        self._hops += power.shape[1]

    def _count_clipped(self, part: npt.NDArray[np.int16], loud: npt.NDArray[np.intp]) -> None:
        """Runs of ``_CLIPPED_RUN`` and more; ``loud``: rows that may have some. A run may have begun in the tail."""
        if loud.size:
            joined = np.concatenate((self._tail[loud], part[loud]), axis=1).astype(np.int32)
            over = np.abs(joined) >= CLIPPED
            whole = over[:, 2:] & over[:, 1:-1] & over[:, :-2]  # where the third and later ones of a run are
            fresh = whole[:, 1:] & ~whole[:, :-1]
            runs = fresh.sum(axis=1)
            self._clipped[0, loud] += whole[:, 1:].sum(axis=1) + (_CLIPPED_RUN - 1) * runs
            self._clipped[1, loud] += runs
        self._tail = part[:, -_CLIPPED_RUN:].copy()

    def _count_silence(self, power: npt.NDArray[np.float32]) -> None:
        """Hops that are no louder than the noise of the line, and how many of them follow each other."""
        quiet_below = np.clip(np.float32(_OVER_NOISE) * self._noise, np.float32(_SILENT), np.float32(_NEVER_SILENT))
        quiet = power < quiet_below[:, None]
        hops = np.arange(1, power.shape[1] + 1)
        last_loud = np.maximum.accumulate(np.where(quiet, -self._silent[2][:, None], hops), axis=1)
        row = hops - last_loud
        self._silent[0] += quiet.sum(axis=1)
        self._silent[1] = np.maximum(self._silent[1], row.max(axis=1))
        self._silent[2] = row[:, -1]
        self._loud += np.where(quiet, np.float32(0.0), power).sum(axis=1)

    def _close_second(self) -> None:
        self._last = _Second(self._power.mean(axis=1), self._peak.astype(np.float32), self._mean.mean(axis=1))
        power, mean = (hops.reshape(self.rows, -1, _NOISE_HOPS).mean(axis=2) for hops in (self._power, self._mean))
        self._softest[:, self._seconds % _NOISE_S] = np.maximum(power - mean * mean, np.float32(0.0)).min(axis=1)
        self._noise = self._softest.min(axis=1)
        self._seconds += 1
        for row in self._looked_at:
            self._hum_power[row], self._hum_hz[row] = _hum(self._second[row].astype(np.float32))
        self._turn = int((self._turn + len(self._looked_at)) % max(1, self.rows))
        self._new_second()

    def begin(self, row: int) -> None:
        """What is counted over a call begins anew on a row."""
        self._measure()
        self._hops[row] = 0
        self._clipped[:, row] = 0
        self._silent[:, row] = 0
        self._loud[row] = 0.0

    def qualities(self) -> list[LineQuality]:
        """What has been measured on each row."""
        self._measure()
        last, hops = self._last, self._hops
        loud_hops = hops - self._silent[0]
        loud = (self._loud / np.maximum(1, loud_hops)).astype(np.float32)
        levels = dbm0(
            np.stack((last.power, last.peak**2 / np.float32(2.0), self._noise, self._hum_power, loud), axis=1)
        )
        shares = self._clipped[0] / np.maximum(1, hops * HOP_SAMPLES), self._silent[0] / np.maximum(1, hops)
        columns = zip(
            levels.tolist(), last.mean.tolist(), self._hum_hz.tolist(), hops.tolist(), loud_hops.tolist(),
            *(share.tolist() for share in shares), self._clipped[1].tolist(), self._silent[1].tolist(), strict=True,
        )  # fmt: skip
        return [
            LineQuality(
                rms_dbm0=round(rms, 1),
                peak_dbm0=round(peak, 1),
                dc_percent=round(mean / 327.68, 2),
                noise_dbm0=round(noise, 1) if self._seconds else None,
                hum_dbm0=round(hum, 1) if hum_hz else None,
                hum_hz=hum_hz or None,
                seconds=heard * _HOP_MS / 1000,
                clipped_percent=round(100.0 * clipped, 3),
                clipped_runs=runs,
                silent_percent=round(100.0 * silent, 1),
                longest_silence_ms=longest * _HOP_MS,
                loud_dbm0=round(speech, 1) if loud_hops else None,
            )
            for (
                rms,
                peak,
                noise,
                hum,
                speech,
            ), mean, hum_hz, heard, loud_hops, clipped, silent, runs, longest in columns
        ]


def _hum(audio: npt.NDArray[np.float32]) -> tuple[float, int]:
    """Mean square of the mains and their harmonics in one second (8000,), and the mains in Hz; 0, 0 without hum."""
    bins = np.abs(np.fft.rfft((audio - audio.mean()) * _WINDOW)[: _HUM_UP_TO_HZ + _NEAR_BINS + 1]) ** 2
    bins *= 2.0 / (1.5 * (len(audio) / 2.0) ** 2)  # a sine of amplitude A adds up to A²/2 over its three bins
    power, mains_hz = max((_lines(bins, mains_hz), mains_hz) for mains_hz in _MAINS_HZ)
    return (power, mains_hz) if power > mean_square(SILENCE_DBM0) else (0.0, 0)


def _lines(bins: npt.NDArray[np.float32], mains_hz: int) -> float:
    """Power of the lines at multiples of ``mains_hz`` that stand out of what is near them; bins of 1 Hz."""
    tones = np.arange(mains_hz, _HUM_UP_TO_HZ + 1, mains_hz)[:, None]
    near = bins[tones + np.arange(-_NEAR_BINS, _NEAR_BINS + 1)]
    lines = bins[tones + np.arange(-_LINE_BINS, _LINE_BINS + 1)]
    stand_out = lines.max(axis=1) > _STANDS_OUT * median(near.T)
    return float(lines[stand_out].sum())
