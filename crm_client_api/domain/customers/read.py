"""Reads customers: one, by id or number, whole. Scope is in the SQL."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec
import sqlite_utils

from crm_client_api.domain.customers.record import TEXTS, Customer, CustomValue, Match, Phone
from crm_client_api.domain.number_sites import older_keys
from crm_client_api.domain.scope import RecordScope
from firmware.errors import NotFound
from recorder.numbers import Site, match_key

COLUMNS = ", ".join(
    f"c.{name}" for name in ("id", *TEXTS, "next_contact_ms", "custom", "author", "owner", "created_ms", "changed_ms")
)
"""What ``customers_of`` needs, of a table or view that is called ``c``."""


def customers_of(connection: sqlite3.Connection, rows: Iterable[sqlite3.Row]) -> list[Customer]:
    """Rows with COLUMNS as customers, with their numbers and tags, in the same order."""
    found = list(rows)
    ids = [row["id"] for row in found]
    phones, tags = _phones(connection, ids), _tags(connection, ids)
    return [
        Customer(
            id=str(row["id"]),
            fields={name: row[name] for name in TEXTS},
            phones=tuple(phones[row["id"]]),
            author=row["author"],
            owner=row["owner"],
            created_ms=row["created_ms"],
            changed_ms=row["changed_ms"],
            next_contact_ms=row["next_contact_ms"],
            tags=tuple(tags[row["id"]]),
            custom=msgspec.json.decode(row["custom"], type=dict[int, CustomValue]),
        )
        for row in found
    ]


def _phones(connection: sqlite3.Connection, ids: Sequence[int]) -> dict[int, list[Phone]]:
    phones: dict[int, list[Phone]] = defaultdict(list)
    for row in connection.execute(
        "SELECT customer_id, label, number, kind, match_key FROM customer_phones"
        f" WHERE customer_id IN ({','.join('?' * len(ids))}) ORDER BY customer_id, position",
        ids,
    ):
        key = row["match_key"]
        e164 = key if key.startswith("+") else None
        phones[row["customer_id"]].append(Phone(row["label"], row["number"], row["kind"], e164))
    return phones


def _tags(connection: sqlite3.Connection, ids: Sequence[int]) -> dict[int, list[str]]:
    tags: dict[int, list[str]] = defaultdict(list)
    for customer_id, tag in connection.execute(
        f"SELECT customer_id, tag FROM customer_tags WHERE customer_id IN ({','.join('?' * len(ids))}) ORDER BY 1, 2",
        ids,
    ):
        tags[customer_id].append(tag)
    return tags


def row_id(customer_id: str) -> int:
    """Raises NotFound for what cannot be an id."""
    if not customer_id.isascii() or not customer_id.isdigit() or len(customer_id) > 18:
        raise NotFound("there is no such customer")
    return int(customer_id)


def get_customer(crm: sqlite_utils.Database, customer_id: str, scope: RecordScope) -> Customer:
    """Raises NotFound, also for one out of scope or in the recycle bin."""
    return find_customer(crm.conn, row_id(customer_id), scope)


def find_customer(connection: sqlite3.Connection, key: int, scope: RecordScope) -> Customer:
    """As ``get_customer``, inside the caller's transaction."""
    condition, arguments = scope.sql("c.owner")
    row = connection.execute(
        f"SELECT {COLUMNS} FROM living_customers c WHERE c.id = ? AND {condition}", (key, *arguments)
    ).fetchone()
    if row is None:
        raise NotFound("there is no such customer")
    return customers_of(connection, [row])[0]


def ids_in_scope(connection: sqlite3.Connection, keys: Sequence[int], scope: RecordScope) -> set[int]:
    """Which of these (at most 30,000) exist for who asks."""
    condition, arguments = scope.sql("c.owner")
    return {
        row[0]
        for row in connection.execute(
            f"SELECT c.id FROM living_customers c WHERE c.id IN ({','.join('?' * len(keys))}) AND {condition}",
            (*keys, *arguments),
        )
    }


def names_by_key(
    connection: sqlite3.Connection, keys: Sequence[str], scope: RecordScope
) -> dict[str, list[tuple[str, str, str]]]:
    """Id, name and company of the customers in scope with one of these keys (at most 30,000), oldest first."""
    condition, arguments = scope.sql("+c.owner")
    found: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for key, *name in connection.execute(
        "SELECT DISTINCT p.match_key, CAST(c.id AS TEXT), c.name, c.company FROM customer_phones p"
        f" CROSS JOIN living_customers c ON c.id = p.customer_id WHERE p.match_key IN ({','.join('?' * len(keys))})"
        f" AND {condition} ORDER BY c.id",
        (*keys, *arguments),
    ):
        found[key].append((name[0], name[1], name[2]))
    return found


def match_number(crm: sqlite_utils.Database, number: str, site: Site) -> list[Match]:
    """Everybody who has this number: any owner, any phone field, recycle bin excluded; oldest first."""
    key = match_key(number, site)
    if not key:
        return []
    older = sorted(older_keys(crm.conn, key, site))
    rows = crm.conn.execute(
        f"SELECT {COLUMNS}, (SELECT group_number FROM staff WHERE staff_no = c.owner) AS owner_group"
        " FROM living_customers c WHERE c.id IN (SELECT customer_id FROM customer_phones"
        f" WHERE match_key IN (?{', ?' * len(older)})) ORDER BY c.id",
        (key, *older),
    ).fetchall()
    found = customers_of(crm.conn, rows)
    return [
        Match(customer, row["owner_group"])
        for customer, row in zip(found, rows, strict=True)
        if not older or any(match_key(phone.number, site) == key for phone in customer.phones)
    ]
