"""Keys of the office's numbers are made anew when the site's settings have changed, or how numbers are read."""

from __future__ import annotations

import sqlite_utils

from crm_client_api.domain.calls import calls_by_id
from crm_client_api.domain.communications.upkeep import renew_keys
from crm_client_api.domain.customers.write import renew_match_keys
from crm_client_api.domain.number_sites import MadeBy, made_by, note_made_by
from firmware.store.connection import write
from recorder.numbers import Site, match_key, reading

_AT_ONCE = 300


def renew_number_keys(calls: sqlite_utils.Database, crm: sqlite_utils.Database, site: Site) -> bool:
    """Bring the keys of customers, waiting call-backs and communication records up to the site's settings.

    In short transactions. False when they were; call it again until then. Raises StoreError: as well.
    """
    now, made = MadeBy(reading(site), site), made_by(crm.conn)
    if made == [now]:
        return False
    begun = [*(one for one in made if one != now), now]
    with write(crm) as connection:
        note_made_by(connection, begun)
    renew_match_keys(crm, site)
    _renew_call_backs(calls, crm, site)
    renew_keys(crm, site)
    with write(crm) as connection:
        if made_by(connection) == begun:  # else somebody still wrote keys by other settings
            note_made_by(connection, [now])
    return True


def _renew_call_backs(calls: sqlite_utils.Database, crm: sqlite_utils.Database, site: Site) -> None:
    """Of those that wait: the number is called back from the site of today."""
    rows = crm.conn.execute(
        "SELECT call_id, match_key FROM call_backs WHERE state IN ('open', 'taken') ORDER BY call_id"
    ).fetchall()
    for first in range(0, len(rows), _AT_ONCE):
        keys = {row[0]: row[1] for row in rows[first : first + _AT_ONCE]}
        numbers = {call.id: call.number for call in calls_by_id(calls, keys).values() if call.number}
        stale = [(key, one) for one, number in numbers.items() if (key := match_key(number, site)) != keys[one]]
        if stale:
            with write(crm) as connection:
                connection.executemany("UPDATE call_backs SET match_key = ? WHERE call_id = ?", stale)
