"""Writes customers, one row or many in the caller's transaction, the search index along with them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers import index, news
from crm_client_api.domain.customers.read import find_customer, get_customer, row_id
from crm_client_api.domain.customers.record import (
    KEPT,
    TEXTS,
    Customer,
    CustomValue,
    Phone,
    Values,
    check,
    clean_tag,
    require_content,
    settled_phones,
)
from crm_client_api.domain.number_sites import note_keys
from crm_client_api.domain.scope import RecordScope
from firmware.clock import now_ms
from firmware.errors import Refused
from firmware.store.connection import write
from recorder.numbers import Site, match_key

ANYBODY = RecordScope(everything=True)


class Changed(Refused):
    """Somebody else changed the record since it was read."""


class Prepared(msgspec.Struct, array_like=True, frozen=True):
    """A customer to add, checked, with all that can be made ready before the store is locked.

    ``texts`` in the order of TEXTS; ``created_ms``: when it was entered, where that is known from an older system, None
    for now; ``phones``: label, number, match key, kind.
    """

    texts: tuple[str, ...]
    next_contact_ms: int | None
    custom: str
    author: str
    owner: str
    created_ms: int | None
    phones: tuple[tuple[str, str, str, str], ...]
    tags: tuple[str, ...]
    entry: index.Entry


def prepare(values: Values, *, author: str, owner: str, site: Site, created_ms: int | None = None) -> Prepared:
    """Make a customer ready for ``insert_prepared``. Values of own fields are taken as they are. Raises Invalid."""
    check(values)
    fields = values.fields
    phones = settled_phones(values.phones or (), (), site)
    require_content(fields, phones)
    custom = _laid_over({}, values.custom)
    tags = _tags(values.tags or ())
    keyed = tuple(
        (phone.label, phone.number, phone.e164 or match_key(phone.number, site), phone.kind) for phone in phones
    )
    return Prepared(
        tuple([fields.get(name, "") for name in TEXTS]),
        None if values.next_contact_ms is KEPT else values.next_contact_ms,
        _json(custom),
        author,
        owner,
        created_ms,
        keyed,
        tags,
        index.entry_of(fields, [phone[1:3] for phone in keyed], tags, custom, owner),
    )


def insert_prepared(
    connection: sqlite3.Connection,
    ready: Sequence[Prepared],
    *,
    at_ms: int,
    site: Site,
    import_id: int | None = None,
) -> range:
    """Add customers inside the caller's transaction; their ids. Nothing is audited. ``import_id``: see ``imports``;
    ``site``: by which they were prepared."""
    note_keys(connection, site)
    last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'customers'").fetchone()
    first = 1 if last is None else int(last[0]) + 1
    ids = range(first, first + len(ready))
    numbered = list(zip(ids, ready, strict=True))
    connection.executemany(
        f"INSERT INTO customers (id, {', '.join(TEXTS)}, next_contact_ms, custom, author, owner, created_ms,"
        f" changed_ms, import_id) VALUES ({','.join('?' * (len(TEXTS) + 8))})",
        [
            (
                number, *one.texts, one.next_contact_ms, one.custom, one.author, one.owner,
                at_ms if one.created_ms is None else one.created_ms, at_ms, import_id,
            )
            for number, one in numbered
        ],
    )  # fmt: skip
    connection.executemany(
        "INSERT INTO customer_phones (customer_id, position, label, number, match_key, kind) VALUES (?,?,?,?,?,?)",
        [(number, position, *phone) for number, one in numbered for position, phone in enumerate(one.phones)],
    )
    connection.executemany(
        "INSERT INTO customer_tags VALUES (?,?)", [(number, tag) for number, one in numbered for tag in one.tags]
    )
    index.put_new(connection, [(number, one.entry) for number, one in numbered])
    return ids


def insert(connection: sqlite3.Connection, values: Values, *, author: str, owner: str, at_ms: int, site: Site) -> int:
    """Prepare and add one customer inside the caller's transaction; the new id. Nothing is audited. Raises Invalid."""
    return insert_prepared(
        connection, [prepare(values, author=author, owner=owner, site=site)], at_ms=at_ms, site=site
    )[0]


def update(
    connection: sqlite3.Connection,
    customer_id: int,
    values: Values,
    *,
    at_ms: int,
    site: Site,
    scope: RecordScope = ANYBODY,
    seen_changed_ms: int | None = None,
) -> tuple[dict[str, object], dict[str, object]]:
    """Change a customer inside the caller's transaction; what differs, before and after. Nothing is audited.

    ``seen_changed_ms``: the state that the change was made from. Raises NotFound (also out of scope), Invalid, Changed.
    """
    check(values)
    old = find_customer(connection, customer_id, scope)
    if seen_changed_ms is not None and seen_changed_ms != old.changed_ms:
        raise Changed("somebody else has changed this customer meanwhile: look again")
    fields = {**old.fields, **values.fields}
    phones = old.phones if values.phones is None else settled_phones(values.phones, old.phones, site)
    tags = old.tags if values.tags is None else _tags(values.tags)
    custom = _laid_over(old.custom, values.custom)
    next_contact_ms = old.next_contact_ms if values.next_contact_ms is KEPT else values.next_contact_ms
    new = Customer(
        old.id, fields, phones, old.author, old.owner, old.created_ms, old.changed_ms, next_contact_ms, tags, custom
    )
    before, after = differences(old, new)
    if not after:
        return before, after
    require_content(fields, phones)
    store(connection, new, max(at_ms, old.changed_ms + 1), site)
    return before, after


