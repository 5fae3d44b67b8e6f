"""Push: pop-ups of running calls, and the stream of server-sent events."""

from __future__ import annotations

from collections.abc import Mapping

import bottle
import msgspec

from crm_client_api.answers.calls import Board, CallInfo, CardEventInfo, LineEventInfo, RecordingEvent, Reset
from crm_client_api.answers.push import OfficeEventInfo, PopupInfo, Popups
from crm_client_api.http.errors import ApiError
from crm_client_api.http.routing import SOCKET_KEY, Request, raw_answer, route
from crm_client_api.push.stream import Stream, running_popups


class StreamQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From where: a position of ``/popups`` or of an event; the header Last-Event-ID goes before it."""

    after: str | None = None


@route("GET", "/popups", "Pop-ups of running calls, and where to open the stream", answer=Popups, reads="popup")
def get_popups(request: Request) -> Popups:
    """Show what would be on the screen if the client had been there all the time."""
    if request.session is None:
        raise ApiError(401, "not_logged_in", "log in first")
    return running_popups(request.api.hub, request.stores, request.session)


EVENTS: Mapping[str, type[msgspec.Struct]] = {
    "call": CallInfo,
    "popup": PopupInfo,
    "office": OfficeEventInfo,
    "recording": RecordingEvent,
    "line": LineEventInfo,
    "card": CardEventInfo,
    "board": Board,
    "reset": Reset,
}
"""What the stream sends, by the names of the events."""


@route("GET", "/events", "The stream of events", media=("text/event-stream",), events=EVENTS)
def get_events(request: Request, query: StreamQuery) -> bottle.HTTPResponse:
    """Send what was missed, then live."""
    session = request.session
    if session is None:
        raise ApiError(401, "not_logged_in", "log in first")
    position = request.headers.get("Last-Event-ID") or query.after
    socket_fd: int = bottle.request.environ[SOCKET_KEY].fileno()
    stream = Stream(request.api.hub, request.api.pool, session, socket_fd, position)
    headers = {"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
    return raw_answer(stream, 200, headers)
