"""Who may hand over, and between whom (domain rules, section 1)."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from crm_client_api.domain.permissions import Level
from crm_client_api.domain.scope import RecordScope, Viewer
from firmware.errors import NotFound, Refused


class LevelMissing(Refused):
    """This takes a higher level, whatever the permissions."""


def reach_of(viewer: Viewer) -> RecordScope:
    """The owners from whom and to whom the viewer may hand over: all, or those of the own group.

    Raises LevelMissing for an ordinary operator.
    """
    if viewer.level is Level.SUPER:
        return RecordScope(everything=True)
    if viewer.level is Level.LEADER:
        return RecordScope(group=viewer.group)
    raise LevelMissing("only super operators and group leaders hand over")


def require_unchanged(connection: sqlite3.Connection, viewer: Viewer) -> None:
    """Inside a transaction: whether the viewer is still who began the request. Raises Refused."""
    row = connection.execute(
        "SELECT level, group_number, active FROM operators WHERE staff_no = ? AND deleted_ms IS NULL",
        (viewer.staff_no,),
    ).fetchone()
    if row is None or not row["active"] or (row["level"], row["group_number"]) != (viewer.level, viewer.group):
        raise Refused("your own settings have changed meanwhile")


def present_of(connection: sqlite3.Connection, staff_nos: Sequence[str]) -> list[str]:
    """Of some people those who may log in: with others, records would wait."""
    rows = connection.execute(
        f"SELECT staff_no FROM operators WHERE deleted_ms IS NULL AND active AND staff_no IN"
        f" ({','.join('?' * len(staff_nos))}) ORDER BY staff_no",
        tuple(staff_nos),
    )
    return [row[0] for row in rows]


def require_giver(connection: sqlite3.Connection, staff_no: str, reach: RecordScope) -> None:
    """Whether records of this person may be handed over; a deleted one's too. Raises NotFound."""
    condition, arguments = reach.sql("staff_no")
    found = connection.execute(
        f"SELECT 1 FROM operators WHERE staff_no = ? AND {condition}", (staff_no, *arguments)
    ).fetchone()
    if found is None:
        raise NotFound(f"there is no operator {staff_no!r} from whom you could hand over")


def require_receiver(connection: sqlite3.Connection, staff_no: str, reach: RecordScope) -> None:
    """Whether this person may be given records. Raises NotFound; Refused for one who may not log in."""
    condition, arguments = reach.sql("staff_no")
    row = connection.execute(
        f"SELECT active FROM operators WHERE staff_no = ? AND deleted_ms IS NULL AND {condition}",
        (staff_no, *arguments),
    ).fetchone()
    if row is None:
        raise NotFound(f"there is no operator {staff_no!r} to whom you could hand over")
    if not row["active"]:
        raise Refused(f"operator {staff_no} may not log in: records would wait there")
