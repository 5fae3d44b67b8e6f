"""Tells the call progress, fax and modem tones in a recording, with the very detectors that listen to the lines.

Any WAV, FLAC or other file that libsndfile reads, any rate; each channel is a line of its own, off hook.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from recorder.dsp.dtmf import DtmfBank
from recorder.dsp.filters import SAMPLE_RATE_HZ
from recorder.dsp.spectrum import SpectrumBank
from recorder.dsp.tone_profiles import DEFAULT_COUNTRY
from recorder.dsp.tones import ToneBank, ToneChange
from recorder.dsp.voice import VoiceBank
from recorder.signals import Tone
from recorder.sound_file import SoundFile, SoundFileError

_HISTORY_SAMPLES = 4000
_TAIL_SAMPLES = 16000  # of silence after the file, so that what its last burst proves is told


class FileTone(msgspec.Struct, frozen=True):
    """One tone of a file. ``start_s``, ``end_s``: seconds, first burst to last; ``channel``: 0 is left.

    ``frequencies_hz``: as measured, in Hz; ``level_dbm0``: of all of them together (full-scale sine +3.14 dBm0).
    """

    start_s: float
    end_s: float
    channel: int
    tone: Tone
    frequencies_hz: tuple[float, ...]
    level_dbm0: float


class FileTones(msgspec.Struct, frozen=True):
    """All tones of one file in order of time; ``error`` says why a file cannot be read."""

    file: str
    tones: list[FileTone]
    error: str | None = None


@dataclass(slots=True)
class _Ears:
    """The detectors that tell tones, fed with blocks of all channels."""

    spectra: SpectrumBank
    dtmf: DtmfBank
    voice: VoiceBank
    tones: ToneBank
    history: npt.NDArray[np.int16]
    length: int = 0

    def hear(self, block: npt.NDArray[np.int16]) -> list[ToneChange]:
        """Changes that became certain with this block, int16 (channels, a multiple of 80 samples)."""
        self.history = np.concatenate((self.history[:, -_HISTORY_SAMPLES:], block), axis=1)
        self.length += block.shape[1]
        everyone = np.ones(len(block), dtype=np.bool_)
        frames = self.spectra.process(block)
        pairs = self.dtmf.candidates(frames)
        for port, _ in self.dtmf.process(frames, pairs, self.history, self.length):
            self.tones.doubt(port)
        marks = self.tones.marks(frames, everyone, self.history, self.length)
        self.voice.process(frames, pairs | marks.tonal, everyone)
        return self.tones.process(frames, marks, self.history, self.length, everyone, self.voice.active)


def tones_of_file(path: Path, country: str = DEFAULT_COUNTRY) -> FileTones:
    """All tones in an audio file. Never raises for a bad file: the answer's ``error`` says what is wrong.

    ``country``: one of ``tone_profiles.COUNTRIES``; KeyError for any other.
    """
    try:
        with SoundFile(path) as audio:
            ears = _Ears(
                SpectrumBank(audio.channels),
                DtmfBank(audio.channels),
                VoiceBank(audio.channels),
                ToneBank([country] * audio.channels),
                np.zeros((audio.channels, _HISTORY_SAMPLES), dtype=np.int16),
            )
            changes = [change for block in audio.blocks(0, _TAIL_SAMPLES) for change in ears.hear(block)]
    except SoundFileError as error:
        return FileTones(str(path), [], str(error))
    if not audio.samples:
        return FileTones(str(path), [], "holds no audio")
    tones = sorted(_tones(changes, audio.samples), key=lambda tone: (tone.start_s, tone.channel))
    return FileTones(str(path), tones)


def _tones(changes: list[ToneChange], samples: int) -> Iterator[FileTone]:
    """Beginnings with their ends; a tone that another one takes over ends there, the last one with the file."""
    running: dict[int, ToneChange] = {}
    for change in changes:
        began = running.pop(change.port, None)
        if began is not None:
            yield _placed(began, change.at_sample, change if change.tone is None else began)
        if change.tone is not None:
            running[change.port] = change
    for began in running.values():
        yield _placed(began, samples, began)


def _placed(began: ToneChange, end_sample: int, heard: ToneChange) -> FileTone:
    assert began.tone is not None
    return FileTone(
        start_s=round(max(0, began.at_sample) / SAMPLE_RATE_HZ, 3),
        end_s=round(end_sample / SAMPLE_RATE_HZ, 3),
        channel=began.port,
        tone=began.tone,
        frequencies_hz=tuple(round(tone_hz, 1) for tone_hz in heard.frequencies_hz),
        level_dbm0=round(heard.level_dbm0, 1),
    )