def store(connection: sqlite3.Connection, new: Customer, changed_ms: int, site: Site) -> None:
    """Write all of a customer over the row that it has, inside the caller's transaction; author and owner stay."""
    key = int(new.id)
    connection.execute(
        f"UPDATE customers SET {', '.join(f'{name} = ?' for name in TEXTS)}, next_contact_ms = ?, custom = ?,"
        " changed_ms = ? WHERE id = ?",
        (*(new.fields[name] for name in TEXTS), new.next_contact_ms, _json(new.custom), changed_ms, key),
    )
    connection.execute("DELETE FROM customer_phones WHERE customer_id = ?", (key,))
    _write_phones(connection, key, new.phones, site)
    connection.execute("DELETE FROM customer_tags WHERE customer_id = ?", (key,))
    _write_tags(connection, key, new.tags)
    index.renew(connection, [key])


def picture(customer: Customer) -> dict[str, object]:
    """A customer as the audit log keeps one: empty values left out."""
    shown: dict[str, object] = {name: text for name, text in customer.fields.items() if text}
    if customer.next_contact_ms is not None:
        shown["next_contact_ms"] = customer.next_contact_ms
    if customer.phones:
        shown["phones"] = [_phone_picture(phone) for phone in customer.phones]
    if customer.tags:
        shown["tags"] = list(customer.tags)
    return shown | {f"custom.{key}": value for key, value in customer.custom.items()}


def differences(old: Customer, new: Customer) -> tuple[dict[str, object], dict[str, object]]:
    """What a change changed: names with their old and their new values, None for none."""
    one, other = picture(old), picture(new)
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    return {name: one.get(name) for name in names}, {name: other.get(name) for name in names}


def add_customer(
    crm: sqlite_utils.Database,
    fields: Mapping[str, str],
    phones: tuple[Phone, ...],
    actor: Actor,
    site: Site,
    values: Values | None = None,
) -> Customer:
    """Add a customer; author and owner are the actor. ``values`` instead of fields and numbers. Raises Invalid."""
    with write(crm) as connection:
        given = values or Values(fields, phones)
        key = insert(
            connection, given, author=actor.staff_no, owner=actor.staff_no, at_ms=now_ms(), site=site
        )  # fmt: skip
        added = find_customer(connection, key, ANYBODY)
        audit.append(connection, actor, "customer.add", str(key), {"before": {}, "after": picture(added)})
        news.tell(crm, connection, "added", {key: (added.owner,)})
    return added


def change_customer(
    crm: sqlite_utils.Database,
    customer_id: str,
    fields: Mapping[str, str],
    phones: tuple[Phone, ...] | None,
    actor: Actor,
    scope: RecordScope,
    site: Site,
    values: Values | None = None,
    seen_changed_ms: int | None = None,
) -> Customer:
    """Change what is given (``values`` instead of fields and numbers). Raises NotFound, Invalid, Changed."""
    given = values or Values(fields, phones)
    key = row_id(customer_id)
    with write(crm) as connection:
        before, after = update(
            connection, key, given, at_ms=now_ms(), site=site, scope=scope, seen_changed_ms=seen_changed_ms
        )
        if after:
            audit.append(connection, actor, "customer.change", str(key), {"before": before, "after": after})
            news.tell(crm, connection, "changed", news.owners_of(connection, [key]))
    return get_customer(crm, customer_id, scope)


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


def _phone_picture(phone: Phone) -> dict[str, str]:
    return {"label": phone.label, "number": phone.number, "kind": phone.kind}


def _tags(given: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({clean_tag(tag) for tag in given}))


def _laid_over(old: Mapping[int, CustomValue], new: Mapping[int, CustomValue | None]) -> dict[int, CustomValue]:
    return {key: value for key, value in sorted({**old, **new}.items()) if value is not None}


def _json(custom: Mapping[int, CustomValue]) -> str:
    return msgspec.json.encode(custom).decode()


def _write_phones(
    connection: sqlite3.Connection, customer_id: int, phones: Iterable[Phone], site: Site
) -> list[tuple[str, str]]:
    """The numbers with their keys."""
    note_keys(connection, site)
    numbers = [(phone.number, match_key(phone.number, site)) for phone in phones]
    connection.executemany(
        "INSERT INTO customer_phones (customer_id, position, label, number, match_key, kind) VALUES (?,?,?,?,?,?)",
        [
            (customer_id, position, phone.label, *number, phone.kind)
            for position, (phone, number) in enumerate(zip(phones, numbers, strict=True))
        ],
    )
    return numbers


def _write_tags(connection: sqlite3.Connection, customer_id: int, tags: Iterable[str]) -> None:
    connection.executemany("INSERT INTO customer_tags VALUES (?,?)", [(customer_id, tag) for tag in tags])
