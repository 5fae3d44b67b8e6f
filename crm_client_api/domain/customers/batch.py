"""The same change to many customers: fields, tags, the office's own fields. All of them or none."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers import index, news
from crm_client_api.domain.customers.read import COLUMNS, customers_of
from crm_client_api.domain.customers.record import (
    KEPT,
    Customer,
    CustomValue,
    Kept,
    Values,
    check,
    clean_tag,
    require_content,
)
from crm_client_api.domain.customers.write import Changed, differences
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.recycling import MOST_AT_ONCE
from crm_client_api.domain.scope import RecordScope
from firmware.clock import now_ms
from firmware.errors import NotFound
from firmware.store.connection import write


@dataclass(frozen=True, slots=True)
class BatchEdit:
    """What to set; what is left out stays. ``custom``: values by field id, None takes one away."""

    fields: Mapping[str, str] = field(default_factory=dict)
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    custom: Mapping[int, CustomValue | None] = field(default_factory=dict)
    next_contact_ms: int | Kept | None = KEPT


def check_edit(edit: BatchEdit) -> None:
    """Raises Invalid for what no customer can have."""
    check(Values(edit.fields, None, (*edit.add_tags, *edit.remove_tags), next_contact_ms=edit.next_contact_ms))


def edit_many(
    crm: sqlite_utils.Database,
    keys: Sequence[int],
    edit: BatchEdit,
    actor: Actor,
    scope: RecordScope,
    *,
    expected: int | None = None,
) -> int:
    """Change these customers; how many differ now. ``expected``: how many somebody was told they are.

    Raises Invalid, NotFound when one of them is not in scope, Changed when there are not as many as expected.
    """
    if not 1 <= len(keys) <= MOST_AT_ONCE:
        raise Invalid("too_many_at_once", f"choose 1 to {MOST_AT_ONCE} customers")
    if expected is not None and expected != len(keys):
        raise Changed(f"these are {len(keys)} customers now: look again")
    check_edit(edit)
    with write(crm) as connection:
        changed = [key for old in _customers(connection, keys, scope) if (key := _change(connection, old, edit, actor))]
        news.tell(crm, connection, "changed", news.owners_of(connection, changed))
    index.renew_soon(crm, changed)
    return len(changed)


def _customers(connection: sqlite3.Connection, keys: Sequence[int], scope: RecordScope) -> list[Customer]:
    condition, arguments = scope.sql("c.owner")
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM living_customers c WHERE c.id IN ({','.join('?' * len(keys))}) AND {condition}",
        (*keys, *arguments),
    ).fetchall()
    if len(rows) != len(set(keys)):
        raise NotFound("there is no such customer")
    return customers_of(connection, rows)


def _change(connection: sqlite3.Connection, old: Customer, edit: BatchEdit, actor: Actor) -> int | None:
    """The customer's id if anything is different now."""
    added, removed = ({clean_tag(tag) for tag in tags} for tags in (edit.add_tags, edit.remove_tags))
    custom = {key: value for key, value in {**old.custom, **edit.custom}.items() if value is not None}
    new = replace(
        old,
        fields={**old.fields, **edit.fields},
        tags=tuple(sorted({*old.tags, *added} - removed)),
        custom=dict(sorted(custom.items())),
        next_contact_ms=old.next_contact_ms if edit.next_contact_ms is KEPT else edit.next_contact_ms,
    )
    before, after = differences(old, new)
    if not after:
        return None
    require_content(new.fields, new.phones)
    check(Values({}, None, new.tags))
    key = int(old.id)
    # Only what is changed is written: every column more costs the look at its indexes.
    written: dict[str, object] = {name: new.fields[name] for name in edit.fields}
    if edit.custom:
        written["custom"] = msgspec.json.encode(new.custom).decode()
    if edit.next_contact_ms is not KEPT:
        written["next_contact_ms"] = new.next_contact_ms
    written["changed_ms"] = max(now_ms(), old.changed_ms + 1)
    connection.execute(
        f"UPDATE customers SET {', '.join(f'{name} = ?' for name in written)} WHERE id = ?", (*written.values(), key)
    )
    connection.executemany(
        "INSERT INTO customer_tags VALUES (?,?)", [(key, tag) for tag in new.tags if tag not in old.tags]
    )
    connection.executemany(
        "DELETE FROM customer_tags WHERE customer_id = ? AND tag = ?", [(key, tag) for tag in removed]
    )
    index.note(connection, key)
    audit.append(connection, actor, "customer.change", old.id, {"before": before, "after": after})
    return key
