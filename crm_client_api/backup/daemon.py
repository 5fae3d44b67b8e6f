"""The daemon of backups: makes those that somebody asked for and that of every night, tells when none came about, and
restores one by the web page.

A dead share lets whoever looks at it wait for ever, so a thread that never touches a place tells. The daemon is a
process of its own, for it reads the keys of the box and reaches servers, and the courier may do neither. While there is
nothing to do it stays small: what makes backups is loaded with the first of them.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time

from crm_client_api.backup.asking import BACKUP
from crm_client_api.backup.nightly import ask_when_due, tell_overdue
from crm_client_api.backup.restore_daemon import RestoreKeeper
from crm_client_api.courier.life import work_until_stopped
from crm_client_api.stores import StorePool
from firmware.clock import now_ms
from firmware.config import Home
from firmware.doorbell import Doorbell
from firmware.errors import BoxError

DAEMON = "backup"
_WAIT_S = 1.0
_LOOK_EVERY_S = 20.0
_TELL_EVERY_S = 60.0
_AFTER_FAILURE_S = 3.0
_OPEN = (
    f"SELECT 1 FROM jobs WHERE kind = '{BACKUP}' AND state IN ('waiting', 'running') AND (held = '' OR cancel_asked)"
    " LIMIT 1"
)
_log = logging.getLogger(__name__)


class BackupKeeper:
    """See ``courier.life.Worker``. Thread: ``run`` in one."""

    lane = "backups"

    def __init__(self, home: Home) -> None:
        self._home = home
        self._pool = StorePool(home)
        self.stop = threading.Event()
        self._looked_s = -_LOOK_EVERY_S

    def run(self) -> None:
        """Do jobs until ``stop``."""
        with Doorbell(self._home.doorbells, DAEMON) as bell:
            while not self.stop.is_set():
                try:
                    busy = self.turn()
                except (BoxError, OSError, sqlite3.Error) as error:
                    _log.error("backups wait: %s", error)
                    self.stop.wait(_AFTER_FAILURE_S)
                    continue
                if not busy:
                    bell.wait(_WAIT_S)
        self._pool.close()

    def turn(self) -> bool:
        """Do the next job; False when there was none. Raises StoreError, OSError."""
        now_s = time.monotonic()
        with self._pool.use() as stores:
            if now_s - self._looked_s >= _LOOK_EVERY_S:
                self._looked_s = now_s
                ask_when_due(stores, now_ms())
            if stores.crm.conn.execute(_OPEN).fetchone() is None:
                return False
        worked = self._work()
        if worked:
            with self._pool.use() as stores:
                tell_overdue(stores, now_ms())  # it ends the alarm, or says why not
        return worked

    def _work(self) -> bool:
        from crm_client_api.courier.daemon import Courier

        courier = Courier(self._home, self.lane)
        courier.stop = self.stop
        try:
            return courier.turn()
        finally:
            courier.close()


class OverdueTeller:
    """See ``courier.life.Worker``: it waits for no place. Thread: ``run`` in one."""

    lane = "overdue"

    def __init__(self, home: Home) -> None:
        self._pool = StorePool(home)
        self.stop = threading.Event()

    def run(self) -> None:
        """Let the alarm stand while it is true, until ``stop``."""
        while not self.stop.is_set():
            try:
                with self._pool.use() as stores:
                    tell_overdue(stores, now_ms())
            except (BoxError, OSError, sqlite3.Error) as error:
                _log.error("whether backups are overdue is not known: %s", error)
            self.stop.wait(_TELL_EVERY_S)
        self._pool.close()


def run_backups(home: Home) -> None:
    """Work until SIGTERM or SIGINT. Raises ConfigError when another one works here, StoreError."""
    work_until_stopped(home, DAEMON, [BackupKeeper(home), OverdueTeller(home), RestoreKeeper(home)])
