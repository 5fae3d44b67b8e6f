"""The life of a daemon that does jobs: alone in its home, behind everybody else, until it is asked to stop."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Protocol

import psutil

from crm_client_api.courier.garbage import collect_rarely
from firmware.config import Home
from firmware.doorbell import ring
from firmware.errors import ConfigError
from firmware.notify import notify, watchdog_interval_s
from firmware.store.migrations import require_current_schema
from firmware.structs import make_structs_ready

STOP_WITHIN_S = 3.0
_NICENESS = 10
_LOOK_EVERY_S = 1.0


class Worker(Protocol):
    """Does jobs in a thread of its own. ``stop``: set it to end after the next step."""

    lane: str
    stop: threading.Event

    def run(self) -> None:
        """Do jobs until ``stop``."""


def work_until_stopped(home: Home, name: str, workers: Sequence[Worker]) -> None:
    """Let them work until SIGTERM or SIGINT. Raises ConfigError: another process ``name`` works here; StoreError."""
    make_structs_ready()
    collect_rarely()
    asked_to_stop = _stop_signals()
    require_current_schema(home)
    with only_one(home, name):
        _step_back()
        threads = [threading.Thread(target=one.run, name=one.lane, daemon=True) for one in workers]
        for thread in threads:
            thread.start()
        notify("READY=1")
        period_s = watchdog_interval_s()
        while all(one.is_alive() for one in threads):
            if select.select([asked_to_stop], [], [], period_s or _LOOK_EVERY_S)[0]:
                break
            notify("WATCHDOG=1")
        notify("STOPPING=1")
        for worker in workers:
            worker.stop.set()
        ring(home.doorbells)
        until_s = time.monotonic() + STOP_WITHIN_S
        for thread in threads:
            thread.join(max(0.0, until_s - time.monotonic()))
        if any(one.is_alive() for one in threads):  # every transaction is whole or undone; the next one goes on
            os._exit(0)


def _stop_signals() -> int:
    readable, writable = os.pipe()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        os.write(writable, b"!")

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    return readable


@contextlib.contextmanager
def only_one(home: Home, name: str) -> Iterator[None]:
    """One process of this name in a home. Raises ConfigError: there is one."""
    descriptor = os.open(home.run / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"a process '{name}' works in {home.root} already") from None
        yield
    finally:
        os.close(descriptor)


def _step_back() -> None:
    """Processor and disk go to everybody else first."""
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    with contextlib.suppress(OSError, AttributeError, psutil.Error):
        psutil.Process().ionice(psutil.IOPRIO_CLASS_BE, 7)
