"""Hand-overs as they are listed, and how one is taken back within 30 days."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import sqlite_utils

from crm_client_api.domain import audit, office_events
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers import index
from crm_client_api.domain.handing_over.batches import run_in_batches
from crm_client_api.domain.handing_over.drafts import return_draft
from crm_client_api.domain.handing_over.kinds import CUSTOMER, DRAFT, KINDS
from crm_client_api.domain.handing_over.reach import reach_of, require_unchanged
from crm_client_api.domain.scope import Sql, Viewer
from firmware.clock import now_ms
from firmware.errors import NotFound, Refused

UNDO_WITHIN_MS = 30 * 86_400_000
MOST_TOLD = 1000
"""So many of the records that moved on are told one by one."""
_STEP_ROWS = 20


@dataclass(frozen=True, slots=True)
class HandOver:
    """A hand-over: how many records of each kind went from whom to whom. Times are Unix ms UTC.

    ``finished_ms`` is None while it runs, and for one that was cut off.
    """

    id: int
    at_ms: int
    by: str
    to: str
    reason: str
    old_owners: list[str]
    counts: dict[str, int]
    finished_ms: int | None
    undone_ms: int | None
    undone_by: str | None


@dataclass(frozen=True, slots=True)
class MovedOn:
    """A record that did not come back: somebody else has it by now, or nobody. ``kind`` as in ``kinds``."""

    kind: str
    record_id: str


def list_hand_overs(
    crm: sqlite_utils.Database, viewer: Viewer, *, limit: int = 50, before: int | None = None
) -> list[HandOver]:
    """Those within the viewer's reach, newest first. Raises LevelMissing."""
    condition, arguments = _within(viewer)
    paged = "AND id < ?" if before is not None else ""
    rows = crm.conn.execute(
        f"SELECT * FROM hand_overs WHERE {condition} {paged} ORDER BY id DESC LIMIT ?",
        (*arguments, *(() if before is None else (before,)), limit),
    )
    return [_hand_over(row) for row in rows]


def get_hand_over(crm: sqlite_utils.Database, hand_over_id: int, viewer: Viewer) -> HandOver:
    """Raises NotFound, also for one out of reach; LevelMissing."""
    condition, arguments = _within(viewer)
    row = crm.conn.execute(
        f"SELECT * FROM hand_overs WHERE id = ? AND {condition}", (hand_over_id, *arguments)
    ).fetchone()
    if row is None:
        raise NotFound("there is no such hand-over")
    return _hand_over(row)


def moved_on(crm: sqlite_utils.Database, hand_over_id: int) -> list[MovedOn]:
    """What did not come back when the hand-over was taken back, ``MOST_TOLD`` at most."""
    rows = crm.conn.execute(
        "SELECT kind, record_id FROM hand_over_records WHERE hand_over_id = ? AND outcome = 'moved_on'"
        " ORDER BY kind, record_id LIMIT ?",
        (hand_over_id, MOST_TOLD),
    )
    return [MovedOn(row[0], _name(row[0], row[1])) for row in rows]


def undo_hand_over(
    crm: sqlite_utils.Database, hand_over_id: int, actor: Actor, viewer: Viewer, at_ms: int | None = None
) -> HandOver:
    """Give everything back that the receiver still has from this hand-over; ``moved_on`` tells the rest.

    Raises LevelMissing, NotFound; Refused after 30 days, and when it was taken back already.
    """
    steps = _steps(crm, hand_over_id, actor, viewer, now_ms() if at_ms is None else at_ms)
    run_in_batches(crm, steps, lambda _connection, _ended: None)
    return get_hand_over(crm, hand_over_id, viewer)


