"""The recycle bin (回收站) of customers: until they are restored, purged, or out of date (see ``recycling``)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import BOX, Actor
from crm_client_api.domain.customers import index, news
from crm_client_api.domain.customers.purged_tasks import TasksOfPurged, part_with
from crm_client_api.domain.customers.read import COLUMNS, customers_of, find_customer, ids_in_scope, row_id
from crm_client_api.domain.customers.record import Customer
from crm_client_api.domain.customers.search import Filter, look_for_ids, still_wanted
from crm_client_api.domain.recycling import PURGED_AT_ONCE, BackedUp, Held, RecycleBin
from crm_client_api.domain.scope import RecordScope, communication_scope
from crm_client_api.domain.staff.people import last_appointment
from crm_client_api.domain.standing_holds import RECORD_COLUMNS, StandingHolds
from firmware.errors import BadInput, NotFound
from firmware.store.connection import write
from recorder.numbers import Site

_CLEARED_AT_ONCE = 40
_LOOKED_FOR_AT_ONCE = 2_000
_RECORDS_AT_ONCE = 150
_Still = Callable[[sqlite3.Connection, Sequence[int]], list[int]]
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


@dataclass(frozen=True, slots=True)
class Purged:
    """How many customers were removed for good, and what became of their tasks."""

    count: int = 0
    tasks: TasksOfPurged = field(default_factory=TasksOfPurged)

    def __add__(self, other: Purged) -> Purged:
        return Purged(self.count + other.count, self.tasks + other.tasks)


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


def clear(
    crm: sqlite_utils.Database, wanted: Filter, scope: RecordScope, site: Site, actor: Actor, backed_up: BackedUp
) -> Iterator[list[int]]:
    """Clear (清除): put the wanted customers in scope that a backup holds into the recycle bin, highest id first.

    Yields the ids of each transaction, [] where some were looked at in vain. The write lock is not held while they are
    looked for. The caller has the typed confirmation.
    """
    below: int | None = backed_up.highest + 1
    while below is not None:
        found, below = look_for_ids(crm, wanted, scope, site, limit=_LOOKED_FOR_AT_ONCE, below=below)
        chosen = backed_up.among(found)
        if not chosen:
            yield []
        for first in range(0, len(chosen), _CLEARED_AT_ONCE):
            with write(crm) as connection:
                keys = still_wanted(connection, chosen[first : first + _CLEARED_AT_ONCE], wanted, scope, site)
                if keys:
                    _BIN.put_in(connection, keys, actor)
                    for key in keys:
                        index.remove(connection, key)
                    _BIN.note_cleared(connection, keys, actor)
                    news.tell(crm, connection, "deleted", news.owners_of(connection, keys))
            yield keys


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


def _binned(connection: sqlite3.Connection, keys: Sequence[int], scope: RecordScope) -> list[int]:
    """Of these, those that are in the recycle bin and in scope."""
    condition, arguments = scope.sql("c.owner")
    rows = connection.execute(
        f"SELECT c.id FROM customers c WHERE {_IN_BIN} AND {condition} AND c.id IN ({','.join('?' * len(keys))})"
        " ORDER BY c.id",
        (*arguments, *keys),
    )
    return [row[0] for row in rows]


def _require_binned(connection: sqlite3.Connection, keys: Sequence[int], scope: RecordScope) -> None:
    """Raises NotFound unless all are in the recycle bin and in scope."""
    if len(_binned(connection, keys, scope)) != len(keys):
        raise NotFound("there is no such customer in the recycle bin")


def restore_many(crm: sqlite_utils.Database, ids: Sequence[str], actor: Actor, scope: RecordScope) -> int:
    """Take customers out of the recycle bin, all or none; how many. Raises NotFound, Invalid."""
    keys = keys_of(ids)
    with write(crm) as connection:
        _require_binned(connection, keys, scope)
        _BIN.take_out(connection, keys)
        _BIN.note(connection, keys, actor, "restore")
        news.tell(crm, connection, "restored", news.owners_of(connection, keys))
    index.renew_soon(crm, keys)
    return len(keys)


def purge_many(crm: sqlite_utils.Database, ids: Sequence[str], actor: Actor, scope: RecordScope, site: Site) -> Purged:
    """Remove customers from the recycle bin for good, with their communication records; how many, and of tasks.

    None unless all may go when it begins; of many, what somebody restores or holds before its turn stays. That only a
    super operator may is the caller's to check. Raises NotFound, Invalid, Held (a hold protects one).
    """
    keys = keys_of(ids)
    _require_binned(crm.conn, keys, scope)
    holds = StandingHolds(crm.conn, site)
    protected = next((key for key in keys if holds.over_customer_with_records(key) is not None), None)
    if protected is not None:
        raise Held(f"a hold protects customer {protected}")
    return _purge_in_turn(crm, keys, lambda connection, some: _binned(connection, some, scope), actor, site)


def purge_old(crm: sqlite_utils.Database, before_ms: int, site: Site) -> int:
    """Remove for good what was deleted or merged before that time, in short transactions; how many.

    Holds stop it, and communication records that whoever deleted the customer could not see: a super operator decides.
    """

    def still(connection: sqlite3.Connection, keys: Sequence[int]) -> list[int]:
        return [key for key in _BIN.still_old(connection, keys, before_ms) if not _hides(connection, key)]

    purged = 0
    for keys in _BIN.old(crm, before_ms):
        holds = StandingHolds(crm.conn, site)
        going = [key for key in still(crm.conn, keys) if holds.over_customer_with_records(key) is None]
        purged += _purge_in_turn(crm, going, still, Actor(BOX), site).count
    return purged


def _purge_in_turn(crm: sqlite_utils.Database, keys: Sequence[int], still: _Still, actor: Actor, site: Site) -> Purged:
    """In short transactions, as far as they are ``still`` there. Of whom there are very many records, some go first;
    when somebody restores the customer or holds one meanwhile, customer and rest stay."""
    purged = Purged()
    for some in _turns(crm.conn, keys):
        if len(some) > 1 or _thin_out(crm, some[0], still, actor, site):
            with write(crm) as connection:
                purged += _purge(connection, still(connection, some), actor, site)
    return purged


def _turns(connection: sqlite3.Connection, keys: Sequence[int]) -> Iterator[list[int]]:
    """So many customers together as have not too many records for one transaction, or one who has."""
    rows = connection.execute(
        f"SELECT customer_id, count(*) FROM communications WHERE customer_id IN ({','.join('?' * len(keys))})"
        " GROUP BY customer_id",
        tuple(keys),
    )
    records: dict[int, int] = {row[0]: row[1] for row in rows}
    turn: list[int] = []
    together = 0
    for key in keys:
        own = records.get(key, 0)
        if turn and (len(turn) == PURGED_AT_ONCE or together + own > _RECORDS_AT_ONCE):
            yield turn
            turn, together = [], 0
        turn.append(key)
        together += own
    if turn:
        yield turn


def _thin_out(crm: sqlite_utils.Database, key: int, still: _Still, actor: Actor, site: Site) -> bool:
    """Remove a customer's records until one transaction can take the rest; False: it must not go on."""
    deleted_ms = _deleted_ms(crm.conn, key)
    if not still(crm.conn, [key]):
        return False
    while True:
        with write(crm) as connection:
            rows = connection.execute(
                f"SELECT id, {RECORD_COLUMNS} FROM communications WHERE customer_id = ? ORDER BY at_ms LIMIT ?",
                (key, _RECORDS_AT_ONCE + 1),
            ).fetchall()
            if len(rows) <= _RECORDS_AT_ONCE:
                return True
            holds, going = StandingHolds(connection, site), rows[:_RECORDS_AT_ONCE]
            again = _deleted_ms(connection, key) != deleted_ms
            if again or any(holds.over_record(row) is not None for row in going):
                return False
            ids = [int(row["id"]) for row in going]
            connection.executemany("DELETE FROM communications WHERE id = ?", [(one,) for one in ids])
            audit.append(connection, actor, "communication.purge", "", {"count": len(ids), "ids": ids})


