"""The API daemon: serves until SIGTERM and tells the service manager how it is."""

from __future__ import annotations

import logging
import os
import select
import signal
import sqlite3
import threading
from types import FrameType

import msgspec

from crm_client_api.domain.customers import renew_match_keys
from crm_client_api.domain.numbers import Site
from crm_client_api.domain.sessions import forget_idle_sessions
from crm_client_api.domain.settings import read_settings
from crm_client_api.encoded import EncodedCopies
from crm_client_api.places import prepare_places
from crm_client_api.server import ApiServer
from crm_client_api.stores import StorePool
from firmware.clock import now_ms
from firmware.config import Home
from firmware.errors import BoxError
from firmware.notify import notify, watchdog_interval_s
from firmware.store.migrations import require_current_schema

STOP_WITHIN_S = 3.0
_UPKEEP_PERIOD_S = 60.0
_log = logging.getLogger(__name__)


def run_api(home: Home, bind: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT. Raises ConfigError, StoreError."""
    asked_to_stop = _stop_signals()
    require_current_schema(home)
    server = ApiServer(home, bind, port)
    server.start()
    _announce(home, server)
    notify("READY=1")
    stopping = threading.Event()
    threading.Thread(target=_upkeep, args=(server.pool, server.copies, stopping), name="upkeep", daemon=True).start()
    period_s = watchdog_interval_s()
    while not select.select([asked_to_stop], [], [], period_s)[0]:
        if server.alive:
            notify("WATCHDOG=1")
    notify("STOPPING=1")
    stopping.set()
    (home.run / "api.json").unlink(missing_ok=True)
    _stop(server)


def _stop_signals() -> int:
    """A descriptor that can be read once SIGTERM or SIGINT came.

    A handler must not set an Event: the thread it interrupts may hold the Event's lock.
    """
    readable, writable = os.pipe()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        os.write(writable, b"!")

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    return readable


def _announce(home: Home, server: ApiServer) -> None:
    """Write where we are; whole or not at all."""
    target = home.run / "api.json"
    draft = target.with_suffix(f".{os.getpid()}.part")
    draft.write_bytes(msgspec.json.encode({"port": server.port, "url": server.url, "pid": os.getpid()}))
    draft.replace(target)


def _stop(server: ApiServer) -> None:
    stopper = threading.Thread(target=server.stop, name="stop", daemon=True)
    stopper.start()
    stopper.join(STOP_WITHIN_S)
    if stopper.is_alive():
        # A client that takes no bytes holds its thread; every write to the stores is complete or undone.
        _log.warning("clients still hang after %s s: ending without them", STOP_WITHIN_S)
        os._exit(0)


def _upkeep(pool: StorePool, copies: EncodedCopies, stop: threading.Event) -> None:
    """What nobody waits for: keys of numbers after the site's settings changed, old sessions, copies, number places."""
    site: Site | None = None
    while not stop.is_set():
        try:
            with pool.use() as stores:
                settings = read_settings(stores.crm)
                if settings.site != site:
                    renew_match_keys(stores.crm, settings.site)
                    site = settings.site
                forget_idle_sessions(stores.crm, now_ms(), settings.idle_logout_ms)
                copies.forget_deleted(stores.calls)
            prepare_places(pool.home)  # last: it takes seconds, and pop-ups need the keys
        except (BoxError, sqlite3.Error, OSError) as error:
            _log.warning("upkeep: %s", error)
        stop.wait(_UPKEEP_PERIOD_S)
