"""Hand-overs as they are listed, and how one is taken back within 30 days."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import sqlite_utils

from crm_client_api.domain.audit import Actor
from crm_client_api.domain.handing_over.batches import fill_batch
from crm_client_api.domain.handing_over.job_link import note_job, require_at_rest
from crm_client_api.domain.handing_over.kinds import DRAFT, VIEW
from crm_client_api.domain.handing_over.reach import present_of, reach_of, require_unchanged
from crm_client_api.domain.handing_over.returning import ReturnWork
from crm_client_api.domain.handing_over.views import views_of
from crm_client_api.domain.scope import Sql, Viewer
from firmware.clock import now_ms
from firmware.errors import NotFound, Refused
from firmware.store.connection import write

UNDO_WITHIN_MS = 30 * 86_400_000
MOST_TOLD = 1000
"""So many of the records that moved on are told one by one."""


@dataclass(frozen=True, slots=True)
class HandOver:
    """A hand-over: how many records of each kind went from whom to whom. Times are Unix ms UTC.

    ``finished_ms`` is None while it runs, and for one that was given up.
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
    place = crm.conn.execute("SELECT place FROM hand_overs WHERE id = ?", (hand_over_id,)).fetchone()[0]
    views = [MovedOn(VIEW, str(key)) for key in views_of(place).stayed]
    return [*(MovedOn(row[0], _name(row[0], row[1])) for row in rows), *views][:MOST_TOLD]


def begin_undo(
    crm: sqlite_utils.Database,
    hand_over_id: int,
    actor: Actor,
    viewer: Viewer,
    leave: Callable[[sqlite3.Connection], int],
    at_ms: int | None = None,
) -> HandOver:
    """Give everything back that the receiver still has from this hand-over; ``moved_on`` tells the rest, also what
    belonged to somebody who may not log in any more.

    What one transaction does not take is left to the job that ``leave`` adds inside it. Raises LevelMissing, NotFound;
    Refused after 30 days, when it was taken back already, while a job works on it, and when nobody is there to whom
    anything could go back.
    """
    with write(crm) as connection:
        require_unchanged(connection, viewer)
        one = get_hand_over(crm, hand_over_id, viewer)
        if (now_ms() if at_ms is None else at_ms) > one.at_ms + UNDO_WITHIN_MS:
            raise Refused("a hand-over can be taken back within 30 days")
        require_at_rest(connection, hand_over_id)
        if not present_of(connection, one.old_owners):
            raise Refused(f"{', '.join(one.old_owners)} may not log in: records would wait there")
        work = ReturnWork(crm, hand_over_id, actor)
        work.look_ahead()
        if one.undone_ms is not None and work.has_nothing:
            raise Refused("this hand-over was taken back already")
        fill_batch(connection, work)
        if not work.ended:
            note_job(connection, leave(connection), [hand_over_id])
    return get_hand_over(crm, hand_over_id, viewer)


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
