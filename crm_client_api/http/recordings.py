"""Recordings: lists, audio in any format, and waveforms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Annotated, Literal, cast

import bottle
import msgspec

from crm_client_api.answers.recordings import PeaksInfo, RecordingCount, RecordingPage
from crm_client_api.audio.encoded import Coding, encode_in_memory
from crm_client_api.domain import audit
from crm_client_api.domain.call_tags import tagged_calls
from crm_client_api.domain.calls import get_call
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.recording_search import RecordingSearch, Sort, count_recordings, search_recordings
from crm_client_api.domain.recordings import Recording, RecordingKind, get_recording
from crm_client_api.domain.scope import ChannelScope
from crm_client_api.domain.walk import parse_position
from crm_client_api.http.audio import AudioBody, StoredBody, WavBody
from crm_client_api.http.call_filters import (
    CustomerId,
    Milliseconds,
    Words,
    numbers_of,
    standing_holds,
    written_about,
)
from crm_client_api.http.moments import Moment, unix_ms
from crm_client_api.http.routing import Api, Request, route
from crm_client_api.http.sending import is_first_part, is_heard, is_known, not_modified, send
from crm_client_api.views.calls import recording_info
from firmware.clock import iso_utc
from firmware.errors import NotFound
from firmware.store.connection import write
from recorder.library.audio.stored import open_audio

Form = Literal["original", "flac", "wav", "mp3", "opus"]
_MEDIA: Mapping[str, str] = {"flac": "audio/flac", "wav": "audio/wav", "mp3": "audio/mpeg", "opus": "audio/ogg"}
AUDIO_MEDIA = tuple(_MEDIA.values())
"""The content types in which a recording can come."""
_STORED_FORMS: Mapping[str, str] = {"flac": "flac", "alaw": "wav", "ulaw": "wav", "opus": "opus", "mp3": "mp3"}


class AudioQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which form (``original``: as stored); ``download`` saves a file, which needs recording_export."""

    format: Form = "original"
    download: bool = False


