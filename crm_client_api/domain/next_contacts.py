"""Who is to be contacted: customers by their own next contact time, and by that of the last record written of them.

A record's next contact is settled by any later record of the customer that the reader sees.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Literal

import sqlite_utils

from crm_client_api.domain.communications.lists import Reach
from crm_client_api.domain.scope import RecordScope, Sql
from crm_client_api.domain.walk import Branch, Plan, Position, in_front_of, walk

Kind = Literal["customer", "communication"]
KINDS: tuple[Kind, ...] = ("customer", "communication")
_ENOUGH_S = 0.02
"""So long each kind is looked for."""
_HIGHEST_ID = 10**18 - 1
_EVERY = Branch("", ("next_contact_ms IS NOT NULL", ()))


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the list: due time (Unix ms UTC), kind and id."""

    due_ms: int
    kind: Kind
    id: int

    @property
    def order(self) -> tuple[int, int, int]:
        """By this the list is sorted, highest first."""
        return self.due_ms, KINDS.index(self.kind), self.id


@dataclass(frozen=True, slots=True)
class NextContact:
    """Somebody to be contacted at ``due_ms`` (Unix ms UTC). ``customer_id`` None: out of scope."""

    kind: Kind
    id: int
    due_ms: int
    customer_id: int | None
    customer_name: str
    company: str
    subject: str
    owner: str

    @property
    def place(self) -> Place:
        """Where the list stands at this one."""
        return Place(self.due_ms, self.kind, self.id)


@dataclass(frozen=True, slots=True)
class NextContactFilter:
    """Which: due before ``due_before_ms``. ``before``: the place that the page before ended with."""

    due_before_ms: int
    owner: str | None = None
    before: Place | None = None
    limit: int = 50


def list_next_contacts(
    crm: sqlite_utils.Database, wanted: NextContactFilter, reach: Reach, kinds: tuple[Kind, ...]
) -> tuple[list[NextContact], Place | None]:
    """Those in scope, the last that fell due first, and the place behind which to go on (None: these were the last).

    Where much is settled, the page may end before it is full. ``kinds``: what the reader may see at all.
    """
    found: list[NextContact] = []
    ends: list[Place] = []
    for kind in kinds:
        rows, end = (_customers if kind == "customer" else _communications)(crm.conn, wanted, reach)
        found += rows
        ends += [] if end is None else [end]
    found.sort(key=lambda one: one.place.order, reverse=True)
    end = max(ends, key=lambda place: place.order, default=None)
    if end is not None:  # behind it there may be more of the other kind
        found = [one for one in found if one.place.order >= end.order]
    if len(found) > wanted.limit:
        found = found[: wanted.limit]
        end = found[-1].place
    return found, end


def _position(kind: Kind, wanted: NextContactFilter) -> Position:
    """Behind which row a kind goes on."""
    if wanted.before is None or wanted.before.due_ms >= wanted.due_before_ms:
        return in_front_of(wanted.due_before_ms - 1, descending=True)
    due_ms, at_kind = wanted.before.due_ms, wanted.before.kind
    if kind == at_kind:
        return Position(due_ms, str(wanted.before.id), 0)
    return in_front_of(due_ms if KINDS.index(kind) < KINDS.index(at_kind) else due_ms - 1, descending=True)


def _walk(
    connection: sqlite3.Connection,
    kind: Kind,
    wanted: NextContactFilter,
    scope: RecordScope,
    columns: str,
    conditions: list[Sql],
) -> tuple[list[sqlite3.Row], Place | None]:
    table = f"{kind}s"
    conditions = [(f"EXISTS (SELECT 1 FROM living_{table} WHERE id = t.id)", ()), *conditions]
    plan = Plan(
        table, "t", "t.next_contact_ms", "t.id", "0", columns, "", _branches(connection, scope, wanted.owner),
        scope.sql("t.owner"), conditions,
    )  # fmt: skip
    rows, end = walk(connection, plan, _position(kind, wanted), wanted.limit, _ENOUGH_S)
    if end is None:
        return rows, None
    if rows and (end.key, end.id) == (rows[-1]["walk_key"], rows[-1]["walk_id"]):
        return rows, Place(end.key, kind, int(end.id))
    return rows, Place(end.key, KINDS[-1], _HIGHEST_ID)  # all that is due later was looked at


def _branches(connection: sqlite3.Connection, scope: RecordScope, owner: str | None) -> list[Branch]:
    """One for each owner, wherever owners are asked for: an index has theirs by the time when they are due."""
    if owner is not None:
        owners = [owner]
    elif scope.everything:
        return [_EVERY]
    elif scope.staff_no is not None:
        owners = [scope.staff_no]
    else:
        found = connection.execute("SELECT staff_no FROM staff WHERE group_number = ?", (scope.group,))
        owners = [row[0] for row in found]
    return [Branch("", (f"t.owner = ? AND {_EVERY.equal[0]}", (one,))) for one in owners]


def _customers(
    connection: sqlite3.Connection, wanted: NextContactFilter, reach: Reach
) -> tuple[list[NextContact], Place | None]:
    rows, end = _walk(connection, "customer", wanted, reach.customers, "t.id, t.name, t.company, t.owner", [])
    return [
        NextContact("customer", row["id"], row["walk_key"], row["id"], row["name"], row["company"], "", row["owner"])
        for row in rows
    ], end


def _communications(
    connection: sqlite3.Connection, wanted: NextContactFilter, reach: Reach
) -> tuple[list[NextContact], Place | None]:
    later, scoped = reach.records.sql("+l.owner")  # owners are looked for among the records of the customer
    settled = (
        "NOT EXISTS (SELECT 1 FROM living_communications l WHERE l.customer_id = t.customer_id"
        f" AND (l.at_ms, l.id) > (t.at_ms, t.id) AND {later})",
        scoped,
    )
    walked, end = _walk(connection, "communication", wanted, reach.records, "t.id", [settled])
    names, named = reach.names()
    rows = connection.execute(
        "SELECT c.id, c.next_contact_ms, k.id AS customer, k.name, k.company, c.subject, c.owner"
        f" FROM communications c LEFT JOIN customers k ON {names} WHERE c.id IN ({','.join('?' * len(walked))})",
        (*named, *(row["id"] for row in walked)),
    )
    return [
        NextContact("communication", row[0], row[1], row[2], row[3] or "", row[4] or "", row[5], row[6]) for row in rows
    ], end
