"""Sources of samples: decoded files, stretches of a tape, silence, and several one after the other.

Importing this takes numpy and libsndfile into memory (25 MB): handlers import it when somebody listens.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import BinaryIO, Protocol

import numpy as np
import soundfile

from drivers.api import Pcm
from firmware.errors import NotFound, StoreError
from recorder.tape.format import Range
from recorder.tape.reader import TapeReader


class PcmSource(Protocol):
    """Samples of known number. Thread: one."""

    sample_rate_hz: int
    tracks: int
    frames: int

    def read(self, first: int, count: int) -> Pcm:
        """``count`` frames from ``first``, both inside: int16 (count, tracks)."""

    def close(self) -> None:
        """Idempotent."""


class FileSource:
    """A file that libsndfile can decode; ``file`` is closed with it. Raises NotFound when it cannot."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        try:
            self._sound = soundfile.SoundFile(file)
        except (OSError, soundfile.SoundFileError) as error:
            file.close()
            raise NotFound("the audio of this recording cannot be read") from error
        self.sample_rate_hz: int = self._sound.samplerate
        self.tracks: int = self._sound.channels
        self.frames: int = self._sound.frames

    def read(self, first: int, count: int) -> Pcm:
        """See PcmSource. Raises StoreError when the file is damaged: silence would pass for what was said."""
        if self._sound.tell() != first:  # seeking in FLAC decodes from the nearest seek point
            self._sound.seek(first)
        try:
            samples: Pcm = self._sound.read(count, dtype="int16", always_2d=True)
        except soundfile.SoundFileError as error:
            raise StoreError(f"a recording is damaged: {error}") from error
        if len(samples) < count:
            raise StoreError("a recording is shorter than it says")
        return samples

    def close(self) -> None:
        """See PcmSource."""
        self._sound.close()
        self._file.close()


class TapeSource:
    """Rows of a tape between two positions; ``silent`` ranges of it, and what the tape does not hold, are silence."""

    def __init__(
        self, tape: TapeReader, rows: Sequence[int], from_sample: int, to_sample: int, silent: Sequence[Range]
    ) -> None:
        self._tape, self._rows, self._start, self._silent = tape, rows, from_sample, silent
        self.sample_rate_hz = tape.geometry.sample_rate_hz
        self.tracks = len(rows)
        self.frames = max(0, to_sample - from_sample)

    def read(self, first: int, count: int) -> Pcm:
        """See PcmSource."""
        low, high = self._start + first, self._start + first + count
        samples = np.stack([self._tape.read(row, low, high)[0] for row in self._rows], axis=1)
        for start, end in self._silent:
            samples[max(start, low) - low : max(0, min(end, high) - low)] = 0
        return samples

    def close(self) -> None:
        """See PcmSource. The tape belongs to whoever opened it."""


class SilentSource:
    """Silence in place of what may not be heard any more."""

    def __init__(self, sample_rate_hz: int, tracks: int, frames: int) -> None:
        self.sample_rate_hz, self.tracks, self.frames = sample_rate_hz, tracks, frames

    def read(self, _first: int, count: int) -> Pcm:
        """See PcmSource."""
        return np.zeros((count, self.tracks), np.int16)

    def close(self) -> None:
        """See PcmSource."""


class JoinedSource:
    """Sources one after the other, at the rate and with the tracks of the first; ``tape`` is closed with them."""

    def __init__(self, parts: Sequence[PcmSource], tape: TapeReader | None) -> None:
        self._parts, self._tape = list(parts), tape
        self.sample_rate_hz, self.tracks = parts[0].sample_rate_hz, parts[0].tracks
        self._ends = list(accumulate(part.frames for part in parts))
        self.frames = self._ends[-1]

    def read(self, first: int, count: int) -> Pcm:
        """See PcmSource."""
        found: list[Pcm] = []
        while count:
            index = bisect_right(self._ends, first)
            part = self._parts[index]
            at = first - (self._ends[index] - part.frames)
            taken = min(count, part.frames - at)
            found.append(_with_tracks(part.read(at, taken), self.tracks))
            first, count = first + taken, count - taken
        return np.concatenate(found)

    def close(self) -> None:
        """See PcmSource."""
        for part in self._parts:
            part.close()
        if self._tape is not None:
            self._tape.close()
            self._tape = None


def _with_tracks(samples: Pcm, tracks: int) -> Pcm:
    return samples if samples.shape[1] == tracks else np.repeat(samples[:, :1], tracks, axis=1)
