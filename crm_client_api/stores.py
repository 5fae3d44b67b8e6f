"""A pool of open stores for the threads of the API: calls read-only, crm for reading and writing."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlite_utils

from firmware.config import Home
from firmware.errors import BoxError, StoreError
from firmware.store.connection import open_store


@dataclass(frozen=True, slots=True)
class Stores:
    """Both store files, open. Thread: one at a time."""

    home: Home
    calls: sqlite_utils.Database
    crm: sqlite_utils.Database

    def close(self) -> None:
        """Close both files."""
        self.calls.conn.close()
        self.crm.conn.close()


def open_stores(home: Home) -> Stores:
    """Open both store files. Raises StoreError."""
    calls = open_store(home.calls_db, readonly=True)
    try:
        return Stores(home, calls, open_store(home.crm_db))
    except BaseException:
        calls.conn.close()
        raise


class StorePool:
    """Keeps stores open between requests. Thread: any number."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._idle: queue.LifoQueue[Stores] = queue.LifoQueue()

    def open_ahead(self, count: int) -> None:
        """Have so many stores open before anybody waits for one. Raises StoreError."""
        for _ in range(count):
            stores = open_stores(self.home)
            for db in (stores.calls, stores.crm):
                db.conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # its files open with the first look
            self._idle.put(stores)

    @contextmanager
    def use(self) -> Iterator[Stores]:
        """Borrow open stores. Raises StoreError when they cannot be opened."""
        try:
            stores = self._idle.get_nowait()
        except queue.Empty:
            stores = open_stores(self.home)
        healthy = False
        try:
            yield stores
            healthy = True
        except BoxError as error:
            healthy = not isinstance(error, StoreError)  # the others are answers like any other
            raise
        finally:
            if healthy:
                self._idle.put(stores)
            else:
                stores.close()  # whatever state it is in, nobody inherits it

    def close(self) -> None:
        """Close what is idle; borrowed stores are put back and closed by the next call."""
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                return
