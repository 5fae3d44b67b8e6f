"""The recycle bin (回收站): customers that were deleted or cleared, until they are restored, purged, or out of date.

Whoever could see a customer may restore it. Nothing that a hold protects is purged.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import BOX, Actor
from crm_client_api.domain.customers import index
from crm_client_api.domain.customers.read import COLUMNS, customers_of, find_customer, ids_in_scope, row_id
from crm_client_api.domain.customers.record import Customer
from crm_client_api.domain.customers.search import Filter, wanted_ids
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.numbers import Site, match_key
from crm_client_api.domain.scope import RecordScope
from firmware.clock import now_ms
from firmware.errors import BadInput, NotFound, Refused
from firmware.parameters import get_all
from firmware.store.connection import write

MOST_AT_ONCE = 500
"""Customers that one request deletes, restores or changes, all or none of them."""
_DAY_MS = 86_400_000
_CLEARED_AT_ONCE = 100
_PURGED_AT_ONCE = 50
_IN_BIN = (
    "c.deleted_ms IS NOT NULL AND c.merged_into IS NULL AND (c.import_id IS NULL OR c.import_id NOT IN unpublished)"
)


@dataclass(frozen=True, slots=True)
class Binned:
    """A customer in the recycle bin. Times are Unix ms UTC."""

    customer: Customer
    deleted_ms: int
    deleted_by: str


def kept_ms(crm: sqlite_utils.Database) -> int:
    """How long what was deleted can be restored."""
    days = get_all(crm, "system")["recycle_bin_days"]
    return (days if isinstance(days, int) else 30) * _DAY_MS


def delete_customer(crm: sqlite_utils.Database, customer_id: str, actor: Actor, scope: RecordScope) -> None:
    """Put a customer into the recycle bin. Raises NotFound."""
    with write(crm) as connection:
        key = int(find_customer(connection, row_id(customer_id), scope).id)
        _put_away(connection, [key], actor)
        index.remove(connection, key)
        audit.append(connection, actor, "customer.delete", str(key))


def delete_many(crm: sqlite_utils.Database, ids: Sequence[str], actor: Actor, scope: RecordScope) -> int:
    """Put customers into the recycle bin, all or none; how many. Raises NotFound when one is not there, Invalid."""
    keys = keys_of(ids)
    with write(crm) as connection:
        if ids_in_scope(connection, keys, scope) != set(keys):
            raise NotFound("there is no such customer")
        _put_away(connection, keys, actor)
        for key in keys:
            audit.append(connection, actor, "customer.delete", str(key))
    index.renew_soon(crm, keys)
    return len(keys)


def keys_of(ids: Sequence[str]) -> list[int]:
    """Raises NotFound for what cannot be an id, Invalid for too many or none."""
    keys = sorted({row_id(one) for one in ids})
    if not 1 <= len(keys) <= MOST_AT_ONCE:
        raise Invalid("too_many_at_once", f"choose 1 to {MOST_AT_ONCE} customers")
    return keys


def _put_away(connection: sqlite3.Connection, keys: Sequence[int], actor: Actor) -> None:
    at_ms = now_ms()
    connection.executemany(
        "UPDATE customers SET deleted_ms = ?, deleted_by = ? WHERE id = ?",
        [(at_ms, actor.staff_no, key) for key in keys],
    )


def newest_id(crm: sqlite_utils.Database) -> int:
    """The id up to which a clearing goes: whoever is added while it runs stays."""
    return int(crm.conn.execute("SELECT coalesce(max(id), 0) FROM customers").fetchone()[0])


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
        _put_away(connection, keys, actor)
        for key in keys:
            index.remove(connection, key)
        audit.append(connection, actor, "customer.clear", "", {"count": len(keys), "ids": keys})
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
        for key in keys:
            connection.execute("UPDATE customers SET deleted_ms = NULL, deleted_by = NULL WHERE id = ?", (key,))
            audit.append(connection, actor, "customer.restore", str(key))
    index.renew_soon(crm, keys)
    return len(keys)


def purge_many(crm: sqlite_utils.Database, ids: Sequence[str], actor: Actor, scope: RecordScope, site: Site) -> int:
    """Remove customers from the recycle bin for good, with their communication records and tasks, all or none.

    That only a super operator may is the caller's to check. Raises NotFound, Invalid, Refused (a hold protects one).
    """
    keys = keys_of(ids)
    with write(crm) as connection:
        _binned(connection, keys, scope)
        holds = Holds(connection, site)
        protected = [key for key in keys if holds.protect(key)]
        if protected:
            raise Refused(f"a hold protects customer {protected[0]}")
    for first in range(0, len(keys), _PURGED_AT_ONCE):
        with write(crm) as connection:
            _purge(connection, keys[first : first + _PURGED_AT_ONCE], actor, site)
    return len(keys)


def purge_old(crm: sqlite_utils.Database, before_ms: int, site: Site) -> int:
    """Remove for good what was deleted or merged before that time, in short transactions; how many. Holds stop it."""
    purged, beyond = 0, (0, 0)
    while True:
        rows = crm.conn.execute(
            "SELECT deleted_ms, id FROM customers WHERE deleted_ms IS NOT NULL AND deleted_ms < ?"
            " AND (deleted_ms, id) > (?, ?) ORDER BY deleted_ms, id LIMIT ?",
            (before_ms, *beyond, _PURGED_AT_ONCE),
        ).fetchall()
        if not rows:
            return purged
        beyond = tuple(rows[-1])
        with write(crm) as connection:
            purged += _purge(connection, [row[1] for row in rows], Actor(BOX), site)


def _purge(connection: sqlite3.Connection, keys: Sequence[int], actor: Actor, site: Site) -> int:
    """A hold may have come since somebody looked."""
    holds = Holds(connection, site)
    going = [key for key in keys if not holds.protect(key)]
    for key in going:
        forget(connection, key)
        audit.append(connection, actor, "customer.purge", str(key))
    return len(going)


def forget(connection: sqlite3.Connection, key: int) -> None:
    """Delete a customer's row and all that hangs on it, inside the caller's transaction; nothing is audited."""
    index.remove(connection, key)
    connection.execute("DELETE FROM customer_merges WHERE kept_id = ? OR merged_id = ?", (key, key))
    connection.execute("DELETE FROM customers WHERE id = ?", (key,))
    connection.execute("DELETE FROM customer_stale WHERE customer_id = ?", (key,))  # noted as the numbers went


class Holds:
    """The standing holds on customers: a customer's own, or one on one of its numbers."""

    def __init__(self, connection: sqlite3.Connection, site: Site) -> None:
        rows = connection.execute(
            "SELECT kind, subject FROM holds WHERE released_ms IS NULL AND kind IN ('customer', 'number')"
        ).fetchall()
        self._connection = connection
        self._customers = {subject for kind, subject in rows if kind == "customer"}
        self._keys = {match_key(subject or "", site) for kind, subject in rows if kind == "number"}

    def protect(self, key: int) -> bool:
        """Whether customer ``key`` stays."""
        if str(key) in self._customers:
            return True
        numbers = self._connection.execute("SELECT match_key FROM customer_phones WHERE customer_id = ?", (key,))
        return bool(self._keys) and any(row[0] in self._keys for row in numbers)
