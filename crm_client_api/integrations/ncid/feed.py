"""What NCID clients get: the calls that pop up for their operator, and how each of them goes on."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.calls import Call, call_of_event
from crm_client_api.domain.office_events import CALLER_UNKNOWN, POPUP_HANDED, is_for
from crm_client_api.domain.popup_causes import DECIDES_NUMBER, causes_popup
from crm_client_api.domain.practice import held_real_card
from crm_client_api.domain.receipts import Shown as Receipt
from crm_client_api.domain.receipts import add_receipts
from crm_client_api.domain.scope import Viewer
from crm_client_api.domain.settings import Settings, read_settings
from crm_client_api.domain.tokens import touch_token
from crm_client_api.integrations.following import Batch, Follower
from crm_client_api.integrations.ncid import lines
from crm_client_api.integrations.ncid.access import Identity, identify, still_allowed
from crm_client_api.integrations.ncid.lines import Shown
from crm_client_api.integrations.ncid.pop_ups import LOG_CALLS, call_log, local_time, shown_handed, shown_to
from crm_client_api.integrations.ncid.server import NcidServer, Peer, refusal
from crm_client_api.push.board import read_rings
from crm_client_api.push.popup_cards import matches_of, ring_of
from crm_client_api.push.positions import Log, Position
from crm_client_api.push.store_trouble import is_of_store
from crm_client_api.stores import StorePool, Stores
from firmware.clock import now_ms
from firmware.errors import BoxError
from firmware.store.connection import write
from firmware.store.event_log import Event

_REFUSAL_NOTED_EVERY_S = 60.0
_RINGS_EVERY_S = 0.25
"""As often as the recorders tell how often it rang."""
_GOES_ON = frozenset({"call_answered", "call_ended"})
_MAY_POP_UP = frozenset({*DECIDES_NUMBER.values(), CALLER_UNKNOWN, POPUP_HANDED})
_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Desk:
    """A client that is known: whose it is, and the running calls that it was told of.

    ``rings``: of those that ring, how many rings it was told.
    """

    peer: Peer
    identity: Identity
    shown: dict[str, Shown] = field(default_factory=dict)
    rings: dict[str, int] = field(default_factory=dict)
    ready: bool = False
    waiting: list[str] = field(default_factory=list)


class NcidFeed:
    """An NCID server with everything behind it. Raises ConfigError when its address cannot be had."""

    def __init__(self, pool: StorePool, address: str, port: int) -> None:
        self._pool = pool
        self._turn = threading.Lock()  # held while one event is handed out: a client joins before or after it
        self._lock = threading.Lock()
        self._desks: dict[Peer, _Desk] = {}
        self._refused_s: dict[str, float] = {}
        self._zone: tzinfo = UTC  # as it was read last; before any client came, nobody is told a time
        self._server = NcidServer(address, port, self._on_greeted, self._on_reread, self._on_left, self._now)
        self._follower = Follower(pool, "ncid", self._handle)
        self._stopping = threading.Event()
        self._counter = threading.Thread(target=self._count_rings, name="ncid-rings", daemon=True)
        self._greeters = ThreadPoolExecutor(2, thread_name_prefix="ncid-log")

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    @property
    def clients(self) -> int:
        """How many clients are connected."""
        return self._server.clients

    def start(self) -> None:
        """Serve in the background."""
        self._follower.start()
        self._counter.start()
        self._server.start()

    def stop(self) -> None:
        """End every connection."""
        self._stopping.set()
        self._follower.stop()
        if self._counter.is_alive():
            self._counter.join()
        self._server.stop()
        self._greeters.shutdown(wait=False, cancel_futures=True)

    def _on_greeted(self, peer: Peer) -> None:
        self._greeters.submit(self._guarded, peer, self._begin)

    def _on_reread(self, peer: Peer) -> None:
        self._greeters.submit(self._guarded, peer, self._begin_again)

    def _on_left(self, peer: Peer) -> None:
        with self._lock:
            desk = self._desks.pop(peer, None)
        if desk is not None:
            _log.info("NCID client %s of operator %s left", peer.address, desk.identity.operator.staff_no)

    def _guarded(self, peer: Peer, job: Callable[[Peer], None]) -> None:
        try:
            job(peer)
        except (BoxError, sqlite3.Error, OSError) as error:
            _log.warning("NCID client %s: %s", peer.address, error)
            peer.close()
        except Exception:
            _log.exception("NCID client %s", peer.address)
            peer.close()

    def _begin(self, peer: Peer) -> None:
        """Find out whose client it is; its calls come from now on, the log of those before first."""
        with self._pool.use() as stores:
            self._zone = read_settings(stores.crm).zone
            identity = identify(stores.crm, peer.hello.words, peer.address, now_ms())
            if identity is None:
                self._note_refusal(stores, peer)
                peer.close(refusal(self._now()))
                return
            if identity.token is not None:
                touch_token(stores.crm, identity.token, now_ms(), peer.address)
            with write(stores.crm) as connection:
                actor = Actor(identity.operator.staff_no, peer.address)
                audit.append(connection, actor, "ncid.connect", identity.operator.staff_no)
        desk = _Desk(peer, identity)
        with self._turn:
            position = self._follower.position
            with self._lock:
                if peer.gone:
                    return
                self._desks[peer] = desk
        self._send_log(desk, position)

    def _begin_again(self, peer: Peer) -> None:
        with self._turn:
            position = self._follower.position
            with self._lock:
                desk = self._desks.get(peer)
                if desk is None or not desk.ready:
                    return
                desk.ready = False
        self._send_log(desk, position)

    def _now(self) -> datetime:
        return local_time(self._zone, now_ms())

    def _note_refusal(self, stores: Stores, peer: Peer) -> None:
        now_s = time.monotonic()
        self._refused_s = {a: at for a, at in self._refused_s.items() if now_s - at < _REFUSAL_NOTED_EVERY_S}
        if peer.address not in self._refused_s:
            self._refused_s[peer.address] = now_s
            with write(stores.crm) as connection:
                audit.append(connection, Actor(audit.BOX, peer.address), "ncid.refused")

    def _send_log(self, desk: _Desk, position: Position) -> None:
        entries: list[str] = []
        running: dict[str, Shown] = {}
        hello = desk.peer.hello
        if hello.wants_log:
            with self._pool.use() as stores:
                entries, running = call_log(stores, desk.identity.operator, position)
        end = (lines.LOG_SENT if entries else lines.LOG_EMPTY) if hello.wants_log else lines.LOG_NOT_SENT
        with self._lock:
            desk.shown = running | desk.shown
            desk.peer.send([*entries, end, *lines.OPTIONS, lines.STARTED, *desk.waiting])
            desk.waiting.clear()
            desk.ready = True

    def _handle(self, stores: Stores, batch: Batch, _after: Position) -> None:
        """Runs in the follower's thread."""
        self._let_go(stores)
        settings = read_settings(stores.crm) if batch else None
        if settings is not None:
            self._zone = settings.zone
        for log, event in batch:
            with self._turn:
                if settings is not None and (event.kind in _GOES_ON or event.kind in _MAY_POP_UP):
                    try:
                        self._one(stores, settings, log, event)
                    except Exception as error:
                        if is_of_store(error):
                            raise
                        _log.exception("NCID clients: left out event %d of %s", event.id, log)
                self._follower.position = self._follower.position.after(log, event.id)

    def _let_go(self, stores: Stores) -> None:
        """End the connections of who may not be here any more, and know the others as they are now."""
        with self._lock:
            known = list(self._desks.values())
        for desk in known:
            identity = still_allowed(stores.crm, desk.identity, desk.peer.address, now_ms())
            if identity is None:
                with self._lock:
                    self._desks.pop(desk.peer, None)
                desk.peer.close(refusal(self._now()))
            else:
                desk.identity = identity

    def _one(self, stores: Stores, settings: Settings, log: Log, event: Event) -> None:
        row = stores.calls.conn.execute("SELECT * FROM calls WHERE id = ?", (event.call_id,)).fetchone()
        if row is None or (row["simulated"] and held_real_card(stores.home)):
            return
        call = call_of_event(event.data, row) if log == "calls" else call_of_event({}, row)
        pops_up = log == "office" or causes_popup(
            stores.calls, stores.crm, event, call, settings.rules.popup_withheld
        )  # fmt: skip
        with self._lock:
            known = list(self._desks.values())
        if log == "office" and call.state == "ended":
            return
        if event.kind == POPUP_HANDED:
            matches = matches_of(stores, settings, ring_of(call))
            for desk in known:
                if is_for(event, desk.identity.operator.staff_no):
                    self._show(desk, call, shown_handed(settings, desk.identity.operator, call, matches))
        elif pops_up:
            self._pop_up(stores, settings, known, call)
        if event.kind in _GOES_ON:
            for desk in known:
                self._go_on(desk, call, event)

    def _pop_up(self, stores: Stores, settings: Settings, known: Iterable[_Desk], call: Call) -> None:
        decided: dict[Viewer, Shown | None] = {}  # a token may allow less than another of the same operator
        matches = matches_of(stores, settings, ring_of(call))
        for desk in known:
            operator = desk.identity.operator
            if operator.viewer not in decided:
                decided[operator.viewer] = shown_to(stores, settings, operator, call, matches)
            self._show(desk, call, decided[operator.viewer])
        at_ms = now_ms()
        receivers = {viewer.staff_no for viewer, one in decided.items() if one}
        add_receipts(stores.crm, [Receipt(call.id, staff_no, at_ms) for staff_no in sorted(receivers)])

    def _show(self, desk: _Desk, call: Call, shown: Shown | None) -> None:
        if shown is not None and call.id not in desk.shown:
            if call.direction == "incoming" and call.state == "ringing":
                desk.rings[call.id] = 1
            self._tell(desk, [lines.call_line(shown), lines.ring_line(shown, 1, shown.at)], call.id, shown)

    def _go_on(self, desk: _Desk, call: Call, event: Event) -> None:
        desk.rings.pop(call.id, None)
        shown = desk.shown.get(call.id)
        if shown is None:
            return
        at = local_time(self._zone, event.at_ms)
        if event.kind == "call_answered":
            self._tell(desk, [lines.ring_line(shown, 0, at)], call.id, shown)
            return
        answered = call.answered_ms is not None
        over = Shown(
            shown.incoming, shown.number, shown.absence, shown.name, shown.line, shown.at,
            local_time(self._zone, call.ended_ms) if call.ended_ms else at,
        )  # fmt: skip
        ending = lines.end_line(over, "answered" if answered else "missed")
        self._tell(desk, [lines.ring_line(over, -2 if answered else -1, at), ending], call.id, None)

    def _count_rings(self) -> None:
        while not self._stopping.wait(_RINGS_EVERY_S):
            with self._lock:
                ringing = [desk for desk in self._desks.values() if desk.rings]
            try:
                if ringing:
                    self._tell_rings(ringing, read_rings(self._pool.home))
            except Exception:
                _log.exception("NCID clients are not told how often it rang")

    def _tell_rings(self, ringing: Iterable[_Desk], rung: Mapping[str, int]) -> None:
        """One ring after the other: clients wait for the one that they were told to act on."""
        with self._turn:
            at = self._now()
            for desk in ringing:
                for call_id, told in desk.rings.items():
                    shown = desk.shown.get(call_id)
                    count = rung.get(call_id, 0)
                    if shown is not None and count > told:
                        desk.rings[call_id] = count
                        more = [lines.ring_line(shown, ring, at) for ring in range(told + 1, count + 1)]
                        self._tell(desk, more, call_id, shown)

    def _tell(self, desk: _Desk, some: list[str], call_id: str, shown: Shown | None) -> None:
        with self._lock:
            if shown is None:
                desk.shown.pop(call_id, None)
            else:
                desk.shown[call_id] = shown
            if desk.ready:
                desk.peer.send(some)
            elif len(desk.waiting) < 10 * LOG_CALLS:
                desk.waiting += some
