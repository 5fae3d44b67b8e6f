"""Follows the event log and hands its events to the clients that they concern.

One thread reads the outbox, one polls the board; each client has a bounded queue that its stream empties.
A client that does not keep up is let go: it comes back with the id of the last event it got.
"""

from __future__ import annotations

import logging
import select
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from crm_client_api.answers import PortState
from crm_client_api.board import read_board
from crm_client_api.domain.scope import ChannelScope
from crm_client_api.domain.sessions import Session, living_sessions
from crm_client_api.domain.settings import Settings, read_settings
from crm_client_api.stores import StorePool, Stores
from firmware.clock import now_ms
from firmware.doorbell import Doorbell, ring
from firmware.errors import BoxError
from firmware.store.event_log import Event, epoch, last_id, read_after

BOARD_PERIOD_S = 0.25
QUEUE_EVENTS = 2000
_log = logging.getLogger(__name__)

CALL_EVENTS = frozenset(
    {
        "call_started", "caller_id", "dialled_number", "call_answered", "call_ended", "machine_heard",
        "recording_paused", "recording_resumed", "recording_kept", "recording_discarded",
    }
)  # fmt: skip
LINE_EVENTS = frozenset({"line_lost", "line_present"})
CARD_EVENTS = frozenset({"card_lost", "card_present"})
RECORDING_EVENTS = frozenset({"recording_ready", "recording_lost", "recording_deleted", "recording_converted"})
PUSHED_EVENTS = CALL_EVENTS | LINE_EVENTS | CARD_EVENTS | RECORDING_EVENTS


def concerns(event: Event, scope: ChannelScope) -> bool:
    """Whether an event is for somebody with this scope. Cards concern everybody."""
    if event.kind not in PUSHED_EVENTS:
        return False
    if event.kind in CARD_EVENTS:
        return True
    return event.channel is not None and scope.allows(event.channel)


class StreamsFull(BoxError):
    """As many streams are open as this box serves; come back later."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What a stream has to send now. ``closed``: send nothing more."""

    events: tuple[tuple[Event, Settings], ...] = ()
    ports: tuple[PortState, ...] = ()
    closed: bool = False


@dataclass(slots=True, eq=False)
class Client:
    """One open stream. Thread: the hub's threads put, the stream's thread takes.

    ``socket_fd``: its connection, watched so that a place is free again as soon as the client has gone.
    """

    session: Session
    socket_fd: int
    capacity: int = QUEUE_EVENTS
    _ready: threading.Condition = field(default_factory=threading.Condition)
    _events: deque[tuple[Event, Settings]] = field(default_factory=deque)
    _ports: dict[int, PortState] = field(default_factory=dict)
    _sent_ports: dict[int, PortState] = field(default_factory=dict)
    _closed: bool = False

    def put_event(self, event: Event, settings: Settings) -> None:
        """Queue an event; a full queue closes the stream."""
        with self._ready:
            if len(self._events) >= self.capacity:
                self._closed = True
            else:
                self._events.append((event, settings))
            self._ready.notify()

    def put_ports(self, ports: Iterable[PortState]) -> None:
        """Offer the state of all channels in scope; only what changed is kept, the newest state wins."""
        with self._ready:
            for port in ports:
                if self._sent_ports.get(port.number) != port:
                    self._ports[port.number] = port
                else:
                    self._ports.pop(port.number, None)
            if self._ports:
                self._ready.notify()

    def close(self) -> None:
        """End the stream; what is queued is not sent any more."""
        with self._ready:
            self._closed = True
            self._ready.notify()

    @property
    def closed(self) -> bool:
        """Whether the stream is to end."""
        return self._closed

    def take(self, timeout_s: float) -> Batch:
        """Everything queued; waits up to ``timeout_s`` for something."""
        with self._ready:
            self._ready.wait_for(lambda: self._closed or self._events or self._ports, timeout_s)
            if self._closed:
                return Batch(closed=True)
            batch = Batch(tuple(self._events), tuple(self._ports.values()))
            self._events.clear()
            self._sent_ports |= self._ports
            self._ports.clear()
            return batch


