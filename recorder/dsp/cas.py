"""CPE alerting signal: the pair of tones that tells a telephone to listen for FSK.

Off hook (caller ID on call waiting): Telcordia GR-30-CORE § 2.5, CAS, 80–85 ms. Idle: ETSI EN 300 659-1 § 6.2 and
BT SIN 227, DT-AS, 88–110 ms. Both 2130 and 2750 Hz ±0.5 %, −14 … −32 dBm each. Spectra raise candidates on all
channels; the close look wants both tones at once, pure and even over the whole on-time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from recorder.dsp.filters import SAMPLE_RATE_HZ, band_pass, carriers, same
from recorder.dsp.levels import mean_square
from recorder.dsp.ranks import median
from recorder.dsp.spectrum import HOP_SAMPLES, Frames

LOW_HZ, HIGH_HZ = 2130.0, 2750.0  # GR-30-CORE § 2.5.1

_MIN_LEVEL_DBM0 = -38.0  # of either tone: 6 dB of margin
_MAX_LEVEL_DBM0 = -5.0  # of either tone: 9 dB
_CANDIDATE_SHARE = 0.5  # of the power between 1900 and 3300 Hz; speech has little there
_CANDIDATE_TWIST = 12.0  # power ratio, either way
_FEWEST_FRAMES, _MOST_FRAMES = 4, 16  # of a run of candidates
_RIM_SAMPLES = 480  # looked at before and behind a run
_MAX_DEVIATION = 0.009  # between ±0.5 %, always taken, and ±1.2 %
_MAX_TWIST_DB = 8.0  # 6 dB is always taken (GR-30-CORE § 2.5.1)
_ON_SAMPLES = range(520, 1001)  # 65 … 125 ms
_MAX_SKEW_SAMPLES = 120  # between the beginnings, and the ends, of both tones
_MIN_PURITY_DB = 7.0
_MAX_RIPPLE = 0.35  # of the envelopes about their means
_EDGE_SAMPLES = 48  # at either end that do not count

_BAND = band_pass(1900.0, 3000.0, 65)
_SMOOTH = np.full(65, 1.0 / 65.0, dtype=np.float32)

Flags = npt.NDArray[np.bool_]
Signal32 = npt.NDArray[np.float32]


class CasBank:
    """Finds alerting signals on ``channels`` channels."""

    def __init__(self, channels: int) -> None:
        self._start = np.full(channels, -1, dtype=np.int64)  # frame of the run's first candidate, -1: no run
        self._threshold = np.float32(mean_square(_MIN_LEVEL_DBM0))

    def process(
        self, frames: Frames, history: npt.NDArray[np.int16], history_end: int, listening: Flags
    ) -> list[tuple[int, int]]:
        """(port, end in samples since frame 0 began) of each alerting signal that ended with this block.

        ``history``: int16 (channels, n), the samples up to ``history_end``, 0.3 s before the block at least.
        ``listening``: bool (channels,), others are ignored.
        """
        weak, strong = np.minimum(frames.alert_low, frames.alert_high), np.maximum(frames.alert_low, frames.alert_high)
        candidates = (weak > self._threshold) & (_CANDIDATE_TWIST * weak > strong)
        candidates &= (weak + strong > _CANDIDATE_SHARE * frames.upper) & listening[:, None]
        found: list[tuple[int, int]] = []
        for port in (candidates.any(axis=1) | (self._start >= 0)).nonzero()[0]:
            for first, last in self._runs(int(port), frames.first_frame, candidates[port].tolist()):
                offset = history.shape[1] - history_end
                start = max(0, HOP_SAMPLES * first - _RIM_SAMPLES + offset)
                row = history[port, start : HOP_SAMPLES * last + _RIM_SAMPLES + offset].astype(np.float32)
                end = _measure(row)
                if end is not None:
                    found.append((int(port), end + start - offset))
        return found

    def _runs(self, port: int, first_frame: int, candidates: list[bool]) -> list[tuple[int, int]]:
        """Runs (first frame, first frame after) of a likely length that ended on a port."""
        done: list[tuple[int, int]] = []
        start = int(self._start[port])
        for frame, candidate in enumerate(candidates, first_frame):
            if candidate and start < 0:
                start = frame
            elif not candidate and start >= 0:
                if _FEWEST_FRAMES <= frame - start <= _MOST_FRAMES:
                    done.append((start, frame))
                start = -1
        self._start[port] = start
        return done

    def reset(self, port: int) -> None:
        """Forget one port."""
        self._start[port] = -1


def _measure(samples: Signal32) -> int | None:
    """Where the alerting signal inside ``samples``, float32 (n,), ends; None if there is none."""
    band = same(samples, _BAND)
    basis = carriers(len(band), (LOW_HZ, HIGH_HZ))
    turned = np.stack([np.convolve(band * basis[:, tone], _SMOOTH, "same") for tone in range(2)], axis=1)
    envelopes = np.abs(turned)
    spans = [_on_time(envelopes[:, tone]) for tone in range(2)]
    if any(end - start not in _ON_SAMPLES for start, end in spans):
        return None
    start, end = max(span[0] for span in spans), min(span[1] for span in spans)
    if end - start not in _ON_SAMPLES or np.ptp(np.array(spans), axis=0).max() > _MAX_SKEW_SAMPLES:
        return None
    inner = slice(start + _EDGE_SAMPLES, end - _EDGE_SAMPLES)
    return end if _is_pure(band[inner], basis[inner], turned[inner]) else None


def _on_time(envelope: Signal32) -> tuple[int, int]:
    """From where to where around its middle an envelope stands above half of its height."""
    middle = len(envelope) // 2
    height = float(median(envelope[middle - 160 : middle + 160]))
    low = (envelope < 0.5 * height).nonzero()[0]
    before, after = low[low < middle], low[low >= middle]
    start = int(before[-1]) + 1 if len(before) else 0
    return start, int(after[0]) if len(after) else len(envelope)


def _is_pure(band: Signal32, basis: npt.NDArray[np.complex64], turned: npt.NDArray[np.complex64]) -> bool:
    """Whether frequencies, levels, evenness and purity over the on-time are those of an alerting signal."""
    for tone, nominal_hz in enumerate((LOW_HZ, HIGH_HZ)):
        phase = np.unwrap(np.angle(turned[:, tone]))
        drift_hz = float(np.polyfit(np.arange(len(phase)), phase, 1)[0]) * SAMPLE_RATE_HZ / (2.0 * np.pi)
        if abs(drift_hz) > _MAX_DEVIATION * nominal_hz:
            return False
        basis = basis.copy()
        basis[:, tone] *= np.exp(-2j * np.pi * drift_hz / SAMPLE_RATE_HZ * np.arange(len(band))).astype(np.complex64)
    envelopes = np.abs(turned)
    if float((envelopes.std(axis=0) / envelopes.mean(axis=0)).max()) > _MAX_RIPPLE:
        return False
    columns = np.concatenate((basis.real, basis.imag), axis=1)
    weights = np.linalg.solve(columns.T @ columns, columns.T @ band)
    rest = float(np.mean((band - columns @ weights) ** 2)) + 1e-3
    low, high = (0.5 * float(weights[tone] ** 2 + weights[tone + 2] ** 2) + 1e-3 for tone in range(2))
    if max(low, high) > mean_square(_MAX_LEVEL_DBM0) or min(low, high) < mean_square(_MIN_LEVEL_DBM0):
        return False
    twist_db = abs(10.0 * float(np.log10(low / high)))
    return twist_db <= _MAX_TWIST_DB and low + high >= 10.0 ** (_MIN_PURITY_DB / 10.0) * rest