def _steps(crm: sqlite_utils.Database, hand_over_id: int, actor: Actor, viewer: Viewer, at_ms: int) -> Iterator[None]:
    connection = crm.conn
    require_unchanged(connection, viewer)
    one = get_hand_over(crm, hand_over_id, viewer)
    if at_ms > one.at_ms + UNDO_WITHIN_MS:
        raise Refused("a hand-over can be taken back within 30 days")
    waiting = (
        "SELECT rowid, kind, record_id, old_owner FROM hand_over_records WHERE hand_over_id = ? AND outcome IS NULL"
        " AND (kind, record_id) > (?, ?) ORDER BY kind, record_id LIMIT ?"
    )
    last = ("", "")
    if one.undone_ms is not None and connection.execute(waiting, (hand_over_id, *last, 1)).fetchone() is None:
        raise Refused("this hand-over was taken back already")
    if one.undone_ms is None:
        connection.execute(
            "UPDATE hand_overs SET undone_ms = ?, undone_by = ? WHERE id = ?", (at_ms, actor.staff_no, hand_over_id)
        )
        audit.append(connection, actor, "hand_over.undo", str(hand_over_id))
    while rows := connection.execute(waiting, (hand_over_id, *last, _STEP_ROWS)).fetchall():
        last = (rows[-1]["kind"], rows[-1]["record_id"])
        returned = {row["rowid"] for row in rows if _return(connection, one, row)}
        connection.executemany(
            "UPDATE hand_over_records SET outcome = ? WHERE rowid = ?",
            [("returned" if row["rowid"] in returned else "moved_on", row["rowid"]) for row in rows],
        )
        customers = [row for row in rows if row["rowid"] in returned and row["kind"] == CUSTOMER.name]
        index.renew(connection, [int(row["record_id"]) for row in customers])
        for row in customers:
            data = {"before": {"owner": one.to}, "after": {"owner": row["old_owner"]}}
            audit.append(connection, actor, "customer.hand_over", row["record_id"], data)
        yield
    outcomes = connection.execute(
        "SELECT outcome, count(*) FROM hand_over_records WHERE hand_over_id = ? GROUP BY outcome", (hand_over_id,)
    )
    data = {"before": {"owner": one.to}, "after": {"owners": one.old_owners}, "counts": dict(map(tuple, outcomes))}
    audit.append(connection, actor, "hand_over.undone", str(hand_over_id), data)
    office_events.tell(
        connection, "hand_over", {"hand_over_id": one.id}, to=(one.to, one.by, actor.staff_no, *one.old_owners)
    )


def _return(connection: sqlite3.Connection, one: HandOver, row: sqlite3.Row) -> bool:
    """Whether the record went back: not when a later hand-over moved it too, or it has another owner by now."""
    later = connection.execute(
        "SELECT 1 FROM hand_over_records WHERE kind = ? AND record_id = ? AND hand_over_id > ?"
        " AND outcome IS NOT 'returned'",
        (row["kind"], row["record_id"], one.id),
    ).fetchone()
    if later is not None:
        return False
    if row["kind"] == DRAFT:
        return return_draft(connection, row["record_id"], one.to, row["old_owner"])
    kind = KINDS[row["kind"]]
    done = connection.execute(
        f"UPDATE {kind.table} SET owner = ?{kind.also} WHERE {kind.key} = ? AND owner = ?",
        (row["old_owner"], row["record_id"], one.to),
    )
    return done.rowcount > 0


def _within(viewer: Viewer) -> Sql:
    """Hand-overs to somebody within reach, of records that belonged to people within reach."""
    reach = reach_of(viewer)
    if reach.everything:
        return "1", ()
    to, arguments = reach.sql("to_staff_no")
    giver, of_giver = reach.sql("value")
    return f"({to} AND NOT EXISTS (SELECT 1 FROM json_each(old_owners) WHERE NOT {giver}))", (*arguments, *of_giver)


def _hand_over(row: sqlite3.Row) -> HandOver:
    return HandOver(
        id=row["id"],
        at_ms=row["at_ms"],
        by=row["by"],
        to=row["to_staff_no"],
        reason=row["reason"],
        old_owners=msgspec.json.decode(row["old_owners"]),
        counts=msgspec.json.decode(row["counts"]),
        finished_ms=row["finished_ms"],
        undone_ms=row["undone_ms"],
        undone_by=row["undone_by"],
    )


def _name(kind: str, record_id: str) -> str:
    return str(msgspec.json.decode(record_id)[0]) if kind == DRAFT else record_id