class Hub:
    """Fans the event log and the board out to the clients.

    Thread: ``join``, ``leave`` and ``stop`` from any thread.
    """

    def __init__(self, pool: StorePool, max_clients: int, queue_events: int = QUEUE_EVENTS) -> None:
        self._pool = pool
        self._max_clients = max_clients
        self._queue_events = queue_events
        self._lock = threading.Lock()
        self._clients: set[Client] = set()
        self._stopping = threading.Event()
        with pool.use() as stores:
            self._epoch = epoch(stores.calls)
            self._position = last_id(stores.calls)
            self._settings = read_settings(stores.crm)
        self._bell = Doorbell(pool.home.doorbells, "api")
        self._threads = [
            threading.Thread(target=self._follow_events, name="outbox", daemon=True),
            threading.Thread(target=self._follow_board, name="board", daemon=True),
        ]

    def start(self) -> None:
        """Begin to follow the event log and the board."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End both threads and all streams. Idempotent."""
        self._stopping.set()
        with self._lock:
            for client in self._clients:
                client.close()
        ring(self._pool.home.doorbells)
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        self._bell.close()

    @property
    def alive(self) -> bool:
        """Whether both threads run."""
        return all(thread.is_alive() for thread in self._threads)

    def join(self, session: Session, socket_fd: int) -> tuple[Client, str, int]:
        """Add a client; it gets every event after the position returned (epoch, id). Raises StreamsFull.

        The descriptor must stay open until ``leave``.
        """
        client = Client(session, socket_fd, self._queue_events)
        with self._lock:
            if len(self._clients) >= self._max_clients:
                self._let_go_who_hung_up()
            if self._stopping.is_set() or len(self._clients) >= self._max_clients:
                raise StreamsFull(f"{self._max_clients} streams are open already")
            self._clients.add(client)
            return client, self._epoch, self._position

    def leave(self, client: Client) -> None:
        """Take a client out. Idempotent."""
        with self._lock:
            self._clients.discard(client)

    def _follow_events(self) -> None:
        while not self._stopping.is_set():
            self._bell.wait(1.0)
            try:
                while self._read_batch() and not self._stopping.is_set():
                    pass
            except Exception:
                # The event log keeps what we could not read: try again with the next bell.
                _log.exception("cannot follow the event log")
                self._stopping.wait(1.0)

    def _read_batch(self) -> bool:
        """Hand out the next events; whether there were any."""
        with self._pool.use() as stores:
            if (now := epoch(stores.calls)) != self._epoch:
                self._begin_epoch(now, last_id(stores.calls))
            events = read_after(stores.calls, self._position)
            if events:
                self._refresh(stores)
        if not events:
            return False
        with self._lock:
            scopes = {client: self._settings.channel_scope(client.session.operator.viewer) for client in self._clients}
            for event in events:
                for client, scope in scopes.items():
                    if concerns(event, scope):
                        client.put_event(event, self._settings)
            self._position = events[-1].id
        return True

    def _begin_epoch(self, epoch_name: str, position: int) -> None:
        """The log was rebuilt: every client comes back and is told to load everything anew."""
        with self._lock:
            self._epoch, self._position = epoch_name, position
            for client in self._clients:
                client.close()

    def _follow_board(self) -> None:
        while not self._stopping.wait(BOARD_PERIOD_S):
            if not self._clients:
                continue
            with self._lock:
                self._let_go_who_hung_up()
            try:
                ports = self._read_ports()
            except Exception:
                _log.exception("cannot read the board")
                self._stopping.wait(1.0)
                continue
            with self._lock:
                for client in self._clients:
                    scope = self._settings.channel_scope(client.session.operator.viewer)
                    client.put_ports(port for number, port in ports.items() if scope.allows(number))

    def _refresh(self, stores: Stores) -> None:
        """Read the parameters, and let go whose session has ended, wherever that was done."""
        with self._lock:
            clients = list(self._clients)  # before the sessions are read: who joins later has a newer one
        self._settings = read_settings(stores.crm)
        living = living_sessions(stores.crm, now_ms(), self._settings.idle_logout_ms)
        for client in clients:
            if client.session.token_hash not in living:
                client.close()

    def _let_go_who_hung_up(self) -> None:
        """Needs the lock."""
        poll, by_fd = select.poll(), {client.socket_fd: client for client in self._clients}
        for fd in by_fd:
            poll.register(fd, select.POLLRDHUP)
        for fd, _ in poll.poll(0):
            by_fd[fd].close()
            self._clients.discard(by_fd[fd])

    def _read_ports(self) -> Mapping[int, PortState]:
        board = read_board(self._pool.home)
        with self._pool.use() as stores:
            known = [row[0] for row in stores.calls.conn.execute("SELECT number FROM channels ORDER BY number")]
            self._refresh(stores)
        return {number: board.port(number) for number in known} | board.ports
