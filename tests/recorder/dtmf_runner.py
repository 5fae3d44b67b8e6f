"""Runs audio through the DTMF receiver alone, without the other detectors of the bank."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from recorder.dsp.dtmf import DtmfBank, DtmfTone
from recorder.dsp.spectrum import SpectrumBank

_BLOCK_SAMPLES = 800
_HISTORY_SAMPLES = 4000


def tones_of(rows: npt.NDArray[np.int16]) -> list[list[DtmfTone]]:
    """The digits of each row of int16 audio (channels, n), with 0.3 s of silence after it."""
    channels = len(rows)
    rows = np.pad(rows, ((0, 0), (_HISTORY_SAMPLES, 2400 + -rows.shape[1] % _BLOCK_SAMPLES)))
    spectra, bank = SpectrumBank(channels), DtmfBank(channels)
    found: list[dict[int, DtmfTone]] = [{} for _ in range(channels)]
    for end in range(_HISTORY_SAMPLES + _BLOCK_SAMPLES, rows.shape[1] + 1, _BLOCK_SAMPLES):
        history = rows[:, end - _BLOCK_SAMPLES - _HISTORY_SAMPLES : end]
        frames = spectra.process(np.ascontiguousarray(history[:, -_BLOCK_SAMPLES:]))
        for port, tone in bank.process(frames, bank.candidates(frames), history, end - _HISTORY_SAMPLES):
            found[port][tone.start_sample] = tone
    return [list(row.values()) for row in found]


def symbols_of(rows: npt.NDArray[np.int16]) -> list[str]:
    """The same as text."""
    return ["".join(tone.symbol for tone in row) for row in tones_of(rows)]
