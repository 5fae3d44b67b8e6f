"""Notes on calls: comments, bookmarks at a moment of the call, and scores (质检评分). The scope is in every query."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.calls import Call
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.operators import Operator
from crm_client_api.domain.permissions import Level
from crm_client_api.domain.scope import ChannelScope
from firmware.clock import now_ms
from firmware.errors import NotFound, Refused
from firmware.store.connection import write

LONGEST_TEXT_CHARACTERS = 1000
MOST_NOTES_A_CALL = 200
_COLUMNS = (
    "id, call_id, at_ms, author, coalesce((SELECT name FROM staff WHERE staff_no = author), ''), position_ms, text,"
    " score"
)


@dataclass(frozen=True, slots=True)
class CallNote:
    """A note. ``at_ms``: when it was written, Unix ms UTC; ``position_ms``: at which moment of the call."""

    id: int
    call_id: str
    at_ms: int
    author: str
    author_name: str
    position_ms: int | None
    text: str
    score: int | None


@dataclass(frozen=True, slots=True)
class NewNote:
    """What somebody writes: a text, a moment, a score, or several of them."""

    text: str
    position_ms: int | None
    score: int | None


def notes_on(crm: sqlite_utils.Database, call_id: str, scope: ChannelScope) -> list[CallNote]:
    """The notes on a call, as they were written one after the other."""
    condition, given = scope.sql("channel")
    rows = crm.conn.execute(
        f"SELECT {_COLUMNS} FROM call_notes WHERE call_id = ? AND {condition} ORDER BY id", (call_id, *given)
    )
    return [CallNote(*row) for row in rows]


def notes_of(crm: sqlite_utils.Database, call_ids: Sequence[str], scope: ChannelScope) -> dict[str, list[CallNote]]:
    """The notes on each of these calls that has any, as they were written one after the other."""
    condition, given = scope.sql("channel")
    found: dict[str, list[CallNote]] = defaultdict(list)
    for row in crm.conn.execute(
        f"SELECT {_COLUMNS} FROM call_notes WHERE call_id IN ({','.join('?' * len(call_ids))}) AND {condition}"
        " ORDER BY id",
        (*call_ids, *given),
    ):
        found[row[1]].append(CallNote(*row))
    return found


def noted_calls(crm: sqlite_utils.Database, scope: ChannelScope, most: int) -> tuple[str, ...]:
    """The calls on which something was noted last, at most so many."""
    condition, given = scope.sql("channel")
    rows = crm.conn.execute(
        f"SELECT call_id FROM call_notes WHERE {condition} GROUP BY call_id ORDER BY max(id) DESC LIMIT ?",
        (*given, most),
    )
    return tuple(row[0] for row in rows)


def add_note(crm: sqlite_utils.Database, call: Call, new: NewNote, actor: Actor) -> CallNote:
    """Note something on a call that the asker may hear. Raises Invalid, Refused."""
    text = new.text.strip()
    if not text and new.position_ms is None and new.score is None:
        raise Invalid("note_wrong", "a note has a text, a moment or a score")
    if len(text) > LONGEST_TEXT_CHARACTERS:
        raise Invalid("note_wrong", f"a note has at most {LONGEST_TEXT_CHARACTERS} characters")
    with write(crm) as connection:
        known = connection.execute("SELECT count(*) FROM call_notes WHERE call_id = ?", (call.id,)).fetchone()
        if known[0] >= MOST_NOTES_A_CALL:
            raise Refused(f"a call has at most {MOST_NOTES_A_CALL} notes")
        note_id = connection.execute(
            "INSERT INTO call_notes (call_id, channel, at_ms, author, position_ms, text, score) VALUES (?,?,?,?,?,?,?)",
            (call.id, call.channel, now_ms(), actor.staff_no, new.position_ms, text, new.score),
        ).lastrowid
        row = connection.execute(f"SELECT {_COLUMNS} FROM call_notes WHERE id = ?", (note_id,)).fetchone()
        added = CallNote(*row)
        audit.append(connection, actor, "call.note", call.id, {"note": added.id, "score": added.score})
    return added


def remove_note(
    crm: sqlite_utils.Database, note_id: int, scope: ChannelScope, operator: Operator, actor: Actor
) -> None:
    """Remove an own note; a super operator anybody's. Raises NotFound (also out of scope), Refused."""
    condition, given = scope.sql("channel")
    with write(crm) as connection:
        row = connection.execute(
            f"SELECT {_COLUMNS} FROM call_notes WHERE id = ? AND {condition}", (note_id, *given)
        ).fetchone()
        if row is None:
            raise NotFound("there is no such note")
        note = CallNote(*row)
        if note.author != operator.staff_no and operator.level is not Level.SUPER:
            raise Refused("somebody else wrote this note")
        connection.execute("DELETE FROM call_notes WHERE id = ?", (note_id,))
        about = {"note": note_id, "author": note.author, "score": note.score}
        audit.append(connection, actor, "call.note_remove", note.call_id, about)
