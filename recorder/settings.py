"""What people in the office decide, read from the store when it changes: channel parameters and orders."""

from __future__ import annotations

import logging
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import msgspec
import sqlite_utils

from drivers.parameters import PARAMETERS as MEASURING
from firmware.config import Home
from firmware.errors import ConfigError, StoreError
from firmware.store.connection import open_store
from recorder.orders import Order, read_orders
from recorder.parameters import PARAMETERS
from recorder.tracking.channel import SYSTEM_SETTINGS, TrackerSettings

log = logging.getLogger("recorder")

BUSY_TIMEOUT_MS = 100
"""The processing thread has better things to do than to wait for the office's store."""

_OF_CHANNEL = tuple(field.name for field in fields(TrackerSettings) if field.name not in SYSTEM_SETTINGS)
_MEASURING = {parameter.key: parameter.default for parameter in MEASURING}
_DECLARED = {parameter.key: parameter for parameter in (*PARAMETERS, *MEASURING)}


def _exact(key: str, text: str) -> Any:
    """A parameter as it is stored. Raises ConfigError, msgspec.DecodeError: it would bring the trackers down."""
    value, declared = msgspec.json.decode(text), _DECLARED.get(key)
    if declared is not None:
        return declared.check(value)
    if not isinstance(value, str):  # the site's, declared on an upper floor
        raise ConfigError(f"{key}: {value!r} is no text")
    return value


class SettingsReader:
    """Thread: the processing thread only. Never raises.

    A store that cannot be read leaves the settings as they are, at first as they come from the factory. A value that
    cannot be used counts as the factory's; the others hold.
    """

    def __init__(self, home: Home) -> None:
        self._path = home.crm_db
        self._db: sqlite_utils.Database | None = None
        self._version: int | None = None
        self._rows: list[tuple[str, str, str, str]] = []
        self._values: dict[str, dict[str, Any]] = {}
        self._failing = False
        self.known = False
        """Whether the parameters could be read at all, so that they are not just the factory's."""
        self._none_between: tuple[tuple[int, ...], int, int] = ((), 0, 0)
        self._read_version()
        self.read_parameters()

    def changed(self) -> bool:
        """True when somebody wrote to the store since the last call, or it can be read again."""
        before = self._version
        self._read_version()
        return self._version not in (None, before)

    def _read_version(self) -> None:
        try:
            if self._db is None:
                self._db = open_store(self._path, readonly=True, busy_timeout_ms=BUSY_TIMEOUT_MS)
            self._version = int(self._db.conn.execute("PRAGMA data_version").fetchone()[0])
        except (StoreError, sqlite3.Error):
            self._version = None

    def read_parameters(self) -> bool:
        """Read all parameters; True when one of them is not as it was."""
        try:
            if self._db is None:
                return False
            rows = self._db.conn.execute(
                "SELECT scope, subject, key, value FROM parameters WHERE scope IN ('channel', 'system')"
                " ORDER BY scope, subject, key"
            ).fetchall()
            found = [(row[0], row[1], row[2], row[3]) for row in rows]
            self.known = True
            if found == self._rows:
                self._failing = False
                return False
        except (StoreError, sqlite3.Error) as error:
            self._failed("parameters", error)
            return False
        values: dict[str, dict[str, Any]] = defaultdict(dict)
        for scope, subject, key, text in found:
            if key in (SYSTEM_SETTINGS if scope == "system" else (*_OF_CHANNEL, *_MEASURING)):
                try:
                    values[subject if scope == "channel" else ""][key] = _exact(key, text)
                except (ConfigError, msgspec.DecodeError) as error:
                    log.warning("%s parameter %s of %r is left as it comes: %s", scope, key, subject, error)
        self._rows, self._values, self._failing = found, values, False
        return True

    def of_channel(self, number: int) -> TrackerSettings:
        """The parameters of a channel as they were read last."""
        values = self._values.get("", {}) | self._values.get(str(number), {})
        return TrackerSettings(**{key: value for key, value in values.items() if key not in _MEASURING})

    def measuring(self, number: int) -> dict[str, Any]:
        """What the line card measures a channel by, as it was read last (``drivers.parameters``)."""
        return _MEASURING | {
            key: value for key, value in self._values.get(str(number), {}).items() if key in _MEASURING
        }

    def orders(self, after_id: int, channels: Sequence[int]) -> Sequence[Order]:
        """Orders above ``after_id`` for these channels, oldest first; none when the store cannot be read."""
        try:
            return [] if self._db is None else self._orders(self._db, after_id, tuple(channels))
        except (StoreError, sqlite3.Error, msgspec.MsgspecError) as error:
            self._failed("orders", error)
            return []

    def _orders(self, db: sqlite_utils.Database, after_id: int, channels: tuple[int, ...]) -> Sequence[Order]:
        """Years of orders for other cards are looked through once only."""
        whose, low, high = self._none_between
        if whose != channels or not low <= after_id <= high:
            low = high = after_id
        newest = int(db.conn.execute("SELECT coalesce(max(id), 0) FROM orders").fetchone()[0])  # ids rise with commits
        found = read_orders(db, high, channels)
        if not found:
            self._none_between = channels, low, max(high, newest)
        return found

    def _failed(self, what: str, error: Exception) -> None:
        if not self._failing:
            log.warning("%s cannot be read: %s", what, error)
        self._failing = True
        self._version = None  # read them again

    def close(self) -> None:
        """Call once."""
        if self._db is not None:
            self._db.conn.close()
