"""Linear-phase filters and carriers that the detectors need."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

SAMPLE_RATE_HZ = 8000
_AT_ONCE = 64  # samples of a carrier that are turned on together: much cheaper than each on its own


def band_pass(low_hz: float, high_hz: float, taps: int, beta: float = 6.0) -> npt.NDArray[np.float32]:
    """Windowed-sinc band pass (Kaiser window) of odd length ``taps`` at 8 kHz; unit gain in the middle."""
    n = np.arange(taps) - (taps - 1) / 2.0
    low, high = low_hz / SAMPLE_RATE_HZ, high_hz / SAMPLE_RATE_HZ
    impulse = (2.0 * high * np.sinc(2.0 * high * n) - 2.0 * low * np.sinc(2.0 * low * n)) * np.kaiser(taps, beta)
    middle = np.exp(-2j * np.pi * 0.5 * (low + high) * n)
    return np.asarray(impulse / abs(np.sum(impulse * middle)), dtype=np.float32)


def same(samples: npt.NDArray[np.float32], impulse: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """``samples`` (n,) through ``impulse`` with the delay taken out: same length, same time axis."""
    half = len(impulse) // 2
    return np.convolve(samples, impulse)[half : half + len(samples)]


def carriers(samples: int, tones_hz: Sequence[float]) -> npt.NDArray[np.complex64]:
    """exp(-2πi f t) for each of the tones at each of so many samples, complex64 (samples, tones)."""
    turn = -2j * np.pi / SAMPLE_RATE_HZ * np.asarray(tones_hz)
    near = np.exp(np.arange(_AT_ONCE)[:, None] * turn)
    far = np.exp(np.arange(0, samples, _AT_ONCE)[:, None] * turn)
    return (far[:, None] * near).reshape(-1, len(tones_hz))[:samples].astype(np.complex64)
