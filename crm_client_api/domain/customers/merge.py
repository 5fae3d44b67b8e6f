"""Two customers who are one: merged into one row, and taken apart again as they were."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import replace

import msgspec
import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers import index, news
from crm_client_api.domain.customers.read import COLUMNS, customers_of, find_customer, row_id
from crm_client_api.domain.customers.record import TEXTS, Customer, CustomValue, Phone, Values, check
from crm_client_api.domain.customers.write import differences, store
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.scope import RecordScope
from firmware.clock import now_ms
from firmware.errors import NotFound, Refused
from firmware.store.connection import write
from recorder.numbers import Site, match_key

_MOVED = ("communications", "tasks")
"""Tables whose rows go over to the customer who stays."""


class _Before(msgspec.Struct, frozen=True):
    """Both customers as they were, the one who stayed as it then was, and the ids of what moved."""

    kept: Customer
    merged: Customer
    after: Customer
    moved: dict[str, list[int]]


class MergeRecord(msgspec.Struct, frozen=True):
    """A merge. Times are Unix ms UTC; ``undone_ms`` None: it stands."""

    id: int
    kept_id: int
    merged_id: int
    at_ms: int
    by: str
    undone_ms: int | None


def merged_customer(kept: Customer, merged: Customer, site: Site) -> Customer:
    """The customer who stays: what it lacks comes from the other, numbers and tags of both, the notes in turn."""
    fields = {name: kept.fields[name] or merged.fields[name] for name in TEXTS}
    if merged.fields["note"] not in ("", kept.fields["note"]):
        fields["note"] = "\n".join(note for note in (kept.fields["note"], merged.fields["note"]) if note)
    known = {match_key(phone.number, site) or phone.number for phone in kept.phones}
    new = [phone for phone in merged.phones if (match_key(phone.number, site) or phone.number) not in known]
    return replace(
        kept,
        fields=fields,
        phones=(*kept.phones, *new),
        tags=tuple(sorted({*kept.tags, *merged.tags})),
        custom={**merged.custom, **kept.custom},
        next_contact_ms=merged.next_contact_ms if kept.next_contact_ms is None else kept.next_contact_ms,
    )


def merge(
    crm: sqlite_utils.Database, kept_id: str, merged_id: str, actor: Actor, scope: RecordScope, site: Site
) -> MergeRecord:
    """Merge a customer into another; both are in scope. Raises NotFound, Invalid (too long together)."""
    with write(crm) as connection:
        kept = find_customer(connection, row_id(kept_id), scope)
        if row_id(merged_id) == int(kept.id):
            raise Invalid("merge_same", "choose two customers")
        merged = find_customer(connection, row_id(merged_id), scope)
        wanted = merged_customer(kept, merged, site)
        check(Values(wanted.fields, wanted.phones, wanted.tags))
        at_ms = max(now_ms(), kept.changed_ms + 1)
        store(connection, wanted, at_ms, site)
        moved = {table: _move(connection, table, int(merged.id), int(kept.id)) for table in _MOVED}
        connection.execute(
            "UPDATE customers SET deleted_ms = ?, deleted_by = ?, merged_into = ? WHERE id = ?",
            (at_ms, actor.staff_no, int(kept.id), int(merged.id)),
        )
        index.remove(connection, int(merged.id))
        before = _Before(kept, merged, find_customer(connection, int(kept.id), scope), moved)
        key = connection.execute(
            "INSERT INTO customer_merges (kept_id, merged_id, at_ms, by, before) VALUES (?,?,?,?,?)",
            (int(kept.id), int(merged.id), at_ms, actor.staff_no, msgspec.json.encode(before).decode()),
        ).lastrowid
        old, new = differences(kept, before.after)
        data = {"merged": merged.id, "before": old, "after": new}
        audit.append(connection, actor, "customer.merge", kept.id, data)
        news.tell(crm, connection, "merged", {int(kept.id): (kept.owner,)})
        news.tell(crm, connection, "deleted", {int(merged.id): (merged.owner,)})
    return MergeRecord(int(key or 0), int(kept.id), int(merged.id), at_ms, actor.staff_no, None)


def _move(connection: sqlite3.Connection, table: str, source: int, target: int) -> list[int]:
    ids = [row[0] for row in connection.execute(f"SELECT id FROM {table} WHERE customer_id = ?", (source,))]
    connection.execute(f"UPDATE {table} SET customer_id = ? WHERE customer_id = ?", (target, source))
    return ids


def list_merges(crm: sqlite_utils.Database, customer_id: str, scope: RecordScope) -> list[MergeRecord]:
    """What was merged into a customer in scope, newest first. Raises NotFound."""
    key = int(find_customer(crm.conn, row_id(customer_id), scope).id)
    rows = crm.conn.execute(
        "SELECT id, kept_id, merged_id, at_ms, by, undone_ms FROM customer_merges WHERE kept_id = ? ORDER BY id DESC",
        (key,),
    )
    return [MergeRecord(*row) for row in rows]


def undo_merge(crm: sqlite_utils.Database, merge_id: int, actor: Actor, scope: RecordScope, site: Site) -> MergeRecord:
    """Make two customers of one again, as they were; what was changed since then stays with the one who stayed.

    Raises NotFound, Refused (undone already, or merged on meanwhile).
    """
    with write(crm) as connection:
        row = connection.execute("SELECT * FROM customer_merges WHERE id = ?", (merge_id,)).fetchone()
        if row is None:
            raise NotFound("there is no such merge")
        kept = _in_scope(connection, row["kept_id"], scope)
        merged = _in_scope(connection, row["merged_id"], scope)
        if row["undone_ms"] is not None:
            raise Refused("this merge was undone already")
        later = connection.execute(
            "SELECT 1 FROM customer_merges WHERE undone_ms IS NULL AND id > ? AND (kept_id = ? OR merged_id = ?)",
            (merge_id, row["kept_id"], row["kept_id"]),
        ).fetchone()
        if later is not None:
            raise Refused("this customer was merged again later: undo that first")
        before = msgspec.json.decode(row["before"], type=_Before)
        at_ms = max(now_ms(), kept.changed_ms + 1)
        apart = _taken_apart(before, kept, site)
        store(connection, apart, at_ms, site)
        for table, ids in before.moved.items():
            connection.executemany(
                f"UPDATE {_known(table)} SET customer_id = ? WHERE id = ? AND customer_id = ?",
                [(int(merged.id), one, int(kept.id)) for one in ids],
            )
        connection.execute(
            "UPDATE customers SET deleted_ms = NULL, deleted_by = NULL, merged_into = NULL WHERE id = ?",
            (int(merged.id),),
        )
        index.renew(connection, [int(merged.id)])
        connection.execute("UPDATE customer_merges SET undone_ms = ? WHERE id = ?", (at_ms, merge_id))
        old, new = differences(kept, apart)
        data = {"merged": merged.id, "before": old, "after": new}
        audit.append(connection, actor, "customer.merge_undo", kept.id, data)
        news.tell(crm, connection, "changed", {int(kept.id): (kept.owner,)})
        news.tell(crm, connection, "restored", {int(merged.id): (merged.owner,)})
    return MergeRecord(merge_id, int(kept.id), int(merged.id), row["at_ms"], row["by"], at_ms)


def _known(table: str) -> str:
    return _MOVED[_MOVED.index(table)]


def _in_scope(connection: sqlite3.Connection, key: int, scope: RecordScope) -> Customer:
    """One side of a merge: living, or put away by it. Raises NotFound."""
    condition, arguments = scope.sql("c.owner")
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM customers c WHERE c.id = ? AND (c.deleted_ms IS NULL OR c.merged_into IS NOT NULL)"
        f" AND {condition}",
        (key, *arguments),
    ).fetchall()
    if not rows:
        raise NotFound("there is no such merge")
    return customers_of(connection, rows)[0]


def _taken_apart(before: _Before, now: Customer, site: Site) -> Customer:
    """The customer who stayed, without what the merge brought; a value that somebody changed since then stays."""
    old, after = before.kept, before.after

    def back(then: Mapping[str, str], merged: Mapping[str, str], current: Mapping[str, str]) -> dict[str, str]:
        return {name: then[name] if current[name] == merged[name] else current[name] for name in current}

    had = {match_key(phone.number, site) for phone in old.phones}
    brought = {match_key(phone.number, site) for phone in after.phones} - had
    phones: tuple[Phone, ...] = tuple(p for p in now.phones if match_key(p.number, site) not in brought)
    new_tags = set(after.tags) - set(old.tags)
    custom: dict[int, CustomValue] = {
        key: value for key, value in now.custom.items() if key in old.custom or after.custom.get(key) != value
    }
    same_contact = now.next_contact_ms == after.next_contact_ms
    return replace(
        now,
        fields=back(old.fields, after.fields, now.fields),
        phones=old.phones if now.phones == after.phones else phones,
        tags=tuple(tag for tag in now.tags if tag not in new_tags),
        custom=custom,
        next_contact_ms=old.next_contact_ms if same_contact else now.next_contact_ms,
    )
