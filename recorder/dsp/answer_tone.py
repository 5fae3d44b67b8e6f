"""Whether a 2100 Hz answer tone is a modem's: phase reversals (ITU-T V.25) or amplitude modulation (V.8 ANSam)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_REVERSAL_FRAMES = range(41, 50)  # ITU-T V.25 § 4: each 450 ± 25 ms, in frames of 10 ms
_MODULATION_HZ = 15.0  # ITU-T V.8 § 3.1: 15 ± 0.1 Hz, depth 0.2
_MIN_DEPTH = 0.1
_FRAME_S = 0.01
_APART = 3  # frames: those next to each other overlap


def is_modem(phasors: Sequence[complex], tone_hz: float) -> bool:
    """``phasors``: the bin of the tone in each frame, 1.3 s at least; ``tone_hz``: as measured."""
    values = np.asarray(phasors, dtype=np.complex128)
    return _reverses(values, tone_hz) or _modulated(np.abs(values))


def _reverses(values: np.ndarray[tuple[int, ...], np.dtype[np.complex128]], tone_hz: float) -> bool:
    """Whether the phase turns by half again and again, at the right distance."""
    turn = np.exp(-2j * np.pi * tone_hz * _FRAME_S * _APART)
    steps = values[_APART:] * values[:-_APART].conj() * turn
    steady = np.mean(steps) / max(1e-9, float(np.mean(np.abs(steps))))  # what is left of the error of tone_hz
    against = (steps * steady.conjugate()).real < 0.0
    begins = np.flatnonzero(against & ~np.concatenate(([False], against[:-1])))
    return any(int(gap) in _REVERSAL_FRAMES for gap in np.diff(begins))


def _modulated(envelope: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> bool:
    """Whether the envelope swings at 15 Hz."""
    window = np.hanning(len(envelope))
    wave = np.exp(-2j * np.pi * _MODULATION_HZ * _FRAME_S * np.arange(len(envelope)))
    mean = float(np.average(envelope, weights=window))
    swing = 2.0 * abs(complex(np.sum(window * (envelope - mean) * wave))) / float(window.sum())
    return swing >= _MIN_DEPTH * mean
