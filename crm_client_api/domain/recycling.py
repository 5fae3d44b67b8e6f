"""The recycle bin (回收站): what the bins of customers and of communication records have in common.

Whoever could see a record may restore it. Nothing that a standing hold protects is purged.
"""

from __future__ import annotations

import sqlite3
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.invalid import Invalid
from firmware.clock import now_ms
from firmware.durable import write_whole
from firmware.errors import Refused, StoreError
from firmware.parameters import get_all

MOST_AT_ONCE = 500
"""Records that one request deletes, restores, purges or changes, all or none of them."""
PURGED_AT_ONCE = 50
_DAY_MS = 86_400_000


class Held(Refused):
    """A hold protects what was to go for good."""


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

    def still_old(self, connection: sqlite3.Connection, keys: Sequence[int], before_ms: int) -> list[int]:
        """Of what ``old`` gave, what lies there still, inside the purging transaction: it may have been restored."""
        rows = connection.execute(
            f"SELECT id FROM {self.table} WHERE id IN ({','.join('?' * len(keys))}) AND deleted_ms < ? ORDER BY id",
            (*keys, before_ms),
        )
        return [row[0] for row in rows]


class BackedUp:
    """The ids of the records that a backup holds: nothing else is cleared. Eight bytes each.

    ``highest``: 0 for none.
    """

    def __init__(self, ids: Iterable[int]) -> None:
        self._ids = array("q", sorted(ids))
        self.highest = self._ids[-1] if self._ids else 0

    @staticmethod
    def read(file: Path) -> BackedUp:
        """What ``write`` wrote. Raises StoreError."""
        found = array("q")
        try:
            found.frombytes(file.read_bytes())
        except (OSError, ValueError) as error:
            raise StoreError(f"{file.name} cannot be read: {error}") from error
        return BackedUp(found)

    def write(self, file: Path) -> None:
        """Keep them in a file. Raises StoreError."""
        write_whole(file, memoryview(self._ids).cast("B"))

    def among(self, keys: Iterable[int]) -> list[int]:
        """Of some ids those in the backup."""
        return [key for key in keys if self._holds(key)]

    def _holds(self, key: int) -> bool:
        place = bisect_left(self._ids, key)
        return place < len(self._ids) and bool(self._ids[place] == key)
