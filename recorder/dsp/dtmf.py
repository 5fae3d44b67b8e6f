"""DTMF receiver (ITU-T Q.23, Q.24): spectra raise candidates on all channels, a close look decides on few.

The close look measures both frequencies, levels, purity and duration of the tone pair over the whole
time that it is on, which is what speech cannot imitate for long (talk-off).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from recorder.dsp.filters import SAMPLE_RATE_HZ, band_pass, carriers, same
from recorder.dsp.levels import mean_square
from recorder.dsp.ranks import median
from recorder.dsp.spectrum import DTMF_HIGH_HZ, DTMF_LOW_HZ, FRAME_SAMPLES, HOP_SAMPLES, Frames

Signal32 = npt.NDArray[np.float32]
_Number = TypeVar("_Number", np.float32, np.complex64)

_SYMBOLS = ("123A", "456B", "789C", "*0#D")  # ITU-T Q.23, rows of the low group

_MIN_LEVEL_DBM0 = -43.0
_CANDIDATE_SHARE = 0.65  # of the power between 600 and 3300 Hz
_SURE_SHARE = 0.8  # in the best frame of a run: a digit of the least purity has 0.89
_CANDIDATE_TWIST = 20.0  # power ratio between the groups, either way
_GLANCE_FRAMES = 8  # speech seldom looks like a tone pair for longer
_LONGEST_RUN = 30  # frames; a key held longer is looked at in parts that are joined again
LOOK_BACK_SAMPLES = 320

_MIN_ON_SAMPLES = 248  # 31 ms: between 40 ms, always taken, and 23 ms, never (Q.24 table A.1)
_MAX_DEVIATION = 0.019  # ±1.5 % is always taken, ±3.5 % never (Q.24 table A.1); talk-off is most often 2 % off
_MAX_DEVIATION_UNCLEAR = 0.0165  # of a digit that is not clear
_GLANCE_DEVIATION = 0.034  # the ends of a run blur what the middle shows
_MAX_HIGH_OVER_LOW_DB = 6.0  # 4 dB is always taken (Q.24 table A.1)
_MAX_LOW_OVER_HIGH_DB = 10.0  # 8 dB is always taken
_MIN_PURITY_DB = 9.0
_MIN_PURITY_SHORT_DB = 11.0  # for tones shorter than 45 ms
_CLEAR_PURITY_DB = 15.5  # speech that looked like a digit had 15 at most
_MAX_CHANGE = 0.22  # within a digit; 0.2 in noise of 10 dB, mostly more in speech
_SHORT_SAMPLES = 360
_MIN_PIECE_SAMPLES = 160  # of a digit that is interrupted, the longest piece
_BREAK_SAMPLES = 100  # 12.5 ms: an interruption of 10 ms, blurred
_JOIN_SAMPLES = 160  # a gap of less than 20 ms does not end a digit (Q.24: interruptions of 10 ms)

_BAND = band_pass(610.0, 3000.0, 97)
_SMOOTH_SAMPLES = 65  # 8 ms
_ENVELOPE_SAMPLES = 41  # twice
_LEAST_LOUD_SAMPLES = 160
_MARGIN_SAMPLES = 120  # of a loud stretch, in which its tones may have begun or ended
_FFT = 2048


@dataclass(frozen=True, slots=True)
class DtmfTone:
    """One digit heard on a port. Positions in samples of the port's clock; ``purity_db``: tone pair to rest.

    ``low_hz``, ``high_hz``: as measured. ``level_dbm0``: of both tones together. ``twist_db``: high over low group.
    """

    symbol: str
    start_sample: int
    end_sample: int
    purity_db: float
    low_hz: float
    high_hz: float
    level_dbm0: float
    twist_db: float


class DtmfBank:
    """Finds DTMF digits on all channels. ``process`` returns (port, tone) pairs; a tone still on may be told early.

    A tone that is reported again with the same ``start_sample`` has only grown longer.
    """

    def __init__(self, channels: int) -> None:
        self._run_start = np.full(channels, -1, dtype=np.int64)  # frame number, -1: no run
        self._before = np.zeros(channels, dtype=np.bool_)
        self._sure = np.zeros(channels, dtype=np.bool_)  # the run has a frame that is hardly anything but a tone pair
        self._last: dict[int, DtmfTone] = {}
        self._threshold = np.float32(mean_square(_MIN_LEVEL_DBM0))

    def candidates(self, frames: Frames) -> npt.NDArray[np.bool_]:
        """Frames (channels, frames) that look like a tone pair."""
        pair = frames.low + frames.high
        weak = np.minimum(frames.low, frames.high) * np.float32(_CANDIDATE_TWIST)
        return (pair > self._threshold) & (pair > _CANDIDATE_SHARE * frames.above) & (2.0 * weak > pair)

    def process(
        self, frames: Frames, candidates: npt.NDArray[np.bool_], history: npt.NDArray[np.int16], history_end: int
    ) -> list[tuple[int, DtmfTone]]:
        """Digits that became certain in this block.

        ``history``: int16 (channels, n), the samples up to ``history_end`` (in samples since frame 0 began),
        long enough for the block, the longest run and the look back.
        """
        before = np.concatenate((self._before[:, None], candidates[:, :-1]), axis=1)
        busy = (candidates & before).any(axis=1) | (self._run_start >= 0)
        self._before = candidates[:, -1].copy()
        sure = frames.low + frames.high > _SURE_SHARE * frames.above
        found: list[tuple[int, DtmfTone]] = []
        for port in busy.nonzero()[0]:
            for first, last in self._runs(int(port), frames.first_frame, before[port], candidates[port], sure[port]):
                start = HOP_SAMPLES * (first - 1) - LOOK_BACK_SAMPLES
                stop = HOP_SAMPLES * (last + 1)
                offset = history.shape[1] - history_end
                row = history[port, max(0, start + offset) : stop + offset].astype(np.float32)
                if last - first <= _GLANCE_FRAMES and not _glance(
                    row[-HOP_SAMPLES * (last - first + 2) : -HOP_SAMPLES]
                ):
                    continue
                for tone in measure(row):
                    found.extend(self._report(int(port), tone, max(start, -offset)))
        return found

    def _runs(
        self,
        port: int,
        first_frame: int,
        before: npt.NDArray[np.bool_],
        candidate: npt.NDArray[np.bool_],
        sure: npt.NDArray[np.bool_],
    ) -> list[tuple[int, int]]:
        """Runs (first frame, first frame after) of candidates, with a sure one, that ended in this block on a port."""
        done: list[tuple[int, int]] = []
        start, is_sure = int(self._run_start[port]), bool(self._sure[port])
        flags = zip(before.tolist(), candidate.tolist(), sure.tolist(), strict=True)
        for frame, (was_candidate, is_candidate, frame_sure) in enumerate(flags, first_frame):
            if start < 0:
                if is_candidate and was_candidate:
                    start = frame - 1
            elif not is_candidate or frame - start >= _LONGEST_RUN:
                if is_sure:
                    done.append((start, frame))
                start = frame if is_candidate else -1
                is_sure = False
            is_sure = is_candidate and (is_sure or frame_sure)
        self._run_start[port], self._sure[port] = start, is_sure
        return done

    def _report(self, port: int, tone: DtmfTone, start: int) -> list[tuple[int, DtmfTone]]:
        placed = _moved(tone, start)
        last = self._last.get(port)
        if last is not None and placed.start_sample < last.end_sample + _JOIN_SAMPLES:
            if placed.symbol != last.symbol or placed.end_sample <= last.end_sample:
                return []
            placed = replace(placed, start_sample=last.start_sample)
        self._last[port] = placed
        return [(port, placed)]

    def reset(self, port: int) -> None:
        """Forget what was heard on one port."""
        self._run_start[port] = -1
        self._before[port] = self._sure[port] = False
        self._last.pop(port, None)


def _glance(samples: Signal32) -> bool:
    """Whether the two strongest tones of a short run, float32 (n,), may be of a digit; a close look costs more."""
    return _strongest_pair(samples, _GLANCE_DEVIATION) is not None


def measure(samples: Signal32) -> list[DtmfTone]:
    """The DTMF digits inside ``samples``, float32 (n,) at 8 kHz; positions count from its first sample."""
    band = same(samples, _BAND)
    power = _smooth(band * band)
    loud = _stretches(power > 0.2 * np.max(power, initial=0.0), _BREAK_SAMPLES)
    tones: list[DtmfTone] = []
    for start, end in loud:
        first = max(0, start - _MARGIN_SAMPLES)
        if end - start >= _LEAST_LOUD_SAMPLES:
            tone = _measure_one(band[first : end + _MARGIN_SAMPLES], start - first, end - first)
            tones += [] if tone is None else [_moved(tone, first)]
    return tones


def _moved(tone: DtmfTone, samples: int) -> DtmfTone:
    return replace(tone, start_sample=tone.start_sample + samples, end_sample=tone.end_sample + samples)


def _stretches(flags: npt.NDArray[np.bool_], longest_gap: int = 0) -> list[tuple[int, int]]:
    """Where ``flags``, bool (n,), are set: first and first after; gaps up to ``longest_gap`` are closed."""
    edges = np.diff(np.concatenate(([False], flags, [False]))).nonzero()[0]
    if not len(edges):
        return []
    starts, ends = edges[0::2], edges[1::2]
    apart = starts[1:] - ends[:-1] > longest_gap
    starts, ends = np.concatenate((starts[:1], starts[1:][apart])), np.concatenate((ends[:-1][apart], ends[-1:]))
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def _peak_hz(spectrum: Signal32, low_hz: float, high_hz: float) -> float:
    """Frequency of the highest peak between two frequencies, by a parabola through three bins."""
    step = SAMPLE_RATE_HZ / _FFT
    first = int(low_hz / step)
    at = first + int(np.argmax(spectrum[first : int(high_hz / step)]))
    left, middle, right = (math.log(value + 1e-9) for value in spectrum[at - 1 : at + 2].tolist())
    bend = left - 2.0 * middle + right
    return (at + (0.5 * (left - right) / bend if bend < 0.0 else 0.0)) * step


@lru_cache(maxsize=1024)
def _hann(samples: int) -> Signal32:
    """Hann window, float32 (samples,)."""
    return np.hanning(samples).astype(np.float32)


def _nearest(tone_hz: float, nominal_hz: tuple[float, ...], deviation: float) -> int | None:
    """Index of the nominal frequency within the accepted deviation; they are 8.5 % apart at least."""
    for index, nominal in enumerate(nominal_hz):
        if abs(tone_hz / nominal - 1.0) <= deviation:
            return index
    return None


def _strongest_pair(samples: Signal32, deviation: float = _MAX_DEVIATION) -> tuple[str, tuple[float, float]] | None:
    """The digit whose tones are the strongest in ``samples``, float32 (n,), and the frequencies of both in Hz."""
    spectrum = np.abs(np.fft.rfft(samples * _hann(len(samples)), _FFT))
    low_hz, high_hz = _peak_hz(spectrum, 620.0, 1040.0), _peak_hz(spectrum, 1120.0, 1760.0)
    row, column = _nearest(low_hz, DTMF_LOW_HZ, deviation), _nearest(high_hz, DTMF_HIGH_HZ, deviation)
    return None if row is None or column is None else (_SYMBOLS[row][column], (low_hz, high_hz))


def _measure_one(band: Signal32, start: int, end: int) -> DtmfTone | None:
    """Judge the stretch between two samples of filtered audio as one digit."""
    middle = (start + end) // 2
    inner = slice(max(start + 16, middle - 400), min(end - 16, middle + 400))
    pair = _strongest_pair(band[inner])
    if pair is None:
        return None
    symbol, pair_hz = pair
    basis = carriers(len(band), pair_hz)
    # Twice a short average: one average lets through enough of the stronger tone to cut the weaker one short.
    envelopes = np.abs(_smooth(_smooth(band[:, None] * basis, _ENVELOPE_SAMPLES), _ENVELOPE_SAMPLES))
    on = envelopes > 0.5 * median(envelopes[inner])
    both = on[:, 0] & on[:, 1]
    on_start, on_end = max(_stretches(both, _BREAK_SAMPLES), key=lambda one: min(one[1], end) - max(one[0], start))
    if on_end - on_start < _MIN_ON_SAMPLES:
        return None
    pieces = _stretches(both[on_start:on_end])
    first, last = max(pieces, key=lambda one: one[1] - one[0])
    if last - first < _MIN_PIECE_SAMPLES:
        return None
    fit = _fit(band, basis, on_start + first, on_start + last)
    purity_db = _ratio_db(fit.low + fit.high, fit.rest)
    needed_db = _MIN_PURITY_DB if on_end - on_start >= _SHORT_SAMPLES else _MIN_PURITY_SHORT_DB
    if purity_db < needed_db:
        return None
    unclear = purity_db < _CLEAR_PURITY_DB
    if unclear and (fit.change > _MAX_CHANGE or _strongest_pair(band[inner], _MAX_DEVIATION_UNCLEAR) is None):
        return None
    low, high = fit.low / _band_gain(round(pair_hz[0])), fit.high / _band_gain(round(pair_hz[1]))
    twist_db = _ratio_db(high, low)
    if not -_MAX_LOW_OVER_HIGH_DB <= twist_db <= _MAX_HIGH_OVER_LOW_DB:
        return None
    return DtmfTone(symbol, on_start, on_end, purity_db, *pair_hz, _level_dbm0(low + high), twist_db)


@lru_cache(maxsize=1024)
def _band_gain(tone_hz: int) -> float:
    """Power gain of the band filter."""
    turns = np.exp(-2j * np.pi * tone_hz / SAMPLE_RATE_HZ * np.arange(len(_BAND)))
    return float(abs(np.sum(_BAND * turns)) ** 2)


def _level_dbm0(power: float) -> float:
    return float(10.0 * np.log10(power / mean_square(0.0)))


def _smooth(values: npt.NDArray[_Number], length: int = _SMOOTH_SAMPLES) -> npt.NDArray[_Number]:
    """Moving average over an odd ``length`` along (n, …), delay taken out; beyond both ends there is nothing."""
    half = length // 2
    total = np.zeros((len(values) + 2 * half + 1, *values.shape[1:]), dtype=np.result_type(values, np.float64))
    np.cumsum(values, axis=0, out=total[half + 1 : half + 1 + len(values)])
    total[half + 1 + len(values) :] = total[half + len(values)]
    return np.asarray((total[length:] - total[:-length]) / length, dtype=values.dtype)


@dataclass(frozen=True, slots=True)
class _Fit:
    """Powers of low tone, high tone and all the rest, in squared samples; ``change``: of the tone that changes
    more between the first and the second half, in amplitude and phase, relative to its amplitude.
    """

    low: float
    high: float
    rest: float
    change: float


def _fit(band: Signal32, basis: npt.NDArray[np.complex64], start: int, end: int) -> _Fit:
    """Both tones by least squares between two samples where they are on."""
    rim = 24
    middle = (start + end) // 2
    part = slice(max(start + rim, middle - FRAME_SAMPLES * 3), min(end - rim, middle + FRAME_SAMPLES * 3))
    audio = band[part]
    columns = np.concatenate((basis[part].real, basis[part].imag), axis=1)
    tones = _amplitudes(columns, audio)
    half = len(audio) // 2
    turn = np.abs(_amplitudes(columns[half:], audio[half:]) - _amplitudes(columns[:half], audio[:half]))
    low, high = 0.5 * np.abs(tones) ** 2
    rest = np.mean((audio - columns @ np.concatenate((tones.real, tones.imag))) ** 2)
    return _Fit(float(low), float(high), float(rest), float(np.max(turn) / np.sqrt(low + high + 1e-3)))


def _amplitudes(columns: Signal32, audio: Signal32) -> npt.NDArray[np.complex128]:
    """Complex amplitudes (2,) of both tones in ``audio`` (n,), from their cosines and sines (n, 4)."""
    weights = np.linalg.solve(columns.T @ columns, columns.T @ audio).astype(np.float64)
    return np.asarray(weights[:2] + 1j * weights[2:])


def _ratio_db(power: float, other: float) -> float:
    return 10.0 * float(np.log10((power + 1e-3) / (other + 1e-3)))
