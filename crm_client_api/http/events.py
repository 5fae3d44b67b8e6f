"""Push: pop-ups of running calls, and the stream of server-sent events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import bottle
import msgspec

from crm_client_api.answers.calls import CallInfo
from crm_client_api.answers.lines import Board, CardEventInfo, LineEventInfo
from crm_client_api.answers.media import MediumEventInfo
from crm_client_api.answers.push import OfficeEventInfo, PopupInfo, Popups, Reset
from crm_client_api.answers.recordings import RecordingEvent
from crm_client_api.http.errors import ApiError
from crm_client_api.http.routing import TAKE_OVER_KEY, Request, TakeOver, raw_answer, route
from crm_client_api.push.sender import Sender
from crm_client_api.push.stream import BEGINNING, Stream, running_popups


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
    "medium": MediumEventInfo,
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
    stream = Stream(request.api.hub, request.api.pool, request.stores, session, position)
    beginning = _Beginning(stream, request.api.hub.sender, bottle.request.environ[TAKE_OVER_KEY])
    headers = {"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no", "Connection": "close"}
    return raw_answer(beginning, 200, headers)


class _Beginning:
    """The first bytes of a stream; behind them the connection is the sender's, and no thread is held."""

    def __init__(self, stream: Stream, sender: Sender, take_over: TakeOver) -> None:
        self._stream, self._sender, self._take_over = stream, sender, take_over
        self._begun = self._given = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self._begun:
            self._begun = True
            return BEGINNING
        if not self._given:
            link, chunked = self._take_over()
            self._given = True
            self._sender.begin(self._stream, link, chunked=chunked)
        raise StopIteration

    def close(self) -> None:
        """The server lets go of the answer."""
        if not self._given:
            self._stream.close()
