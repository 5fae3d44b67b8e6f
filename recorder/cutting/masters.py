"""Encoding of masters: FLAC, or WAV in the line's own G.711 law where that keeps every sample.

FLAC is written at libsndfile's default compression (level 5 of 8). Measured on telephone speech, 8 kHz, one core:
level 0 takes 3.8 ms and 334 KiB a minute, level 5 4.1 ms and 325 KiB, level 8 7.8 ms and 322 KiB.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np

from drivers.api import Pcm
from firmware.errors import StoreError
from recorder.tape.format import Range

MasterFormat = Literal["flac", "alaw", "ulaw"]


MOST_COMMENT_BYTES = 48 * 1024
"""libsndfile writes no WAV header above 100 KiB; a longer comment is left out, the manifest says it all.

Of a WAV's comments it reads none above 2,000 bytes itself; others do.
"""


@dataclass(frozen=True, slots=True)
class Tags:
    """What a container says about its recording; ``comment`` becomes JSON. Texts may come from a hostile line."""

    title: str
    artist: str
    comment: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Master:
    """An encoded recording; ``ending`` is that of its file, with the dot."""

    format: MasterFormat
    ending: str
    content: bytes


def encode_master(
    samples: Pcm, sample_rate_hz: int, wanted: Literal["flac", "g711"], silent: Sequence[Range], tags: Tags
) -> Master:
    """Encode int16 (channels, samples), C-contiguous. ``silent``: ranges that were not heard.

    ``g711`` becomes FLAC when neither law keeps every sample that was heard: WAV has one law for all channels, and
    A-law has no code for zero. Raises StoreError.
    """
    law = _exact_law(samples, silent) if wanted == "g711" else None
    if law is None:
        return Master("flac", ".flac", _written(samples, sample_rate_hz, "FLAC", "PCM_16", tags))
    return Master(law, ".wav", _written(samples, sample_rate_hz, "WAV", law.upper(), tags))


def _exact_law(samples: Pcm, silent: Sequence[Range]) -> Literal["alaw", "ulaw"] | None:
    from drivers.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw

    laws = (("alaw", decode_alaw(encode_alaw(samples))), ("ulaw", decode_ulaw(encode_ulaw(samples))))
    for law, again in laws:
        differs = np.asarray(again != samples)
        for low, high in silent:
            differs[:, low:high] = False
        if not differs.any():
            return law  # type: ignore[return-value]
    return None


def _written(samples: Pcm, sample_rate_hz: int, container: str, coding: str, tags: Tags) -> bytes:
    """The bytes of a file; libsndfile keeps quiet about a disk that is full when it closes a file."""
    import soundfile  # slow to import; a restarted recorder must first read its card

    whole = io.BytesIO()
    try:
        with soundfile.SoundFile(whole, "w", sample_rate_hz, len(samples), coding, format=container) as file:
            file.title, file.artist, file.software = _plain(tags.title), _plain(tags.artist), "Tapdeck"
            comment = msgspec.json.encode(tags.comment)
            if len(comment) <= MOST_COMMENT_BYTES:
                file.comment = comment.decode()
            file.write(np.ascontiguousarray(samples.T))
    except soundfile.SoundFileError as error:
        raise StoreError(f"a recording cannot be encoded: {error}") from error
    return whole.getvalue()


def _plain(text: str) -> str:
    """Without what ends a text in C or in a terminal; never empty."""
    return "".join(letter for letter in text[:200] if letter.isprintable()) or "unknown"
