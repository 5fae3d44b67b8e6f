"""The moving itself, in steps of a few rows: a hand-over of a million records never holds the store for long.

A customer's communication records and open tasks go along, before the customer does: a hand-over that is cut off and
done again goes on where it stopped.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import cycle

import msgspec

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers import index
from crm_client_api.domain.handing_over.drafts import give_drafts
from crm_client_api.domain.handing_over.kinds import CALL_BACK, COMMUNICATION, CUSTOMER, DRAFT, TASK, Kind
from crm_client_api.domain.scope import RecordScope

STEP_ROWS = 100
STEP_CUSTOMERS = 10

Row = tuple[str | int, str]
"""A record's id, and its owner."""


class Move:
    """Gives records to one or several receivers in turn. Everything happens inside the caller's write transactions.

    ``hand_overs``: the row of table ``hand_overs`` by receiver. What is handed over by itself has an entry in the
    audit log each; what goes along with a customer has not.
    """

    def __init__(
        self, connection: sqlite3.Connection, reach: RecordScope, hand_overs: dict[str, int], actor: Actor
    ) -> None:
        self._connection = connection
        self._actor = actor
        self._reach = reach
        self.hand_overs = hand_overs
        self._turn = cycle(hand_overs)
        self.counts: dict[str, Counter[str]] = {receiver: Counter() for receiver in hand_overs}
        self.old_owners: dict[str, set[str]] = {receiver: set() for receiver in hand_overs}

    def customers(self, ids: Sequence[int]) -> Iterator[None]:
        """Steps that move these customers and what goes along."""
        for first in range(0, len(ids), STEP_CUSTOMERS):
            some = ids[first : first + STEP_CUSTOMERS]
            yield from self._customers(self._take(CUSTOMER, f"id IN ({_marks(some)})", some, STEP_CUSTOMERS))

    def communications(self, ids: Sequence[int]) -> Iterator[None]:
        """Steps that move these communication records."""
        for first in range(0, len(ids), STEP_ROWS):
            some = ids[first : first + STEP_ROWS]
            self._deal(COMMUNICATION, self._take(COMMUNICATION, f"id IN ({_marks(some)})", some, STEP_ROWS))
            yield

    def all_of(self, giver: str, *, desk_too: bool) -> Iterator[None]:
        """Steps that move all records of one operator; with ``desk_too`` other tasks, call-backs and drafts as well."""
        while found := self._take(CUSTOMER, "owner = ?", (giver,), STEP_CUSTOMERS):
            yield from self._customers(found)
        for kind in (COMMUNICATION, *((TASK, CALL_BACK) if desk_too else ())):
            while rows := self._take(kind, "owner = ?", (giver,), STEP_ROWS):
                self._deal(kind, rows)
                yield
        receiver, hand_over = next(iter(self.hand_overs.items()))
        while desk_too and (moved := give_drafts(self._connection, giver, receiver, hand_over, STEP_ROWS)):
            self.counts[receiver][DRAFT] += moved
            self.old_owners[receiver].add(giver)
            yield

    def note(self) -> None:
        """Write down what was moved so far, in the transaction that moved it."""
        for receiver, hand_over in self.hand_overs.items():
            self._connection.execute(
                "UPDATE hand_overs SET counts = ?, old_owners = ? WHERE id = ?",
                (
                    msgspec.json.encode(self.counts[receiver]).decode(),
                    msgspec.json.encode(sorted(self.old_owners[receiver])).decode(),
                    hand_over,
                ),
            )

    def _customers(self, found: Sequence[Row]) -> Iterator[None]:
        parts: defaultdict[str, list[Row]] = defaultdict(list)
        for row in found:
            parts[next(self._turn)].append(row)
        for receiver, rows in parts.items():
            going = [row for row in rows if row[1] != receiver]
            ids = [row[0] for row in going]
            for kind in (COMMUNICATION, TASK):
                condition = f"customer_id IN ({_marks(ids)}) AND owner <> ?"
                while along := self._take(kind, condition, (*ids, receiver), STEP_ROWS):
                    self._give(kind, along, receiver)
                    yield
            self._give(CUSTOMER, going, receiver)
            self._audit(CUSTOMER, going, receiver)
            yield

    def _take(self, kind: Kind, condition: str, arguments: Sequence[object], limit: int) -> list[Row]:
        within, reach = self._reach.sql("owner")
        rows = self._connection.execute(
            f"SELECT {kind.key}, owner FROM {kind.living} WHERE {kind.condition} AND {condition} AND {within} LIMIT ?",
            (*arguments, *reach, limit),
        )
        return [(row[0], row[1]) for row in rows]

    def _deal(self, kind: Kind, rows: Sequence[Row]) -> None:
        parts: defaultdict[str, list[Row]] = defaultdict(list)
        for row in rows:
            parts[next(self._turn)].append(row)
        for receiver, some in parts.items():
            going = [row for row in some if row[1] != receiver]
            self._give(kind, going, receiver)
            self._audit(kind, going, receiver)

    def _audit(self, kind: Kind, rows: Sequence[Row], receiver: str) -> None:
        for key, owner in rows:
            data = {"before": {"owner": owner}, "after": {"owner": receiver}}
            audit.append(self._connection, self._actor, f"{kind.name}.hand_over", str(key), data)

    def _give(self, kind: Kind, rows: Sequence[Row], receiver: str) -> None:
        hand_over = self.hand_overs[receiver]
        # A record that was moved, moved on by somebody and met again keeps the owner it had first.
        self._connection.executemany(
            "INSERT INTO hand_over_records (hand_over_id, kind, record_id, old_owner) VALUES (?,?,?,?)"
            " ON CONFLICT DO NOTHING",
            [(hand_over, kind.name, str(row[0]), row[1]) for row in rows],
        )
        self._connection.executemany(
            f"UPDATE {kind.table} SET owner = ?{kind.also} WHERE {kind.key} = ?", [(receiver, row[0]) for row in rows]
        )
        if kind is CUSTOMER:
            index.renew(self._connection, [int(row[0]) for row in rows])
        self.counts[receiver][kind.name] += len(rows)
        self.old_owners[receiver].update(row[1] for row in rows)


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
