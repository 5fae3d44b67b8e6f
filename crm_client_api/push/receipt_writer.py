"""Writes down who was shown which call, and what the rules asked then: in batches, behind the delivery, which it never
holds up."""

from __future__ import annotations

import logging
import threading

from crm_client_api.domain.popup_circumstances import Circumstances, note_circumstances
from crm_client_api.domain.receipts import Shown, add_receipts
from crm_client_api.stores import StorePool
from firmware.errors import StoreError
from firmware.store.connection import write

_PERIOD_S = 1.0
_MOST_AT_ONCE = 100
_log = logging.getLogger(__name__)


class ReceiptWriter:
    """Thread: any; one of its own writes."""

    def __init__(self, pool: StorePool) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._waiting: list[Shown] = []
        self._circumstances: list[Circumstances] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="receipts", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, and end. Idempotent."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def note(self, shown: Shown) -> None:
        """A pop-up was sent."""
        with self._lock:
            self._waiting.append(shown)

    def note_circumstances(self, found: Circumstances) -> None:
        """A call came up."""
        with self._lock:
            self._circumstances.append(found)

    def flush(self) -> None:
        """Write what waits now; behind it the store knows of every pop-up that was sent before. Raises StoreError."""
        with self._writing:
            self._flush_circumstances()
            while True:
                with self._lock:
                    batch = self._waiting[:_MOST_AT_ONCE]
                if not batch:
                    return
                with self._pool.use() as stores:
                    add_receipts(stores.crm, batch)
                with self._lock:
                    del self._waiting[: len(batch)]

    def _flush_circumstances(self) -> None:
        """Needs the lock of who writes."""
        while True:
            with self._lock:
                batch = self._circumstances[:_MOST_AT_ONCE]
            if not batch:
                return
            with self._pool.use() as stores, write(stores.crm) as connection:
                note_circumstances(connection, batch)
            with self._lock:
                del self._circumstances[: len(batch)]

    def _run(self) -> None:
        over = False
        while not over:
            over = self._stopping.wait(_PERIOD_S)
            try:
                self.flush()
            except StoreError as error:  # they wait for the next time
                _log.warning("receipts of pop-ups cannot be written: %s", error)
