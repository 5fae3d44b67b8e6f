"""Listening from a communication record (查询语音文件): the record's scope counts, not the channel's."""

from __future__ import annotations

import bottle

from crm_client_api.answers.communications import LinkedRecordings
from crm_client_api.answers.recordings import PeaksInfo
from crm_client_api.domain.calls import get_call
from crm_client_api.domain.communications.lists import get_communication
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.recordings import Recording, get_recording
from crm_client_api.domain.scope import EVERY_CHANNEL
from crm_client_api.http.call_audio import send_call
from crm_client_api.http.recordings import AUDIO_MEDIA, AudioQuery, peaks_of, send_recording
from crm_client_api.http.routing import Request, route
from crm_client_api.views.communications import linked_recordings, reach_of
from firmware.errors import NotFound

_NEEDED = (Permission.COMMUNICATION_MANAGE, Permission.RECORDING_QUERY)


@route(
    "GET", "/communications/{communication_id}/recording", "The recordings that belong to a communication record",
    answer=LinkedRecordings, permissions=_NEEDED, reads="recording",
)  # fmt: skip
def get_linked_recordings(request: Request, communication_id: str) -> LinkedRecordings:
    """Find the recordings of the call that a record in scope was written for, or say why there are none."""
    desk = request.desk
    return linked_recordings(desk, get_communication(request.stores.crm, communication_id, reach_of(desk)))


@route(
    "GET", "/communications/{communication_id}/audio", "The call of a communication record, as WAV",
    media=("audio/wav",), permissions=_NEEDED,
)  # fmt: skip
def get_communication_audio(request: Request, communication_id: str) -> bottle.HTTPResponse:
    """Play the call that a record in scope was written for, up to now while it runs."""
    return send_call(request, get_call(request.stores.calls, _call_id(request, communication_id), EVERY_CHANNEL))


@route(
    "GET", "/communications/{communication_id}/recordings/{recording_id}/audio",
    "The audio of a recording of a communication record's call, with byte ranges",
    media=AUDIO_MEDIA, permissions=_NEEDED, also=(206, 304, 416),
)  # fmt: skip
def get_linked_audio(
    request: Request, communication_id: str, recording_id: str, query: AudioQuery
) -> bottle.HTTPResponse:
    """Play or download a recording that belongs to a record in scope."""
    return send_recording(request, _recording(request, communication_id, recording_id), query, EVERY_CHANNEL)


@route(
    "GET", "/communications/{communication_id}/recordings/{recording_id}/peaks",
    "The waveform of a recording of a communication record's call",
    answer=PeaksInfo, permissions=_NEEDED,
)  # fmt: skip
def get_linked_peaks(request: Request, communication_id: str, recording_id: str) -> PeaksInfo:
    """Show how loud a recording that belongs to a record in scope is over time."""
    return peaks_of(request, _recording(request, communication_id, recording_id))


def _call_id(request: Request, communication_id: str) -> str:
    record = get_communication(request.stores.crm, communication_id, reach_of(request.desk))
    if record.values.call_id is None:
        raise NotFound("this record was not added from a pop-up: no recording belongs to it")
    return record.values.call_id


def _recording(request: Request, communication_id: str, recording_id: str) -> Recording:
    call_id = _call_id(request, communication_id)
    recording = get_recording(request.stores.calls, recording_id, EVERY_CHANNEL)
    if recording.call_id != call_id:
        raise NotFound("there is no such recording")
    return recording
