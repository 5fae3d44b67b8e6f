"""Encoding a master as Opus or MP3, and the proof by ear that the copy holds the same sound. Knows no store."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from drivers.api import Pcm
from firmware.errors import BadInput

ConvertedFormat = Literal["opus", "mp3"]
_CONTAINERS: dict[ConvertedFormat, tuple[str, str]] = {"opus": ("OGG", "OPUS"), "mp3": ("MP3", "MPEG_LAYER_III")}

LONGEST_DELAY_S = 0.2
"""Coders add up to this: an MP3 coder's delay and padding are three frames of 576 samples at 8 kHz."""
_BLOCK_SAMPLES = 1 << 18
_WINDOW_S = 0.1
_FLOOR_DB = -60.0
_MOST_LEVEL_ERROR_DB = 2.0
_LEAST_CORRELATION = 0.9
_FLAT_DB = 3.0
_LOUD_DB = -45.0
"""A window so loud must be found in the other sound, at most ``_MOST_DROP_DB`` softer."""
_MOST_DROP_DB = 12.0


@dataclass(frozen=True, slots=True)
class Sound:
    """Decoded audio: int16 (samples, channels), and what its container said."""

    samples: Pcm
    sample_rate_hz: int
    title: str = ""
    artist: str = ""
    comment: str = ""


def decode(content: bytes) -> Sound:
    """Raises BadInput."""
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            samples = file.read(dtype="int16", always_2d=True)
            return Sound(samples, file.samplerate, file.title, file.artist, file.comment)
    except (soundfile.SoundFileError, UnicodeDecodeError) as error:
        raise BadInput(f"it cannot be decoded: {error}") from error


def encode(sound: Sound, wanted: ConvertedFormat) -> bytes:
    """The same sound in another format, with the same tags. Raises BadInput."""
    import soundfile

    container, coding = _CONTAINERS[wanted]
    whole = io.BytesIO()
    rate, channels = sound.sample_rate_hz, sound.samples.shape[1]
    try:
        with soundfile.SoundFile(whole, "w", rate, channels, coding, format=container) as file:
            for first in range(0, len(sound.samples), _BLOCK_SAMPLES):
                # As fractions: libsndfile 1.2.2 spoils int16 in two channels for MP3 (libsndfile issue 1106).
                file.write(sound.samples[first : first + _BLOCK_SAMPLES].astype(np.float32) / 32768)
    except (soundfile.SoundFileError, ValueError) as error:
        raise BadInput(f"it cannot be encoded as {wanted}: {error}") from error
    whole.seek(0)
    _tag(whole, sound, wanted)
    return whole.getvalue()


def _tag(file: io.BytesIO, sound: Sound, wanted: ConvertedFormat) -> None:
    """Title, artist and the call record; every player reads these, Chinese too."""
    tags: Any
    if wanted == "opus":
        from mutagen import oggopus

        tags = oggopus.OggOpus(file)  # type: ignore[no-untyped-call]
        tags["title"], tags["artist"], tags["comment"] = sound.title, sound.artist, sound.comment
        file.seek(0)
        tags.save(file)
        return
    from mutagen import id3

    frames: Any = id3
    utf16 = frames.Encoding.UTF16  # what version 2.3, the one that every player reads, has for Chinese
    tags = frames.ID3()
    tags.add(frames.TIT2(encoding=utf16, text=sound.title))
    tags.add(frames.TPE1(encoding=utf16, text=sound.artist))
    tags.add(frames.COMM(encoding=utf16, lang="und", desc="", text=sound.comment))
    tags.save(file, v2_version=3)


def difference(master: Sound, copy: Sound) -> str | None:
    """Why ``copy`` is not the sound of ``master``; None when it is: as long, and as loud at every moment."""
    rate = master.sample_rate_hz
    if (copy.sample_rate_hz, copy.samples.shape[1]) != (rate, master.samples.shape[1]):
        return f"{copy.sample_rate_hz} Hz and {copy.samples.shape[1]} channels"
    longer_samples = len(copy.samples) - len(master.samples)
    if not -1 <= longer_samples <= LONGEST_DELAY_S * rate:
        return f"{longer_samples} samples longer"
    for channel in range(master.samples.shape[1]):
        wanted, got = (_levels_db(one.samples[:, channel], rate) for one in (master, copy))
        windows = min(len(wanted), len(got))
        reason = _levels_differ(wanted[:windows], got[:windows])
        if reason:
            return f"channel {channel}: {reason}"
    return None


def _levels_db(samples: npt.NDArray[np.int16], rate: int) -> npt.NDArray[np.float64]:
    window = int(_WINDOW_S * rate)
    whole = samples[: len(samples) // window * window].reshape(-1, window).astype(np.float64) / 32768
    levels: npt.NDArray[np.float64] = np.maximum(10 * np.log10(np.mean(whole**2, axis=1) + 1e-12), _FLOOR_DB)
    return levels


def _around(levels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The loudest of each window and those as near as a coder's delay may have moved the sound."""
    reach = round(LONGEST_DELAY_S / _WINDOW_S)
    padded = np.pad(levels, reach, mode="edge")
    loudest: npt.NDArray[np.float64] = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    return loudest


def _levels_differ(wanted: npt.NDArray[np.float64], got: npt.NDArray[np.float64]) -> str | None:
    if not len(wanted):
        return None
    for heard, missed, what in ((wanted, got, "missing"), (got, wanted, "added")):
        lost = (heard > _LOUD_DB) & (_around(missed) < heard - _MOST_DROP_DB)
        if lost.any():
            return f"{what} after {int(np.argmax(lost)) * _WINDOW_S:.1f} s"
    error_db = float(np.mean(np.abs(wanted - got)))
    if error_db > _MOST_LEVEL_ERROR_DB:
        return f"its level differs by {error_db:.1f} dB"
    if min(float(np.std(wanted)), float(np.std(got))) < _FLAT_DB:
        return None  # an even sound has no course to compare
    correlation = float(np.corrcoef(wanted, got)[0, 1])
    return f"its level follows only {correlation:.2f} of the master's" if correlation < _LEAST_CORRELATION else None
