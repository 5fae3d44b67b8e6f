"""One client's stream of server-sent events (WHATWG HTML, section 9.2): first what it missed, then live.

Every event carries as its id the position up to which everything has been sent, so a client that comes
back with it misses nothing and gets nothing twice.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from operator import attrgetter

import msgspec
import sqlite_utils

from crm_client_api.answers.lines import Board, CardEventInfo, LineEventInfo
from crm_client_api.answers.push import OfficeEventInfo, PopupInfo, Popups, Reset
from crm_client_api.answers.recordings import RecordingEvent
from crm_client_api.domain import office_events
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.popup_causes import popped_up_calls
from crm_client_api.domain.receipts import Shown, handed_to, receipts_of_running
from crm_client_api.domain.recordings import get_recording
from crm_client_api.domain.scope import customer_scope
from crm_client_api.domain.sessions import Session
from crm_client_api.domain.settings import read_settings
from crm_client_api.push.audience import CALL_EVENTS, CARD_EVENTS, LINE_EVENTS, MEDIUM_EVENTS, Queued
from crm_client_api.push.call_news import CallNews, call_at, call_news
from crm_client_api.push.delivery import Hub
from crm_client_api.push.event_cards import card_key, card_of_event
from crm_client_api.push.popup_cards import card_again, card_by_rules, card_handed, decide_as, ring_of
from crm_client_api.push.positions import Log, Position, newest, parse
from crm_client_api.push.record_news import told
from crm_client_api.push.replay import AT_ONCE, missed_events
from crm_client_api.push.store_trouble import is_of_store
from crm_client_api.stores import StorePool, Stores
from crm_client_api.views.calls import Desk, open_desk, recording_info, with_names
from crm_client_api.views.media import may_see_media, medium_event
from firmware.clock import iso_utc, now_ms
from firmware.errors import BadInput, NotFound, StoreError
from firmware.store.event_log import Event

_log = logging.getLogger(__name__)

LONGEST_REPLAY_EVENTS = 20_000
_REMEMBERED_CARDS = 100
BEGINNING = b"retry: 1000\n\n"
"""How every stream begins: a client that is cut off comes back after a second."""


def frame(event: str, data: msgspec.Struct, position: Position | None) -> bytes:
    """One server-sent event."""
    return _frame(event, msgspec.json.encode(data), position)


def _frame(event: str, body: bytes, position: Position | None) -> bytes:
    identity = f"id: {position}\n".encode() if position else b""
    return identity + f"event: {event}\ndata: ".encode() + body + b"\n\n"


def running_popups(hub: Hub, stores: Stores, session: Session) -> Popups:
    """Pop-ups of running calls; the event logs after the position hold all that is not among them."""
    with suppress(StoreError):  # then the rules alone decide
        hub.receipts.flush()
    read = hub.position_behind(stores)
    stores.crm.conn.execute("BEGIN")  # one snapshot of each store: a call is in the answer or after the position
    try:
        desk = open_desk(stores, session.operator)
        office = newest(stores)
        had = receipts_of_running(stores.calls, stores.crm, session.operator.staff_no)
        may_have = Permission.NET_POPUP in session.operator.permissions
        found = []
        for call in popped_up_calls(
            stores.calls, stores.crm, read.calls_id, desk.settings.rules.popup_withheld, had.keys()
        ):
            card = card_again(desk, call, had[call.id]) if may_have and call.id in had else card_by_rules(desk, call)
            if card is not None:
                found.append(card)
    finally:
        stores.crm.conn.execute("ROLLBACK")
    for card in found:
        hub.receipts.note(Shown(card.call.id, session.operator.staff_no, now_ms()))
    position = Position(read.calls_epoch, read.calls_id, office.office_epoch, office.office_id)
    return Popups(str(position), found)


@dataclass(frozen=True, slots=True)
class _Part:
    """Bytes to send. ``shows``: the call whose pop-up is in them."""

    content: bytes
    shows: str | None = None


class Stream:
    """One client's stream, in two parts: what it missed, and behind that what happens now.

    ``close`` must be called at the end. Raises StreamsFull when made. Thread: one at a time, except ``close``.
    """

    def __init__(self, hub: Hub, pool: StorePool, stores: Stores, session: Session, position: str | None) -> None:
        self._hub = hub
        self._pool = pool
        self._operator = session.operator
        self._customers = customer_scope(session.operator.viewer)
        self._shown: deque[str] = deque(maxlen=_REMEMBERED_CARDS)
        self._may_name = Permission.CUSTOMER_MANAGE in session.operator.permissions
        self.client, self._joined = hub.join(session)
        try:
            hub.look_again(self.client, stores)
            end = newest(stores)
            self._from = self._missed_from(stores, position, end)
            self._lost = position is not None and self._from is None
            self._sent = self._from or self._joined
            if self._from is None:
                # The hub may be behind: what is in the stores before the answer begins is not news.
                for log in _LOGS:
                    self._sent = self._sent.after(log, max(self._sent.id_in(log), end.id_in(log)))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the place in the hub back. Idempotent."""
        self.client.close()
        self._hub.leave(self.client)

    def missed(self) -> Iterator[bytes]:
        """What comes before the live events, b"" for an event of which nothing is sent; looks into the stores."""
        if self._from is not None:
            for log in _LOGS:
                yield from self._replay(log)
        elif self._lost:
            yield frame("reset", Reset(str(self._sent)), self._sent)
        else:
            # An id without data moves the client's last id and dispatches nothing: who is cut off before the
            # first event comes back to here.
            yield f"id: {self._sent}\n\n".encode()

    def live(self) -> Iterator[bytes | None]:
        """What is queued, None for an event of which nothing is sent; b"" when that was all for now."""
        while not (batch := self.client.take()).closed:
            for queued in batch.events:
                if self.client.closed:
                    return
                if queued.event.id > self._sent.id_in(queued.log):
                    content = self._content(queued)
                    self._sent = self._sent.after(queued.log, queued.event.id)
                    yield content or None
            if batch.ports:
                yield frame("board", Board(sorted(batch.ports, key=_number_of)), None)
            yield b""

    def _missed_from(self, stores: Stores, text: str | None, end: Position) -> Position | None:
        """The position after which to replay, None when there is nothing that could be replayed."""
        if text is None:
            return None
        try:
            position = parse(text, self._joined)
        except BadInput:
            return None
        joined = self._joined
        if (position.calls_epoch, position.office_epoch) != (joined.calls_epoch, joined.office_epoch):
            return None
        for log in _LOGS:
            last, upto = position.id_in(log), end.id_in(log)
            oldest = _log_of(stores, log).conn.execute("SELECT min(id) FROM events").fetchone()[0]
            whole = last == upto or (oldest is not None and last >= oldest - 1)
            if last > upto or not whole or upto - last > LONGEST_REPLAY_EVENTS:
                return None
        return position

    def _replay(self, log: Log) -> Iterator[bytes]:
        """From the store, until the point from which the hub has queued for us.

        Never beyond it: what the hub has not read yet it may still decide about.
        """
        upto = self._joined.id_in(log)
        staff_no = self._operator.staff_no
        while (last := self._sent.id_in(log)) < upto:
            with self._pool.use() as stores:
                scope = read_settings(stores.crm).channel_scope(self._operator.viewer)
                handed = handed_to(stores.crm, staff_no, now_ms())
                events = missed_events(stores, log, last, upto, staff_no, scope, handed)
            for event in events:
                if self.client.closed:
                    return
                content = self._content(self._hub.queued(log, event))
                self._sent = self._sent.after(log, event.id)
                yield content
            if len(events) < AT_ONCE:
                self._sent = self._sent.after(log, upto)

    def _content(self, queued: Queued) -> bytes:
        """What the client gets for one row of an event log, in one piece; b"" for nothing.

        Raises what is of the store: the client comes back and gets it then. An event that fails is left out.
        """
        try:
            parts = self._event(queued)
        except Exception as error:
            if is_of_store(error):
                raise
            log = partial(_log.error, "left out event %d of %s", queued.event.id, queued.log, exc_info=True)
            queued.once.get("left out", log)  # one line for all streams
            return b""
        for part in parts:
            if part.shows is not None:  # before it is sent: a client may act on it at once
                self._hub.receipts.note(Shown(part.shows, self._operator.staff_no, now_ms()))
                self._shown.append(part.shows)
        return b"".join(part.content for part in parts)

    def _event(self, queued: Queued) -> list[_Part]:
        event, position = queued.event, self._sent.after(queued.log, queued.event.id)
        if queued.log == "calls" and event.kind in CARD_EVENTS:
            card = CardEventInfo(str(event.data.get("card_id", "")), event.kind)
            return [_Part(frame("card", card, position))]
        if queued.log == "calls" and event.kind in MEDIUM_EVENTS:
            medium = medium_event(event) if may_see_media(self._operator.permissions) else None
            return [] if medium is None else [_Part(frame("medium", medium, position))]
        if queued.log == "calls" and event.kind in LINE_EVENTS:
            line = LineEventInfo(event.channel or 0, event.kind, iso_utc(event.at_ms))
            return [_Part(frame("line", line, position))]
        if queued.log == "calls" and event.kind in CALL_EVENTS:
            return self._call_event(queued, position)
        with self._pool.use() as stores:
            desk = open_desk(stores, self._operator, queued.settings, queued.once)
            if queued.log == "office":
                return _office_event(desk, event, position, is_shown=event.call_id in self._shown)
            return _recording_event(desk, event, position)

    def _call_event(self, queued: Queued, position: Position) -> list[_Part]:
        """Mostly without a look into the stores: the hub has found out what is the same for all."""
        if not queued.once.known("news"):
            with self._pool.use() as stores:
                call_news(stores, queued.settings, queued.event, queued.once)
        news: CallNews | None = queued.once.get("news", lambda: None)
        if news is None:
            return []
        card = self._card(queued, news) if news.pops_up else None
        if card is not None:
            # The row is handled once its last event is out: until then the position stays before it, so that a
            # client cut off in between gets the pop-up after all.
            return [_Part(frame("call", card.call, self._sent)), _Part(frame("popup", card, position), news.call.id)]
        info = news.info
        if self._may_name and news.matches:
            info = with_names(info, news.matches, self._customers)
        key = ("body", *(customer.id for customer in info.customers))
        return [_Part(_frame("call", queued.once.get(key, lambda: msgspec.json.encode(info)), position))]

    def _card(self, queued: Queued, news: CallNews) -> PopupInfo | None:
        key = card_key(self._operator)
        if queued.once.known(key):
            return queued.once.get(key, lambda: None)
        if not decide_as(queued.settings, self._operator, ring_of(news.call), news.matches, available=True).shows:
            return None
        with self._pool.use() as stores:
            return card_of_event(stores, self._operator, queued, news)


