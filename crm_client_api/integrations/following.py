"""Follows both event logs for programs outside: woken by the doorbell, every event once, in order."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable

from crm_client_api.push.positions import Log, Position, newest
from crm_client_api.stores import StorePool, Stores
from firmware.doorbell import Doorbell, ring
from firmware.errors import BoxError
from firmware.store.event_log import Event, epoch, read_after

_BATCH = 500
_LOOK_EVERY_S = 1.0
_log = logging.getLogger(__name__)

Batch = list[tuple[Log, Event]]


def is_known(stores: Stores, position: Position) -> bool:
    """Whether a position means something in the logs as they are: neither was made anew, nothing behind it is gone."""
    now = newest(stores)
    if (position.calls_epoch, position.office_epoch) != (now.calls_epoch, now.office_epoch):
        return False
    for db, known_id, last in (
        (stores.calls, position.calls_id, now.calls_id),
        (stores.crm, position.office_id, now.office_id),
    ):
        oldest = db.conn.execute("SELECT min(id) FROM events").fetchone()[0]
        if known_id > last or (known_id < last and (oldest is None or known_id < oldest - 1)):
            return False
    return True


def next_events(stores: Stores, position: Position, limit: int = _BATCH) -> Batch:
    """What comes after a position, the recorder's events first; nothing at the end of both logs."""
    calls: Batch = [("calls", event) for event in read_after(stores.calls, position.calls_id, limit)]
    office: Batch = [("office", event) for event in read_after(stores.crm, position.office_id, limit)]
    return calls + office


def position_after(position: Position, batch: Batch) -> Position:
    """The position behind a batch."""
    for log, event in batch:
        position = position.after(log, event.id)
    return position


class Follower:
    """A thread that hands every event to ``handle``; what that raises is tried again.

    ``handle`` gets open stores, the events (none, once a second, to look after other things) and the position behind
    them. Thread: ``start`` and ``stop`` from any thread; ``handle`` runs in the follower's own.
    """

    def __init__(
        self,
        pool: StorePool,
        name: str,
        handle: Callable[[Stores, Batch, Position], None],
        position: Position | None = None,
    ) -> None:
        self._pool = pool
        self._name = name
        self._handle = handle
        self._stopping = threading.Event()
        if position is None:
            with pool.use() as stores:
                position = newest(stores)
        self.position = position
        self._bell = Doorbell(pool.home.doorbells, name)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """End. Idempotent."""
        self._stopping.set()
        ring(self._pool.home.doorbells)
        if self._thread.is_alive():
            self._thread.join()
        self._bell.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._bell.wait(_LOOK_EVERY_S)
            try:
                while self._step() and not self._stopping.is_set():
                    pass
            except (BoxError, sqlite3.Error, OSError) as error:
                _log.warning("%s: %s", self._name, error)
                self._stopping.wait(_LOOK_EVERY_S)
            except Exception:
                _log.exception("%s cannot follow the event log", self._name)
                self._stopping.wait(_LOOK_EVERY_S)

    def _step(self) -> bool:
        with self._pool.use() as stores:
            if (self.position.calls_epoch, self.position.office_epoch) != (epoch(stores.calls), epoch(stores.crm)):
                self.position = newest(stores)
            batch = next_events(stores, self.position)
            after = position_after(self.position, batch)
            self._handle(stores, batch, after)
        self.position = after
        return bool(batch)
