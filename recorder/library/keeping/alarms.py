"""Standing alarms of the library: rows of ``alarms`` in ``calls.db``, at most one a code and subject."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlite_utils

from firmware.clock import now_ms
from firmware.store.connection import write

_STANDING = "code = ? AND subject = ? AND cleared_ms IS NULL"


def raise_alarm(calls: sqlite_utils.Database, code: str, subject: str, data: Mapping[str, Any]) -> None:
    """Let the alarm stand; one that stands already keeps its beginning and takes the new data. Raises StoreError."""
    text = msgspec.json.encode(data).decode()
    row = calls.conn.execute(f"SELECT data FROM alarms WHERE {_STANDING}", (code, subject)).fetchone()
    if row is not None and row[0] == text:
        return
    with write(calls) as connection:
        changed = connection.execute(f"UPDATE alarms SET data = ? WHERE {_STANDING}", (text, code, subject))
        if not changed.rowcount:
            connection.execute(
                "INSERT INTO alarms (code, subject, raised_ms, data) VALUES (?,?,?,?)", (code, subject, now_ms(), text)
            )


def clear_alarm(calls: sqlite_utils.Database, code: str, subject: str) -> None:
    """End the alarm, if it stands. Raises StoreError."""
    if calls.conn.execute(f"SELECT 1 FROM alarms WHERE {_STANDING}", (code, subject)).fetchone() is None:
        return
    with write(calls) as connection:
        connection.execute(f"UPDATE alarms SET cleared_ms = ? WHERE {_STANDING}", (now_ms(), code, subject))


def let_stand(calls: sqlite_utils.Database, code: str, alarms: Mapping[str, Mapping[str, Any]]) -> None:
    """Let alarms with this code stand for these subjects, each with its data, and for no others. Raises StoreError."""
    rows = calls.conn.execute("SELECT subject FROM alarms WHERE code = ? AND cleared_ms IS NULL", (code,)).fetchall()
    for subject in {str(row[0]) for row in rows} - alarms.keys():
        clear_alarm(calls, code, subject)
    for subject, data in alarms.items():
        raise_alarm(calls, code, subject, data)
