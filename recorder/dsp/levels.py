"""Telephone levels: from mean squares of 16-bit samples to dBm0 and back (ITU-T G.711, A-law reference)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FULL_SCALE = 32768.0
FULL_SCALE_SINE_DBM0 = 3.14  # ITU-T G.711 § 4.2, A-law: a full-scale sine
SILENCE_DBM0 = -96.0  # what a row of zeros reads

_REFERENCE = FULL_SCALE * FULL_SCALE / 2.0


def mean_square(level_dbm0: float) -> float:
    """Mean square, in squared 16-bit sample units, of a signal of ``level_dbm0``."""
    return float(_REFERENCE * 10.0 ** ((level_dbm0 - FULL_SCALE_SINE_DBM0) / 10.0))


def dbm0(power: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Levels in dBm0 (float32, never below ``SILENCE_DBM0``) of mean squares in squared 16-bit sample units."""
    floor = np.float32(mean_square(SILENCE_DBM0))
    level = 10.0 * np.log10(np.maximum(power, floor) / np.float32(_REFERENCE)) + FULL_SCALE_SINE_DBM0
    return np.asarray(level, dtype=np.float32)


def rms_dbm0(samples: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    """Level of each row in dBm0 (float32, never below ``SILENCE_DBM0``) of int16 ``samples`` (rows, n)."""
    values = samples.astype(np.float32)
    return dbm0(np.einsum("cn,cn->c", values, values) / np.float32(max(1, samples.shape[1])))
