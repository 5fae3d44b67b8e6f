"""The event stream: comes back by itself where it was cut off, without a gap and without doubling."""

from __future__ import annotations

import http.client
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from crm_client_api.answers.calls import CallInfo
from crm_client_api.answers.lines import Board, CardEventInfo, LineEventInfo
from crm_client_api.answers.media import MediumEventInfo
from crm_client_api.answers.push import OfficeEventInfo, PopupInfo, Reset
from crm_client_api.answers.recordings import RecordingEvent
from crm_client_api.client.errors import Busy, Unreachable
from crm_client_api.client.transport import Transport, read_refusal, target

SILENCE_S = 40.0
"""The box says something every 15 s; after this long without a word the connection counts as dead."""
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_LONGEST_LINE_BYTES = 16 * 1024 * 1024

_KINDS: Mapping[str, type[msgspec.Struct]] = {
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


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event. ``kind`` as in docs/api.md; ``data``: its struct, or plain values for a kind not known here.

    ``position``: everything up to here was received; empty for what has none (the board).
    """

    kind: str
    data: msgspec.Struct | object
    position: str


class EventStream:
    """Iterate over it; ``close`` ends the iteration. ``position`` is where to go on, in another process too.

    A connection that breaks, or says nothing for ``SILENCE_S``, is made anew with growing pauses. What the box refuses
    (a session that ended, no such token) is raised: NotLoggedIn, NotAllowed. Thread: one iterates, any may close.
    """

    def __init__(
        self, transport: Transport, position: str | None = None, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._transport = transport
        self._sleep = sleep
        self._closed = False
        self._connection: http.client.HTTPConnection | None = None
        self.position = position

    def __iter__(self) -> Iterator[StreamEvent]:
        failures = 0
        while not self._closed:
            try:
                for event in self._connected():
                    failures = 0
                    yield event
                failures += 1
            except (Unreachable, OSError, http.client.HTTPException, Busy) as error:
                failures += 1
                if isinstance(error, Busy) and error.retry_after_s:
                    self._pause(error.retry_after_s)
                    continue
            self._pause(min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(failures - 1, 10)))

    def close(self) -> None:
        """End. Idempotent."""
        self._closed = True
        connection = self._connection
        if connection is not None and connection.sock is not None:
            try:
                connection.sock.shutdown(2)
            except OSError:
                return

    def __enter__(self) -> EventStream:
        return self

    def __exit__(self, *_given: object) -> None:
        self.close()

    def _pause(self, longest_s: float) -> None:
        if not self._closed:
            self._sleep(longest_s * (0.5 + random.random() / 2))

    def _connected(self) -> Iterator[StreamEvent]:
        """The events of one connection."""
        connection = self._connection = self._transport.connect(SILENCE_S)
        try:
            headers = self._transport.credentials.headers(changing=False) | {"Accept": "text/event-stream"}
            if self.position:
                headers["Last-Event-ID"] = self.position
            connection.request("GET", target("/events", {}), headers=headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise read_refusal(answer)
            yield from self._events(answer)
        finally:
            connection.close()

    def _events(self, answer: http.client.HTTPResponse) -> Iterator[StreamEvent]:
        kind, identity, data = "", "", []
        while not self._closed:
            raw = answer.readline(_LONGEST_LINE_BYTES)
            if not raw:
                return
            line = raw.rstrip(b"\r\n").decode()
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                kind = value
            elif name == "id":
                identity = value
            elif name == "data":
                data.append(value)
            elif not line:
                if data:
                    yield StreamEvent(kind, _decoded(kind, "\n".join(data)), identity)
                # After the event was worked on: who stops in between gets it again.
                self.position = identity or self.position
                kind, identity, data = "", "", []


def _decoded(kind: str, text: str) -> msgspec.Struct | object:
    try:
        return msgspec.json.decode(text, type=_KINDS.get(kind, object))
    except msgspec.MsgspecError as error:
        raise Unreachable(f"event {kind}: not of this API: {error}") from error
