"""Decodes the caller IDs in a recording, with the very detectors that listen to the lines.

Any WAV, FLAC or other file that libsndfile reads, any rate; each channel is a line of its own, on hook.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from recorder.dsp.dtmf import DtmfBank
from recorder.dsp.filters import SAMPLE_RATE_HZ
from recorder.dsp.listener import CallerIdListener, HeardCallerId
from recorder.dsp.spectrum import SpectrumBank
from recorder.signals import CallerId
from recorder.sound_file import SoundFile, SoundFileError

_HISTORY_SAMPLES = 4000
_LEAD_SAMPLES = 1600  # of silence before the file, so that one that begins inside a message is heard whole
_TAIL_SAMPLES = 12000  # of silence after it, so that every wait ends
_WEAK_FORM = "dtmf-hash"


class FileMessage(msgspec.Struct, frozen=True):
    """One message of a file, and where it lies. ``start_s``: seconds; ``channel``: 0 is left."""

    start_s: float
    channel: int
    message: CallerId


class FileResult(msgspec.Struct, frozen=True):
    """All messages of one file in order of time; ``error`` says why a file cannot be read."""

    file: str
    messages: list[FileMessage]
    error: str | None = None

    def builtins(self) -> dict[str, Any]:
        """What ``tapdeck callerid --json`` prints: each message flat, its place first."""
        messages = [
            {"start_s": each.start_s, "channel": each.channel, **msgspec.structs.asdict(each.message)}
            for each in self.messages
        ]
        return {"file": self.file, "messages": messages, "error": self.error}


class Ears:
    """The detectors of caller ID of all channels, on hook, fed block by block."""

    def __init__(self, channels: int) -> None:
        self._spectra = SpectrumBank(channels)
        self._dtmf = DtmfBank(channels)
        self._listener = CallerIdListener(channels)
        self._history = np.zeros((channels, _HISTORY_SAMPLES), np.int16)
        self._on_hook = np.ones(channels, np.bool_)
        self._length = 0

    def hear(self, block: npt.NDArray[np.int16]) -> list[HeardCallerId]:
        """Messages that became certain with this block, int16 (channels, a multiple of 80 samples)."""
        self._history = np.concatenate((self._history[:, -_HISTORY_SAMPLES:], block), axis=1)
        self._length += block.shape[1]
        frames = self._spectra.process(block)
        digits = self._dtmf.process(frames, self._dtmf.candidates(frames), self._history, self._length)
        return self._listener.process(frames, digits, self._history, self._length, self._on_hook)


def decode_file(path: Path) -> FileResult:
    """All caller IDs in an audio file. Never raises for a bad file: the answer's ``error`` says what is wrong."""
    try:
        with SoundFile(path) as audio:
            ears = Ears(audio.channels)
            heard = [each for block in audio.blocks(_LEAD_SAMPLES, _TAIL_SAMPLES) for each in ears.hear(block)]
    except SoundFileError as error:
        return FileResult(str(path), [], str(error))
    if not audio.samples:
        return FileResult(str(path), [], "holds no audio")
    return FileResult(str(path), [_placed(each) for each in _without_doubtful(heard)])


def _without_doubtful(heard: list[HeardCallerId]) -> list[HeardCallerId]:
    """Plain digits with a # count only where nothing better was heard in the whole file."""
    surer = any(each.message.valid and each.message.format != _WEAK_FORM for each in heard)
    kept = [each for each in heard if not (surer and each.message.format == _WEAK_FORM)]
    return sorted(kept, key=lambda each: (each.start_sample, each.port))


def _placed(heard: HeardCallerId) -> FileMessage:
    start_s = max(0, heard.start_sample - _LEAD_SAMPLES) / SAMPLE_RATE_HZ
    return FileMessage(round(start_s, 3), heard.port, heard.message)
