"""Audio as bytes that can be read from anywhere: a stored file as it is, or decoded to WAV on the way."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from firmware.errors import NotFound

if TYPE_CHECKING:
    import soundfile

_WAV_HEADER_BYTES = 44
_SAMPLE_BYTES = 2


class AudioBody(Protocol):
    """Bytes of known length. Thread: one."""

    size_bytes: int

    def read(self, first: int, count: int) -> bytes:
        """Bytes from ``first``, at most ``count``; none only at the end."""

    def close(self) -> None:
        """Idempotent."""


class StoredBody:
    """A file as it is."""

    def __init__(self, file: Path) -> None:
        self._file: IO[bytes] = file.open("rb")
        self.size_bytes = file.stat().st_size

    def read(self, first: int, count: int) -> bytes:
        """See AudioBody."""
        self._file.seek(first)
        return self._file.read(count)

    def close(self) -> None:
        """See AudioBody."""
        self._file.close()


class WavBody:
    """A file decoded to WAV with 16-bit PCM (RIFF, WAVE_FORMAT_PCM), made while it is read."""

    def __init__(self, file: soundfile.SoundFile) -> None:
        self._file = file
        self._frame_bytes = _SAMPLE_BYTES * file.channels
        data_bytes = file.frames * self._frame_bytes
        self.size_bytes = _WAV_HEADER_BYTES + data_bytes
        self._header = struct.pack(
            "<4sI4s4sIHHIIHH4sI",
            b"RIFF", self.size_bytes - 8, b"WAVE",
            b"fmt ", 16, 1, file.channels, file.samplerate, file.samplerate * self._frame_bytes, self._frame_bytes, 16,
            b"data", data_bytes,
        )  # fmt: skip

    def read(self, first: int, count: int) -> bytes:
        """See AudioBody."""
        if first < _WAV_HEADER_BYTES:
            return self._header[first : first + count]
        frame, skip = divmod(first - _WAV_HEADER_BYTES, self._frame_bytes)
        if frame >= self._file.frames:
            return b""
        if self._file.tell() != frame:  # seeking in FLAC decodes from the nearest seek point
            self._file.seek(frame)
        frames = -(-(skip + count) // self._frame_bytes)
        data: bytes = self._file.read(frames, dtype="int16").astype("<i2").tobytes()
        return data[skip : skip + count]

    def close(self) -> None:
        """See AudioBody."""
        self._file.close()


def open_flac(file: Path) -> AudioBody:
    """The stored file. Raises NotFound when it cannot be opened."""
    try:
        return StoredBody(file)
    except OSError as error:
        raise NotFound("the audio of this recording is not there") from error


def open_wav(file: Path) -> AudioBody:
    """The file as WAV. Raises NotFound when it cannot be decoded."""
    import soundfile  # with numpy, 100 ms and 25 MB that the API does not need to start

    try:
        return WavBody(soundfile.SoundFile(file))
    except (OSError, soundfile.SoundFileError) as error:
        raise NotFound("the audio of this recording cannot be read") from error
