"""What nobody waits for of customers: the search index, and the recycle bin's end."""

from __future__ import annotations

import logging
import sqlite3
import threading

from crm_client_api.domain.customers import index
from crm_client_api.domain.customers.bin import purge_old
from crm_client_api.domain.recycling import kept_ms
from crm_client_api.domain.settings import read_settings
from crm_client_api.stores import StorePool, Stores
from firmware.clock import now_ms
from firmware.errors import BoxError

_PERIOD_S = 2.0
_PURGE_PERIOD_MS = 3_600_000
_log = logging.getLogger(__name__)


def keep_customers(pool: StorePool, stop: threading.Event) -> None:
    """Index what was written without it (after an update of the box: all), and empty the recycle bin of what is too
    old, until ``stop``. Thread: one of its own.
    """
    outdated, purge_at_ms = True, 0
    while not stop.is_set():
        try:
            with pool.use() as stores:
                if outdated:
                    index.mark_outdated(stores.crm)
                    outdated = False
                index.renew_stale(stores.crm, stop.is_set)
                if now_ms() >= purge_at_ms:
                    _purge(stores)
                    purge_at_ms = now_ms() + _PURGE_PERIOD_MS
        except (BoxError, sqlite3.Error) as error:
            _log.warning("customers: %s", error)
        stop.wait(_PERIOD_S)


def _purge(stores: Stores) -> None:
    purge_old(stores.crm, now_ms() - kept_ms(stores.crm), read_settings(stores.crm).site)
