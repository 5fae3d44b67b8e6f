"""The recycle bin (回收站) of customers: until they are restored, purged, or out of date (see ``recycling``)."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import sqlite_utils

from crm_client_api.domain.audit import BOX, Actor
from crm_client_api.domain.customers import index, news
from crm_client_api.domain.customers.read import COLUMNS, customers_of, find_customer, ids_in_scope, row_id
from crm_client_api.domain.customers.record import Customer
from crm_client_api.domain.customers.search import Filter, wanted_ids
from crm_client_api.domain.numbers import Site
from crm_client_api.domain.recycling import PURGED_AT_ONCE, RecycleBin, StandingHolds
from crm_client_api.domain.scope import RecordScope
from firmware.errors import BadInput, NotFound, Refused
from firmware.store.connection import write

_CLEARED_AT_ONCE = 100
_BIN = RecycleBin("customers", "customer")
_IN_BIN = (
    "c.deleted_ms IS NOT NULL AND c.merged_into IS NULL AND (c.import_id IS NULL OR c.import_id NOT IN unpublished)"
)


@dataclass(frozen=True, slots=True)
class Binned:
    """A customer in the recycle bin. Times are Unix ms UTC."""

    customer: Customer
    deleted_ms: int
    deleted_by: str


def delete_customer(crm: sqlite_utils.Database, customer_id: str, actor: Actor, scope: RecordScope) -> None:
    """Put a customer into the recycle bin. Raises NotFound."""
    with write(crm) as connection:
        key = int(find_customer(connection, row_id(customer_id), scope).id)
        _BIN.put_in(connection, [key], actor)
        index.remove(connection, key)
        _BIN.note(connection, [key], actor, "delete")
        news.tell(crm, connection, "deleted", news.owners_of(connection, [key]))


def delete_many(crm: sqlite_utils.Database, ids: Sequence[str], actor: Actor, scope: RecordScope) -> int:
    """Put customers into the recycle bin, all or none; how many. Raises NotFound when one is not there, Invalid."""
    keys = keys_of(ids)
    with write(crm) as connection:
        if ids_in_scope(connection, keys, scope) != set(keys):
            raise NotFound("there is no such customer")
        _BIN.put_in(connection, keys, actor)
        _BIN.note(connection, keys, actor, "delete")
        news.tell(crm, connection, "deleted", news.owners_of(connection, keys))
    index.renew_soon(crm, keys)
    return len(keys)


def keys_of(ids: Sequence[str]) -> list[int]:
    """Raises NotFound for what cannot be an id, Invalid for too many or none."""
    return _BIN.keys(ids, row_id)


def newest_id(crm: sqlite_utils.Database) -> int:
    """The id up to which a clearing goes: whoever is added while it runs stays."""
    return _BIN.newest_id(crm)


def clear_batch(
    crm: sqlite_utils.Database, wanted: Filter, scope: RecordScope, site: Site, actor: Actor, *, up_to: int
) -> list[int]:
    """Clear (清除): put the next of the wanted customers in scope into the recycle bin; their ids, [] at the end.

    The caller has the typed confirmation and the backup workbook, and calls again until nothing is left. ``up_to``:
    see ``newest_id``.
    """
    with write(crm) as connection:
        keys = wanted_ids(crm, wanted, scope, site, limit=_CLEARED_AT_ONCE, below=up_to + 1)
        if not keys:
            return []
        _BIN.put_in(connection, keys, actor)
        for key in keys:
            index.remove(connection, key)
        _BIN.note_cleared(connection, keys, actor)
    return keys


def list_bin(
    crm: sqlite_utils.Database, scope: RecordScope, *, limit: int = 50, after: str | None = None
) -> tuple[list[Binned], str | None]:
    """The recycle bin in scope, what was deleted last first, and the next ``after``. Raises BadInput."""
    own = scope.staff_no is not None
    condition, arguments = scope.sql("c.owner" if own else "+c.owner")
    order = "customers_binned" if own else "customers_deleted"
    beyond: tuple[int, int] = (1 << 62, 1 << 62)
    if after is not None:
        deleted_ms, _, key = after.partition("-")
        if not all(part.isascii() and part.isdigit() and len(part) < 18 for part in (deleted_ms, key)):
            raise BadInput("'after' is the 'next' of the page before")
        beyond = int(deleted_ms), int(key)
    rows = crm.conn.execute(
        f"SELECT {COLUMNS}, c.deleted_ms, c.deleted_by FROM customers c INDEXED BY {order}"
        f" WHERE {_IN_BIN} AND {condition} AND (c.deleted_ms, c.id) < (?, ?)"
        " ORDER BY c.deleted_ms DESC, c.id DESC LIMIT ?",
        (*arguments, *beyond, limit + 1),
    ).fetchall()
    shown = rows[:limit]
    found = [
        Binned(customer, row["deleted_ms"], row["deleted_by"] or "")
        for customer, row in zip(customers_of(crm.conn, shown), shown, strict=True)
    ]
    return found, f"{shown[-1]['deleted_ms']}-{shown[-1]['id']}" if len(rows) > limit else None


def _binned(connection: sqlite3.Connection, keys: Sequence[int], scope: RecordScope) -> None:
    """Raises NotFound unless all are in the recycle bin and in scope."""
    condition, arguments = scope.sql("c.owner")
    found = connection.execute(
        f"SELECT count(*) FROM customers c WHERE {_IN_BIN} AND {condition} AND c.id IN ({','.join('?' * len(keys))})",
        (*arguments, *keys),
    ).fetchone()[0]
    if found != len(keys):
        raise NotFound("there is no such customer in the recycle bin")


def restore_many(crm: sqlite_utils.Database, ids: Sequence[str], actor: Actor, scope: RecordScope) -> int:
    """Take customers out of the recycle bin, all or none; how many. Raises NotFound, Invalid."""
    keys = keys_of(ids)
    with write(crm) as connection:
        _binned(connection, keys, scope)
        _BIN.take_out(connection, keys)
        _BIN.note(connection, keys, actor, "restore")
        news.tell(crm, connection, "restored", news.owners_of(connection, keys))
    index.renew_soon(crm, keys)
    return len(keys)


def purge_many(crm: sqlite_utils.Database, ids: Sequence[str], actor: Actor, scope: RecordScope, site: Site) -> int:
    """Remove customers from the recycle bin for good, with their communication records and tasks, all or none.

    That only a super operator may is the caller's to check. Raises NotFound, Invalid, Refused (a hold protects one).
    """
    keys = keys_of(ids)
    with write(crm) as connection:
        _binned(connection, keys, scope)
        holds = StandingHolds(connection, site)
        protected = [key for key in keys if holds.protect(key)]
        if protected:
            raise Refused(f"a hold protects customer {protected[0]}")
    for first in range(0, len(keys), PURGED_AT_ONCE):
        with write(crm) as connection:
            _purge(connection, keys[first : first + PURGED_AT_ONCE], actor, site)
    return len(keys)


def purge_old(crm: sqlite_utils.Database, before_ms: int, site: Site) -> int:
    """Remove for good what was deleted or merged before that time, in short transactions; how many. Holds stop it."""
    purged = 0
    for keys in _BIN.old(crm, before_ms):
        with write(crm) as connection:
            purged += _purge(connection, keys, Actor(BOX), site)
    return purged


def _purge(connection: sqlite3.Connection, keys: Sequence[int], actor: Actor, site: Site) -> int:
    """A hold may have come since somebody looked."""
    holds = StandingHolds(connection, site)
    going = [key for key in keys if not holds.protect(key)]
    for key in going:
        forget(connection, key)
    _BIN.note(connection, going, actor, "purge")
    return len(going)


def forget(connection: sqlite3.Connection, key: int) -> None:
    """Delete a customer's row and all that hangs on it, inside the caller's transaction; nothing is audited."""
    index.remove(connection, key)
    connection.execute("DELETE FROM customer_merges WHERE kept_id = ? OR merged_id = ?", (key, key))
    connection.execute("DELETE FROM customers WHERE id = ?", (key,))
    connection.execute("DELETE FROM customer_stale WHERE customer_id = ?", (key,))  # noted as the numbers went
