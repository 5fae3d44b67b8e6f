"""The audio of recordings: FLAC as stored or WAV, in whole or by byte ranges (RFC 9110, section 14)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import bottle
import msgspec

from crm_client_api.domain import audit
from crm_client_api.domain.calls import Recording, get_recording
from crm_client_api.domain.permissions import Permission
from crm_client_api.http.audio import AudioBody, open_flac, open_wav
from crm_client_api.http.errors import ApiError
from crm_client_api.http.routing import Request, raw_answer, route
from firmware.errors import NotFound
from firmware.store.connection import write

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_PIECE_BYTES = 64 * 1024


class AudioQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which form; ``download`` saves a file, which needs recording_export."""

    format: Literal["flac", "wav"] = "flac"
    download: bool = False


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes ``first`` to ``last``, both included."""

    first: int
    last: int


def parse_range(header: str, size_bytes: int) -> ByteRange | None:
    """The range asked for, None for the whole (also for what we do not serve: several ranges, other units).

    Raises ApiError 416 for a range outside.
    """
    match = _RANGE.fullmatch(header.replace(" ", ""))
    if match is None or match.groups() == ("", ""):
        return None
    first_text, last_text = match.groups()
    if first_text:
        first = int(first_text)
        last = min(int(last_text), size_bytes - 1) if last_text else size_bytes - 1
        if last_text and int(last_text) < first:
            return None
    else:
        first = max(0, size_bytes - int(last_text)) if int(last_text) else size_bytes
        last = size_bytes - 1
    if first >= size_bytes:
        raise ApiError(416, "range_outside", "there are fewer bytes", {"Content-Range": f"bytes */{size_bytes}"})
    return ByteRange(first, last)


@route(
    "GET", "/recordings/{recording_id}/audio", "The audio of a recording, with byte ranges",
    media=("audio/flac", "audio/wav"), permissions=(Permission.RECORDING_QUERY,),
)  # fmt: skip
def get_audio(request: Request, recording_id: str, query: AudioQuery) -> bottle.HTTPResponse:
    """Play or download a recording in scope."""
    if query.download:
        request.require(Permission.RECORDING_EXPORT)
    recording = get_recording(request.stores.calls, recording_id, request.desk.channels)
    file = audio_file(recording, request.api.home.recordings)
    etag = f'"{recording.sha256 or recording.id}-{query.format}"'
    headers = {"Accept-Ranges": "bytes", "ETag": etag, "Cache-Control": "private, no-cache"}
    if etag in [tag.strip() for tag in request.headers.get("If-None-Match", "").split(",")]:
        return raw_answer(b"", 304, headers)
    body = open_wav(file) if query.format == "wav" else open_flac(file)
    try:
        return _send(request, recording, query, body, headers)
    except BaseException:
        body.close()
        raise


def _send(
    request: Request, recording: Recording, query: AudioQuery, body: AudioBody, headers: dict[str, str]
) -> bottle.HTTPResponse:
    wanted = None
    if request.headers.get("If-Range", headers["ETag"]) == headers["ETag"]:
        wanted = parse_range(request.headers.get("Range", ""), body.size_bytes)
    part = wanted or ByteRange(0, body.size_bytes - 1)
    headers |= {"Content-Type": f"audio/{query.format}", "Content-Length": str(part.last - part.first + 1)}
    if wanted:
        headers["Content-Range"] = f"bytes {part.first}-{part.last}/{body.size_bytes}"
    if query.download:
        name = f"CH{recording.channel:03d}_{recording.id}.{query.format}"
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    if part.first == 0 and bottle.request.method == "GET":  # the further ranges of a player are the same listening
        action = "recording.download" if query.download else "recording.listen"
        with write(request.stores.crm) as connection:
            audit.append(connection, request.actor, action, recording.id, {"call": recording.call_id})
    return raw_answer(_Pieces(body, part), 206 if wanted else 200, headers)


def audio_file(recording: Recording, root: Path) -> Path:
    """Where the audio is. Raises NotFound when it is not there, or not below ``root``."""
    if recording.state != "ready" or recording.path is None:
        raise NotFound("this recording has no audio (yet)")
    file = (root / recording.path).resolve()
    if not file.is_relative_to(root.resolve()) or not file.is_file():
        raise NotFound("the audio of this recording is not there")
    return file


class _Pieces:
    """The bytes of a range, read while they are sent."""

    def __init__(self, body: AudioBody, part: ByteRange) -> None:
        self._body = body
        self._position = part.first
        self._end = part.last + 1

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = self._body.read(self._position, min(_PIECE_BYTES, self._end - self._position))
        if not piece:
            raise StopIteration
        self._position += len(piece)
        return piece

    def close(self) -> None:
        self._body.close()
