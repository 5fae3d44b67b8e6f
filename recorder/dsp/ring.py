"""Ringing heard in the audio of a line, for line cards that do not sense it.

What leaks of ringing through a line interface is a burst of some low frequency with many harmonics, even in level and
period, that comes out of quiet and goes back to it: 25 Hz in China (GB/T 3380; ITU-T E.180), 16⅔–27 Hz elsewhere, 50 Hz
on some private exchanges. Where the interface rectifies it, twice the frequency is left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drivers.api import EventKind, LineEvent
from recorder.dsp.filters import SAMPLE_RATE_HZ
from recorder.dsp.levels import mean_square
from recorder.dsp.spectrum import HOP_SAMPLES

_LOW_RATE_HZ = 1000
_STEP = SAMPLE_RATE_HZ // _LOW_RATE_HZ
_LOW_CUT_HZ = 240.0  # under the tones of an exchange, the lowest of which is 350 Hz
_DELAY_SAMPLES = HOP_SAMPLES // 2  # of the low pass
_PER_HOP = HOP_SAMPLES // _STEP
_MEAN_HOPS = 20  # whole periods of 20, 25 and 50 Hz: taking their mean away leaves these as they are
_LEVEL_HOPS = 5
_HISTORY_HOPS = 100

_MIN_LEVEL = mean_square(-50.0)
_OVER_FLOOR = 10.0  # 10 dB over hum and noise
_STAYS_OVER_FLOOR = 2.5
_FLOOR_RISE = 10.0 ** (0.3 * HOP_SAMPLES / SAMPLE_RATE_HZ)  # 3 dB/s: slow beside a burst, quick beside hum
_UNDER_PEAK = 10.0 ** (-15.0 / 10.0)  # where a burst is over
_EDGE = 0.1  # of the power of a burst where it begins and ends

_JUDGED_HOPS = 60  # a longer burst is judged by so much of it
_SHORTEST_HOPS = 19
_LONGEST_HOPS = 260  # of what may be hum; and of ringing, after which it is told to be over
_ENDLESS_HOPS = 600
_TRIMMED_HOPS = 2  # at both ends
_QUIET_HOPS = 10  # before a burst
_EDGE_HOPS = 2

_SLOW_HZ = (15.0, 29.0)
_FAST_HZ = (30.0, 53.0)  # 25 Hz rectified, 50 Hz; hum too, so that only a burst that has ended is ringing
_PERIODIC = 0.85  # correlation after one period
_SHORTER_UNDER = 0.1  # so much less correlation after any shorter time: a voice or a tone has a period of its own
_MAX_UNEVEN = 10.0 ** (4.0 / 10.0)  # of the power of its periods
_MIN_LOW_SHARE = 0.05  # of all power
_BASS_HZ = 130.0  # musical chords lie above, and repeat as slowly as ringing does
_MIN_BASS_SHARE = 0.2  # of low frequencies


@dataclass(slots=True)
class _Burst:
    """Low-frequency energy on one port since hop ``opened``. ``period``: what it was judged to be."""

    opened: int
    peak: float = 0.0
    period: str | None = None  # slow, fast, none; None: not judged yet
    start: int = 0
    told: bool = False


class RingBank:
    """Hears ringing on ``ports`` rows of 8 kHz audio. Thread: one.

    Ringing of 15–29 Hz is told after 0.6 s or at the end of a shorter burst (from 0.2 s), faster ringing at its end.
    """

    def __init__(self, ports: int) -> None:
        self.ports = ports
        self._weights = _low_pass_matrix()
        self._start()

    def _start(self) -> None:
        """Begin anew at a gap in the samples."""
        self._origin: int | None = None
        self._hop = 0
        self._tail = np.zeros((self.ports, HOP_SAMPLES), dtype=np.float32)
        self._raw = np.zeros((self.ports, _MEAN_HOPS), dtype=np.float32)  # sums of hops
        self._low = np.zeros((self.ports, _HISTORY_HOPS * _PER_HOP), dtype=np.float32)
        self._power = np.zeros((self.ports, _HISTORY_HOPS), dtype=np.float32)  # below 240 Hz, of each hop
        self._all = np.zeros((self.ports, _HISTORY_HOPS), dtype=np.float32)  # of all frequencies
        self._floor = np.full(self.ports, _MIN_LEVEL, dtype=np.float32)
        self._bursts: dict[int, _Burst] = {}

    def process(
        self, block: npt.NDArray[np.int16], first_sample: int, listening: npt.NDArray[np.bool_]
    ) -> list[LineEvent]:
        """RING_ON and RING_OFF (``source`` in_band, no value) that became certain, sorted by ``at_sample``.

        ``block``: int16 (ports, n), n a multiple of 80. ``first_sample``: position of column 0 on the card's clock;
        after a gap all begins anew. ``listening``: bool (ports,), the others are not heard: ringing ends where nobody
        listens any more. Raises ValueError for a block of the wrong shape.
        """
        if block.ndim != 2 or block.shape[0] != self.ports or block.shape[1] % HOP_SAMPLES:
            raise ValueError(f"block of shape {block.shape}; expected ({self.ports}, a multiple of {HOP_SAMPLES})")
        events: list[LineEvent] = []
        if self._origin is None or first_sample != self._origin + self._hop * HOP_SAMPLES:
            for port in list(self._bursts):
                events.extend(self._end(port, self._hop))
            self._start()
            self._origin = first_sample
        hops = block.shape[1] // HOP_SAMPLES
        over = self._measure(block, hops) * listening[:, None]
        for port in sorted({*np.flatnonzero((over > _OVER_FLOOR).any(axis=1)).tolist(), *self._bursts}):
            events.extend(self._follow(port, over[port].tolist()))
        self._hop += hops
        return sorted(events, key=lambda event: event.at_sample)

    def _measure(self, block: npt.NDArray[np.int16], hops: int) -> npt.NDArray[np.float32]:
        """How many times the floor the low frequencies are, in each hop (ports, hops); fills the histories."""
        joined = np.concatenate((self._tail, block), axis=1, dtype=np.float32)
        self._tail = joined[:, -HOP_SAMPLES:].copy()
        rows = joined.reshape(self.ports, hops + 1, HOP_SAMPLES)
        adds = (rows.reshape(-1, HOP_SAMPLES) @ self._weights).reshape(self.ports, hops + 1, 2 * _PER_HOP)
        low = adds[:, 1:, :_PER_HOP] + adds[:, :-1, _PER_HOP:]
        sums = np.concatenate((self._raw, low.sum(axis=2)), axis=1)
        self._raw = sums[:, -_MEAN_HOPS:].copy()
        upto = np.cumsum(sums, axis=1, dtype=np.float64)
        mean = (upto[:, _MEAN_HOPS:] - upto[:, :-_MEAN_HOPS]) / (_MEAN_HOPS * _PER_HOP)
        low -= mean[:, :, None].astype(np.float32)
        power = np.einsum("phn,phn->ph", low, low) / np.float32(_PER_HOP)
        total = np.einsum("phn,phn->ph", rows[:, 1:], rows[:, 1:]) / np.float32(HOP_SAMPLES)
        self._low = np.concatenate((self._low, low.reshape(self.ports, -1)), axis=1)[:, -_kept(hops) * _PER_HOP :]
        self._power = np.concatenate((self._power, power), axis=1)[:, -_kept(hops) :]
        self._all = np.concatenate((self._all, total), axis=1)[:, -_kept(hops) :]
        level = self._levels(hops)
        over = np.empty((self.ports, hops), dtype=np.float32)
        for index in range(hops):
            now = level[:, index]
            self._floor = np.clip(now, np.float32(_MIN_LEVEL / _OVER_FLOOR), self._floor * np.float32(_FLOOR_RISE))
            over[:, index] = now / self._floor
        return over

    def _levels(self, hops: int) -> npt.NDArray[np.float32]:
        """Power of the last ``hops`` hops, each with the four before it."""
        upto = np.cumsum(self._power[:, -hops - _LEVEL_HOPS :], axis=1, dtype=np.float64)
        return np.asarray((upto[:, _LEVEL_HOPS:] - upto[:, :-_LEVEL_HOPS]) / _LEVEL_HOPS, dtype=np.float32)

    def _follow(self, port: int, over: list[float]) -> list[LineEvent]:
        """Events on one port; ``over``: how many times the floor each hop is."""
        events: list[LineEvent] = []
        level = self._levels(len(over))[port].tolist()
        for index, (ratio, now) in enumerate(zip(over, level, strict=True)):
            hop, left, burst = self._hop + index, len(over) - index, self._bursts.get(port)
            if burst is None:
                if ratio < _OVER_FLOOR:
                    continue
                burst = self._bursts[port] = _Burst(hop)
            if burst.period in (None, "none") and hop - burst.opened > _LEVEL_HOPS and now > _OVER_FLOOR * burst.peak:
                burst = self._bursts[port] = _Burst(hop)  # what was open before is the quiet before it
            burst.peak = max(burst.peak, now)
            if ratio < _STAYS_OVER_FLOOR or now < burst.peak * _UNDER_PEAK:
                events.extend(self._end(port, hop, left))
            elif burst.period is None and hop - burst.opened >= _JUDGED_HOPS:
                self._judge(port, burst, hop, left)
                events.extend(self._tell_on(port, burst) if burst.period == "slow" else ())
            elif burst.told and hop - burst.opened > _ENDLESS_HOPS:
                events.append(self._event(EventKind.RING_OFF, port, hop))
                burst.told, burst.period = False, "none"
        return events

    def _end(self, port: int, hop: int, left: int = 0) -> list[LineEvent]:
        """Low frequencies are gone at ``hop``; ``left``: hops of the history from there on."""
        burst = self._bursts.pop(port)
        if burst.period is None:
            self._judge(port, burst, hop, left)
        if burst.period == "none" or (not burst.told and hop - burst.opened > _LONGEST_HOPS):
            return []
        events = [] if burst.told else self._tell_on(port, burst)
        loud = self._loud(port, burst, hop - _QUIET_HOPS, hop, left)
        return [*events, self._event(EventKind.RING_OFF, port, loud[-1] + 1 if loud else hop)]

    def _tell_on(self, port: int, burst: _Burst) -> list[LineEvent]:
        burst.told = True
        return [self._event(EventKind.RING_ON, port, burst.start)]

    def _event(self, kind: EventKind, port: int, hop: int) -> LineEvent:
        at_sample = (self._origin or 0) + max(0, hop * HOP_SAMPLES - _DELAY_SAMPLES)
        return LineEvent(kind, port, at_sample, None, "in_band")

    def _loud(self, port: int, burst: _Burst, first: int, after: int, left: int) -> list[int]:
        """Hops from ``first`` up to ``after`` that belong to the burst; ``left``: hops of the history from there on."""
        now = self._power.shape[1] - left
        power = self._power[port, max(0, now - (after - first)) : now]
        return (np.flatnonzero(power > _EDGE * burst.peak) + (after - len(power))).tolist()

    def _judge(self, port: int, burst: _Burst, hop: int, left: int) -> None:
        """Whether what has been heard up to ``hop`` is ringing; ``left``: hops of the history from there on."""
        burst.period = "none"
        loud = self._loud(port, burst, burst.opened - _LEVEL_HOPS, hop, left)
        if not loud or loud[-1] + 1 - loud[0] < _SHORTEST_HOPS:
            return
        burst.start = loud[0]
        now = self._power.shape[1] - left
        begin, end = now - (hop - loud[0]), now - (hop - loud[-1] - 1)
        quiet = self._all[port, begin - _QUIET_HOPS : begin - _EDGE_HOPS].mean()
        total = self._all[port, begin:end].mean()
        if quiet * _OVER_FLOOR > total or self._power[port, begin:end].mean() < _MIN_LOW_SHARE * total:
            return
        inside = slice((begin + _TRIMMED_HOPS) * _PER_HOP, (end - _TRIMMED_HOPS) * _PER_HOP)
        burst.period = _period(self._low[port, inside])

    def reset(self, port: int) -> None:
        """Forget what was heard on one port."""
        self._bursts.pop(port, None)
        for history in (self._tail, self._raw, self._low, self._power, self._all):
            history[port] = 0.0
        self._floor[port] = _MIN_LEVEL


def _kept(hops: int) -> int:
    return _HISTORY_HOPS + hops


def _low_pass_matrix() -> npt.NDArray[np.float32]:
    """Weights (80, 20) that turn a hop into what it adds to the ten low samples of its own and of the next hop."""
    taps = np.sinc(2.0 * _LOW_CUT_HZ / SAMPLE_RATE_HZ * (np.arange(HOP_SAMPLES) - (HOP_SAMPLES - 1) / 2.0))
    taps *= np.kaiser(HOP_SAMPLES, 4.5)
    taps /= taps.sum()
    weights = np.zeros((2 * HOP_SAMPLES, _PER_HOP), dtype=np.float32)
    for index in range(_PER_HOP):
        end = HOP_SAMPLES + _STEP * (index + 1)
        weights[end - HOP_SAMPLES : end, index] = taps
    return np.concatenate((weights[HOP_SAMPLES:], weights[:HOP_SAMPLES]), axis=1)


def _period(low: npt.NDArray[np.float32]) -> str:
    """Whether low frequencies (n,) repeat evenly as ringing does: ``slow``, ``fast`` or ``none``."""
    longest = min(len(low) // 2, round(_LOW_RATE_HZ / _SLOW_HZ[0]) + 2)
    values = low.astype(np.float64)
    upto = np.concatenate(([0.0], np.cumsum(values * values)))
    lags = np.arange(1, longest)
    same = np.array([values[lag:] @ values[:-lag] for lag in lags])
    likeness = same / np.maximum(np.sqrt(upto[len(low) - lags] * (upto[-1] - upto[lags])), 1e-9)
    bins = np.abs(np.fft.rfft(values * np.hanning(len(values)))) ** 2
    if bins[: round(_BASS_HZ / _LOW_RATE_HZ * len(values))].sum() < _MIN_BASS_SHARE * bins.sum():
        return "none"
    peaks = 1 + np.flatnonzero((likeness[1:-1] >= likeness[:-2]) & (likeness[1:-1] > likeness[2:]))
    found = [int(peak) for peak in peaks if likeness[peak] >= _PERIODIC]
    for peak in found:
        shorter = likeness[peaks[peaks < peak]]
        if shorter.size and shorter.max() > likeness[peak] - _SHORTER_UNDER:
            continue
        rate_hz, lag = _LOW_RATE_HZ / lags[peak], int(lags[peak])
        periods = upto[lag::lag] - upto[: len(upto) - lag : lag]
        if periods.max() > _MAX_UNEVEN * periods.min():
            continue
        if _SLOW_HZ[0] <= rate_hz <= _SLOW_HZ[1]:
            return "slow"
        if _FAST_HZ[0] <= rate_hz <= _FAST_HZ[1]:
            return "fast"
    return "none"
