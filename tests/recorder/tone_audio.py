"""Call progress, fax and modem tones and alerting signals as exchanges and machines send them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from line_signals import RATE_HZ, Audio, silence, sine


def together(seconds: float, frequencies_hz: Sequence[float], level_dbm0: float = -13.0) -> Audio:
    """Tones at once, each of ``level_dbm0``."""
    parts = [sine(seconds, tone_hz, level_dbm0) for tone_hz in frequencies_hz]
    return np.asarray(np.sum(parts, axis=0), dtype=np.float64)


def modulated(seconds: float, tone_hz: float, by_hz: float, depth: float = 1.0, level_dbm0: float = -13.0) -> Audio:
    """A tone whose amplitude swings."""
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return sine(seconds, tone_hz, level_dbm0) * (1.0 + depth * np.sin(2.0 * np.pi * by_hz * time_s))


def cadence(bursts: Sequence[tuple[Sequence[float], float, float]], rounds: int, level_dbm0: float = -13.0) -> Audio:
    """(frequencies in Hz, on in s, off in s) one after the other, again and again."""
    parts = [np.concatenate((together(on_s, hz, level_dbm0), silence(off_s))) for hz, on_s, off_s in bursts]
    return np.concatenate(parts * rounds)


def reversed_answer(seconds: float, each_s: float = 0.45, level_dbm0: float = -13.0) -> Audio:
    """Answer tone whose phase turns by half every 450 ms (ITU-T V.25)."""
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return sine(seconds, 2100.0, level_dbm0) * np.where((time_s / each_s).astype(int) % 2, -1.0, 1.0)


def alerting(ms: float, level_dbm0: float = -20.0, off: float = 0.0, twist_db: float = 0.0) -> Audio:
    """2130 and 2750 Hz; ``off``: relative deviation of both; ``twist_db``: low over high."""
    low = sine(ms / 1000.0, 2130.0 * (1.0 + off), level_dbm0 + twist_db / 2.0)
    return low + sine(ms / 1000.0, 2750.0 * (1.0 + off), level_dbm0 - twist_db / 2.0)
