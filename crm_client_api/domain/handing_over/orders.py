"""A hand-over from its order to its end: who may, what moves, what is written down about it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import sqlite_utils

from crm_client_api.domain import audit, office_events
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers.search import Filter, wanted_ids
from crm_client_api.domain.handing_over.batches import run_in_batches
from crm_client_api.domain.handing_over.moving import Move
from crm_client_api.domain.handing_over.reach import reach_of, require_giver, require_receiver, require_unchanged
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.scope import RecordScope, Viewer, communication_scope, customer_scope
from crm_client_api.domain.settings import read_settings
from firmware.clock import now_ms
from firmware.errors import NotFound, Refused

_IDS_AT_ONCE = 500
_SELECTED_AT_ONCE = 200
_Then = Callable[[sqlite3.Connection], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is handed over to whom: records by their ids, customers by a filter, or all records of ``all_of``.

    ``desk_too``: with all records go tasks without a customer, call-backs and drafts, as when somebody leaves. Several
    receivers get customers in turn.
    """

    to: tuple[str, ...]
    customers: tuple[int, ...] = ()
    communications: tuple[int, ...] = ()
    selection: Filter | None = None
    all_of: str | None = None
    desk_too: bool = False
    reason: str = ""


def _nothing(_connection: sqlite3.Connection) -> None:
    pass


def hand_over(
    crm: sqlite_utils.Database,
    wanted: Wanted,
    actor: Actor,
    viewer: Viewer,
    *,
    at_first: _Then = _nothing,
    at_last: _Then = _nothing,
) -> list[int]:
    """Hand records over; returns the hand-over's id for each receiver.

    ``at_first`` and ``at_last`` run inside the first and the last transaction; often the two are one. Raises Invalid,
    LevelMissing, NotFound (a record out of scope, a person out of reach), Refused.
    """
    reach = reach_of(viewer)
    if not wanted.to or len(set(wanted.to)) != len(wanted.to) or wanted.all_of in wanted.to:
        raise Invalid("hand_over_to", "name each receiver once, and not the one whose records they are")
    named = bool(wanted.customers or wanted.communications)
    if [named, wanted.selection is not None, wanted.all_of is not None].count(True) != 1:
        raise Invalid("hand_over_what", "name records, or a filter, or the operator whose records are handed over")
    moves: list[Move] = []

    def after_batch(connection: sqlite3.Connection, ended: bool) -> None:
        moves[0].note()
        if _undone(connection, moves[0]):
            raise Refused("somebody takes this hand-over back")
        if ended:
            _finish(connection, moves[0], actor)
            at_last(connection)

    run_in_batches(crm, _steps(crm, wanted, actor, viewer, reach, at_first, moves), after_batch)
    return list(moves[0].hand_overs.values())


def _steps(
    crm: sqlite_utils.Database,
    wanted: Wanted,
    actor: Actor,
    viewer: Viewer,
    reach: RecordScope,
    at_first: _Then,
    moves: list[Move],
) -> Iterator[None]:
    """The steps; the first checks, and puts the move into ``moves``."""
    connection = crm.conn
    require_unchanged(connection, viewer)
    for receiver in wanted.to:
        require_receiver(connection, receiver, reach)
    if wanted.all_of is not None:
        require_giver(connection, wanted.all_of, reach)
    _require_in_scope(connection, "customers", wanted.customers, customer_scope(viewer), reach)
    _require_in_scope(connection, "communications", wanted.communications, communication_scope(viewer), reach)
    at_first(connection)
    hand_overs = {receiver: _begin(connection, receiver, wanted, actor) for receiver in wanted.to}
    move = Move(connection, reach, hand_overs, actor)
    moves.append(move)
    yield
    yield from move.customers(wanted.customers)
    yield from move.communications(wanted.communications)
    if wanted.selection is not None:
        yield from _selected(crm, wanted.selection, viewer, move)
    if wanted.all_of is not None:
        yield from move.all_of(wanted.all_of, desk_too=wanted.desk_too)


def _selected(crm: sqlite_utils.Database, selection: Filter, viewer: Viewer, move: Move) -> Iterator[None]:
    """The customers of a filter in scope, from the newest down; those of another group stay."""
    site, scope, below = read_settings(crm).site, customer_scope(viewer), None
    while found := wanted_ids(crm, selection, scope, site, limit=_SELECTED_AT_ONCE, below=below):
        yield from move.customers(found)
        below = found[-1]


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


def _finish(connection: sqlite3.Connection, move: Move, actor: Actor) -> None:
    for receiver, hand_over_id in move.hand_overs.items():
        connection.execute("UPDATE hand_overs SET finished_ms = ? WHERE id = ?", (now_ms(), hand_over_id))
        owners, counts = sorted(move.old_owners[receiver]), dict(move.counts[receiver])
        data = {"before": {"owners": owners}, "after": {"owner": receiver}, "counts": counts}
        audit.append(connection, actor, "hand_over.end", str(hand_over_id), data)
        office_events.tell(
            connection, "hand_over", {"hand_over_id": hand_over_id}, to=(receiver, actor.staff_no, *owners)
        )


def _undone(connection: sqlite3.Connection, move: Move) -> bool:
    ids = tuple(move.hand_overs.values())
    found = connection.execute(
        f"SELECT 1 FROM hand_overs WHERE id IN ({','.join('?' * len(ids))}) AND undone_ms IS NOT NULL", ids
    ).fetchone()
    return found is not None
