"""A hand-over from its order to its end: who may, what moves, what is written down about it.

The first transaction checks people and does as much as fits into it; mostly that is everything. What is left goes on
in further transactions, in another process. Others see it go step by step, each customer with all that goes along; one
that cannot go on to its end is taken back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence

import sqlite_utils

from crm_client_api.domain import audit, office_events
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.handing_over.batches import fill_batch
from crm_client_api.domain.handing_over.job_link import note_job
from crm_client_api.domain.handing_over.moved import tell_customers
from crm_client_api.domain.handing_over.moving import Move
from crm_client_api.domain.handing_over.reach import reach_of, require_giver, require_receiver, require_unchanged
from crm_client_api.domain.handing_over.selected import Selected
from crm_client_api.domain.handing_over.wanted import Wanted
from crm_client_api.domain.scope import RecordScope, Viewer, communication_scope, customer_scope
from firmware.clock import now_ms
from firmware.errors import NotFound, Refused
from firmware.store.connection import write

_IDS_AT_ONCE = 500
Then = Callable[[sqlite3.Connection], None]
"""Something that is done inside the first or the last transaction of a hand-over."""
Leave = Callable[[sqlite3.Connection, Wanted, Mapping[str, int]], int]
"""Sees to it, inside the first transaction, that the rest of hand-overs (by receiver) is done: by which job."""


def nothing(_connection: sqlite3.Connection) -> None:
    """For those who have nothing to do in that transaction."""


class HandOverWork:
    """A hand-over on its way; ``Work`` of ``batches``. Its last transaction tells everybody, and does ``at_last``."""

    def __init__(self, crm: sqlite_utils.Database, move: Move, actor: Actor, at_last: Then) -> None:
        self._crm, self._move, self._actor, self._at_last = crm, move, actor, at_last

    @property
    def ended(self) -> bool:
        """Whether all was handed over."""
        return self._move.ended

    @property
    def done(self) -> int:
        """How many records."""
        return self._move.done

    def look_ahead(self) -> None:
        """Read the next customers of a filter."""
        self._move.look_ahead()

    def step(self) -> bool:
        """Move some rows."""
        return self._move.step()

    def end_batch(self, connection: sqlite3.Connection) -> None:
        """Write down what was moved, at last that it was all."""
        self._move.end_batch(connection)
        if self._move.ended:
            self._finish(connection)
            self._at_last(connection)

    def _finish(self, connection: sqlite3.Connection) -> None:
        move = self._move
        for receiver, hand_over_id in move.hand_overs.items():
            connection.execute("UPDATE hand_overs SET finished_ms = ? WHERE id = ?", (now_ms(), hand_over_id))
            owners, counts = sorted(move.old_owners[receiver]), dict(move.counts[receiver])
            data = {"before": {"owners": owners}, "after": {"owner": receiver}, "counts": counts}
            audit.append(connection, self._actor, "hand_over.end", str(hand_over_id), data)
            office_events.tell(
                connection, "hand_over", {"hand_over_id": hand_over_id}, to=(receiver, self._actor.staff_no, *owners)
            )
        tell_customers(self._crm, connection, move.hand_overs)


def begin_hand_over(
    crm: sqlite_utils.Database,
    wanted: Wanted,
    actor: Actor,
    viewer: Viewer,
    leave: Leave,
    *,
    at_first: Then = nothing,
    at_last: Then = nothing,
) -> list[int]:
    """Hand records over in one transaction, or begin to, and ``leave`` the rest; the hand-over's id for each receiver.

    ``at_last`` is done here if all is. Raises Invalid, LevelMissing, NotFound (a record out of scope, a person out of
    reach), Refused.
    """
    reach = reach_of(viewer)
    wanted.check()
    selected = None if wanted.selection is None else Selected(crm, wanted.selection, reach)
    if selected is not None:
        selected.look_ahead(None)
    # Long lists are looked through before the store is locked: the moving itself asks again, record by record.
    _require_people(crm.conn, wanted, viewer, reach)
    _require_in_scope(crm.conn, "customers", wanted.customers, customer_scope(viewer), reach)
    _require_in_scope(crm.conn, "communications", wanted.communications, communication_scope(viewer), reach)
    with write(crm) as connection:
        _require_people(connection, wanted, viewer, reach)
        at_first(connection)
        hand_overs = {receiver: _begin(connection, receiver, wanted, actor) for receiver in wanted.to}
        work = HandOverWork(crm, Move(connection, wanted, selected, reach, hand_overs, actor), actor, at_last)
        fill_batch(connection, work)
        if not work.ended:
            note_job(connection, leave(connection, wanted, hand_overs), hand_overs.values())
    return list(hand_overs.values())


def resume_hand_over(
    crm: sqlite_utils.Database,
    wanted: Wanted,
    hand_overs: Mapping[str, int],
    actor: Actor,
    viewer: Viewer,
    at_last: Then = nothing,
) -> HandOverWork:
    """A hand-over that was begun, to be gone on with. Raises LevelMissing, NotFound, Refused: it may not, any more."""
    reach = reach_of(viewer)
    selected = None if wanted.selection is None else Selected(crm, wanted.selection, reach)
    work = HandOverWork(crm, Move(crm.conn, wanted, selected, reach, hand_overs, actor), actor, at_last)
    if not work.ended:
        _require_people(crm.conn, wanted, viewer, reach)
        _require_standing(crm.conn, hand_overs)
    return work


def _require_people(connection: sqlite3.Connection, wanted: Wanted, viewer: Viewer, reach: RecordScope) -> None:
    require_unchanged(connection, viewer)
    for receiver in wanted.to:
        require_receiver(connection, receiver, reach)
    if wanted.all_of is not None:
        require_giver(connection, wanted.all_of, reach)


def _require_standing(connection: sqlite3.Connection, hand_overs: Mapping[str, int]) -> None:
    """Raises Refused when it is being taken back: it cannot go both ways."""
    ids = tuple(hand_overs.values())
    found = connection.execute(
        f"SELECT 1 FROM hand_overs WHERE id IN ({','.join('?' * len(ids))}) AND undone_ms IS NOT NULL", ids
    ).fetchone()
    if found is not None:
        raise Refused("this hand-over was taken back")


def _require_in_scope(
    connection: sqlite3.Connection, table: str, ids: Sequence[int], scope: RecordScope, reach: RecordScope
) -> None:
    seen, givable = scope.sql("owner"), reach.sql("owner")
    for first in range(0, len(ids), _IDS_AT_ONCE):
        some = ids[first : first + _IDS_AT_ONCE]
        rows = {
            row[0]: row[1]
            for row in connection.execute(
                f"SELECT id, {givable[0]} FROM living_{table} WHERE id IN ({','.join('?' * len(some))}) AND {seen[0]}",
                (*givable[1], *some, *seen[1]),
            )
        }
        for one in some:
            if one not in rows:
                raise NotFound(f"there is no {table.removesuffix('s')} {one}")
            if not rows[one]:
                raise Refused(f"{table.removesuffix('s')} {one} belongs to another group")


def _begin(connection: sqlite3.Connection, receiver: str, wanted: Wanted, actor: Actor) -> int:
    cursor = connection.execute(
        "INSERT INTO hand_overs (at_ms, by, to_staff_no, reason) VALUES (?,?,?,?)",
        (now_ms(), actor.staff_no, receiver, wanted.reason),
    )
    hand_over_id = int(cursor.lastrowid or 0)
    asked = {
        "to": receiver,
        "all_of": wanted.all_of,
        "customers": len(wanted.customers),
        "communications": len(wanted.communications),
        "by_filter": wanted.selection is not None,
    }
    audit.append(connection, actor, "hand_over.begin", str(hand_over_id), asked)
    return hand_over_id
