"""What an exchange and a telephone put on a line: call progress tones, DTMF, ring residue, clicks.

Waves are float32 at 8 kHz; levels are converted for a full scale of 32768 = +3.14 dBm0 (ITU-T G.711, A-law).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

Wave = npt.NDArray[np.float32]

SAMPLE_RATE_HZ = 8000
FULL_SCALE_DBM0 = 3.14

# ITU-T E.180 Supplement 2 (China): one 450 Hz tone, cadences (on_ms, off_ms).
PROGRESS_HZ = 450
RINGBACK_MS = (1000, 4000)
BUSY_MS = (350, 350)
CONGESTION_MS = (700, 700)
_RAMP_SAMPLES = 16  # 2 ms: gating that is not a hard key click

# ITU-T Q.23: low and high group.
_DTMF_ROWS_HZ = (697, 770, 852, 941)
_DTMF_COLUMNS_HZ = (1209, 1336, 1477, 1633)
_DTMF_KEYS = ("123A", "456B", "789C", "*0#D")
DTMF_TWIST_DB = 2.0  # high group above low group, as telephones send it

RING_HZ = 25
_RING_THIRD_HARMONIC = 0.15  # ringers saturate, so the residue is no pure sine
_CLICK_SAMPLES = 240


def amplitude(dbm0: float) -> float:
    """Peak value (in units of the 16-bit code) of a sine of that level."""
    return float(32768.0 * 10.0 ** ((dbm0 - FULL_SCALE_DBM0) / 20.0))


def gain(db: float) -> float:
    """A level difference in dB as a factor."""
    return float(10.0 ** (db / 20.0))


def _sine(frequency_hz: int, samples: int) -> Wave:
    # The phase is kept as an integer, so that a long tone does not drift.
    phase = np.arange(samples, dtype=np.int64) * frequency_hz % SAMPLE_RATE_HZ
    wave: Wave = np.sin(phase * (2.0 * np.pi / SAMPLE_RATE_HZ)).astype(np.float32)
    return wave


def _ramped(wave: Wave) -> Wave:
    edge = (0.5 - 0.5 * np.cos(np.pi * (np.arange(_RAMP_SAMPLES) + 0.5) / _RAMP_SAMPLES)).astype(np.float32)
    shaped = wave.copy()
    shaped[:_RAMP_SAMPLES] *= edge
    shaped[-_RAMP_SAMPLES:] *= edge[::-1]
    return shaped


@cache
def dial_period() -> Wave:
    """One period of the continuous dial tone (160 samples = 9 cycles), peak 1, to be repeated."""
    return _sine(PROGRESS_HZ, 160)


@cache
def cadence_period(on_ms: int, off_ms: int) -> Wave:
    """One period of an interrupted 450 Hz tone, peak 1, beginning with the tone, to be repeated."""
    on = _ramped(_sine(PROGRESS_HZ, on_ms * SAMPLE_RATE_HZ // 1000))
    return np.concatenate([on, np.zeros(off_ms * SAMPLE_RATE_HZ // 1000, np.float32)])


@cache
def ring_period() -> Wave:
    """One period (320 samples) of what ringing leaves in the audio of a tap, peak about 1, to be repeated."""
    residue: Wave = _sine(RING_HZ, 320) + np.float32(_RING_THIRD_HARMONIC) * _sine(3 * RING_HZ, 320)
    return residue


def dtmf(digits: str, tone_ms: int, pause_ms: int, low_dbm0: float) -> Wave:
    """Digits 0-9 * # A-D as DTMF (ITU-T Q.23), each with its pause; low group at ``low_dbm0`` (peak scaled)."""
    tone = tone_ms * SAMPLE_RATE_HZ // 1000
    pause: Wave = np.zeros(pause_ms * SAMPLE_RATE_HZ // 1000, np.float32)
    low, high = np.float32(amplitude(low_dbm0)), np.float32(amplitude(low_dbm0 + DTMF_TWIST_DB))
    parts: list[Wave] = []
    for digit in digits:
        row = next(i for i, keys in enumerate(_DTMF_KEYS) if digit in keys)
        column = _DTMF_KEYS[row].index(digit)
        pair = low * _sine(_DTMF_ROWS_HZ[row], tone) + high * _sine(_DTMF_COLUMNS_HZ[column], tone)
        parts += [_ramped(pair), pause]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def click(rng: np.random.Generator, peak: float, bounces: int = 0) -> Wave:
    """A step seen through a tap's high-pass: a decaying oscillation of 30 ms, with contact bounces."""
    t = np.arange(_CLICK_SAMPLES)
    wave = np.zeros(_CLICK_SAMPLES)
    starts = [0, *sorted(int(x) for x in rng.integers(8, 64, bounces))]
    for i, start in enumerate(starts):
        after = t[: _CLICK_SAMPLES - start]
        sign = 1.0 if rng.random() < 0.5 else -1.0
        pulse = np.exp(-after / rng.uniform(6.0, 14.0)) * np.cos(2.0 * np.pi * rng.uniform(0.02, 0.06) * after)
        wave[start:] += sign * peak * 0.6**i * pulse
    # Bounces may add up; the peak asked for is a promise to the mixer that nothing clips.
    limit = max(1.0, float(np.abs(wave).max()) / peak)
    return (wave / limit).astype(np.float32)
