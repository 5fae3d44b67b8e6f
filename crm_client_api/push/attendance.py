"""What follows from who is logged in: agent states begin and end, answered calls are handled by the only one there.

Also the upkeep of the office's event log. Nobody waits for any of it.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque

from crm_client_api.domain import agent_state, office_events, presence
from crm_client_api.domain.calls import running_calls
from crm_client_api.domain.settings import read_settings
from crm_client_api.domain.takings import note_only_one, takings_of
from crm_client_api.stores import StorePool, Stores
from firmware.clock import now_ms
from firmware.doorbell import ring
from firmware.errors import BoxError
from firmware.store.event_log import Event

_PERIOD_S = 1.0
_TRIM_PERIOD_S = 600.0
_MOST_WAITING = 10_000
_log = logging.getLogger(__name__)


class Attendance:
    """Thread: ``note`` the hub's; one of its own works."""

    def __init__(self, pool: StorePool) -> None:
        self._pool = pool
        self._answered: deque[tuple[str, int]] = deque(maxlen=_MOST_WAITING)
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
            self._answered.append((event.call_id, event.channel))

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
        alone = presence.alone_on(stores.crm, since) if self._answered else {}
        while self._answered:
            call_id, channel = self._answered[0]
            if channel in alone:
                note_only_one(stores.crm, call_id, alone[channel])
            self._answered.popleft()
        if time.monotonic() - self._trimmed_s > _TRIM_PERIOD_S or not self._trimmed_s:
            office_events.trim(stores.crm, now)
            self._trimmed_s = time.monotonic()

    def _take_up(self, stores: Stores) -> None:
        """Calls that were answered while nobody looked."""
        talking = {call.id: call for call in running_calls(stores.calls).values() if call.state == "talking"}
        known = takings_of(stores.crm, list(talking))
        self._answered.extendleft((call.id, call.channel) for call in talking.values() if call.id not in known)
