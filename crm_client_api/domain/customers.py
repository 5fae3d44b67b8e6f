"""Customers: fields, any number of telephone numbers, author and owner, recycle bin. Scope is in the SQL."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.numbers import Site, match_key
from crm_client_api.domain.scope import RecordScope
from firmware.clock import now_ms
from firmware.errors import NotFound
from firmware.store.connection import write

FIELDS = ("name", "company", "title", "category", "level", "note")
_LONGEST = {"note": 10_000}
_LONGEST_FIELD_CHARACTERS = 200
_MOST_PHONES = 100
_COLUMNS = f"id, {', '.join(FIELDS)}, author, owner, created_ms, changed_ms"


@dataclass(frozen=True, slots=True)
class Phone:
    """A telephone number of a customer, as typed. ``e164`` is filled in by the store, None for short codes."""

    label: str
    number: str
    e164: str | None = None


@dataclass(frozen=True, slots=True)
class Customer:
    """A record of customer data. Times are Unix ms UTC."""

    id: str
    fields: Mapping[str, str]
    phones: tuple[Phone, ...]
    author: str
    owner: str
    created_ms: int
    changed_ms: int


@dataclass(frozen=True, slots=True)
class Match:
    """A customer who has a number, with what the pop-up rules ask about the owner."""

    customer: Customer
    owner_group: int | None


@dataclass(frozen=True, slots=True)
class Filter:
    """What to list. ``after`` is the id that the page before ended with; newest customers come first."""

    text: str = ""
    number: str = ""
    limit: int = 50
    after: int | None = None


def _customers(crm: sqlite_utils.Database, rows: Iterable[sqlite3.Row]) -> list[Customer]:
    found = list(rows)
    phones: dict[int, list[Phone]] = defaultdict(list)
    marks = ",".join("?" * len(found))
    for row in crm.conn.execute(
        f"SELECT * FROM customer_phones WHERE customer_id IN ({marks}) ORDER BY customer_id, position",
        [row["id"] for row in found],
    ):
        key = row["match_key"]
        phones[row["customer_id"]].append(Phone(row["label"], row["number"], key if key.startswith("+") else None))
    return [
        Customer(
            id=str(row["id"]),
            fields={name: row[name] for name in FIELDS},
            phones=tuple(phones[row["id"]]),
            author=row["author"],
            owner=row["owner"],
            created_ms=row["created_ms"],
            changed_ms=row["changed_ms"],
        )
        for row in found
    ]


def _key(customer_id: str) -> int:
    """Raises NotFound for what cannot be an id."""
    if not customer_id.isascii() or not customer_id.isdigit() or len(customer_id) > 18:
        raise NotFound("there is no such customer")
    return int(customer_id)


def get_customer(crm: sqlite_utils.Database, customer_id: str, scope: RecordScope) -> Customer:
    """Raises NotFound, also for one out of scope or in the recycle bin."""
    condition, arguments = scope.sql("owner")
    row = crm.conn.execute(
        f"SELECT {_COLUMNS} FROM customers WHERE id = ? AND deleted_ms IS NULL AND {condition}",
        (_key(customer_id), *arguments),
    ).fetchone()
    if row is None:
        raise NotFound("there is no such customer")
    return _customers(crm, [row])[0]


def list_customers(crm: sqlite_utils.Database, wanted: Filter, scope: RecordScope, site: Site) -> list[Customer]:
    """Customers in scope, newest first. Text is looked for in names, company and numbers."""
    condition, given = scope.sql("owner")
    conditions, arguments = ["deleted_ms IS NULL", condition], list(given)
    if wanted.after is not None:
        conditions.append("id < ?")
        arguments.append(wanted.after)
    if wanted.text:
        pattern = "%" + wanted.text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        conditions.append(
            "(name LIKE ? ESCAPE '\\' OR company LIKE ? ESCAPE '\\' OR id IN (SELECT customer_id FROM customer_phones"
            " WHERE number LIKE ? ESCAPE '\\' OR match_key LIKE ? ESCAPE '\\'))"
        )
        arguments += [pattern] * 4
    if wanted.number:
        conditions.append("id IN (SELECT customer_id FROM customer_phones WHERE match_key = ?)")
        arguments.append(match_key(wanted.number, site))
    rows = crm.conn.execute(
        f"SELECT {_COLUMNS} FROM customers WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT ?",
        (*arguments, wanted.limit),
    )
    return _customers(crm, rows)


def match_number(crm: sqlite_utils.Database, number: str, site: Site) -> list[Match]:
    """Everybody who has this number: any owner, any phone field, recycle bin excluded; oldest first."""
    key = match_key(number, site)
    if not key:
        return []
    rows = crm.conn.execute(
        f"SELECT {_COLUMNS}, (SELECT group_number FROM staff WHERE staff_no = owner) AS owner_group FROM customers"
        " WHERE deleted_ms IS NULL AND id IN (SELECT customer_id FROM customer_phones WHERE match_key = ?) ORDER BY id",
        (key,),
    ).fetchall()
    return [Match(customer, row["owner_group"]) for customer, row in zip(_customers(crm, rows), rows, strict=True)]


def _check(fields: Mapping[str, str], phones: tuple[Phone, ...]) -> None:
    for name, text in fields.items():
        longest = _LONGEST.get(name, _LONGEST_FIELD_CHARACTERS)
        if len(text) > longest:
            raise Invalid("field_too_long", f"{name} has at most {longest} characters")
    if len(phones) > _MOST_PHONES:
        raise Invalid("too_many_phones", f"a customer has at most {_MOST_PHONES} telephone numbers")
    for phone in phones:
        if not phone.number.strip() or len(phone.number) > 60 or len(phone.label) > 60:
            raise Invalid(
                "phone_wrong",
                "a telephone number and its label have at most 60 characters, and the number is not empty",
            )


def _require_content(fields: Mapping[str, str], phones: tuple[Phone, ...]) -> None:
    if not any(fields.get(name, "").strip() for name in ("name", "company")) and not phones:
        raise Invalid("customer_empty", "a customer has a name, a company or a telephone number")


def _write_phones(connection: sqlite3.Connection, customer_id: int, phones: Iterable[Phone], site: Site) -> None:
    connection.execute("DELETE FROM customer_phones WHERE customer_id = ?", (customer_id,))
    connection.executemany(
        "INSERT INTO customer_phones (customer_id, position, label, number, match_key) VALUES (?,?,?,?,?)",
        [
            (customer_id, position, phone.label, phone.number.strip(), match_key(phone.number, site))
            for position, phone in enumerate(phones)
        ],
    )


def add_customer(
    crm: sqlite_utils.Database, fields: Mapping[str, str], phones: tuple[Phone, ...], actor: Actor, site: Site
) -> Customer:
    """Add a customer; author and owner are the actor. Raises Invalid."""
    _check(fields, phones)
    _require_content(fields, phones)
    at_ms = now_ms()
    with write(crm) as connection:
        cursor = connection.execute(
            f"INSERT INTO customers ({', '.join(FIELDS)}, author, owner, created_ms, changed_ms)"
            f" VALUES ({','.join('?' * (len(FIELDS) + 4))})",
            (*(fields.get(name, "") for name in FIELDS), actor.staff_no, actor.staff_no, at_ms, at_ms),
        )
        customer_id = int(cursor.lastrowid or 0)
        _write_phones(connection, customer_id, phones, site)
        audit.append(connection, actor, "customer.add", str(customer_id))
    return get_customer(crm, str(customer_id), RecordScope(everything=True))


def change_customer(
    crm: sqlite_utils.Database,
    customer_id: str,
    fields: Mapping[str, str],
    phones: tuple[Phone, ...] | None,
    actor: Actor,
    scope: RecordScope,
    site: Site,
) -> Customer:
    """Change the given fields, and the numbers unless None. Raises NotFound, Invalid."""
    _check(fields, phones or ())
    with write(crm) as connection:
        old = get_customer(crm, customer_id, scope)
        key = int(old.id)
        _require_content({**old.fields, **fields}, old.phones if phones is None else phones)
        for name in FIELDS:
            if name in fields:
                connection.execute(f"UPDATE customers SET {name} = ? WHERE id = ?", (fields[name], key))
        connection.execute("UPDATE customers SET changed_ms = ? WHERE id = ?", (now_ms(), key))
        if phones is not None:
            _write_phones(connection, key, phones, site)
        changed = sorted(fields) + (["phones"] if phones is not None else [])
        audit.append(connection, actor, "customer.change", customer_id, {"fields": changed})
    return get_customer(crm, customer_id, scope)


def delete_customer(crm: sqlite_utils.Database, customer_id: str, actor: Actor, scope: RecordScope) -> None:
    """Put a customer into the recycle bin. Raises NotFound."""
    with write(crm) as connection:
        key = int(get_customer(crm, customer_id, scope).id)
        connection.execute(
            "UPDATE customers SET deleted_ms = ?, deleted_by = ? WHERE id = ?", (now_ms(), actor.staff_no, key)
        )
        audit.append(connection, actor, "customer.delete", customer_id)


def renew_match_keys(crm: sqlite_utils.Database, site: Site, batch: int = 500) -> int:
    """Bring the keys of all numbers up to the site's settings, in short transactions; how many changed."""
    changed, last = 0, 0
    while True:
        rows = crm.conn.execute(
            "SELECT rowid, number, match_key FROM customer_phones WHERE rowid > ? ORDER BY rowid LIMIT ?", (last, batch)
        ).fetchall()
        if not rows:
            return changed
        last = rows[-1][0]
        stale = [(key, row[0], row[1]) for row in rows if (key := match_key(row[1], site)) != row[2]]
        if stale:
            with write(crm) as connection:
                connection.executemany("UPDATE customer_phones SET match_key = ? WHERE rowid = ? AND number = ?", stale)
            changed += len(stale)
