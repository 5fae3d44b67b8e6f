"""Channel parameters as the tracker wants them, read from the store when they change."""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import fields

import msgspec
import sqlite_utils

from firmware.config import Home
from firmware.errors import StoreError
from firmware.parameters import get_all
from firmware.store.connection import open_store
from recorder.tracker import TrackerSettings

log = logging.getLogger("recorder")


class SettingsReader:
    """Thread: the processing thread only. Never raises.

    A store that cannot be read leaves the settings as they are, at first as they come from the factory.
    """

    def __init__(self, home: Home) -> None:
        self._path = home.crm_db
        self._db: sqlite_utils.Database | None = None
        self._version: int | None = None
        self._last: dict[int, TrackerSettings] = {}
        self._failing = False
        self._read_version()

    def changed(self) -> bool:
        """True when somebody wrote to the store since the last call, or it can be read again."""
        before = self._version
        self._read_version()
        return self._version not in (None, before)

    def _read_version(self) -> None:
        try:
            if self._db is None:
                self._db = open_store(self._path, readonly=True)
            self._version = int(self._db.conn.execute("PRAGMA data_version").fetchone()[0])
        except (StoreError, sqlite3.Error):
            self._version = None

    def of_channel(self, number: int) -> TrackerSettings:
        """The present parameters of a channel."""
        try:
            if self._db is not None:
                values = get_all(self._db, "channel", str(number))
                chosen = {field.name: values[field.name] for field in fields(TrackerSettings)}
                self._last[number] = TrackerSettings(**chosen)  # type: ignore[arg-type]
        except (StoreError, sqlite3.Error, msgspec.DecodeError) as error:
            if not self._failing:
                log.warning("parameters of channel %d cannot be read: %s", number, error)
            self._failing = True
            self._version = None  # read them again
        else:
            self._failing = False
        return self._last.get(number, TrackerSettings())

    def close(self) -> None:
        """Call once."""
        if self._db is not None:
            self._db.conn.close()
