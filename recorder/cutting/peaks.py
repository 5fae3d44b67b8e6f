"""The outline of a recording, ten times a second, for players: computed once, when it is cut.

File ``NAME.peaks``: magic ``TDPK``, version u8, channels u8, peaks per second u8, zero u8, count u32 (little-endian);
then for each tenth of a second and channel two int8, the lowest and the highest sample in 1/128 of full scale. The
last one may stand for less time. No evidence: it can be made again from the audio.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from drivers.api import Pcm
from firmware.errors import BadInput

Peaks = npt.NDArray[np.int8]
"""int8 (count, channels, 2): lowest and highest."""

PER_SECOND = 10
_MAGIC, _VERSION = b"TDPK", 1
_HEAD = struct.Struct("<4sBBBxI")


def peaks_path(audio: Path) -> Path:
    """``NAME.peaks`` of ``NAME.flac``, ``NAME.flac.tde`` and the like."""
    return audio.with_name(f"{audio.name.removesuffix('.tde').rpartition('.')[0]}.peaks")


def peaks_of(samples: Pcm, sample_rate_hz: int) -> bytes:
    """The content of a peaks file; ``samples`` int16 (channels, samples)."""
    channels, length = samples.shape
    count = -(-length * PER_SECOND // sample_rate_hz)
    found = np.zeros((count, channels, 2), np.int8)
    if count:
        starts = np.arange(count) * sample_rate_hz // PER_SECOND
        for side, extreme in enumerate((np.minimum, np.maximum)):
            peaks = extreme.reduceat(samples, starts, axis=1).astype(np.int32)
            found[:, :, side] = np.clip(peaks + 128 >> 8, -128, 127).T
    return _HEAD.pack(_MAGIC, _VERSION, channels, PER_SECOND, count) + found.tobytes()


def read_peaks(content: bytes) -> Peaks:
    """What ``peaks_of`` wrote. Raises BadInput: it is damaged or cut off."""
    try:
        magic, version, channels, per_second, count = _HEAD.unpack_from(content)
    except struct.error as error:
        raise BadInput("damaged peaks file") from error
    if (magic, version, per_second) != (_MAGIC, _VERSION, PER_SECOND):
        raise BadInput("not a peaks file of this version")
    if len(content) != _HEAD.size + 2 * channels * count:
        raise BadInput("damaged peaks file")
    return cast(Peaks, np.frombuffer(content, np.int8, offset=_HEAD.size).reshape(count, channels, 2))