class RecordingFilter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which recordings; ``from`` and ``to`` (ISO 8601 with an offset) find what overlaps that time.

    ``number``: any spelling, or digits within it. ``customer``: calls with one of a customer's numbers, which needs
    customer_manage. ``text``: words of communication records about the call (the newest 1000 of them), which needs
    communication_manage. ``tag``: of the call, several with commas: all of them (the newest 5000 calls). ``operator``:
    who handled the call. ``held``: protected by a hold; needs hold_manage.
    """

    channel: Annotated[int, msgspec.Meta(ge=1, le=9999)] | None = None
    kind: RecordingKind | None = None
    from_: Moment | None = msgspec.field(default=None, name="from")
    to: Moment | None = None
    duration_from_ms: Milliseconds | None = None
    duration_to_ms: Milliseconds | None = None
    number: Annotated[str, msgspec.Meta(min_length=1, max_length=60)] | None = None
    customer: CustomerId | None = None
    operator: Annotated[str, msgspec.Meta(max_length=16)] | None = None
    direction: Literal["incoming", "outgoing"] | None = None
    machine: Literal["fax", "modem"] | None = None
    text: Words | None = None
    tag: Words | None = None
    held: bool | None = None


class RecordingQuery(RecordingFilter, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to list, in which order. ``before`` is the ``next`` of the page before."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    before: Annotated[str, msgspec.Meta(max_length=100)] | None = None
    sort: Sort = "newest"


@route(
    "GET", "/recordings", "Recordings in scope, of calls and without, newest first",
    answer=RecordingPage, permissions=(Permission.RECORDING_QUERY,), reads="recording", also=(404,),
)  # fmt: skip
def get_recordings(request: Request, query: RecordingQuery) -> RecordingPage:
    """List recordings in scope."""
    position = parse_position(query.before) if query.before else None
    wanted = _search(request, query, query.sort)
    site = request.settings.site
    found, after = search_recordings(request.stores.calls, wanted, request.desk.channels, site, position, query.limit)
    return RecordingPage([recording_info(one) for one in found], None if after is None else str(after))


@route(
    "GET", "/recordings/count", "How many recordings in scope there are, as far as they can be counted at once",
    answer=RecordingCount, permissions=(Permission.RECORDING_QUERY,), also=(404,),
)  # fmt: skip
def get_recording_count(request: Request, query: RecordingFilter) -> RecordingCount:
    """Count recordings in scope, a thousand at most."""
    wanted = _search(request, query, "newest")
    return RecordingCount(*count_recordings(request.stores.calls, wanted, request.desk.channels, request.settings.site))


def _search(request: Request, query: RecordingFilter, sort: Sort) -> RecordingSearch:
    """Raises PermissionMissing: a filter shows what needs a permission of its own; NotFound: no such customer."""
    return RecordingSearch(
        channel=query.channel,
        kind=query.kind,
        from_ms=unix_ms(query.from_),
        to_ms=unix_ms(query.to),
        duration_from_ms=query.duration_from_ms,
        duration_to_ms=query.duration_to_ms,
        number=query.number,
        numbers=numbers_of(request, query.customer) if query.customer is not None else None,
        operator=query.operator,
        direction=query.direction,
        machine=query.machine,
        call_ids=_calls_of(request, query),
        held=query.held,
        holds=standing_holds(request) if query.held is not None else (),
        sort=sort,
    )


def _calls_of(request: Request, query: RecordingFilter) -> tuple[str, ...] | None:
    """The calls that text and tag leave, None for all. Raises PermissionMissing."""
    written = None if query.text is None else written_about(request, query.text)
    if query.tag is None:
        return written
    tagged = tagged_calls(request.stores.crm, query.tag.split(","), request.desk.channels)
    return tagged if written is None else tuple(sorted(set(tagged) & set(written)))


@route(
    "GET", "/recordings/{recording_id}/audio", "The audio of a recording, with byte ranges",
    media=AUDIO_MEDIA, permissions=(Permission.RECORDING_QUERY,), also=(206, 304, 416),
)  # fmt: skip
def get_audio(request: Request, recording_id: str, query: AudioQuery) -> bottle.HTTPResponse:
    """Play or download a recording in scope."""
    scope = request.desk.channels
    return send_recording(request, get_recording(request.stores.calls, recording_id, scope), query, scope)


def send_recording(
    request: Request, recording: Recording, query: AudioQuery, scope: ChannelScope
) -> bottle.HTTPResponse:
    """The audio of a recording that the asker may hear; ``scope``: in which its call is looked up for the tags.

    Raises NotFound: it has no audio; PermissionMissing: a download without recording_export.
    """
    if query.download:
        request.require(Permission.RECORDING_EXPORT)
    if not recording.readable or recording.path is None:
        raise NotFound("this recording has no audio (yet, or any more)")
    form = _STORED_FORMS[recording.format or "flac"] if query.format == "original" else query.format
    etag = f'"{recording.sha256 or recording.id}-{query.format}"'
    if is_known(request, etag):
        answer = not_modified(etag)
        _audit(request, recording, answer, query)
        return answer
    tags = tags_of(request, recording, scope)
    body, version = open_form(request.api, recording, query.format, etag, tags)
    name = file_name(recording, query.format) if query.download else None
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


def file_name(recording: Recording, form: Form) -> str:
    """What a downloaded file is called: as the stored one, with the ending of its form."""
    ending = _STORED_FORMS[recording.format or "flac"] if form == "original" else form
    return f"{PurePosixPath(recording.path or recording.id).name.split('.')[0]}.{ending}"


def open_form(
    api: Api, recording: Recording, form: Form, etag: str, tags: Callable[[], Mapping[str, str]]
) -> tuple[AudioBody, str | None]:
    """The body, and the ETag by which parts of it can be asked for. ``tags``: asked for when it is coded anew."""
    source = open_audio(api.home, recording.path or "")
    if form in ("original", recording.format):
        return StoredBody(source), etag
    if form == "wav":
        from crm_client_api.audio.pcm import FileSource

        return WavBody(FileSource(source)), etag
    coding = cast(Coding, form)
    if recording.encrypted:
        return StoredBody(encode_in_memory(source, coding, tags())), None
    file, version = api.copies.open(f"{recording.id}-{recording.sha256}", source, coding, tags())
    return StoredBody(file), f'"{version}"'


def tags_of(request: Request, recording: Recording, scope: ChannelScope) -> Callable[[], dict[str, str]]:
    """The tags of its copies, made when they are needed."""
    return lambda: _tags(request, recording, scope)


def _tags(request: Request, recording: Recording, scope: ChannelScope) -> dict[str, str]:
    """What players show: the other party, when, and the channel."""
    tags = {
        "title": f"CH{recording.channel:03d} {recording.kind}",
        "album": f"CH{recording.channel:03d}",
        "date": iso_utc(recording.started_ms),
        "tracknumber": str(recording.segment + 1),
    }
    if recording.call_id is None:
        return tags
    call = get_call(request.stores.calls, recording.call_id, scope)
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
    return peaks_of(request, get_recording(request.stores.calls, recording_id, request.desk.channels))


def peaks_of(request: Request, recording: Recording) -> PeaksInfo:
    """The waveform of a recording that the asker may hear. Raises NotFound: it has no audio."""
    if not recording.readable or recording.path is None:
        raise NotFound("this recording has no audio (yet, or any more)")
    from crm_client_api.audio.waveform import waveform

    return waveform(request.api.home, recording.path)
