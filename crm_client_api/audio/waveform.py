"""The waveform of a recording: as the cutter left it beside the audio, else computed now."""

from __future__ import annotations

import numpy as np

from crm_client_api.answers.recordings import PeaksInfo
from crm_client_api.audio.pcm import FileSource
from firmware.config import Home
from firmware.errors import BadInput
from recorder.cutting.peaks import PER_SECOND, Peaks, peaks_of, peaks_path, read_peaks
from recorder.library.audio.stored import audio_path, open_audio

_PIECE_S = 60


def waveform(home: Home, stored: str) -> PeaksInfo:
    """The outline; ``stored`` is ``recordings.path``. Raises NotFound, StoreError."""
    try:
        peaks = read_peaks(peaks_path(audio_path(home, stored)).read_bytes())
    except (BadInput, OSError):
        peaks = _computed(home, stored)
    return PeaksInfo(PER_SECOND, [peaks[:, track].ravel().tolist() for track in range(peaks.shape[1])])


def _computed(home: Home, stored: str) -> Peaks:
    """In pieces of whole seconds: an hour would not fit well into memory."""
    source = FileSource(open_audio(home, stored))
    try:
        step = _PIECE_S * source.sample_rate_hz
        pieces = [
            read_peaks(peaks_of(source.read(first, min(step, source.frames - first)).T, source.sample_rate_hz))
            for first in range(0, source.frames, step)
        ]
        return np.concatenate(pieces) if pieces else np.zeros((0, source.tracks, 2), np.int8)
    finally:
        source.close()
