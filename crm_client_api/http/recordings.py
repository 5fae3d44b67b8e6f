"""Recordings: lists, audio in any format, and waveforms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Literal, cast

import bottle
import msgspec

from crm_client_api.answers import PeaksInfo, RecordingPage
from crm_client_api.domain import audit
from crm_client_api.domain.calls import get_call
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.recordings import (
    Recording,
    RecordingFilter,
    RecordingKind,
    get_recording,
    list_recordings,
)
from crm_client_api.encoded import Coding, encode_in_memory
from crm_client_api.http.audio import AudioBody, StoredBody, WavBody
from crm_client_api.http.moments import Moment, unix_ms
from crm_client_api.http.routing import Request, route
from crm_client_api.http.sending import is_first_part, is_heard, is_known, not_modified, send
from crm_client_api.views import recording_info
from firmware.clock import iso_utc
from firmware.errors import NotFound
from firmware.store.connection import write
from recorder.library.audio.stored import open_audio

Form = Literal["original", "flac", "wav", "mp3", "opus"]
_MEDIA: Mapping[str, str] = {"flac": "audio/flac", "wav": "audio/wav", "mp3": "audio/mpeg", "opus": "audio/ogg"}
_STORED_FORMS: Mapping[str, str] = {"flac": "flac", "alaw": "wav", "ulaw": "wav", "opus": "opus", "mp3": "mp3"}


class AudioQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which form (``original``: as stored); ``download`` saves a file, which needs recording_export."""

    format: Form = "original"
    download: bool = False


class RecordingQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which recordings; ``from`` and ``to`` (ISO 8601 with an offset) find what overlaps that time."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    before: str | None = None
    channel: Annotated[int, msgspec.Meta(ge=1, le=9999)] | None = None
    kind: RecordingKind | None = None
    from_: Moment | None = msgspec.field(default=None, name="from")
    to: Moment | None = None


@route(
    "GET", "/recordings", "Recordings in scope, of calls and without, newest first",
    answer=RecordingPage, permissions=(Permission.RECORDING_QUERY,),
)  # fmt: skip
def get_recordings(request: Request, query: RecordingQuery) -> RecordingPage:
    """List recordings in scope."""
    wanted = RecordingFilter(
        limit=query.limit + 1,  # one more tells whether there is a next page
        before=query.before,
        channel=query.channel,
        kind=query.kind,
        from_ms=unix_ms(query.from_),
        to_ms=unix_ms(query.to),
    )
    found = list_recordings(request.stores.calls, wanted, request.desk.channels)
    page = found[: query.limit]
    return RecordingPage([recording_info(one) for one in page], page[-1].id if len(found) > query.limit else None)


@route(
    "GET", "/recordings/{recording_id}/audio", "The audio of a recording, with byte ranges",
    media=tuple(_MEDIA.values()), permissions=(Permission.RECORDING_QUERY,),
)  # fmt: skip
def get_audio(request: Request, recording_id: str, query: AudioQuery) -> bottle.HTTPResponse:
    """Play or download a recording in scope."""
    if query.download:
        request.require(Permission.RECORDING_EXPORT)
    recording = get_recording(request.stores.calls, recording_id, request.desk.channels)
    if not recording.readable or recording.path is None:
        raise NotFound("this recording has no audio (yet, or any more)")
    form = _STORED_FORMS[recording.format or "flac"] if query.format == "original" else query.format
    etag = f'"{recording.sha256 or recording.id}-{query.format}"'
    if is_known(request, etag):
        answer = not_modified(etag)
        _audit(request, recording, answer, query)
        return answer
    body, version = _open(request, recording, query.format, etag)
    name = f"{PurePosixPath(recording.path).name.split('.')[0]}.{form}" if query.download else None
    answer = send(request, body, _MEDIA[form], version, name)
    try:
        _audit(request, recording, answer, query)
    except BaseException:
        body.close()
        raise
    return answer


def _audit(request: Request, recording: Recording, answer: bottle.HTTPResponse, query: AudioQuery) -> None:
    """Once a listening, whichever part of the recording it begins with."""
    action = "recording.download" if query.download else "recording.listen"
    listened = (request.session.token_hash if request.session else "", action, recording.id)
    if not is_heard() or (request.api.beginnings.noted(listened) and not is_first_part(answer)):
        return
    with write(request.stores.crm) as connection:
        audit.append(connection, request.actor, action, recording.id, {"call": recording.call_id})
    request.api.beginnings.note(listened)


def _open(request: Request, recording: Recording, form: Form, etag: str) -> tuple[AudioBody, str | None]:
    """The body, and the ETag by which parts of it can be asked for."""
    source = open_audio(request.api.home, recording.path or "")
    if form in ("original", recording.format):
        return StoredBody(source), etag
    if form == "wav":
        from crm_client_api.pcm import FileSource

        return WavBody(FileSource(source)), etag
    coding = cast(Coding, form)
    tags = _tags(request, recording)
    if recording.encrypted:
        return StoredBody(encode_in_memory(source, coding, tags)), None
    file, version = request.api.copies.open(f"{recording.id}-{recording.sha256}", source, coding, tags)
    return StoredBody(file), f'"{version}"'


def _tags(request: Request, recording: Recording) -> dict[str, str]:
    """What players show: the other party, when, and the channel."""
    desk = request.desk
    tags = {
        "title": f"CH{recording.channel:03d} {recording.kind}",
        "album": f"CH{recording.channel:03d}",
        "date": iso_utc(recording.started_ms),
        "tracknumber": str(recording.segment + 1),
    }
    if recording.call_id is None:
        return tags
    call = get_call(request.stores.calls, recording.call_id, desk.channels)
    number = call.number or call.absence or "unknown"
    return tags | {
        "title": f"CH{recording.channel:03d} {call.direction} {number}",
        "artist": call.caller_name or number,
    }


@route(
    "GET", "/recordings/{recording_id}/peaks", "The waveform of a recording",
    answer=PeaksInfo, permissions=(Permission.RECORDING_QUERY,),
)  # fmt: skip
def get_peaks(request: Request, recording_id: str) -> PeaksInfo:
    """Show how loud a recording is over time, without decoding it in the browser."""
    recording = get_recording(request.stores.calls, recording_id, request.desk.channels)
    if not recording.readable or recording.path is None:
        raise NotFound("this recording has no audio (yet, or any more)")
    from crm_client_api.waveform import waveform

    return waveform(request.api.home, recording.path)
