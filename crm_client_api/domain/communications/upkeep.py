"""What is done for communication records by and by: the length of calls that have ended, keys of numbers."""

from __future__ import annotations

import sqlite_utils

from crm_client_api.domain.calls import calls_by_id
from crm_client_api.domain.communications.write import index_again
from firmware.store.connection import write
from recorder.numbers import Site, match_key

_AT_ONCE = 200


def fill_in_ended(calls: sqlite_utils.Database, crm: sqlite_utils.Database) -> int:
    """Note how long the calls lasted that records were written in; how many."""
    rows = crm.conn.execute(
        "SELECT id, call_id FROM communications WHERE call_id IS NOT NULL AND talk_ms IS NULL ORDER BY id DESC LIMIT ?",
        (_AT_ONCE,),
    ).fetchall()
    found = calls_by_id(calls, sorted({row[1] for row in rows}))
    ended = [(call.talk_ms, row[0]) for row in rows if (call := found.get(row[1])) and call.state == "ended"]
    if ended:
        with write(crm) as connection:
            connection.executemany("UPDATE communications SET talk_ms = ? WHERE id = ? AND talk_ms IS NULL", ended)
    return len(ended)


def renew_keys(crm: sqlite_utils.Database, site: Site) -> int:
    """Bring the keys of all records' numbers up to the site's settings, in short transactions; how many changed."""
    changed, last = 0, 0
    while True:
        rows = crm.conn.execute(
            "SELECT id, number, match_key FROM communications WHERE id > ? AND number <> '' ORDER BY id LIMIT ?",
            (last, _AT_ONCE),
        ).fetchall()
        if not rows:
            return changed
        last = rows[-1][0]
        stale = [(key, row[0], row[1]) for row in rows if (key := match_key(row[1], site)) != row[2]]
        for first in range(0, len(stale), 50):
            with write(crm) as connection:
                for key, record, number in stale[first : first + 50]:
                    connection.execute(
                        "UPDATE communications SET match_key = ? WHERE id = ? AND number = ?", (key, record, number)
                    )
                    index_again(connection, record, site=site)
        changed += len(stale)
