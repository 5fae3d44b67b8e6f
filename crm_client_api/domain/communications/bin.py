"""The recycle bin (回收站) of communication records: until restored, purged, or out of date (see ``recycling``)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import sqlite_utils

from crm_client_api.domain.audit import BOX, Actor
from crm_client_api.domain.communications.changes import tell_changed
from crm_client_api.domain.communications.filters import Filter, Reach
from crm_client_api.domain.communications.finding import LOOK_AHEAD, find, still_wanted
from crm_client_api.domain.communications.record import key_of
from crm_client_api.domain.recycling import BackedUp, Held, RecycleBin
from crm_client_api.domain.scope import RecordScope
from crm_client_api.domain.standing_holds import RECORD_COLUMNS, StandingHolds
from firmware.errors import NotFound, Refused
from firmware.store.connection import write
from recorder.numbers import Site

_CLEARED_AT_ONCE = _PURGED_AT_ONCE = 150
_BINNED = " AND deleted_ms IS NOT NULL"
_BIN = RecycleBin("communications", "communication")
_MOST_TOLD = 20  # of more at once, nobody is told one by one


def delete_many(crm: sqlite_utils.Database, ids: Sequence[str], actor: Actor, scope: RecordScope) -> int:
    """Put records into the recycle bin, all or none; how many. Raises NotFound when one is not there, Invalid."""
    keys = _BIN.keys(ids, key_of)
    with write(crm) as connection:
        owners = _owners(connection, "living_communications", keys, scope)
        _BIN.put_in(connection, keys, actor)
        _BIN.note(connection, keys, actor, "delete")
        _tell(crm, connection, owners, "deleted")
    return len(keys)


def restore_many(crm: sqlite_utils.Database, ids: Sequence[str], actor: Actor, scope: RecordScope) -> int:
    """Take records out of the recycle bin, all or none; how many.

    Raises NotFound, Invalid; Refused: a record's customer is in the bin itself.
    """
    keys = _BIN.keys(ids, key_of)
    with write(crm) as connection:
        owners = _owners(connection, "communications", keys, scope, _BINNED)
        _BIN.take_out(connection, keys)
        living = connection.execute(
            f"SELECT count(*) FROM living_communications WHERE id IN ({','.join('?' * len(keys))})", keys
        ).fetchone()[0]
        if living != len(keys):
            raise Refused("the customer of a record is not there: restore the customer first")
        _BIN.note(connection, keys, actor, "restore")
        _tell(crm, connection, owners, "restored")
    return len(keys)


def purge_many(crm: sqlite_utils.Database, ids: Sequence[str], actor: Actor, scope: RecordScope, site: Site) -> int:
    """Remove records from the recycle bin for good, in short transactions; how many.

    None unless all may go when it begins; of many, what somebody restores or holds before its turn stays. That only a
    super operator may is the caller's to check. Raises NotFound, Invalid; Held: a hold protects one.
    """
    keys = _BIN.keys(ids, key_of)
    _owners(crm.conn, "communications", keys, scope, _BINNED)
    if len(_unprotected(crm.conn, keys, site)) != len(keys):
        raise Held("a hold protects a record")
    purged = 0
    for first in range(0, len(keys), _PURGED_AT_ONCE):
        with write(crm) as connection:
            still = _found(connection, "communications", keys[first : first + _PURGED_AT_ONCE], scope, _BINNED)
            going = _unprotected(connection, sorted(still), site)
            _purge(connection, going, actor)
        purged += len(going)
    return purged


def purge_old(crm: sqlite_utils.Database, before_ms: int, site: Site) -> int:
    """Remove for good what was deleted before that time, in short transactions; how many. Holds stop it."""
    purged = 0
    for keys in _BIN.old(crm, before_ms):
        with write(crm) as connection:
            going = _unprotected(connection, _BIN.still_old(connection, keys, before_ms), site)
            _purge(connection, going, Actor(BOX))
            purged += len(going)
    return purged


def _purge(connection: sqlite3.Connection, keys: Sequence[int], actor: Actor) -> None:
    connection.executemany("DELETE FROM communications WHERE id = ?", [(key,) for key in keys])
    _BIN.note(connection, keys, actor, "purge")


def clear(
    crm: sqlite_utils.Database, wanted: Filter, reach: Reach, site: Site, actor: Actor, backed_up: BackedUp
) -> Iterator[list[int]]:
    """Clear (清除): put the wanted records in scope that a backup holds into the recycle bin, newest first.

    Yields the ids of each transaction, [] where some were looked at in vain.

    Nothing is looked at twice, and the write lock is not held while it is looked for. The caller has the typed
    confirmation.
    """
    wanted, more = replace(wanted, up_to=backed_up.highest), True
    while more:
        found = find(crm.conn, wanted, reach, site, LOOK_AHEAD, LOOK_AHEAD)
        chosen = backed_up.among(found.ids)
        if not chosen:
            yield []
        for first in range(0, len(chosen), _CLEARED_AT_ONCE):
            with write(crm) as connection:
                keys = still_wanted(connection, chosen[first : first + _CLEARED_AT_ONCE], wanted, reach, site)
                if keys:
                    _BIN.put_in(connection, keys, actor)
                    _BIN.note_cleared(connection, keys, actor)
            yield keys
        wanted, more = replace(wanted, before=found.next), found.next is not None


def _owners(
    connection: sqlite3.Connection, source: str, keys: Sequence[int], scope: RecordScope, more: str = ""
) -> dict[int, str]:
    """The owners of records in scope. Raises NotFound unless all are there."""
    found = _found(connection, source, keys, scope, more)
    if len(found) != len(keys):
        raise NotFound("there is no such communication record")
    return found


def _found(
    connection: sqlite3.Connection, source: str, keys: Sequence[int], scope: RecordScope, more: str
) -> dict[int, str]:
    """The owners of those of the records that are there and in scope."""
    condition, given = scope.sql("owner")
    rows = connection.execute(
        f"SELECT id, owner FROM {source} WHERE id IN ({','.join('?' * len(keys))}) AND {condition}{more}",
        (*keys, *given),
    )
    return {row[0]: row[1] for row in rows}


def _tell(crm: sqlite_utils.Database, connection: sqlite3.Connection, owners: Mapping[int, str], what: str) -> None:
    if len(owners) <= _MOST_TOLD:
        for key, owner in owners.items():
            tell_changed(crm, connection, key, owner, what)


def _unprotected(connection: sqlite3.Connection, keys: Sequence[int], site: Site) -> list[int]:
    """Those that no standing hold protects: on customer, number of customer or record, call, or time."""
    holds = StandingHolds(connection, site)
    rows = connection.execute(
        f"SELECT id, {RECORD_COLUMNS} FROM communications WHERE id IN ({','.join('?' * len(keys))})", tuple(keys)
    ).fetchall()
    kept = {row["id"] for row in rows if holds.over_record(row) is not None}
    return [key for key in keys if key not in kept]
