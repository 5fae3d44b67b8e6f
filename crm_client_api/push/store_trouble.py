"""Whether something went wrong with a store, or with the one event that was looked at."""

from __future__ import annotations

import sqlite3

from firmware.errors import StoreError

_PRIMARY = 0xFF
"""The bits of an extended result code of SQLite that say what kind it is."""


def is_of_store(error: Exception) -> bool:
    """True: worth another try. False: it would go wrong with this event for ever."""
    if isinstance(error, sqlite3.OperationalError):
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        return bool(code & _PRIMARY != sqlite3.SQLITE_ERROR)
    return isinstance(error, StoreError)