_LOGS: tuple[Log, Log] = ("calls", "office")
_number_of = attrgetter("number")


def _log_of(stores: Stores, log: Log) -> sqlite_utils.Database:
    return stores.calls if log == "calls" else stores.crm


def _recording_event(desk: Desk, event: Event, position: Position) -> list[_Part]:
    try:
        recording = get_recording(desk.stores.calls, str(event.data.get("id", "")), desk.channels)
    except NotFound:
        return []
    return [_Part(frame("recording", RecordingEvent(recording.call_id, recording_info(recording)), position))]


def _office_event(desk: Desk, event: Event, position: Position, *, is_shown: bool) -> list[_Part]:
    """``is_shown``: this client got the call's pop-up already."""
    if event.kind in (office_events.CALLER_UNKNOWN, office_events.POPUP_HANDED):
        call = call_at(desk.stores, event)
        popup = None
        if call is not None and event.kind == office_events.CALLER_UNKNOWN:
            popup = card_by_rules(desk, call) if desk.settings.rules.popup_withheld else None
        elif call is not None and not (is_shown or event.data.get("again")):
            popup = card_handed(desk, call, str(event.data.get("by", "")))
        if popup is not None:
            return [_Part(frame("popup", popup, position), popup.call.id)]
        if event.kind == office_events.CALLER_UNKNOWN:
            return []
    data = told(desk, event)
    if data is None:
        return []
    return [_Part(frame("office", OfficeEventInfo(event.kind, iso_utc(event.at_ms), event.call_id, data), position))]
