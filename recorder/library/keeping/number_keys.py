"""Keys of the numbers of calls that the recorder could not give theirs when it heard the numbers.

Those are calls from before there were keys, calls from a manifest of that time, and numbers that were no whole number
by the settings and the numbering plan of their time, once one of these has changed. What was E.164 stays as it was.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import sqlite_utils

from firmware.store.connection import write
from recorder.library.keeping.task import Stopping, Stores
from recorder.numbers import Site, match_key, reading, site_of

_PLACE = "calls_without_key"
"""In ``meta``: the rowid up to which the calls were looked at; there only while some are left."""
_READ_BY = "numbers_read_by"
"""In ``meta``: how the last look, or the present one, reads numbers."""
_LOOKED_AT_ONCE = 5000
_CHANGED_AT_ONCE = 300


def all_keyed(connection: sqlite3.Connection, schema: str = "main") -> bool:
    """Whether every call with a number has its key, so that a search by the key finds them all."""
    return _meta(connection, _PLACE, schema) is None


def keyed_by(connection: sqlite3.Connection, schema: str = "main") -> str:
    """Changes whenever keys of older calls do, or are about to."""
    return f"{_meta(connection, _READ_BY, schema)} {all_keyed(connection, schema)}"


def is_keyed_for(connection: sqlite3.Connection, site: Site) -> bool:
    """Whether all calls have keys, and what could not be read otherwise was looked at with these settings."""
    return all_keyed(connection) and _meta(connection, _READ_BY) in (None, reading(site))


def note_unkeyed(connection: sqlite3.Connection, call_id: str) -> None:
    """A call came in without keys, in this write transaction."""
    connection.execute(
        "INSERT INTO meta SELECT ?, CAST(rowid - 1 AS TEXT) FROM calls WHERE id = ? ON CONFLICT (key) DO UPDATE"
        " SET value = CAST(min(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER)) AS TEXT)",
        (_PLACE, call_id),
    )


def key_next(calls: sqlite_utils.Database, site: Site) -> bool:
    """Look at the next calls, and change some keys in one short transaction; False when all were looked at.

    Raises StoreError.
    """
    connection, how = calls.conn, reading(site)
    if _meta(connection, _READ_BY) != how:
        with write(calls) as writing:
            _put(writing, _READ_BY, how)
            _put(writing, _PLACE, "0")
    elif all_keyed(connection):
        return False
    place = int(_meta(connection, _PLACE) or 0)
    rows = connection.execute(
        "SELECT rowid, caller_number, dialled_number, caller_key, dialled_key FROM calls WHERE rowid > ?"
        " ORDER BY rowid LIMIT ?",
        (place, _LOOKED_AT_ONCE),
    )
    changes, last = _changes(rows, site)
    rows.close()
    with write(calls) as writing:
        writing.executemany(
            "UPDATE calls SET caller_key = ?, dialled_key = ?"
            " WHERE rowid = ? AND caller_number IS ? AND dialled_number IS ?",
            changes,
        )
        if last:
            writing.execute(
                "UPDATE meta SET value = ? WHERE key = ? AND CAST(value AS INTEGER) >= ?", (str(last), _PLACE, place)
            )
        else:
            writing.execute(
                "DELETE FROM meta WHERE key = ? AND NOT EXISTS (SELECT 1 FROM calls WHERE rowid > ?)", (_PLACE, place)
            )
    return True


def _changes(rows: Iterable[sqlite3.Row], site: Site) -> tuple[list[tuple[object, ...]], int]:
    """New keys of the first rows, and the last of these (0: there is none)."""
    found: list[tuple[object, ...]] = []
    last = 0
    for row in rows:
        last = row["rowid"]
        keys = tuple(_key(row[f"{of}_number"], row[f"{of}_key"], site) for of in ("caller", "dialled"))
        if keys != (row["caller_key"], row["dialled_key"]):
            found.append((*keys, last, row["caller_number"], row["dialled_number"]))
            if len(found) == _CHANGED_AT_ONCE:
                break
    return found, last


def _key(number: str | None, key: str | None, site: Site) -> str | None:
    if not number or (key is not None and key.startswith("+")):
        return key
    return match_key(number, site) or None


def _meta(connection: sqlite3.Connection, key: str, schema: str = "main") -> str | None:
    row = connection.execute(f"SELECT value FROM {schema}.meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def _put(connection: sqlite3.Connection, key: str, value: str) -> None:
    connection.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value)
    )


class NumberKeysTask:
    """See ``LibraryTask``."""

    name = "number_keys"
    every_s = 10.0

    def run(self, library: Stores, stopping: Stopping) -> None:
        """Look at all calls again when the site's settings have changed."""
        site = site_of(library.crm)
        while not stopping() and key_next(library.calls, site):
            pass