def _purge(connection: sqlite3.Connection, keys: Sequence[int], actor: Actor, site: Site) -> Purged:
    """A hold may have come since somebody looked."""
    holds = StandingHolds(connection, site)
    going = [key for key in keys if holds.over_customer_with_records(key) is None]
    tasks = TasksOfPurged()
    for key in going:
        tasks += part_with(connection, key, actor)
        forget(connection, key)
    _BIN.note(connection, going, actor, "purge")
    return Purged(len(going), tasks)


def _hides(connection: sqlite3.Connection, key: int) -> bool:
    """Whether a deleted customer has records, not deleted themselves, out of scope of whoever deleted it."""
    deleter = last_appointment(connection, _deleted_by(connection, key))
    seen, arguments = ("0", ()) if deleter is None else communication_scope(deleter.viewer).sql("owner")
    row = connection.execute(
        f"SELECT 1 FROM communications WHERE customer_id = ? AND deleted_ms IS NULL AND NOT ({seen}) LIMIT 1",
        (key, *arguments),
    ).fetchone()
    return row is not None


def _deleted_by(connection: sqlite3.Connection, key: int) -> str:
    return str(connection.execute("SELECT deleted_by FROM customers WHERE id = ?", (key,)).fetchone()[0])


def _deleted_ms(connection: sqlite3.Connection, key: int) -> int | None:
    """Also None when the customer is gone."""
    row = connection.execute("SELECT deleted_ms FROM customers WHERE id = ?", (key,)).fetchone()
    return None if row is None else row[0]


def forget(connection: sqlite3.Connection, key: int) -> None:
    """Delete a customer's row and all that hangs on it, tasks too, in the caller's transaction; nothing is audited."""
    index.remove(connection, key)
    connection.execute("DELETE FROM customer_merges WHERE kept_id = ? OR merged_id = ?", (key, key))
    connection.execute("DELETE FROM customers WHERE id = ?", (key,))
    connection.execute("DELETE FROM customer_stale WHERE customer_id = ?", (key,))  # noted as the numbers went
