"""Who listens: the open streams with their queues, and whom of them an event concerns."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from crm_client_api.answers.lines import PortState
from crm_client_api.domain import office_events
from crm_client_api.domain.operators import Operator
from crm_client_api.domain.scope import ChannelScope
from crm_client_api.domain.sessions import Session
from crm_client_api.domain.settings import Settings
from crm_client_api.push.once import Once
from crm_client_api.push.positions import Log
from crm_client_api.views.media import may_see_media
from firmware.errors import BoxError
from firmware.store.event_log import Event

STREAMS_OF_AN_OPERATOR = 8
BOARDS_AT_ONCE = 60
"""So many streams are woken for a board at one time."""

CALL_EVENTS = frozenset(
    {
        "call_started", "caller_id", "dialled_number", "call_answered", "call_ended", "call_handled", "machine_heard",
        "recording_paused", "recording_resumed", "recording_kept", "recording_discarded",
    }
)  # fmt: skip
LINE_EVENTS = frozenset({"line_lost", "line_present"})
CARD_EVENTS = frozenset({"card_lost", "card_present"})
RECORDING_EVENTS = frozenset({"recording_ready", "recording_lost", "recording_deleted", "recording_converted"})
MEDIUM_EVENTS = frozenset({"medium_present", "medium_changed", "medium_gone"})
"""For those who may see USB sticks."""
PUSHED_EVENTS = CALL_EVENTS | LINE_EVENTS | CARD_EVENTS | RECORDING_EVENTS


class StreamsFull(BoxError):
    """As many streams are open as this box, or one operator, is served; come back later."""


@dataclass(frozen=True, slots=True)
class Queued:
    """An event that waits for a stream, with the parameters as they were when it was read.

    ``once``: what the streams have found out about it, for each other.
    """

    log: Log
    event: Event
    settings: Settings
    once: Once = field(default_factory=Once)


@dataclass(frozen=True, slots=True)
class Batch:
    """What a stream has to send now; empty when there is nothing. ``closed``: send nothing more."""

    events: tuple[Queued, ...] = ()
    ports: tuple[PortState, ...] = ()
    closed: bool = False


def _nobody(urgent: bool) -> None:
    """Nobody waits for the news yet."""


@dataclass(slots=True, eq=False)
class Client:
    """One open stream. Thread: the hub's threads put, the sender's takes.

    ``on_news``: called when there is something to take, once until it was taken, and at the end; with True when it is
    urgent: a call, or the end.
    """

    session: Session
    capacity: int
    on_news: Callable[[bool], None] = _nobody
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _events: deque[Queued] = field(default_factory=deque)
    _ports: dict[int, PortState] = field(default_factory=dict)
    _sent_ports: dict[int, PortState] = field(default_factory=dict)
    _told: bool = False
    _told_urgent: bool = False
    _closed: bool = False

    @property
    def staff_no(self) -> str:
        """Whose stream it is."""
        return self.session.operator.staff_no

    def put_event(self, queued: Queued) -> None:
        """Queue an event; a full queue closes the stream."""
        with self._lock:
            if len(self._events) >= self.capacity:
                self._closed = True
            else:
                self._events.append(queued)
            urgent = queued.log == "calls" or self._closed
            news = self._closed or not (self._told_urgent if urgent else self._told)
            self._told, self._told_urgent = True, self._told_urgent or urgent
        if news:
            self.on_news(urgent)

    def put_ports(self, ports: Iterable[PortState], *, now: bool) -> None:
        """Offer the state of channels in scope; only what changed is kept, the newest state wins.

        ``now``: send what there is; else it waits for the next event or the next time.
        """
        with self._lock:
            for port in ports:
                if self._sent_ports.get(port.number) != port:
                    self._ports[port.number] = port
                else:
                    self._ports.pop(port.number, None)
            news = now and bool(self._ports) and not self._told
            self._told = self._told or news
        if news:
            self.on_news(False)

    def keep_ports(self, scope: ChannelScope) -> None:
        """The scope has changed: what is not in it any more is not sent, and counts as never sent."""
        with self._lock:
            for ports in (self._ports, self._sent_ports):
                for number in [number for number in ports if not scope.allows(number)]:
                    del ports[number]

    def close(self) -> None:
        """End the stream; what is queued is not sent any more."""
        self._closed = True
        self.on_news(True)

    @property
    def closed(self) -> bool:
        """Whether the stream is to end."""
        return self._closed

    def take(self) -> Batch:
        """Everything queued."""
        with self._lock:
            self._told = self._told_urgent = False
            if self._closed:
                return Batch(closed=True)
            batch = Batch(tuple(self._events), tuple(self._ports.values()))
            self._events.clear()
            self._sent_ports |= self._ports
            self._ports.clear()
            return batch


class Audience:
    """The open streams. Thread: one at a time (the hub's lock)."""

    def __init__(self, settings: Settings, most: int, most_of_an_operator: int) -> None:
        self.settings = settings
        self._most = most
        self._most_of_an_operator = most_of_an_operator
        self._scopes: dict[Client, ChannelScope] = {}
        self._by_staff: dict[str, set[Client]] = defaultdict(set)
        self._by_channel: dict[int, tuple[Client, ...]] = {}
        self._handed: dict[str, set[str]] = defaultdict(set)
        self._board: dict[int, PortState] = {}
        self._without_board: set[Client] = set()
        self._turn = 0

    def __len__(self) -> int:
        return len(self._scopes)

    def clients(self) -> list[Client]:
        """All of them, at this moment."""
        return list(self._scopes)

    def streams(self) -> dict[str, int]:
        """How many streams each operator has open."""
        return {staff_no: len(clients) for staff_no, clients in self._by_staff.items() if clients}

    def add(self, client: Client) -> None:
        """Raises StreamsFull."""
        if len(self) >= self._most:
            raise StreamsFull(f"{self._most} streams are open already")
        if self._is_full(client.staff_no):
            raise StreamsFull(f"{self._most_of_an_operator} streams of one operator are open already")
        self._scopes[client] = self.settings.channel_scope(client.session.operator.viewer)
        self._by_staff[client.staff_no].add(client)
        self._without_board.add(client)
        self._by_channel.clear()

    def _is_full(self, staff_no: str) -> bool:
        own = self._by_staff.get(staff_no, ())
        return len(self) >= self._most or len(own) >= self._most_of_an_operator

    def discard(self, client: Client) -> None:
        """Idempotent."""
        if self._scopes.pop(client, None) is not None:
            self._by_staff[client.staff_no].discard(client)
            if not self._by_staff[client.staff_no]:
                del self._by_staff[client.staff_no]
            self._without_board.discard(client)
            self._by_channel.clear()

    def close_all(self) -> None:
        """End every stream."""
        for client in self._scopes:
            client.close()

    def take_settings(self, settings: Settings) -> None:
        """Parameters changed: scopes may have."""
        if settings != self.settings:
            self.settings = settings
            self._scopes = {one: settings.channel_scope(one.session.operator.viewer) for one in self._scopes}
            for client, scope in self._scopes.items():
                client.keep_ports(scope)
            self._by_channel.clear()
            self._without_board = set(self._scopes)

    def hand(self, call_id: str, staff_no: str) -> None:
        """This operator follows the call from now on, whatever the scope."""
        self._handed[call_id].add(staff_no)

    def operators_of(self, log: Log, event: Event) -> list[Operator]:
        """Whom an event concerns; one operator may be there several times, with tokens of fewer permissions."""
        found = (client.session.operator for client in self._concerned(log, event))
        return list({one.viewer: one for one in found}.values())

    def put_event(self, queued: Queued) -> None:
        """Queue an event for everybody whom it concerns."""
        event = queued.event
        for client in self._concerned(queued.log, event):
            client.put_event(queued)
        if queued.log == "calls" and event.kind == "call_ended" and event.call_id is not None:
            self._handed.pop(event.call_id, None)

    def _concerned(self, log: Log, event: Event) -> Iterable[Client]:
        if log == "office" and event.kind != office_events.CALLER_UNKNOWN:
            to = event.data.get("to")
            names = set(to) if isinstance(to, list) else ()
            return [client for name in names for client in self._by_staff.get(name, ())]
        if log == "calls" and event.kind in CARD_EVENTS:
            return tuple(self._scopes)
        if log == "calls" and event.kind in MEDIUM_EVENTS:
            return [client for client in self._scopes if may_see_media(client.session.operator.permissions)]
        if log == "calls" and event.kind not in PUSHED_EVENTS:
            return ()
        watching = () if event.channel is None else self._watching(event.channel)
        if log == "office" or event.kind not in CALL_EVENTS or event.call_id not in self._handed:
            return watching
        handed = {one for name in self._handed[event.call_id] for one in self._by_staff.get(name, ())}
        return [*watching, *(handed - set(watching))]

    def _watching(self, channel: int) -> tuple[Client, ...]:
        """Everybody who has a channel in scope."""
        found = self._by_channel.get(channel)
        if found is None:
            found = tuple(client for client, scope in self._scopes.items() if scope.allows(channel))
            self._by_channel[channel] = found
        return found

    def put_board(self, ports: Mapping[int, PortState]) -> None:
        """Offer the channels that changed; all in scope to whoever has not seen any yet.

        Of many streams only some are woken each time, in turn: calls go before levels.
        """
        self._turn += 1
        turns = max(1, len(self._scopes) // BOARDS_AT_ONCE)
        offered: dict[Client, list[PortState]] = defaultdict(list)
        for number, port in ports.items():
            if self._board.get(number) != port:
                for client in self._watching(number):
                    offered[client].append(port)
        self._board = dict(ports)
        for place, (client, scope) in enumerate(self._scopes.items()):
            fresh = client in self._without_board
            if fresh:
                offered[client] = [port for number, port in ports.items() if scope.allows(number)]
            its_turn = fresh or (place + self._turn) % turns == 0
            if its_turn or client in offered:
                client.put_ports(offered.get(client, ()), now=its_turn)
        self._without_board.clear()
