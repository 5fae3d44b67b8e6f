"""The API daemon: serves until SIGTERM and tells the service manager how it is."""

from __future__ import annotations

import gc
import logging
import os
import resource
import select
import signal
import sqlite3
import sys
import threading
from types import FrameType

import msgspec

from crm_client_api.audio.encoded import EncodedCopies
from crm_client_api.customer_upkeep import keep_customers
from crm_client_api.domain.key_renewal import renew_number_keys
from crm_client_api.domain.sessions import forget_idle_sessions
from crm_client_api.domain.settings import read_settings
from crm_client_api.domain.watching import Watcher
from crm_client_api.http.patience import raise_descriptor_limit
from crm_client_api.http.server import ApiServer
from crm_client_api.numbers.corrections import correct_call_backs
from crm_client_api.numbers.places import prepare_places
from crm_client_api.push.reminders import keep_communications, remind
from crm_client_api.stores import StorePool
from firmware.clock import now_ms
from firmware.config import Home
from firmware.errors import BoxError
from firmware.notify import notify, watchdog_interval_s
from firmware.store.migrations import require_current_schema
from firmware.structs import make_structs_ready
from recorder.numbers import site_of

STOP_WITHIN_S = 3.0
OPEN_FILES = 8192
SWITCH_INTERVAL_S = 0.0001
"""A thread that comes back from the store waits so long for the interpreter, and not ten times that."""
_UPKEEP_PERIOD_S = 60.0
_SITE_PERIOD_S = 1.0
_WATCH_PERIOD_S = 2.0
_log = logging.getLogger(__name__)


def run_api(home: Home, bind: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT. Raises ConfigError, StoreError."""
    make_structs_ready()
    asked_to_stop = _stop_signals()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    _allow_open_files()
    require_current_schema(home)
    raise_descriptor_limit()
    server = ApiServer(home, bind, port)
    server.start()
    _announce(home, server)
    gc.collect()
    gc.freeze()  # what is there for good is not looked through again and again: that held up events for 100 ms
    notify("READY=1")
    stopping = threading.Event()
    threading.Thread(target=_upkeep, args=(server.pool, server.copies, stopping), name="upkeep", daemon=True).start()
    threading.Thread(target=keep_customers, args=(server.pool, stopping), name="customers", daemon=True).start()
    threading.Thread(target=remind, args=(server.pool, stopping), name="reminders", daemon=True).start()
    threading.Thread(target=keep_communications, args=(server.pool, stopping), name="records", daemon=True).start()
    threading.Thread(target=_follow_site, args=(server.pool, stopping), name="site", daemon=True).start()
    threading.Thread(target=_watch, args=(server.pool, stopping), name="watch", daemon=True).start()
    period_s = watchdog_interval_s()
    while not select.select([asked_to_stop], [], [], period_s)[0]:
        if server.alive:
            notify("WATCHDOG=1")
    notify("STOPPING=1")
    stopping.set()
    (home.run / "api.json").unlink(missing_ok=True)
    _stop(server)


def _allow_open_files() -> None:
    """Each stream is an open file, and so are the stores of each request: the usual 1024 are too near."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


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
    """What nobody waits for: old sessions, copies, number places."""
    while not stop.is_set():
        try:
            with pool.use() as stores:
                settings = read_settings(stores.crm)
                forget_idle_sessions(stores.crm, now_ms(), settings.idle_logout_ms)
                copies.forget_deleted(stores.calls)
            prepare_places(pool.home)  # last: it takes seconds
        except (BoxError, sqlite3.Error, OSError) as error:
            _log.warning("upkeep: %s", error)
        stop.wait(_UPKEEP_PERIOD_S)


def _follow_site(pool: StorePool, stop: threading.Event) -> None:
    """Renew keys of numbers when the site's settings have changed, or were wrong."""
    while not stop.is_set():
        try:
            with pool.use() as stores:
                renew_number_keys(stores.calls, stores.crm, site_of(stores.crm))
                correct_call_backs(stores.calls, stores.crm)
        except (BoxError, sqlite3.Error) as error:
            _log.warning("keys of numbers: %s", error)
        stop.wait(_SITE_PERIOD_S)


def _watch(pool: StorePool, stop: threading.Event) -> None:
    """Notice unusual behaviour while it goes on."""
    watcher = Watcher()
    while not stop.wait(_WATCH_PERIOD_S):
        try:
            with pool.use() as stores:
                watcher.look(stores.crm, now_ms())
        except (BoxError, sqlite3.Error) as error:
            _log.warning("watch: %s", error)
