"""What operators are told when customers change: which ones and what was done, never what stands in them."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping
from typing import Literal

import sqlite_utils

from crm_client_api.domain import office_events
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.scope import RecordScope, customer_scope
from crm_client_api.domain.witnesses import who_sees_records

EVENT = "customer_changed"
"""``id`` of the customer, None for many at once, and ``what`` was done; ``owners``: whose it is, and was before."""
MOST_TOLD = 20
"""Of more customers at once, nobody is told one by one."""

What = Literal["added", "changed", "merged", "deleted", "restored", "handed_over", "imported", "group_changed"]


def tell(
    crm: sqlite_utils.Database, connection: sqlite3.Connection, what: What, owners: Mapping[int, Collection[str]]
) -> None:
    """Tell whoever has, or had, one of these customers in scope, inside the caller's write transaction.

    ``owners``: by customer whose it is now and was before.
    """
    everybody = {owner for some in owners.values() for owner in some}
    if len(owners) > MOST_TOLD:
        tell_many(crm, connection, what, everybody)
    elif owners:
        seen = who_sees_records(crm, customer_scope, Permission.CUSTOMER_MANAGE, everybody)
        for key, some in owners.items():
            data = {"id": str(key), "what": what, "owners": sorted(set(some))}
            office_events.tell(connection, EVENT, data, to={one for owner in some for one in seen[owner]})


def tell_many(crm: sqlite_utils.Database, connection: sqlite3.Connection, what: What, owners: Collection[str]) -> None:
    """The same of many customers: that there is something new among those of these owners."""
    if owners:
        tell_those(connection, what, who_sees_any(crm, owners))


def tell_within(
    crm: sqlite_utils.Database, connection: sqlite3.Connection, what: What, scope: RecordScope, staff_no: str
) -> None:
    """The same of many customers in somebody's scope."""
    condition, given = scope.sql("staff_no")
    owners = {row[0] for row in connection.execute(f"SELECT staff_no FROM staff WHERE {condition}", given)}
    tell_many(crm, connection, what, owners | {staff_no})


def tell_those(connection: sqlite3.Connection, what: What, to: Iterable[str]) -> None:
    """Tell these operators that there is something new among many customers, inside the caller's transaction."""
    office_events.tell(connection, EVENT, {"id": None, "what": what, "owners": []}, to=to)


def who_sees_any(crm: sqlite_utils.Database, owners: Collection[str]) -> set[str]:
    """Everybody who has customers of any of these owners in scope."""
    seen = who_sees_records(crm, customer_scope, Permission.CUSTOMER_MANAGE, owners)
    return {one for some in seen.values() for one in some}


def owners_of(connection: sqlite3.Connection, keys: Collection[int]) -> dict[int, tuple[str]]:
    """Whose these customers are, for ``tell``."""
    rows = connection.execute(
        f"SELECT id, owner FROM customers WHERE id IN ({','.join('?' * len(keys))})", tuple(keys)
    ).fetchall()
    return {row[0]: (row[1],) for row in rows}
