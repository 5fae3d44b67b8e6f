"""Audio as bytes that can be read from anywhere: a file as it is, or any source of samples as WAV on the way."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from crm_client_api.audio.pcm import PcmSource

_SAMPLE_BYTES = 2
WAV_HEADER_BYTES = 44
ENDLESS = 0xFFFFFFFF
"""What a WAV header says of a length that is not known yet; players then play until the end."""


class AudioBody(Protocol):
    """Bytes of known length. Thread: one."""

    size_bytes: int

    def read(self, first: int, count: int) -> bytes:
        """Bytes from ``first``, at most ``count``; none only at the end."""

    def close(self) -> None:
        """Idempotent."""


class StoredBody:
    """A file as it is."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size_bytes = file.seek(0, os.SEEK_END)

    def read(self, first: int, count: int) -> bytes:
        """See AudioBody."""
        self._file.seek(first)
        return self._file.read(count)

    def close(self) -> None:
        """See AudioBody."""
        self._file.close()


def wav_header(sample_rate_hz: int, tracks: int, data_bytes: int) -> bytes:
    """The head of a WAV file with 16-bit PCM (RIFF, WAVE_FORMAT_PCM)."""
    frame_bytes = _SAMPLE_BYTES * tracks
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", min(ENDLESS, data_bytes + WAV_HEADER_BYTES - 8), b"WAVE",
        b"fmt ", 16, 1, tracks, sample_rate_hz, sample_rate_hz * frame_bytes, frame_bytes, 16,
        b"data", min(ENDLESS, data_bytes),
    )  # fmt: skip


class WavBody:
    """Samples as WAV, made while it is read."""

    def __init__(self, source: PcmSource) -> None:
        self._source = source
        self._frame_bytes = _SAMPLE_BYTES * source.tracks
        data_bytes = source.frames * self._frame_bytes
        self.size_bytes = WAV_HEADER_BYTES + data_bytes
        self._header = wav_header(source.sample_rate_hz, source.tracks, data_bytes)

    def read(self, first: int, count: int) -> bytes:
        """See AudioBody."""
        if first < WAV_HEADER_BYTES:
            return self._header[first : first + count]
        frame, skip = divmod(first - WAV_HEADER_BYTES, self._frame_bytes)
        frames = min(-(-(skip + count) // self._frame_bytes), self._source.frames - frame)
        if frames <= 0:
            return b""
        data: bytes = self._source.read(frame, frames).astype("<i2").tobytes()
        return data[skip : skip + count]

    def close(self) -> None:
        """See AudioBody."""
        self._source.close()
