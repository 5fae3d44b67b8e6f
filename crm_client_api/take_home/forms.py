"""The bytes of a recording in the form that somebody wants: as they are stored where that will do, else coded anew."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from typing import Literal, cast

from crm_client_api.audio.encoded import Coding, encode_in_memory
from crm_client_api.domain.calls import Call
from crm_client_api.domain.recordings import Recording
from crm_client_api.excel.columns import Language
from crm_client_api.http.audio import WAV_HEADER_BYTES, WavBody
from crm_client_api.take_home.landing import BLOCK_BYTES, blocks
from firmware.clock import iso_utc
from firmware.config import Home
from firmware.errors import BoxError, NotFound, StoreError
from recorder.library.audio.stored import open_audio

Form = Literal["original", "flac", "wav", "mp3", "opus"]
"""``original``: as the box stores it (FLAC or G.711 WAV), the only form that its evidence vouches for."""

_READ_AHEAD_BYTES = 4 << 20
_ENDINGS: Mapping[str, str] = {"flac": ".flac", "alaw": ".wav", "ulaw": ".wav", "opus": ".opus", "mp3": ".mp3"}
_BYTES_A_SECOND_OF_TRACK: Mapping[Form, int] = {"flac": 6_000, "mp3": 4_000, "opus": 3_000}
"""Of telephone speech, measured; for estimates."""


def ending_of(recording: Recording, form: Form) -> str:
    """The ending of the file, dot included."""
    if form != "original":
        return f".{form}"
    return _ENDINGS.get(recording.format or "flac", ".flac")


def is_as_stored(recording: Recording, form: Form) -> bool:
    """Whether the very bytes are taken that the manifest vouches for."""
    return form in ("original", recording.format)


def likely_bytes(recording: Recording, form: Form) -> int:
    """How large the file will be, about; exact for bytes that are taken as they are."""
    if is_as_stored(recording, form):
        return recording.bytes or 0
    if form == "wav":
        frames = recording.duration_ms * recording.sample_rate_hz // 1000
        return WAV_HEADER_BYTES + 2 * recording.tracks * frames
    return recording.duration_ms * recording.tracks * _BYTES_A_SECOND_OF_TRACK[form] // 1000


def read_ahead(home: Home, recording: Recording) -> None:
    """Let the disk begin with a recording that is asked for soon; raises nothing."""
    with suppress(OSError):
        fd = os.open(home.recordings / (recording.path or ""), os.O_RDONLY)
        try:
            os.posix_fadvise(fd, 0, min(recording.bytes or 0, _READ_AHEAD_BYTES), os.POSIX_FADV_WILLNEED)
        finally:
            os.close(fd)


class Unreadable(BoxError):
    """The box has this recording no more, or it is damaged."""


Absence = Literal["unreadable", "too_large"]
"""Why a recording of a chosen call is not on the stick: the box cannot read it, or it is larger than a file may be."""
ABSENCE_TEXTS: Mapping[Language, Mapping[Absence, str]] = {
    "zh": {
        "unreadable": "（未导出：录音盒读不出此录音）",
        "too_large": "（未导出：超过此 U 盘单个文件的上限，FAT 为 4 GiB）",
    },
    "en": {
        "unreadable": "(left out: the box cannot read this recording)",
        "too_large": "(left out: larger than a file may be on this stick, with FAT 4 GiB)",
    },
}
"""The same for people."""


def pieces_of(home: Home, recording: Recording, call: Call, form: Form) -> Iterator[bytes | memoryview]:
    """The file, piece by piece; each piece is overwritten by the next. Raises Unreadable."""
    try:
        yield from _pieces(home, recording, call, form)
    except (NotFound, StoreError, OSError) as error:
        raise Unreadable(str(error)) from error


def _pieces(home: Home, recording: Recording, call: Call, form: Form) -> Iterator[bytes | memoryview]:
    source = open_audio(home, recording.path or "")
    if form == "wav" and not is_as_stored(recording, form):
        from crm_client_api.audio.pcm import FileSource

        with closing(WavBody(FileSource(source))) as body:
            position = 0
            while piece := body.read(position, BLOCK_BYTES):
                position += len(piece)
                yield piece
        return
    if not is_as_stored(recording, form):
        source = encode_in_memory(source, cast(Coding, form), _tags(recording, call))
        source.seek(0)
    with source:
        yield from blocks(source)
        if not recording.encrypted and is_as_stored(recording, form):
            # A month of recordings must not push what the box works with out of memory.
            os.posix_fadvise(source.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _tags(recording: Recording, call: Call) -> dict[str, str]:
    """What players show."""
    number = call.number or call.absence or "unknown"
    return {
        "title": f"CH{recording.channel:03d} {call.direction} {number}",
        "artist": call.caller_name or number,
        "album": f"CH{recording.channel:03d}",
        "date": iso_utc(recording.started_ms),
        "tracknumber": str(recording.segment + 1),
    }
