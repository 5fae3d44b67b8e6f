"""Instant playback: a call can be heard while it runs."""

from __future__ import annotations

import bottle

from crm_client_api.domain import audit
from crm_client_api.domain.calls import Call, get_call
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.recordings import recordings_of
from crm_client_api.http.audio import WavBody
from crm_client_api.http.routing import Request, route
from crm_client_api.http.sending import is_heard, send
from firmware.store.connection import write


@route(
    "GET", "/calls/{call_id}/audio", "A call from its beginning up to now, as WAV",
    media=("audio/wav",), permissions=(Permission.RECORDING_QUERY,),
)  # fmt: skip
def get_call_audio(request: Request, call_id: str) -> bottle.HTTPResponse:
    """Play a call in scope: the same bytes from its first sample, with more behind them each time."""
    return send_call(request, get_call(request.stores.calls, call_id, request.desk.channels))


def send_call(request: Request, call: Call) -> bottle.HTTPResponse:
    """The audio of a call that the asker may hear. Raises NotFound, Refused."""
    from crm_client_api.audio.call_audio import open_call

    stores = request.stores
    recordings = recordings_of(stores.calls, [call.id]).get(call.id, [])
    body = WavBody(open_call(request.api.home, stores.calls, call, recordings))
    answer = send(request, body, "audio/wav", None)
    try:
        if is_heard():
            with write(stores.crm) as connection:
                audit.append(connection, request.actor, "call.listen", call.id, {"state": call.state})
    except BaseException:
        body.close()
        raise
    return answer
