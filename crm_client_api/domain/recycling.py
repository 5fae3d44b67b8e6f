"""The recycle bin (回收站): what the bins of customers and of communication records have in common.

Whoever could see a record may restore it. Nothing that a standing hold protects is purged.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.numbers import Site, match_key
from firmware.clock import now_ms
from firmware.parameters import get_all

MOST_AT_ONCE = 500
"""Records that one request deletes, restores, purges or changes, all or none of them."""
PURGED_AT_ONCE = 50
_DAY_MS = 86_400_000


def kept_ms(crm: sqlite_utils.Database) -> int:
    """How long what was deleted can be restored."""
    days = get_all(crm, "system")["recycle_bin_days"]
    return (days if isinstance(days, int) else 30) * _DAY_MS


@dataclass(frozen=True, slots=True)
class RecycleBin:
    """The bin of one table; ``name``: of one of its records. What is changed is changed in the caller's transaction."""

    table: str
    name: str

    def keys(self, ids: Sequence[str], key_of: Callable[[str], int]) -> list[int]:
        """The keys of records that somebody chose. Raises Invalid for none or too many, and what ``key_of`` raises."""
        keys = sorted({key_of(one) for one in ids})
        if not 1 <= len(keys) <= MOST_AT_ONCE:
            raise Invalid("too_many_at_once", f"choose 1 to {MOST_AT_ONCE} records")
        return keys

    def put_in(self, connection: sqlite3.Connection, keys: Sequence[int], actor: Actor) -> None:
        """Delete records, so that they can be restored; nothing is audited."""
        at_ms = now_ms()
        connection.executemany(
            f"UPDATE {self.table} SET deleted_ms = ?, deleted_by = ? WHERE id = ?",
            [(at_ms, actor.staff_no, key) for key in keys],
        )

    def take_out(self, connection: sqlite3.Connection, keys: Sequence[int]) -> None:
        """Restore records; nothing is audited."""
        connection.executemany(
            f"UPDATE {self.table} SET deleted_ms = NULL, deleted_by = NULL WHERE id = ?", [(key,) for key in keys]
        )

    def note(self, connection: sqlite3.Connection, keys: Iterable[int], actor: Actor, verb: str) -> None:
        """An entry in the audit log for each record: ``delete``, ``restore``, ``purge``."""
        for key in keys:
            audit.append(connection, actor, f"{self.name}.{verb}", str(key))

    def note_cleared(self, connection: sqlite3.Connection, keys: Sequence[int], actor: Actor) -> None:
        """One entry for the records that were cleared together."""
        audit.append(connection, actor, f"{self.name}.clear", "", {"count": len(keys), "ids": list(keys)})

    def newest_id(self, crm: sqlite_utils.Database) -> int:
        """The id up to which a clearing goes: what is added while it runs stays."""
        return int(crm.conn.execute(f"SELECT coalesce(max(id), 0) FROM {self.table}").fetchone()[0])

    def old(self, crm: sqlite_utils.Database, before_ms: int) -> Iterator[list[int]]:
        """The keys of what was deleted before that time, in portions for one transaction each."""
        beyond: tuple[int, int] = (0, 0)
        while rows := crm.conn.execute(
            f"SELECT deleted_ms, id FROM {self.table} WHERE deleted_ms IS NOT NULL AND deleted_ms < ?"
            " AND (deleted_ms, id) > (?, ?) ORDER BY deleted_ms, id LIMIT ?",
            (before_ms, *beyond, PURGED_AT_ONCE),
        ).fetchall():
            beyond = (rows[-1][0], rows[-1][1])
            yield [row[1] for row in rows]


class StandingHolds:
    """The holds that stand at this moment on customers, numbers and calls."""

    def __init__(self, connection: sqlite3.Connection, site: Site) -> None:
        rows = connection.execute(
            "SELECT kind, subject FROM holds WHERE released_ms IS NULL AND kind IN ('customer', 'number', 'call')"
        ).fetchall()
        self._connection = connection
        self._held = {
            (kind, match_key(subject or "", site) if kind == "number" else subject) for kind, subject in rows
        } - {("number", "")}

    def protect(self, customer: int, *, number_key: str = "", call_id: str | None = None) -> bool:
        """Whether a customer, or a record about one with its own number and call, stays."""
        if not self._held:
            return False
        numbers = self._connection.execute("SELECT match_key FROM customer_phones WHERE customer_id = ?", (customer,))
        about = {("customer", str(customer)), ("number", number_key), ("call", call_id)}
        return not self._held.isdisjoint(about | {("number", row[0]) for row in numbers})
