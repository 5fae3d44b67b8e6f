"""Keys of the numbers of calls that the recorder could not give theirs when it heard the numbers.

Those are calls from before there were keys, calls from a manifest of that time, and numbers that were no whole number
by the settings and the numbering plan of their time, once one of these has changed. What was E.164 stays as it was,
unless somebody says that the settings of its time were wrong (``number_corrections``).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

import sqlite_utils

from firmware.clock import now_ms
from firmware.store.connection import write
from recorder.library.keeping.number_corrections import Correction, mark_of, read_corrections, site_at
from recorder.library.keeping.task import Stopping, Stores
from recorder.numbers import Site, match_key, reading, site_of

_PLACE = "calls_without_key"
"""In ``meta``: the rowid up to which the calls were looked at; there only while some are left."""
_READ_BY = "numbers_read_by"
"""In ``meta``: how the last look, or the present one, reads numbers."""
_CORRECTED_BY = "numbers_corrected_by"
"""In ``meta``: the mark of the corrections that the last look, or the present one, made; absent for none."""
_LATE_CALLS = "numbers_heard_late"
"""In ``meta``: the rowid above which calls may still get keys by wrong settings: a recorder had heard their numbers."""
_LOOKED_AT_ONCE = 5000
_CHANGED_AT_ONCE = 300


def all_keyed(connection: sqlite3.Connection, schema: str = "main") -> bool:
    """Whether every call with a number has its key, so that a search by the key finds them all."""
    return _meta(connection, _PLACE, schema) is None


def keyed_by(connection: sqlite3.Connection, schema: str = "main") -> str:
    """Changes whenever keys of older calls do, or are about to."""
    looks = " ".join(str(_meta(connection, one, schema)) for one in (_READ_BY, _CORRECTED_BY, _LATE_CALLS))
    return f"{looks} {all_keyed(connection, schema)}"


def is_keyed_for(connection: sqlite3.Connection, site: Site) -> bool:
    """Whether all calls have keys, and what could not be read otherwise was looked at with these settings."""
    return all_keyed(connection) and _meta(connection, _READ_BY) in (None, reading(site))


def is_corrected(connection: sqlite3.Connection, corrections: Sequence[Correction]) -> bool:
    """Whether all calls have the keys that these corrections give them."""
    done = all_keyed(connection) and _meta(connection, _LATE_CALLS) is None
    return done and _meta(connection, _CORRECTED_BY) == mark_of(corrections)


def was_corrected(connection: sqlite3.Connection) -> bool:
    """Whether keys were corrected, so that those which come in from elsewhere may be the wrong ones."""
    return _meta(connection, _CORRECTED_BY) is not None


def note_unkeyed(connection: sqlite3.Connection, call_id: str) -> None:
    """A call came in without keys, or with doubtful ones, in this write transaction."""
    connection.execute(
        "INSERT INTO meta SELECT ?, CAST(rowid - 1 AS TEXT) FROM calls WHERE id = ? ON CONFLICT (key) DO UPDATE"
        " SET value = CAST(min(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER)) AS TEXT)",
        (_PLACE, call_id),
    )


def key_next(calls: sqlite_utils.Database, site: Site, corrections: Sequence[Correction] = ()) -> bool:
    """Look at the next calls, and change some keys in one short transaction; False when all were looked at.

    Raises StoreError.
    """
    connection, how, mark = calls.conn, reading(site), mark_of(corrections)
    if _meta(connection, _READ_BY) != how or _meta(connection, _CORRECTED_BY) != mark:
        with write(calls) as writing:
            if _meta(writing, _CORRECTED_BY) != mark:
                _put(writing, _LATE_CALLS, str(_before_running(writing)))
            _put(writing, _CORRECTED_BY, mark)
            _put(writing, _READ_BY, how)
            _put(writing, _PLACE, "0")
    elif all_keyed(connection):
        return _look_at_late_calls(calls, corrections)
    place = int(_meta(connection, _PLACE) or 0)
    rows = connection.execute(
        "SELECT rowid, started_ms, caller_number, dialled_number, caller_key, dialled_key FROM calls WHERE rowid > ?"
        " ORDER BY rowid LIMIT ?",
        (place, _LOOKED_AT_ONCE),
    )
    changes, last = _changes(rows, site, corrections)
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


def _before_running(connection: sqlite3.Connection) -> int:
    """The rowid above which all calls stand that run, or are yet to begin."""
    row = connection.execute(
        "SELECT coalesce((SELECT min(rowid) - 1 FROM calls INDEXED BY calls_running WHERE state <> 'ended'),"
        " (SELECT max(rowid) FROM calls), 0)"
    ).fetchone()
    return int(row[0])


def _look_at_late_calls(calls: sqlite_utils.Database, corrections: Sequence[Correction]) -> bool:
    """Look once more, when the last call has ended whose number was heard by the wrong settings; False until then.

    Its recorder writes the key as it was heard with the end of the call.
    """
    late = _meta(calls.conn, _LATE_CALLS)
    if late is None:
        return False
    until_ms = corrections[-1].until_ms if corrections else 0
    if now_ms() < until_ms or _runs_since_before(calls.conn, until_ms):
        return False
    with write(calls) as writing:
        _put(writing, _LATE_CALLS, None)
        _put(writing, _PLACE, late)
    return True


def _runs_since_before(connection: sqlite3.Connection, at_ms: int) -> bool:
    row = connection.execute(
        "SELECT 1 FROM calls INDEXED BY calls_running WHERE state <> 'ended' AND started_ms < ? LIMIT 1", (at_ms,)
    ).fetchone()
    return row is not None


def _changes(
    rows: Iterable[sqlite3.Row], site: Site, corrections: Sequence[Correction]
) -> tuple[list[tuple[object, ...]], int]:
    """New keys of the first rows, and the last of these (0: there is none)."""
    found: list[tuple[object, ...]] = []
    last = 0
    for row in rows:
        last = row["rowid"]
        then = site_at(corrections, row["started_ms"])
        keys = tuple(_key(row[f"{of}_number"], row[f"{of}_key"], site, then) for of in ("caller", "dialled"))
        if keys != (row["caller_key"], row["dialled_key"]):
            found.append((*keys, last, row["caller_number"], row["dialled_number"]))
            if len(found) == _CHANGED_AT_ONCE:
                break
    return found, last


def _key(number: str | None, key: str | None, site: Site, then: Site | None) -> str | None:
    """``then``: where the number was really heard, when its key may have been made by wrong settings."""
    if not number:
        return key
    if then is not None:
        key = match_key(number, then)
    if key is not None and key.startswith("+"):
        return key
    return match_key(number, site) or None


def _meta(connection: sqlite3.Connection, key: str, schema: str = "main") -> str | None:
    row = connection.execute(f"SELECT value FROM {schema}.meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def _put(connection: sqlite3.Connection, key: str, value: str | None) -> None:
    """None: it is there no longer."""
    if value is None:
        connection.execute("DELETE FROM meta WHERE key = ?", (key,))
        return
    connection.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value)
    )


class NumberKeysTask:
    """See ``LibraryTask``."""

    name = "number_keys"
    every_s = 10.0

    def run(self, library: Stores, stopping: Stopping) -> None:
        """Look at all calls again when the site's settings have changed, or were wrong.

        What a rebuild brings back has the keys of then: it is corrected when all of it is there.
        """
        from recorder.library.rebuilding.reconciliation import past_is_missing

        site = site_of(library.crm)
        corrections = () if past_is_missing(library.calls) else read_corrections(library.crm.conn)
        while not stopping() and key_next(library.calls, site, corrections):
            pass
