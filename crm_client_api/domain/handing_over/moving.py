"""The moving itself, in steps of a few rows. Where it stands is written down with every transaction.

A customer's communication records and open tasks go along, before the customer does.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence

import msgspec

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers import index
from crm_client_api.domain.handing_over.drafts import give_drafts
from crm_client_api.domain.handing_over.kinds import CALL_BACK, COMMUNICATION, CUSTOMER, DRAFT, PHRASE, TASK, VIEW, Kind
from crm_client_api.domain.handing_over.phrases import give_phrases, keeper_of_phrases
from crm_client_api.domain.handing_over.selected import Selected
from crm_client_api.domain.handing_over.views import MovedViews, give_views, views_of
from crm_client_api.domain.handing_over.wanted import Wanted
from crm_client_api.domain.scope import RecordScope

STEP_ROWS = 50
STEP_CUSTOMERS = 10

Row = tuple[str | int, str]
"""A record's id, and its owner."""


class Place(msgspec.Struct):
    """How far a hand-over is. ``stage``: customers, communication records, tasks, call-backs, drafts, phrases, views;
    then it is over.

    ``at``: so many of the records that are named in this stage are done; ``below``: customers of a filter that are done
    have this id or a higher one; ``turn``: so many records were dealt out to the receivers; ``views``: see ``views``.
    """

    stage: int = 0
    at: int = 0
    below: int | None = None
    turn: int = 0
    views: MovedViews = msgspec.field(default_factory=MovedViews)


