"""Random numbers keyed by (seed, purpose, line, index), and the idle noise made of them.

A counter-based generator (Philox) per block gives the same numbers whatever was drawn before, so that the
noise of any sample does not depend on the sizes of the chunks it is rendered in.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from drivers.exchange.tones import amplitude

Wave = npt.NDArray[np.float32]

BLOCK_SAMPLES = 8000
_SAMPLES_PER_MS = 8
_LOOP_NOISE_V = 0.05  # ripple and converter noise of the loop voltage, one sigma


class Purpose(IntEnum):
    """Keeps the streams of random numbers apart."""

    LINE = 1
    CALL = 2
    NOISE = 3
    OFFICE = 4


def keyed(seed: int, purpose: Purpose, line: int, index: int = 0) -> np.random.Generator:
    """A generator for one thing of one line; ``index`` below 2**44, ``line`` below 2**12."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, purpose << 56 | line << 44 | index], np.uint64)))


class LineNoise:
    """White noise of every line in blocks of one second, the last block kept. Thread: its exchange's."""

    def __init__(self, seed: int, noise_dbm0: Sequence[float]) -> None:
        self._seed = seed
        # amplitude() is a sine's peak; the noise's sigma is its RMS.
        self._sigma = [np.float32(amplitude(level) / np.sqrt(2.0)) for level in noise_dbm0]
        self._index = -1
        self._audio: Wave = np.zeros((len(self._sigma), BLOCK_SAMPLES), np.float32)
        self._loop: Wave = np.zeros((len(self._sigma), BLOCK_SAMPLES // _SAMPLES_PER_MS), np.float32)

    def take(self, first: int, samples: int) -> tuple[Wave, Wave]:
        """Fresh arrays: audio noise (lines, samples) and loop voltage noise in V (lines, samples // 8)."""
        lines = len(self._sigma)
        audio: Wave = np.empty((lines, samples), np.float32)
        loop: Wave = np.empty((lines, samples // _SAMPLES_PER_MS), np.float32)
        at = first
        while at < first + samples:
            index, skip = divmod(at, BLOCK_SAMPLES)
            if index != self._index:
                self._fill(index)
            count = min(BLOCK_SAMPLES - skip, first + samples - at)
            to = at - first
            audio[:, to : to + count] = self._audio[:, skip : skip + count]
            to, skip, count = to // _SAMPLES_PER_MS, skip // _SAMPLES_PER_MS, count // _SAMPLES_PER_MS
            loop[:, to : to + count] = self._loop[:, skip : skip + count]
            at = index * BLOCK_SAMPLES + BLOCK_SAMPLES
        return audio, loop

    def _fill(self, index: int) -> None:
        for line, sigma in enumerate(self._sigma):
            rng = keyed(self._seed, Purpose.NOISE, line, index)
            rng.standard_normal(out=self._audio[line], dtype=np.float32)
            self._audio[line] *= sigma
            rng.standard_normal(out=self._loop[line], dtype=np.float32)
        self._loop *= np.float32(_LOOP_NOISE_V)
        self._index = index
