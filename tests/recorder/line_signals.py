"""Signals as they come down a telephone line, made without any code of the detectors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

RATE_HZ = 8000
FULL_SCALE = 32768.0
Audio = npt.NDArray[np.float64]

DTMF_ROWS = {"123A": 697.0, "456B": 770.0, "789C": 852.0, "*0#D": 941.0}
DTMF_COLUMNS = (1209.0, 1336.0, 1477.0, 1633.0)


def amplitude(level_dbm0: float) -> float:
    """Amplitude of a sine of that level; a full-scale sine is +3.14 dBm0 (ITU-T G.711, A-law)."""
    return float(FULL_SCALE * 10.0 ** ((level_dbm0 - 3.14) / 20.0))


def silence(seconds: float) -> Audio:
    return np.zeros(round(seconds * RATE_HZ))


def sine(seconds: float, tone_hz: float = 450.0, level_dbm0: float = -10.0) -> Audio:
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return amplitude(level_dbm0) * np.sin(2.0 * np.pi * tone_hz * time_s)


def noise(samples: int, level_dbm0: float, rng: np.random.Generator) -> Audio:
    return rng.standard_normal(samples) * amplitude(level_dbm0) / np.sqrt(2.0)


def frame(kind: int, payload: bytes) -> bytes:
    """Type, length, payload, checksum."""
    body = bytes([kind, len(payload)]) + payload
    return body + bytes([-sum(body) % 256])


def mdmf(*parameters: tuple[int, bytes]) -> bytes:
    return frame(0x80, b"".join(bytes([kind, len(content)]) + content for kind, content in parameters))


def fsk(
    data: bytes,
    *,
    mark_hz: float = 1200.0,
    space_hz: float = 2200.0,
    baud: float = 1200.0,
    seizure_bits: int = 300,
    mark_bits: int = 180,
    fill_bits: int = 0,
    level_dbm0: float = -13.0,
    twist_db: float = 0.0,
) -> Audio:
    """Phase-continuous FSK at 8 kHz, computed at 48 kHz. ``twist_db``: mark over space."""
    bits = [i & 1 for i in range(seizure_bits)] + [1] * mark_bits
    for byte in data:
        bits += [0] + [byte >> k & 1 for k in range(8)] + [1] * (1 + fill_bits)
    bits += [1] * 4
    oversampling = 6
    count = int(len(bits) / baud * RATE_HZ * oversampling)
    index = np.minimum((np.arange(count) * baud / (RATE_HZ * oversampling)).astype(int), len(bits) - 1)
    mark = np.array(bits)[index] == 1
    phase = 2.0 * np.pi * np.cumsum(np.where(mark, mark_hz, space_hz)) / (RATE_HZ * oversampling)
    gain = np.where(mark, 10.0 ** (twist_db / 40.0), 10.0 ** (-twist_db / 40.0))
    return amplitude(level_dbm0) * (gain * np.sin(phase))[::oversampling]


def dtmf_tone(
    symbol: str,
    on_ms: float,
    *,
    level_dbm0: float = -10.0,
    twist_db: float = 0.0,
    low_deviation: float = 0.0,
    high_deviation: float = 0.0,
) -> Audio:
    """One digit. ``level_dbm0``: of the stronger tone; ``twist_db``: high over low group."""
    row = next(keys for keys in DTMF_ROWS if symbol in keys)
    time_s = np.arange(round(on_ms * RATE_HZ / 1000.0)) / RATE_HZ
    low = np.sin(2.0 * np.pi * DTMF_ROWS[row] * (1.0 + low_deviation) * time_s + 0.4)
    high = np.sin(2.0 * np.pi * DTMF_COLUMNS[row.index(symbol)] * (1.0 + high_deviation) * time_s + 1.9)
    return amplitude(level_dbm0) * (low * 10.0 ** (min(-twist_db, 0) / 20.0) + high * 10.0 ** (min(twist_db, 0) / 20.0))


def dtmf(digits: str, on_ms: float = 70.0, off_ms: float = 70.0, **tone: float) -> Audio:
    return np.concatenate([np.concatenate((dtmf_tone(d, on_ms, **tone), silence(off_ms / 1000.0))) for d in digits])


def ring_burst(seconds: float, level_dbm0: float = 3.0) -> Audio:
    """25 Hz ringing as it leaks through a line interface: clipped, high-passed, rich in harmonics."""
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    clipped = np.clip(6.0 * np.sin(2.0 * np.pi * 25.0 * time_s), -1.0, 1.0)
    through = np.concatenate(([0.0], np.diff(clipped))) * 8.0 + 0.2 * clipped
    return np.clip(through, -1.0, 1.0) * amplitude(level_dbm0)


def pcm(*parts: Audio) -> npt.NDArray[np.int16]:
    """Parts after each other as int16, clipped as a codec clips."""
    return np.clip(np.rint(np.concatenate(parts)), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
