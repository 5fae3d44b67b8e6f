"""One client's stream of server-sent events (WHATWG HTML, section 9.2): first what it missed, then live.

Every event carries as its id the position up to which everything has been sent, so a client that comes
back with it misses nothing and gets nothing twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec

from crm_client_api.answers import Board, CardEventInfo, LineEventInfo, PopupInfo, Popups, RecordingEvent, Reset
from crm_client_api.domain.calls import Call, call_of_event, first_event_id, numbered_running_calls
from crm_client_api.domain.operators import Operator
from crm_client_api.domain.recordings import get_recording
from crm_client_api.domain.sessions import Session
from crm_client_api.domain.settings import Settings, read_settings
from crm_client_api.push import CALL_EVENTS, CARD_EVENTS, LINE_EVENTS, Hub, concerns
from crm_client_api.stores import StorePool, Stores
from crm_client_api.views import Desk, open_desk, recording_info
from firmware.clock import iso_utc
from firmware.errors import BadInput, NotFound
from firmware.store.event_log import Event, epoch, format_position, last_id, parse_position, read_after

HEARTBEAT_S = 15.0
LONGEST_REPLAY_EVENTS = 20_000
_RETRY_MS = 1000


def frame(event: str, data: msgspec.Struct, position: str | None) -> bytes:
    """One server-sent event."""
    identity = f"id: {position}\n".encode() if position else b""
    return identity + f"event: {event}\ndata: ".encode() + msgspec.json.encode(data) + b"\n\n"


def running_popups(stores: Stores, operator: Operator) -> Popups:
    """Pop-ups of running calls; the event log after the position holds all that is not among them."""
    desk = open_desk(stores, operator)
    connection = stores.calls.conn
    connection.execute("BEGIN")  # one snapshot: a call is in the answer or after the position, never both
    try:
        position = format_position(epoch(stores.calls), last_id(stores.calls))
        numbered = numbered_running_calls(stores.calls)
        found = [desk.popup_for(call) for call in numbered]
    finally:
        connection.execute("ROLLBACK")
    return Popups(position, [one for one in found if one is not None])


class Stream:
    """An iterator over the bytes of one client's stream.

    ``close`` must be called at the end. Raises StreamsFull when made.
    """

    def __init__(self, hub: Hub, pool: StorePool, session: Session, socket_fd: int, position: str | None) -> None:
        self._hub = hub
        self._pool = pool
        self._operator = session.operator
        self._client, self._epoch, self._sent_id = hub.join(session, socket_fd)
        try:
            missed_from = self._missed_from(position)
            if missed_from is None:
                # The hub may be behind: what is in the store before the answer begins is not news.
                with pool.use() as stores:
                    self._sent_id = max(self._sent_id, last_id(stores.calls))
        except BaseException:
            self.close()
            raise
        self._parts = self._run(missed_from, lost=position is not None and missed_from is None)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._parts)

    def close(self) -> None:
        """Give the place in the hub back. Idempotent."""
        self._client.close()
        self._hub.leave(self._client)

    def _run(self, missed_from: int | None, *, lost: bool) -> Iterator[bytes]:
        yield f"retry: {_RETRY_MS}\n\n".encode()
        if missed_from is not None:
            yield from self._replay(missed_from)
        elif lost:
            yield frame("reset", Reset(self._position()), self._position())
        else:
            # An id without data moves the client's last id and dispatches nothing: who is cut off before the
            # first event comes back to here.
            yield f"id: {self._position()}\n\n".encode()
        yield from self._live()

    def _position(self) -> str:
        return format_position(self._epoch, self._sent_id)

    def _missed_from(self, position: str | None) -> int | None:
        """The id after which to replay, None when there is nothing that could be replayed."""
        if position is None:
            return None
        try:
            epoch_name, event_id = parse_position(position)
        except BadInput:
            return None
        with self._pool.use() as stores:
            newest = last_id(stores.calls)
            oldest = stores.calls.conn.execute("SELECT min(id) FROM events").fetchone()[0]
        known = epoch_name == self._epoch and event_id <= newest
        whole = newest == event_id or (oldest is not None and event_id >= oldest - 1)
        return event_id if known and whole and newest - event_id <= LONGEST_REPLAY_EVENTS else None

    def _replay(self, after: int) -> Iterator[bytes]:
        """From the store, until the point from which the hub has queued for us."""
        joined_at, self._sent_id = self._sent_id, after
        while True:
            with self._pool.use() as stores:
                settings = read_settings(stores.crm)
                scope = settings.channel_scope(self._operator.viewer)
                events = read_after(stores.calls, self._sent_id)
            for event in events:
                if self._client.closed:
                    return
                yield from self._event(event, settings) if concerns(event, scope) else ()
                self._sent_id = event.id
            if not events or self._sent_id >= joined_at:
                return

    def _live(self) -> Iterator[bytes]:
        beat_at = time.monotonic() + HEARTBEAT_S
        while True:
            batch = self._client.take(max(0.0, beat_at - time.monotonic()))
            if batch.closed:
                return
            beating = time.monotonic() >= beat_at
            for event, settings in batch.events:
                if self._client.closed:
                    return
                if event.id > self._sent_id:
                    yield from self._event(event, settings)
                    self._sent_id = event.id
            if batch.ports:
                yield frame("board", Board(sorted(batch.ports, key=lambda port: port.number)), None)
            if beating:
                beat_at = time.monotonic() + HEARTBEAT_S
                yield b": still here\n\n"

    def _event(self, event: Event, settings: Settings) -> list[bytes]:
        """What the client gets for one row of the event log."""
        position = format_position(self._epoch, event.id)
        if event.kind in CARD_EVENTS:
            return [frame("card", CardEventInfo(str(event.data.get("card_id", "")), event.kind), position)]
        if event.kind in LINE_EVENTS:
            return [frame("line", LineEventInfo(event.channel or 0, event.kind, iso_utc(event.at_ms)), position)]
        with self._pool.use() as stores:
            desk = open_desk(stores, self._operator, settings)
            if event.kind in CALL_EVENTS:
                return self._call_event(desk, event, position)
            return self._recording_event(desk, event, position)

    def _call_event(self, desk: Desk, event: Event, position: str) -> list[bytes]:
        call = _call_at(desk, event)
        if call is None:
            return []
        info = desk.call_infos([call])[0]
        popup = _popup_of(desk, event, call)
        if popup is None:
            return [frame("call", info, position)]
        # The row is handled once its last event is out: until then the position stays before it, so that a
        # client cut off in between gets the pop-up after all.
        before = format_position(self._epoch, event.id - 1)
        return [frame("call", info, before), frame("popup", popup, position)]

    def _recording_event(self, desk: Desk, event: Event, position: str) -> list[bytes]:
        try:
            recording = get_recording(desk.stores.calls, str(event.data.get("id", "")), desk.channels)
        except NotFound:
            return []
        return [frame("recording", RecordingEvent(recording.call_id, recording_info(recording)), position)]


def _call_at(desk: Desk, event: Event) -> Call | None:
    """The call as it was at an event; None when the store does not know it (any more)."""
    row = desk.stores.calls.conn.execute("SELECT * FROM calls WHERE id = ?", (event.call_id,)).fetchone()
    return None if row is None else call_of_event(event.data, row)


def _popup_of(desk: Desk, event: Event, call: Call) -> PopupInfo | None:
    """The pop-up that an event causes: the first one that decides the other party's number."""
    deciding = "caller_id" if call.direction == "incoming" else "dialled_number"
    if event.kind != deciding or first_event_id(desk.stores.calls, call.id, deciding) != event.id:
        return None
    return desk.popup_for(call)
