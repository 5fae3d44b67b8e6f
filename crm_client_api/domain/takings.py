"""Who handles a call: who took it, else the only one who was logged in on its channel when it was answered.

The calls belong to recorders and keeper: an order has the keeper write ``handled_by``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.calls import Call
from crm_client_api.domain.office_events import tell
from firmware.clock import now_ms
from firmware.errors import Refused
from firmware.store.connection import write
from recorder.orders import add_order

BOX = "box"
"""The actor of what the box concludes by itself."""
TAKE_WITHIN_MS = 86_400_000
"""So long after its end a call can be taken, and given back: reports of days gone by stay as they are."""
_ONLY_ONE = "call.only_one"
_AT_ONCE = 500


class Taken(Refused):
    """Somebody else has taken this call."""


@dataclass(frozen=True, slots=True)
class Taking:
    """``how``: ``taken`` by saying so, ``only_one`` as nobody else can have answered. ``at_ms``: Unix ms UTC."""

    call_id: str
    staff_no: str
    at_ms: int
    how: Literal["taken", "only_one"]


def takings_of(crm: sqlite_utils.Database, call_ids: Sequence[str]) -> dict[str, Taking]:
    """Who handles these calls, by call."""
    found: dict[str, Taking] = {}
    for first in range(0, len(call_ids), _AT_ONCE):
        some = call_ids[first : first + _AT_ONCE]
        rows = crm.conn.execute(
            f"SELECT call_id, staff_no, at_ms, how FROM call_takings WHERE call_id IN ({','.join('?' * len(some))})",
            some,
        )
        found |= {row[0]: Taking(*row) for row in rows}
    return found


def require_recent(call: Call, at_ms: int) -> None:
    """Raises Refused for a call that ended too long ago to be taken or given back."""
    if call.state == "ended" and (call.ended_ms or call.started_ms) < at_ms - TAKE_WITHIN_MS:
        raise Refused(f"a call can be taken until {TAKE_WITHIN_MS // 3_600_000} hours after its end")


def take(crm: sqlite_utils.Database, call_id: str, actor: Actor) -> Taking:
    """The first to say so has the call, and may say so again. Raises Taken."""
    with write(crm) as connection:
        old = takings_of(crm, [call_id]).get(call_id)
        if old is not None and old.how == "taken":
            if old.staff_no == actor.staff_no:
                return old
            raise Taken(f"{_name(connection, old.staff_no)} has taken this call")
        new = Taking(call_id, actor.staff_no, now_ms(), "taken")
        _put(connection, new)
        _enter(connection, call_id, actor, "call.take", old, new)
        _tell_all(connection, "call_taken", call_id, actor.staff_no)
    return new


def release(crm: sqlite_utils.Database, call_id: str, actor: Actor) -> None:
    """Take back that one took a call; it is as it was before. Raises Refused: it was not oneself."""
    with write(crm) as connection:
        old = takings_of(crm, [call_id]).get(call_id)
        if old is None or old.how != "taken":
            raise Refused("nobody has taken this call")
        if old.staff_no != actor.staff_no:
            raise Taken(f"{_name(connection, old.staff_no)} has taken this call")
        connection.execute("DELETE FROM call_takings WHERE call_id = ?", (call_id,))
        new = _only_one(connection, call_id)
        if new is not None:
            _put(connection, new)
        _enter(connection, call_id, actor, "call.release", old, new)
        _tell_all(connection, "call_released", call_id, actor.staff_no)


def note_only_one(crm: sqlite_utils.Database, call_id: str, staff_no: str) -> None:
    """Nobody else can have answered; who says so goes before."""
    with write(crm) as connection:
        if takings_of(crm, [call_id]):
            return
        new = Taking(call_id, staff_no, now_ms(), "only_one")
        _put(connection, new)
        _enter(connection, call_id, Actor(BOX), _ONLY_ONE, None, new)


def _only_one(connection: sqlite3.Connection, call_id: str) -> Taking | None:
    """Whom the box took for the only one who can have answered, before somebody said so."""
    row = connection.execute(
        "SELECT at_ms, json_extract(data, '$.after.handled_by') FROM audit WHERE subject = ? AND action = ?"
        " ORDER BY id DESC LIMIT 1",
        (call_id, _ONLY_ONE),
    ).fetchone()
    return None if row is None else Taking(call_id, row[1], row[0], "only_one")


def _put(connection: sqlite3.Connection, new: Taking) -> None:
    connection.execute(
        "INSERT INTO call_takings VALUES (?,?,?,?) ON CONFLICT (call_id) DO UPDATE"
        " SET staff_no = excluded.staff_no, at_ms = excluded.at_ms, how = excluded.how",
        (new.call_id, new.staff_no, new.at_ms, new.how),
    )


def _enter(
    connection: sqlite3.Connection, call_id: str, actor: Actor, action: str, old: Taking | None, new: Taking | None
) -> None:
    """The audit entry, and the order that has the keeper write it."""
    before, after = (None if one is None else one.staff_no for one in (old, new))
    add_order(
        connection, at_ms=now_ms(), asked_by=actor.staff_no, verb="handle", call_id=call_id, data={"staff_no": after}
    )
    change = {"before": {"handled_by": before}, "after": {"handled_by": after}}
    audit.append(connection, actor, action, call_id, change)


def _tell_all(connection: sqlite3.Connection, kind: str, call_id: str, staff_no: str) -> None:
    """Everybody who was shown the call: cards close, or come back."""
    rows = connection.execute("SELECT staff_no FROM popup_receipts WHERE call_id = ?", (call_id,))
    data = {"staff_no": staff_no, "name": _name_of(connection, staff_no)}
    tell(connection, kind, data, to=[staff_no, *(row[0] for row in rows)], call_id=call_id)


def _name_of(connection: sqlite3.Connection, staff_no: str) -> str:
    row = connection.execute("SELECT name FROM staff WHERE staff_no = ?", (staff_no,)).fetchone()
    return "" if row is None else str(row[0])


def _name(connection: sqlite3.Connection, staff_no: str) -> str:
    return f"{staff_no} {_name_of(connection, staff_no)}".strip()
