"""Who is to be contacted: customers by their own next contact time, and by that of the last record written of them.

A record's next contact is settled by any later record of the customer that the reader sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import sqlite_utils

from crm_client_api.domain.communications.lists import Reach

Kind = Literal["customer", "communication"]
KINDS: tuple[Kind, ...] = ("customer", "communication")


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


@dataclass(frozen=True, slots=True)
class NextContactFilter:
    """Which: due before ``due_before_ms``. ``before``: due time, kind and id that the page before ended with."""

    due_before_ms: int
    owner: str | None = None
    before: tuple[int, Kind, int] | None = None
    limit: int = 50


def list_next_contacts(
    crm: sqlite_utils.Database, wanted: NextContactFilter, reach: Reach, kinds: tuple[Kind, ...]
) -> list[NextContact]:
    """Those in scope, the last that fell due first. ``kinds``: what the reader may see at all."""
    found = [
        *(_customers(crm, wanted, reach) if "customer" in kinds else ()),
        *(_communications(crm, wanted, reach) if "communication" in kinds else ()),
    ]
    found.sort(key=lambda one: (one.due_ms, KINDS.index(one.kind), one.id), reverse=True)
    return found[: wanted.limit]


def _bound(kind: Kind, wanted: NextContactFilter) -> tuple[int, int]:
    """Due time and id below which a kind goes on."""
    if wanted.before is None:
        return wanted.due_before_ms, 0
    due_ms, at_kind, at_id = wanted.before
    if kind == at_kind:
        return min((due_ms, at_id), (wanted.due_before_ms, 0))
    return min(due_ms + 1 if KINDS.index(kind) < KINDS.index(at_kind) else due_ms, wanted.due_before_ms), 0


def _customers(crm: sqlite_utils.Database, wanted: NextContactFilter, reach: Reach) -> list[NextContact]:
    condition, given = reach.customers.sql("owner")
    owner, owned = ("", ()) if wanted.owner is None else (" AND owner = ?", (wanted.owner,))
    rows = crm.conn.execute(
        "SELECT id, next_contact_ms, name, company, owner FROM living_customers"
        f" WHERE next_contact_ms IS NOT NULL AND (next_contact_ms, id) < (?, ?) AND {condition}{owner}"
        " ORDER BY next_contact_ms DESC, id DESC LIMIT ?",
        (*_bound("customer", wanted), *given, *owned, wanted.limit),
    )
    return [NextContact("customer", row[0], row[1], row[0], row[2], row[3], "", row[4]) for row in rows]


def _communications(crm: sqlite_utils.Database, wanted: NextContactFilter, reach: Reach) -> list[NextContact]:
    # The pluses: colleagues are looked for among what is due, and owners among the records of the customer.
    condition, given = reach.records.sql("c.owner" if reach.records.group is None else "+c.owner")
    later, scoped = reach.records.sql("+l.owner")
    names, named = reach.names()
    owner, owned = ("", ()) if wanted.owner is None else (" AND c.owner = ?", (wanted.owner,))
    rows = crm.conn.execute(
        "SELECT c.id, c.next_contact_ms, k.id AS customer, k.name, k.company, c.subject, c.owner"
        f" FROM living_communications c LEFT JOIN customers k ON {names}"
        f" WHERE c.next_contact_ms IS NOT NULL AND (c.next_contact_ms, c.id) < (?, ?) AND {condition}{owner}"
        " AND NOT EXISTS (SELECT 1 FROM living_communications l WHERE l.customer_id = c.customer_id"
        f" AND (l.at_ms, l.id) > (c.at_ms, c.id) AND {later})"
        " ORDER BY c.next_contact_ms DESC, c.id DESC LIMIT ?",
        (*named, *_bound("communication", wanted), *given, *owned, *scoped, wanted.limit),
    )
    return [
        NextContact("communication", row[0], row[1], row[2], row[3] or "", row[4] or "", row[5], row[6]) for row in rows
    ]
