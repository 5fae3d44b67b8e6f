"""What the office does by itself: tells of due tasks, follows missed calls and sticks, keeps communication records in
order."""

from __future__ import annotations

import logging
import sqlite3
import threading

from crm_client_api.domain.call_back_follower import Follower
from crm_client_api.domain.communications.bin import purge_old
from crm_client_api.domain.communications.upkeep import fill_in_ended
from crm_client_api.domain.media import MediaFollower
from crm_client_api.domain.practice import practice_channels
from crm_client_api.domain.recycling import kept_ms
from crm_client_api.domain.settings import read_settings
from crm_client_api.domain.tasks import tell_due
from crm_client_api.stores import StorePool
from firmware import doorbell
from firmware.clock import now_ms
from firmware.errors import BoxError

_PERIOD_S = 1.0
_TIDY_PERIOD_S = 60.0
_log = logging.getLogger(__name__)


class Reminders:
    """Looks every second. What it does, it does once, however many of it run. Thread: one."""

    def __init__(self, pool: StorePool) -> None:
        self._pool = pool
        self._follower = Follower()
        self._media = MediaFollower()

    def look(self, at_ms: int) -> None:
        """Do all that is due at ``at_ms`` (Unix ms UTC). Raises StoreError."""
        with self._pool.use() as stores:
            settings = read_settings(stores.crm)
            practice = practice_channels(stores.home, stores.calls)
            told = self._follower.follow(stores.calls, stores.crm, settings, at_ms, practice)
            self._media.follow(stores.calls, stores.crm)
            while tell_due(stores.crm, at_ms):
                told = True
            fill_in_ended(stores.calls, stores.crm)
        if told:
            doorbell.ring(self._pool.home.doorbells)


def remind(pool: StorePool, stop: threading.Event) -> None:
    """Look until told to stop."""
    reminders = Reminders(pool)
    while not stop.is_set():
        try:
            reminders.look(now_ms())
        except (BoxError, sqlite3.Error) as error:
            _log.warning("reminders: %s", error)
        except Exception:
            _log.exception("reminders go on")
        stop.wait(_PERIOD_S)


def keep_communications(pool: StorePool, stop: threading.Event) -> None:
    """Purge what lies in the recycle bin too long, until stopped."""
    while not stop.is_set():
        try:
            with pool.use() as stores:
                purge_old(stores.crm, now_ms() - kept_ms(stores.crm), read_settings(stores.crm).site)
        except (BoxError, sqlite3.Error) as error:
            _log.warning("upkeep of communication records: %s", error)
        except Exception:
            _log.exception("the upkeep of communication records goes on")
        stop.wait(_TIDY_PERIOD_S)
