"""Follows both event logs and hands their events to the clients that they concern.

One thread reads the logs, one polls the board; each client has a bounded queue, and one thread sends what is in them.
A client that does not keep up is let go: it comes back with the id of the last event it got.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping

from crm_client_api.answers.lines import PortState
from crm_client_api.domain import office_events, receipts
from crm_client_api.domain.operators import Operator
from crm_client_api.domain.sessions import Session, read_standing
from crm_client_api.domain.settings import read_settings
from crm_client_api.push.attendance import Attendance
from crm_client_api.push.audience import CALL_EVENTS, STREAMS_OF_AN_OPERATOR, Audience, Client, Queued, StreamsFull
from crm_client_api.push.board import read_board
from crm_client_api.push.call_news import call_news
from crm_client_api.push.event_cards import card_of_event
from crm_client_api.push.number_watch import PATIENCE_S, NumberWatch
from crm_client_api.push.popup_cards import circumstances_now
from crm_client_api.push.positions import Log, Position, newest
from crm_client_api.push.receipt_writer import ReceiptWriter
from crm_client_api.push.sender import Sender
from crm_client_api.push.store_trouble import is_of_store
from crm_client_api.stores import StorePool, Stores
from firmware.clock import now_ms
from firmware.doorbell import Doorbell, ring
from firmware.store.event_log import Event, read_after

BOARD_PERIOD_S = 0.25
QUEUE_EVENTS = 2000
SEND_TIMEOUT_S = 10.0
_SESSIONS_PERIOD_S = 0.2
_EPOCHS_PERIOD_S = 0.5
_CATCH_UP_S = 1.0
_CARDS_AHEAD = 50
"""So many cards of an event are made before it is handed out; a thread of its own for each is slower."""
_COMES_UP = frozenset({"caller_id", "dialled_number", "call_answered", "call_ended"})
_MOST_MISSED = 2000
_SHARED_FOR_S = 2.0
"""So long streams that come back share what they find out about a missed event: customers and calls change."""
_log = logging.getLogger(__name__)


class Hub:
    """Fans the event logs and the board out to the clients.

    Thread: ``join``, ``leave`` and ``stop`` from any thread.
    """

    def __init__(
        self,
        pool: StorePool,
        max_clients: int,
        queue_events: int = QUEUE_EVENTS,
        streams_of_an_operator: int = STREAMS_OF_AN_OPERATOR,
        number_patience_s: float = PATIENCE_S,
        send_timeout_s: float = SEND_TIMEOUT_S,
    ) -> None:
        self._pool = pool
        self._queue_events = queue_events
        self._lock = threading.Lock()
        self._moved = threading.Condition(self._lock)
        self._refreshing = threading.Lock()
        self._stopping = threading.Event()
        self._watch = NumberWatch(number_patience_s)
        self._missed: OrderedDict[tuple[Log, int], tuple[float, Queued]] = OrderedDict()
        """With the time when it was made, the oldest first."""
        self._crm_version: int | None = None
        self._sessions_read_s = 0.0
        self._epochs_read_s = 0.0
        with pool.use() as stores:
            self._position = newest(stores)
            self._audience = Audience(read_settings(stores.crm), max_clients, streams_of_an_operator)
            self._take_up(stores)
        self.receipts = ReceiptWriter(pool)
        self.attendance = Attendance(pool)
        self.sender = Sender(send_timeout_s)
        self._bell = Doorbell(pool.home.doorbells, "api")
        self._threads = [
            threading.Thread(target=self._follow_events, name="outbox", daemon=True),
            threading.Thread(target=self._follow_board, name="board", daemon=True),
        ]

    def start(self) -> None:
        """Begin to follow the event logs and the board."""
        self.receipts.start()
        self.attendance.start()
        self.sender.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End all threads and all streams. Idempotent."""
        self._stopping.set()
        with self._lock:
            self._audience.close_all()
        ring(self._pool.home.doorbells)
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        self.sender.stop()
        self.attendance.stop()
        self.receipts.stop()
        self._bell.close()

    @property
    def alive(self) -> bool:
        """Whether events and board are followed, and sent."""
        return self.sender.alive and all(thread.is_alive() for thread in self._threads)

    def position_behind(self, stores: Stores) -> Position:
        """What has been read so far, once that is all that the stores hold now, or after a second."""
        now = newest(stores)
        with self._moved:
            self._moved.wait_for(lambda: self._has_read(now), _CATCH_UP_S)
            return self._position

    def _has_read(self, position: Position) -> bool:
        """Needs the lock."""
        read = self._position
        return read.calls_id >= position.calls_id or read.calls_epoch != position.calls_epoch

    def streams(self) -> Mapping[str, int]:
        """How many streams each operator has open."""
        with self._lock:
            return self._audience.streams()

    def join(self, session: Session) -> tuple[Client, Position]:
        """Add a client; it gets every event after the position returned. Raises StreamsFull."""
        client = Client(session, self._queue_events)
        with self._lock:
            if self._stopping.is_set():
                raise StreamsFull("the box is stopping")
            self._audience.add(client)
            return client, self._position

    def look_again(self, client: Client, stores: Stores) -> None:
        """Let a client go whose session ended before it joined: until then nobody looked at it."""
        with self._lock:
            idle_logout_ms = self._audience.settings.idle_logout_ms
        if not read_standing(stores.crm, now_ms(), idle_logout_ms).holds(client.session):
            client.close()

    def leave(self, client: Client) -> None:
        """Take a client out. Idempotent."""
        with self._lock:
            self._audience.discard(client)

    def queued(self, log: Log, event: Event) -> Queued:
        """A missed event with what is known about it: streams that come back together share what they find out."""
        key, now_s = (log, event.id), time.monotonic()
        with self._lock:
            self._forget_missed(now_s)
            found = self._missed.get(key)
            if found is None or found[1].settings is not self._audience.settings:
                self._missed.pop(key, None)  # a new one goes to the end
                found = self._missed[key] = (now_s, Queued(log, event, self._audience.settings))
            return found[1]

    def _forget_missed(self, now_s: float) -> None:
        """What is too old to be shared, and what is too much. Needs the lock."""
        while self._missed:
            made_s, _ = next(iter(self._missed.values()))
            if now_s - made_s <= _SHARED_FOR_S and len(self._missed) <= _MOST_MISSED:
                return
            self._missed.popitem(last=False)

    def _follow_events(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._pool.use() as stores:
                    self._crm_version = None
                    self._follow(stores)
            except Exception:
                # The event logs keep what we could not read: try again.
                _log.exception("cannot follow the event logs")
                self._stopping.wait(1.0)

    def _follow(self, stores: Stores) -> None:
        while not self._stopping.is_set():
            while self._read_batch(stores) and not self._stopping.is_set():
                pass
            if self._audience.settings.rules.popup_withheld and self._watch.tell_due(stores):
                continue
            self._bell.wait(self._watch.due_in_s(1.0) if self._audience.settings.rules.popup_withheld else 1.0)

    def _read_batch(self, stores: Stores) -> bool:
        """Hand out the next events; whether there were any."""
        self._look_for_epochs(stores)
        position = self._position
        found: list[tuple[Log, Event]] = [("calls", event) for event in read_after(stores.calls, position.calls_id)]
        found += [("office", event) for event in read_after(stores.crm, position.office_id)]
        self._refresh_if_changed(stores)  # after reading: what was decided before an event happened holds for it
        if not found:
            return False
        for log, event in found:
            if log == "calls":
                self._watch.note(event)
                self.attendance.note(event)
        for queued in self._prepared(stores, found):
            with self._lock:
                try:
                    if queued.log == "office":
                        self._note_handed(queued.event)
                    self._audience.put_event(queued)
                except Exception:  # one event must not hold up those behind it
                    _log.exception("cannot hand out event %d of %s", queued.event.id, queued.log)
                self._position = self._position.after(queued.log, queued.event.id)
                self._moved.notify_all()
        return True

    def _prepared(self, stores: Stores, found: Iterable[tuple[Log, Event]]) -> Iterator[Queued]:
        """What concerns many is found out once, here, and not by each stream."""
        for log, event in found:
            with self._lock:
                queued = Queued(log, event, self._audience.settings)
                operators = self._audience.operators_of(log, event) if log == "calls" else []
            if log == "calls" and event.kind in CALL_EVENTS:
                try:
                    self._look_up(stores, operators, queued)
                except Exception as error:
                    if is_of_store(error):
                        raise
                    _log.exception("cannot look up event %d of %s", event.id, log)  # each stream tries it again
            yield queued

    def _look_up(self, stores: Stores, operators: list[Operator], queued: Queued) -> None:
        """Leave in ``queued`` what the streams of these operators will want to know of a call; note how it came up, at
        the latest when it ends."""
        event = queued.event
        if not operators and event.kind not in _COMES_UP:
            return
        news = call_news(stores, queued.settings, event, queued.once)
        if news is None:
            return
        if news.pops_up or event.kind == "call_ended":
            found = circumstances_now(stores, queued.settings, news.call, news.matches, now_ms())
            self.receipts.note_circumstances(found)
        for one in operators[:_CARDS_AHEAD] if news.pops_up else ():
            card_of_event(stores, one, queued, news)

    def _note_handed(self, event: Event) -> None:
        """Needs the lock."""
        to = event.data.get("to")
        if event.kind == office_events.POPUP_HANDED and event.call_id is not None and isinstance(to, list):
            for staff_no in to:
                self._audience.hand(event.call_id, staff_no)

    def _take_up(self, stores: Stores) -> None:
        """What earlier events left behind."""
        self._watch.begin(stores)
        for call_id, staff_no in receipts.handed_running(stores.calls, stores.crm):
            self._audience.hand(call_id, staff_no)

    def _look_for_epochs(self, stores: Stores) -> None:
        """Stores are rebuilt while nobody has them open, so this is looked at now and then only."""
        if time.monotonic() - self._epochs_read_s > _EPOCHS_PERIOD_S:
            self._epochs_read_s, now = time.monotonic(), newest(stores)
            if (now.calls_epoch, now.office_epoch) != (self._position.calls_epoch, self._position.office_epoch):
                self._begin_epoch(stores, now)

    def _begin_epoch(self, stores: Stores, position: Position) -> None:
        """A log was rebuilt: every client comes back and is told to load everything anew."""
        with self._lock:
            self._position = position
            self._missed.clear()
            self._audience.close_all()
            self._take_up(stores)

    def _follow_board(self) -> None:
        while not self._stopping.wait(BOARD_PERIOD_S):
            with self._lock:
                self._forget_missed(time.monotonic())
            if not len(self._audience):
                continue
            try:
                ports = self._read_ports()
            except Exception:
                _log.exception("cannot read the board")
                self._stopping.wait(1.0)
                continue
            with self._lock:
                self._audience.put_board(ports)

    def _read_ports(self) -> Mapping[int, PortState]:
        board = read_board(self._pool.home)
        with self._pool.use() as stores:
            known = [row[0] for row in stores.calls.conn.execute("SELECT number FROM channels ORDER BY number")]
            if time.monotonic() - self._sessions_read_s > _SESSIONS_PERIOD_S:
                self._refresh(stores)
        return {number: board.port(number) for number in known} | board.ports

    def _refresh_if_changed(self, stores: Stores) -> None:
        """Before events are handed out: the store tells its own connection whether others have written.

        Sessions that end by themselves are left to who polls the board.
        """
        version = int(stores.crm.conn.execute("PRAGMA data_version").fetchone()[0])
        if version != self._crm_version:
            self._refresh(stores)
            self._crm_version = version

    def _refresh(self, stores: Stores) -> None:
        """Read the parameters, and let go who may not go on, wherever that was decided."""
        with self._refreshing:  # what was read first must not take the place of what was read later
            with self._lock:
                clients = self._audience.clients()  # before the sessions are read: who joins later has a newer one
            settings = read_settings(stores.crm)
            standing = read_standing(stores.crm, now_ms(), settings.idle_logout_ms)
            self._sessions_read_s = time.monotonic()
            for client in clients:
                if not standing.holds(client.session):
                    client.close()
            with self._lock:
                self._audience.take_settings(settings)
