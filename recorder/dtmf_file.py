"""Reads the DTMF digits out of a recording, with the very receiver that listens to the lines.

Any WAV, FLAC or other file that libsndfile reads, any rate; each channel is a line of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from recorder.dsp.dtmf import DtmfBank, DtmfTone
from recorder.dsp.filters import SAMPLE_RATE_HZ
from recorder.dsp.spectrum import SpectrumBank
from recorder.sound_file import SoundFile, SoundFileError

STRING_PAUSE_S = 3.0
"""A longer pause between two digits begins a new string of digits."""
_HISTORY_SAMPLES = 4000
_LEAD_SAMPLES = 1600  # of silence before the file, so that one that begins inside a digit is heard whole
_TAIL_SAMPLES = 1600  # of silence after it, so that its last digit ends


class FileDigit(msgspec.Struct, frozen=True):
    """One digit of a file. ``start_s``, ``end_s``: seconds; ``channel``: 0 is left; else as ``DtmfTone``."""

    start_s: float
    end_s: float
    channel: int
    symbol: str
    low_hz: float
    high_hz: float
    level_dbm0: float
    twist_db: float


class FileString(msgspec.Struct, frozen=True):
    """Digits of one channel without a pause longer than ``STRING_PAUSE_S``."""

    start_s: float
    channel: int
    digits: str


class FileDigits(msgspec.Struct, frozen=True):
    """All digits of one file in order of time; ``error`` says why a file cannot be read."""

    file: str
    digits: list[FileDigit]
    strings: list[FileString]
    error: str | None = None


def read_digits(path: Path) -> FileDigits:
    """All DTMF digits in an audio file. Never raises for a bad file: the answer's ``error`` says what is wrong."""
    try:
        with SoundFile(path) as audio:
            tones = _hear(audio.blocks(_LEAD_SAMPLES, _TAIL_SAMPLES), audio.channels)
    except SoundFileError as error:
        return FileDigits(str(path), [], [], str(error))
    if not audio.samples:
        return FileDigits(str(path), [], [], "holds no audio")
    digits = sorted((_placed(port, tone) for port, tone in tones), key=lambda digit: (digit.start_s, digit.channel))
    return FileDigits(str(path), digits, _strings(digits))


def _hear(blocks: Iterable[npt.NDArray[np.int16]], channels: int) -> list[tuple[int, DtmfTone]]:
    """(channel, digit) of the audio, positions counted from ``_LEAD_SAMPLES`` before it."""
    spectra, bank = SpectrumBank(channels), DtmfBank(channels)
    history = np.zeros((channels, _HISTORY_SAMPLES), dtype=np.int16)
    heard: dict[tuple[int, int], DtmfTone] = {}  # by channel and start: a digit told again has grown longer
    length = 0
    for block in blocks:
        history = np.concatenate((history[:, -_HISTORY_SAMPLES:], block), axis=1)
        length += block.shape[1]
        frames = spectra.process(block)
        for port, tone in bank.process(frames, bank.candidates(frames), history, length):
            heard[port, tone.start_sample] = tone
    return [(port, tone) for (port, _), tone in heard.items()]


def _strings(digits: list[FileDigit]) -> list[FileString]:
    """The digits, which are in order of time, as strings in order of time."""
    strings: list[FileString] = []
    latest: dict[int, tuple[int, float]] = {}  # by channel: the string that its next digit may go on, and since when
    for digit in digits:
        at, end_s = latest.get(digit.channel, (-1, 0.0))
        if at >= 0 and digit.start_s - end_s <= STRING_PAUSE_S:
            strings[at] = msgspec.structs.replace(strings[at], digits=strings[at].digits + digit.symbol)
        else:
            at = len(strings)
            strings.append(FileString(digit.start_s, digit.channel, digit.symbol))
        latest[digit.channel] = at, digit.end_s
    return strings


def _placed(port: int, tone: DtmfTone) -> FileDigit:
    return FileDigit(
        start_s=_seconds(tone.start_sample),
        end_s=_seconds(tone.end_sample),
        channel=port,
        symbol=tone.symbol,
        low_hz=round(tone.low_hz, 1),
        high_hz=round(tone.high_hz, 1),
        level_dbm0=round(tone.level_dbm0, 1),
        twist_db=round(tone.twist_db, 1),
    )


def _seconds(sample: int) -> float:
    return round(max(0, sample - _LEAD_SAMPLES) / SAMPLE_RATE_HZ, 3)
