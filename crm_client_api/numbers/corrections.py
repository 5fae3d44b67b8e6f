"""Numbers that were heard while country, area code or outside-line prefix were set wrong: by what they are read.

The keeper makes the keys of calls anew (``recorder.library.keeping.number_corrections``), the API those of call-backs
that are closed. Nobody is told anything twice: no call comes, rings or pops up by it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.calls import calls_by_id
from crm_client_api.domain.invalid import Invalid
from firmware.clock import iso_utc, now_ms
from firmware.store.connection import write
from recorder.library.keeping.number_corrections import Correction, correct_from, mark_of, read_corrections
from recorder.numbers import match_key, site_of

_CALL_BACKS_MARK = "call_backs_corrected_by"
"""In ``meta``: the mark of the corrections by which the keys of closed call-backs were made."""
_AT_ONCE = 300


def correct_numbers(crm: sqlite_utils.Database, from_ms: int, actor: Actor) -> tuple[Correction, ...]:
    """Have numbers that were heard from ``from_ms`` (Unix ms UTC) until now read by the settings of now.

    All corrections. Raises Invalid: that is not past; Refused: there are too many; StoreError.
    """
    with write(crm) as connection:
        at_ms = now_ms()
        if from_ms >= at_ms:
            raise Invalid("correction_not_past", "numbers that are heard from now on are read by the settings of now")
        before = read_corrections(connection)
        after = correct_from(connection, from_ms, at_ms, site_of(crm))
        data = {"from": iso_utc(from_ms), "before": _pictures(before), "after": _pictures(after)}
        audit.append(connection, actor, "number_corrections.add", "", data)
    return after


def _pictures(corrections: Sequence[Correction]) -> list[Mapping[str, str]]:
    return [
        {
            "from": iso_utc(one.from_ms), "until": iso_utc(one.until_ms), "country": one.site.country,
            "area_code": one.site.area_code, "outside_prefix": one.site.outside_prefix,
        }
        for one in corrections
    ]  # fmt: skip


def are_call_backs_corrected(crm: sqlite3.Connection, corrections: Sequence[Correction]) -> bool:
    """Whether closed call-backs have the keys that these corrections give them."""
    row = crm.execute("SELECT value FROM meta WHERE key = ?", (_CALL_BACKS_MARK,)).fetchone()
    return (row[0] if row else "") == (mark_of(corrections) or "")


def correct_call_backs(calls: sqlite_utils.Database, crm: sqlite_utils.Database) -> None:
    """Make keys of closed call-backs anew, in short transactions; those that wait have keys of now anyway.

    What is cut off begins again with the next call. Raises StoreError.
    """
    corrections = read_corrections(crm.conn)
    if are_call_backs_corrected(crm.conn, corrections):
        return
    for one in corrections:
        _correct_closed(calls, crm, one)
    with write(crm) as connection:
        connection.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (_CALL_BACKS_MARK, mark_of(corrections) or ""),
        )


def _correct_closed(calls: sqlite_utils.Database, crm: sqlite_utils.Database, one: Correction) -> None:
    place = (one.from_ms, "")
    while rows := crm.conn.execute(
        "SELECT missed_ms, call_id, match_key FROM call_backs INDEXED BY call_backs_by_time"
        " WHERE (missed_ms, call_id) > (?, ?) AND missed_ms < ? AND state NOT IN ('open', 'taken')"
        " ORDER BY missed_ms, call_id LIMIT ?",
        (*place, one.until_ms, _AT_ONCE),
    ).fetchall():
        place = (rows[-1][0], rows[-1][1])
        numbers = {call.id: call.number for call in calls_by_id(calls, [row[1] for row in rows]).values()}
        stale = [
            (key, row[1])
            for row in rows
            if (number := numbers.get(row[1])) and (key := match_key(number, one.site)) != row[2]
        ]
        if stale:
            with write(crm) as connection:
                connection.executemany(
                    "UPDATE call_backs SET match_key = ? WHERE call_id = ? AND state NOT IN ('open', 'taken')", stale
                )
