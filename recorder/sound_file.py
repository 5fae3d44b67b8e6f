"""Reads recordings of lines for the commands that put them through the detectors: any file, any rate, at 8 kHz."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from firmware.errors import BoxError
from recorder.dsp.filters import SAMPLE_RATE_HZ
from recorder.dsp.levels import FULL_SCALE

_READ_FRAMES = 65536
BLOCK_SAMPLES = 800
"""As the recorder's own blocks: 0.1 s."""


class SoundFileError(BoxError):
    """A file cannot be read as audio; the message says why."""


class SoundFile:
    """A WAV, FLAC or other file that libsndfile reads, of any rate; each channel is a line of its own.

    ``samples``: how many have been read so far, at 8 kHz.
    """

    def __init__(self, path: Path) -> None:
        """Raises SoundFileError."""
        self._path = path
        try:
            self._file = soundfile.SoundFile(path)
        except (soundfile.SoundFileError, OSError, RuntimeError, ValueError) as error:
            raise self._error(error) from error
        self.channels = int(self._file.channels)
        self.samples = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def _error(self, error: Exception) -> SoundFileError:
        if not self._path.exists():
            return SoundFileError("no such file")
        if self._path.is_dir():
            return SoundFileError("is a directory")
        return SoundFileError(f"cannot be read as audio: {error}" if self._path.stat().st_size else "is empty")

    def blocks(self, lead_samples: int, tail_samples: int) -> Iterator[npt.NDArray[np.int16]]:
        """The audio between so much silence, at 8 kHz as int16 (channels, ``BLOCK_SAMPLES``). Raises SoundFileError."""
        waiting = np.zeros((self.channels, lead_samples), dtype=np.int16)
        tail = np.zeros((self.channels, tail_samples + BLOCK_SAMPLES - 1), dtype=np.int16)
        for part in chain(self.parts(), [tail]):
            waiting = np.concatenate((waiting, part), axis=1)
            whole = waiting.shape[1] // BLOCK_SAMPLES * BLOCK_SAMPLES
            for start in range(0, whole, BLOCK_SAMPLES):
                yield np.ascontiguousarray(waiting[:, start : start + BLOCK_SAMPLES])
            waiting = waiting[:, whole:]

    def parts(self) -> Iterator[npt.NDArray[np.int16]]:
        """The audio at 8 kHz as int16 (channels, n), n as it comes. Raises SoundFileError."""
        try:
            yield from self._parts()
        except (soundfile.SoundFileError, OSError, RuntimeError, ValueError) as error:
            raise self._error(error) from error

    def _parts(self) -> Iterator[npt.NDArray[np.int16]]:
        channels, rate_hz = self.channels, float(self._file.samplerate)
        converter = (
            soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, channels, dtype="float32")
            if rate_hz != SAMPLE_RATE_HZ
            else None
        )
        while True:
            part = self._file.read(_READ_FRAMES, dtype="float32", always_2d=True)
            last = len(part) == 0
            eight = part if converter is None else converter.resample_chunk(part, last=last)
            if len(eight):
                self.samples += len(eight)
                scaled = np.nan_to_num(eight * np.float32(FULL_SCALE))
                yield np.clip(np.rint(scaled), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16).reshape(-1, channels).T
            if last:
                return