class Move:
    """Gives records to one or several receivers in turn; ``Work`` of ``batches``.

    ``hand_overs``: the row of table ``hand_overs`` by receiver, from which a move that was begun elsewhere goes on.
    What is handed over by itself has an entry in the audit log each; what goes along with a customer has not.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        wanted: Wanted,
        selected: Selected | None,
        reach: RecordScope,
        hand_overs: Mapping[str, int],
        actor: Actor,
    ) -> None:
        self._connection, self._wanted, self._selected = connection, wanted, selected
        self._reach, self._actor = reach, actor
        self.hand_overs = dict(hand_overs)
        self._receivers = tuple(hand_overs)
        self.counts: dict[str, Counter[str]] = {}
        self.old_owners: dict[str, set[str]] = {}
        self.place = Place()
        self._views: dict[str, MovedViews] = {}
        for receiver, hand_over in hand_overs.items():
            row = connection.execute(
                "SELECT counts, old_owners, place FROM hand_overs WHERE id = ?", (hand_over,)
            ).fetchone()
            self.counts[receiver] = Counter(msgspec.json.decode(row["counts"], type=dict[str, int]))
            self.old_owners[receiver] = set(msgspec.json.decode(row["old_owners"], type=list[str]))
            self.place = msgspec.json.decode(row["place"], type=Place)
            self._views[receiver] = views_of(row["place"])
        self._stages = (
            self._next_customer, self._next_communications, self._next_tasks, self._next_call_backs, self._next_drafts,
            self._next_phrases, self._next_views,
        )  # fmt: skip
        self._rows: deque[tuple[int, str | None]] = deque()

    @property
    def ended(self) -> bool:
        """Whether all was moved."""
        return self.place.stage == len(self._stages)

    @property
    def done(self) -> int:
        """How many records were dealt out: without those that went along, unless everything of somebody is moved."""
        if self._wanted.all_of is None:
            return self.place.turn
        return sum(counts.total() for counts in self.counts.values())

    def look_ahead(self) -> None:
        """Read the next customers of a filter."""
        if self._selected is not None:
            self._selected.look_ahead(self.place.below)

    def step(self) -> bool:
        """Move some rows, in the caller's transaction; whether it can take more."""
        while not self.ended:
            if self._stages[self.place.stage]():
                return True
            if self.place.stage == 0 and self._selected is not None and self._selected.has_to_look:
                return False
            self.place.stage, self.place.at = self.place.stage + 1, 0
        return False

    def end_batch(self, connection: sqlite3.Connection) -> None:
        """Write down what was moved so far, in the transaction that moved it."""
        self._rows.clear()  # what was read in it is worth nothing after it
        for receiver, hand_over in self.hand_overs.items():
            connection.execute(
                "UPDATE hand_overs SET counts = ?, old_owners = ?, place = ? WHERE id = ?",
                (
                    msgspec.json.encode(self.counts[receiver]).decode(),
                    msgspec.json.encode(sorted(self.old_owners[receiver])).decode(),
                    msgspec.json.encode(msgspec.structs.replace(self.place, views=self._views[receiver])).decode(),
                    hand_over,
                ),
            )

    def _next_customer(self) -> bool:
        """Move the next customer, or the next of what goes along; False when none is at hand."""
        if not self._rows:
            self._rows.extend(self._read_customers())
        if not self._rows:
            return False
        key, owner = self._rows[0]
        if owner is None or self._move_whole(key, owner):
            self._rows.popleft()
            self._pass(key)
        return True

    def _read_customers(self) -> list[tuple[int, str | None]]:
        """The next customers with their owners; without one who is not there, or not to be given, any more."""
        if self._wanted.all_of is not None:
            return [(int(key), owner) for key, owner in self._owned(CUSTOMER, STEP_CUSTOMERS)]
        if self._selected is not None:
            keys = self._selected.next(STEP_CUSTOMERS)
        else:
            keys = self._wanted.customers[self.place.at :][:STEP_CUSTOMERS]
        owners = dict(self._take(CUSTOMER, f"id IN ({_marks(keys)})", keys, STEP_CUSTOMERS))
        return [(key, owners.get(key)) for key in keys]

    def _move_whole(self, key: int, owner: str) -> bool:
        """Whether the customer has gone too: not as long as there may be more that goes along."""
        receiver = self._receiver()
        if owner == receiver:
            return True
        for kind in (COMMUNICATION, TASK):
            along = self._take(kind, "customer_id = ? AND owner <> ?", (key, receiver), STEP_ROWS)
            self._give(kind, along, receiver)
            if len(along) == STEP_ROWS:
                return False
        self._give(CUSTOMER, [(key, owner)], receiver)
        self._audit(CUSTOMER, [(key, owner)], receiver)
        return True

    def _pass(self, key: int) -> None:
        """Go on behind a customer who is whole."""
        self.place.turn += 1
        if self._selected is not None:
            self.place.below = key
            self._selected.passed()
        elif self._wanted.all_of is None:
            self.place.at += 1

    def _next_communications(self) -> bool:
        if self._wanted.all_of is not None:
            return self._deal(COMMUNICATION, self._owned(COMMUNICATION, STEP_ROWS))
        some = self._wanted.communications[self.place.at :][:STEP_ROWS]
        self._deal(COMMUNICATION, self._take(COMMUNICATION, f"id IN ({_marks(some)})", some, STEP_ROWS))
        self.place.at += len(some)
        return bool(some)

    def _next_tasks(self) -> bool:
        return self._wanted.desk_too and self._deal(TASK, self._owned(TASK, STEP_ROWS))

    def _next_call_backs(self) -> bool:
        return self._wanted.desk_too and self._deal(CALL_BACK, self._owned(CALL_BACK, STEP_ROWS))

    def _next_drafts(self) -> bool:
        giver, receiver = self._wanted.all_of, self._receivers[0]
        if giver is None or not self._wanted.desk_too:
            return False
        moved = give_drafts(self._connection, giver, receiver, self.hand_overs[receiver], STEP_ROWS)
        if moved:
            self.counts[receiver][DRAFT] += moved
            self.old_owners[receiver].add(giver)
        return moved > 0

    def _next_phrases(self) -> bool:
        giver = self._wanted.all_of
        receiver = keeper_of_phrases(self._connection, self._receivers)
        if giver is None or receiver is None or not self._wanted.desk_too:
            return False
        moved = give_phrases(self._connection, giver, receiver, self.hand_overs[receiver], STEP_ROWS, self._actor)
        if moved:
            self.counts[receiver][PHRASE] += moved
            self.old_owners[receiver].add(giver)
        return moved > 0

    def _next_views(self) -> bool:
        giver = self._wanted.all_of
        if giver is None or not self._wanted.desk_too:
            return False
        given = give_views(self._connection, giver, self._receivers, STEP_ROWS, self._actor)
        for receiver, ids in given.items():
            self._views[receiver].giver = giver
            self._views[receiver].ids += ids
            self.counts[receiver][VIEW] += len(ids)
            self.old_owners[receiver].add(giver)
        return bool(given)

    def _receiver(self) -> str:
        return self._receivers[self.place.turn % len(self._receivers)]

    def _owned(self, kind: Kind, limit: int) -> list[Row]:
        return self._take(kind, "owner = ?", (self._wanted.all_of,), limit)

    def _take(self, kind: Kind, condition: str, arguments: Sequence[object], limit: int) -> list[Row]:
        within, reach = self._reach.sql("owner")
        rows = self._connection.execute(
            f"SELECT {kind.key}, owner FROM {kind.living} WHERE {kind.condition} AND {condition} AND {within} LIMIT ?",
            (*arguments, *reach, limit),
        )
        return [(row[0], row[1]) for row in rows]

    def _deal(self, kind: Kind, rows: Sequence[Row]) -> bool:
        """Give rows to the receivers in turn; whether there were any."""
        parts: defaultdict[str, list[Row]] = defaultdict(list)
        for row in rows:
            parts[self._receiver()].append(row)
            self.place.turn += 1
        for receiver, some in parts.items():
            going = [row for row in some if row[1] != receiver]
            self._give(kind, going, receiver)
            self._audit(kind, going, receiver)
        return bool(rows)

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
        # In one statement: after each that a trigger follows, the index of words writes a part of its own.
        self._connection.execute(
            f"UPDATE {kind.table} SET owner = ?{kind.also} WHERE {kind.key} IN (SELECT value FROM json_each(?))",
            (receiver, msgspec.json.encode([row[0] for row in rows]).decode()),
        )
        if kind is CUSTOMER:
            index.renew(self._connection, [int(row[0]) for row in rows])
        if rows:
            self.counts[receiver][kind.name] += len(rows)
        self.old_owners[receiver].update(row[1] for row in rows)


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
