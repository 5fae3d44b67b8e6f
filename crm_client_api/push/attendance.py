"""What follows from who is logged in: agent states begin and end, answered calls are handled by the only one there.

Also the upkeep of the office's event log. Nobody waits for any of it.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from dataclasses import dataclass

import msgspec
import sqlite_utils

from crm_client_api.domain import agent_state, office_events, presence
from crm_client_api.domain.calls import running_calls
from crm_client_api.domain.settings import read_settings
from crm_client_api.domain.takings import note_only_one, takings_of
from crm_client_api.stores import StorePool, Stores
from firmware.clock import now_ms
from firmware.doorbell import ring
from firmware.errors import BoxError
from firmware.store.connection import write
from firmware.store.event_log import Event, epoch, last_id

_PERIOD_S = 1.0
_TRIM_PERIOD_S = 600.0
_MOST_WAITING = 10_000
_MOST_TAKEN_UP = 10_000
_KEY = "attendance"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Answered:
    """A call that was answered. ``at_ms`` None: just now."""

    call_id: str
    channel: int
    event_id: int
    at_ms: int | None = None


class _Mark(msgspec.Struct, frozen=True):
    """Up to which event of which log the answered calls were looked at."""

    epoch: str
    event_id: int


class Attendance:
    """Thread: ``note`` the hub's; one of its own works."""

    def __init__(self, pool: StorePool) -> None:
        self._pool = pool
        self._answered: deque[_Answered] = deque(maxlen=_MOST_WAITING)
        self._mark = _Mark("", 0)
        self._stopping = threading.Event()
        self._begun = False
        self._trimmed_s = 0.0
        self._thread = threading.Thread(target=self._run, name="attendance", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End. Idempotent."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def note(self, event: Event) -> None:
        """An event of the recorder's log."""
        if event.kind == "call_answered" and event.call_id is not None and event.channel is not None:
            self._answered.append(_Answered(event.call_id, event.channel, event.id))

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._pool.use() as stores:
                    self._work(stores)
            except (BoxError, sqlite3.Error) as error:
                _log.warning("attendance: %s", error)
            self._stopping.wait(_PERIOD_S)

    def _work(self, stores: Stores) -> None:
        now = now_ms()
        idle_logout_ms = read_settings(stores.crm).idle_logout_ms
        here = presence.logged_in(stores.crm, now, idle_logout_ms)
        since = {staff_no: log_ins[0].since_ms for staff_no, log_ins in here.items()}
        ended = presence.sessions_ended(stores.crm, idle_logout_ms)
        if any(agent_state.follow_log_ins(stores.crm, since, ended, now)):
            ring(stores.home.doorbells)
        if not self._begun:
            self._take_up(stores)
            self._begun = True
        alone_now = presence.alone_on(stores.crm, since) if self._answered else {}
        looked_at = self._mark.event_id
        while self._answered and not self._stopping.is_set():
            one = self._answered[0]
            alone = alone_now
            if one.at_ms is not None:
                alone = presence.alone_on(stores.crm, presence.logged_in_at(stores.crm, one.at_ms, idle_logout_ms))
            if one.channel in alone:
                note_only_one(stores.crm, one.call_id, alone[one.channel])
            looked_at = max(looked_at, one.event_id)
            self._answered.popleft()
        if looked_at > self._mark.event_id:
            self._keep(stores, _Mark(self._mark.epoch, looked_at))
        if time.monotonic() - self._trimmed_s > _TRIM_PERIOD_S or not self._trimmed_s:
            office_events.trim(stores.crm, now)
            self._trimmed_s = time.monotonic()

    def _take_up(self, stores: Stores) -> None:
        """Calls that were answered while nobody looked: who was there then, for those that have ended since."""
        calls = stores.calls
        talking = {call.id: call for call in running_calls(calls).values() if call.state == "talking"}
        now, end = epoch(calls), last_id(calls)
        row = stores.crm.conn.execute("SELECT value FROM meta WHERE key = ?", (_KEY,)).fetchone()
        mark = None if row is None else msgspec.json.decode(row[0], type=_Mark)
        missed = [_Answered(call.id, call.channel, 0) for call in talking.values()]
        if mark is None or mark.epoch != now:
            self._keep(stores, _Mark(now, end))
        else:
            self._mark = mark
            missed += [_Answered(*one) for one in _answered_after(calls, mark.event_id) if one[0] not in talking]
        known = takings_of(stores.crm, [one.call_id for one in missed])
        self._answered.extendleft(one for one in reversed(missed) if one.call_id not in known)

    def _keep(self, stores: Stores, mark: _Mark) -> None:
        with write(stores.crm) as connection:
            connection.execute(
                "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (_KEY, msgspec.json.encode(mark).decode()),
            )
        self._mark = mark


def _answered_after(calls: sqlite_utils.Database, event_id: int) -> list[tuple[str, int, int, int]]:
    """Call, channel, event and time of the answers behind an event, oldest first."""
    rows = calls.conn.execute(
        "SELECT call_id, channel, id, at_ms FROM events WHERE id > ? AND kind = 'call_answered'"
        " AND call_id IS NOT NULL AND channel IS NOT NULL ORDER BY id LIMIT ?",
        (event_id, _MOST_TAKEN_UP),
    )
    return [tuple(row) for row in rows]
