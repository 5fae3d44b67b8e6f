"""Channel parameters as the tracker wants them, read from the store when they change."""

from __future__ import annotations

import sqlite3
from dataclasses import fields

from firmware.config import Home
from firmware.parameters import get_all
from firmware.store.connection import open_store
from recorder.tracker import TrackerSettings


class SettingsReader:
    """Thread: the processing thread only. A store that cannot be read leaves the settings as they are."""

    def __init__(self, home: Home) -> None:
        """Raises StoreError."""
        self._db = open_store(home.crm_db, readonly=True)
        self._version = -1

    def changed(self) -> bool:
        """True when somebody wrote to the store since the last call."""
        try:
            version = int(self._db.conn.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error:
            return False
        before, self._version = self._version, version
        return before not in (-1, version)

    def of_channel(self, number: int) -> TrackerSettings:
        """The present parameters of a channel."""
        values = get_all(self._db, "channel", str(number))
        return TrackerSettings(**{field.name: values[field.name] for field in fields(TrackerSettings)})  # type: ignore[arg-type]

    def close(self) -> None:
        """Call once."""
        self._db.conn.close()
