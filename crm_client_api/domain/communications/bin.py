"""The recycle bin (回收站) of communication records: until they are restored, purged, or out of date.

Whoever could see a record may restore it. Nothing that a hold protects is purged.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import BOX, Actor
from crm_client_api.domain.communications.changes import tell_changed
from crm_client_api.domain.communications.lists import Filter, Reach, select_ids
from crm_client_api.domain.communications.record import key_of
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.numbers import Site, match_key
from crm_client_api.domain.scope import RecordScope
from firmware.clock import now_ms
from firmware.errors import NotFound, Refused
from firmware.store.connection import write

MOST_AT_ONCE = 500
"""Records that one request deletes, restores or purges, all or none of them."""
_CLEARED_AT_ONCE = 150
_PURGED_AT_ONCE = 50
_MOST_TOLD = 20  # of more at once, nobody is told one by one


def delete_many(crm: sqlite_utils.Database, ids: Sequence[str], actor: Actor, scope: RecordScope) -> int:
    """Put records into the recycle bin, all or none; how many. Raises NotFound when one is not there, Invalid."""
    keys = _keys(ids)
    with write(crm) as connection:
        owners = _owners(connection, "living_communications", keys, scope)
        _put_away(connection, keys, actor)
        for key in keys:
            audit.append(connection, actor, "communication.delete", str(key))
            if len(keys) <= _MOST_TOLD:
                tell_changed(crm, connection, key, owners[key], "deleted")
    return len(keys)


def restore_many(crm: sqlite_utils.Database, ids: Sequence[str], actor: Actor, scope: RecordScope) -> int:
    """Take records out of the recycle bin, all or none; how many.

    Raises NotFound, Invalid; Refused: a record's customer is in the bin itself.
    """
    keys = _keys(ids)
    with write(crm) as connection:
        owners = _owners(connection, "communications", keys, scope, " AND deleted_ms IS NOT NULL")
        connection.executemany(
            "UPDATE communications SET deleted_ms = NULL, deleted_by = NULL WHERE id = ?", [(key,) for key in keys]
        )
        living = connection.execute(
            f"SELECT count(*) FROM living_communications WHERE id IN ({','.join('?' * len(keys))})", keys
        ).fetchone()[0]
        if living != len(keys):
            raise Refused("the customer of a record is not there: restore the customer first")
        for key in keys:
            audit.append(connection, actor, "communication.restore", str(key))
            if len(keys) <= _MOST_TOLD:
                tell_changed(crm, connection, key, owners[key], "restored")
    return len(keys)


def purge_many(crm: sqlite_utils.Database, ids: Sequence[str], actor: Actor, scope: RecordScope, site: Site) -> int:
    """Remove records from the recycle bin for good, all or none; how many.

    That only a super operator may is the caller's to check. Raises NotFound, Invalid; Refused: a hold protects one.
    """
    keys = _keys(ids)
    with write(crm) as connection:
        _owners(connection, "communications", keys, scope, " AND deleted_ms IS NOT NULL")
        going = _unprotected(connection, keys, site)
        if len(going) != len(keys):
            raise Refused("a hold protects a record")
        for key in keys:
            connection.execute("DELETE FROM communications WHERE id = ?", (key,))
            audit.append(connection, actor, "communication.purge", str(key))
    return len(keys)


def purge_old(crm: sqlite_utils.Database, before_ms: int, site: Site) -> int:
    """Remove for good what was deleted before that time, in short transactions; how many. Holds stop it."""
    purged, beyond = 0, (0, 0)
    while True:
        rows = crm.conn.execute(
            "SELECT deleted_ms, id FROM communications WHERE deleted_ms IS NOT NULL AND deleted_ms < ?"
            " AND (deleted_ms, id) > (?, ?) ORDER BY deleted_ms, id LIMIT ?",
            (before_ms, *beyond, _PURGED_AT_ONCE),
        ).fetchall()
        if not rows:
            return purged
        beyond = tuple(rows[-1])
        with write(crm) as connection:
            for key in _unprotected(connection, [row[1] for row in rows], site):
                connection.execute("DELETE FROM communications WHERE id = ?", (key,))
                audit.append(connection, Actor(BOX), "communication.purge", str(key))
                purged += 1


def newest_id(crm: sqlite_utils.Database) -> int:
    """The id up to which a clearing goes: whatever is written while it runs stays."""
    return int(crm.conn.execute("SELECT coalesce(max(id), 0) FROM communications").fetchone()[0])


def clear_batch(
    crm: sqlite_utils.Database, wanted: Filter, reach: Reach, site: Site, actor: Actor, *, up_to: int
) -> list[int]:
    """Clear (清除): put the next of the wanted records in scope into the recycle bin; their ids, [] at the end.

    The caller has the typed confirmation and the backup workbook, and calls again until nothing is left. ``up_to``:
    see ``newest_id``.
    """
    with write(crm) as connection:
        query, given = select_ids(replace(wanted, up_to=up_to), reach, site, _CLEARED_AT_ONCE)
        keys = [int(row[0]) for row in connection.execute(query, given).fetchall()]
        if keys:
            _put_away(connection, keys, actor)
            audit.append(connection, actor, "communication.clear", "", {"count": len(keys), "ids": keys})
    return keys


def _keys(ids: Sequence[str]) -> list[int]:
    keys = sorted({key_of(one) for one in ids})
    if not 1 <= len(keys) <= MOST_AT_ONCE:
        raise Invalid("too_many_at_once", f"choose 1 to {MOST_AT_ONCE} records")
    return keys


def _owners(
    connection: sqlite3.Connection, source: str, keys: Sequence[int], scope: RecordScope, more: str = ""
) -> dict[int, str]:
    """The owners of records in scope. Raises NotFound unless all are there."""
    condition, given = scope.sql("owner")
    rows = connection.execute(
        f"SELECT id, owner FROM {source} WHERE id IN ({','.join('?' * len(keys))}) AND {condition}{more}",
        (*keys, *given),
    ).fetchall()
    if len(rows) != len(keys):
        raise NotFound("there is no such communication record")
    return {row[0]: row[1] for row in rows}


def _put_away(connection: sqlite3.Connection, keys: Sequence[int], actor: Actor) -> None:
    at_ms = now_ms()
    connection.executemany(
        "UPDATE communications SET deleted_ms = ?, deleted_by = ? WHERE id = ?",
        [(at_ms, actor.staff_no, key) for key in keys],
    )


def _unprotected(connection: sqlite3.Connection, keys: Sequence[int], site: Site) -> list[int]:
    """Those that no standing hold on the customer, on a number of customer or record, or on the call protects."""
    holds = connection.execute(
        "SELECT kind, subject FROM holds WHERE released_ms IS NULL AND kind IN ('customer', 'number', 'call')"
    ).fetchall()
    held = {(kind, match_key(subject or "", site) if kind == "number" else subject) for kind, subject in holds}
    if not held:
        return list(keys)
    free: list[int] = []
    for key in keys:
        row = connection.execute(
            "SELECT customer_id, match_key, call_id FROM communications WHERE id = ?", (key,)
        ).fetchone()
        numbers = connection.execute("SELECT match_key FROM customer_phones WHERE customer_id = ?", (row[0],))
        about = {("customer", str(row[0])), ("number", row[1]), ("call", row[2]), *(("number", n[0]) for n in numbers)}
        if not about & held:
            free.append(key)
    return free
