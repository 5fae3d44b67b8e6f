"""Missed calls and what became of them: waiting, taken by somebody, done, dismissed.

Rows appear when a call with a number was missed. Everybody who has the call's channel in scope sees and changes them.
A later talk with the number, whoever called and on whatever channel, settles them without anybody saying so
(``crm_client_api.domain.call_back_follower``).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Literal

import sqlite_utils

from crm_client_api.domain import audit, office_events
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.numbers import Site, match_key
from crm_client_api.domain.permissions import Level
from crm_client_api.domain.scope import ChannelScope
from crm_client_api.domain.settings import Settings
from crm_client_api.domain.tasks import TaskScope
from crm_client_api.domain.witnesses import who_sees_channel
from firmware.clock import now_ms
from firmware.errors import NotFound, Refused
from firmware.store.connection import write

State = Literal["open", "taken", "done", "dismissed"]
WAITING: tuple[State, ...] = ("open", "taken")
ALL_STATES: tuple[State, ...] = (*WAITING, "done", "dismissed")
EVENT = "call_back_changed"
"""``call_id`` of a missed call whose call-back has another state, owner or note."""
LONGEST_TEXT_CHARACTERS = 2_000
_MOST_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class CallBack:
    """A missed call and what became of it, as stored. Times are Unix ms UTC.

    ``tries``: outgoing calls to the number since; ``first_try_ms``: the first of them. ``closed_by_call``: the call by
    which it was settled by itself.
    """

    call_id: str
    channel: int
    match_key: str
    missed_ms: int
    state: State
    owner: str | None
    note: str
    reason: str
    tries: int
    first_try_ms: int | None
    closed_ms: int | None
    closed_by_call: str | None
    changed_ms: int
    changed_by: str


@dataclass(frozen=True, slots=True)
class CallBackFilter:
    """What to list, by the time of the missed call. ``after``: the call that the page before ended with.

    ``states``: those that wait, one, or all.
    """

    states: tuple[State, ...] = WAITING
    owner: str | None = None
    channel: int | None = None
    number: str = ""
    from_ms: int | None = None
    to_ms: int | None = None
    newest_first: bool = False
    after: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Change:
    """What to change; None stays. ``owner``: who takes it, with the state ``taken`` only."""

    state: State | None = None
    owner: str | None = None
    note: str | None = None
    reason: str | None = None


_COLUMNS = ", ".join(field.name for field in fields(CallBack))
_IS_WAITING = "state IN ('open', 'taken')"


def get_call_back(crm: sqlite_utils.Database, call_id: str, scope: ChannelScope) -> CallBack:
    """Raises NotFound, also out of scope."""
    condition, given = scope.sql("channel")
    row = crm.conn.execute(
        f"SELECT {_COLUMNS} FROM call_backs WHERE call_id = ? AND {condition}", (call_id, *given)
    ).fetchone()
    if row is None:
        raise NotFound("there is no such missed call")
    return CallBack(*row)


def list_call_backs(
    crm: sqlite_utils.Database, wanted: CallBackFilter, scope: ChannelScope, site: Site
) -> list[CallBack]:
    """Missed calls in scope."""
    condition, given = scope.sql("channel")
    conditions, arguments = [condition], list(given)
    if wanted.states == WAITING:
        conditions.append(_IS_WAITING)  # as the index says of itself
    elif len(wanted.states) == 1:
        conditions.append("state = ?")
        arguments += wanted.states
    for text, value in (
        ("owner = ?", wanted.owner),
        ("channel = ?", wanted.channel),
        ("missed_ms >= ?", wanted.from_ms),
        ("missed_ms < ?", wanted.to_ms),
        ("match_key = ?", match_key(wanted.number, site) if wanted.number else None),
    ):
        if value is not None:
            conditions.append(text)
            arguments.append(value)
    sign, order = ("<", "DESC") if wanted.newest_first else (">", "ASC")
    if wanted.after is not None:
        conditions.append(
            f"(missed_ms, call_id) {sign} (SELECT missed_ms, call_id FROM call_backs WHERE call_id = ? AND {condition})"
        )
        arguments += [wanted.after, *given]
    rows = crm.conn.execute(
        f"SELECT {_COLUMNS} FROM call_backs WHERE {' AND '.join(conditions)}"
        f" ORDER BY missed_ms {order}, call_id {order} LIMIT ?",
        (*arguments, wanted.limit),
    )
    return [CallBack(*row) for row in rows]


def missed_since(crm: sqlite_utils.Database, missed: Iterable[CallBack], scope: ChannelScope) -> dict[str, int]:
    """For each missed call how many more from its number were missed later, in scope."""
    condition, given = scope.sql("channel")
    return {
        one.call_id: crm.conn.execute(
            f"SELECT count(*) FROM call_backs WHERE match_key = ? AND missed_ms > ? AND {condition}",
            (one.match_key, one.missed_ms, *given),
        ).fetchone()[0]
        for one in missed
    }


def change_call_back(
    crm: sqlite_utils.Database,
    call_id: str,
    change: Change,
    actor: Actor,
    scope: ChannelScope,
    reach: TaskScope,
    settings: Settings,
) -> CallBack:
    """Take, release, note, settle or reopen a missed call in scope.

    Done and dismissed hold for the number's earlier missed calls in scope that wait, too. Raises NotFound, Invalid;
    Refused: a colleague has taken it, or it is given to somebody out of reach.
    """
    _check(change)
    with write(crm) as connection:
        old = get_call_back(crm, call_id, scope)
        _require_free(crm, old, actor, reach, change)
        if change.note is not None:
            connection.execute("UPDATE call_backs SET note = ? WHERE call_id = ?", (change.note, call_id))
        if change.state in WAITING:
            owner = (change.owner or actor.staff_no) if change.state == "taken" else None
            if owner not in (None, actor.staff_no) and not reach.may_assign(crm, str(owner)):
                raise Refused("a call-back is given to oneself, by leaders within their group, by super operators")
            connection.execute(
                "UPDATE call_backs SET state = ?, owner = ?, reason = '', closed_ms = NULL, closed_by_call = NULL"
                " WHERE call_id = ?",
                (change.state, owner, call_id),
            )
        changed = [old]
        if change.state in ("done", "dismissed"):
            changed = [old, *_waiting_before(connection, old, scope)]
            connection.executemany(
                "UPDATE call_backs SET state = ?, reason = ?, closed_ms = ?, closed_by_call = NULL,"
                " owner = coalesce(owner, ?) WHERE call_id = ?",
                [(change.state, change.reason or "", now_ms(), actor.staff_no, one.call_id) for one in changed],
            )
        connection.executemany(
            "UPDATE call_backs SET changed_ms = ?, changed_by = ? WHERE call_id = ?",
            [(now_ms(), actor.staff_no, one.call_id) for one in changed],
        )
        for one in changed:
            _note_change(crm, connection, one, actor, settings)
    return get_call_back(crm, call_id, scope)


def _check(change: Change) -> None:
    if change.state == "dismissed" and not (change.reason or "").strip():
        raise Invalid("call_back_reason", "say why nobody calls back")
    if change.owner is not None and change.state != "taken":
        raise Invalid("call_back_owner", "an owner goes with the state 'taken'")
    for text in (change.note, change.reason):
        if text is not None and len(text) > LONGEST_TEXT_CHARACTERS:
            raise Invalid("field_too_long", f"a note and a reason have at most {LONGEST_TEXT_CHARACTERS} characters")


def _require_free(crm: sqlite_utils.Database, old: CallBack, actor: Actor, reach: TaskScope, change: Change) -> None:
    """What a colleague has taken is changed by the colleague, and by those who could give it to the colleague."""
    if old.state != "taken" or old.owner in (None, actor.staff_no) or change.state is None:
        return
    if reach.viewer.level is Level.SUPER or reach.may_assign(crm, str(old.owner)):
        return
    raise Refused("a colleague has taken this call-back")


def _waiting_before(connection: sqlite3.Connection, one: CallBack, scope: ChannelScope) -> list[CallBack]:
    condition, given = scope.sql("channel")
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM call_backs WHERE match_key = ? AND missed_ms <= ? AND call_id <> ? AND {_IS_WAITING}"
        f" AND {condition} ORDER BY missed_ms DESC LIMIT ?",
        (one.match_key, one.missed_ms, one.call_id, *given, _MOST_AT_ONCE),
    )
    return [CallBack(*row) for row in rows]


def _note_change(
    crm: sqlite_utils.Database, connection: sqlite3.Connection, old: CallBack, actor: Actor, settings: Settings
) -> None:
    new = connection.execute(f"SELECT {_COLUMNS} FROM call_backs WHERE call_id = ?", (old.call_id,)).fetchone()
    names = ("state", "owner", "note", "reason")
    changed = [name for name in names if new[name] != getattr(old, name)]
    if not changed:
        return
    audit.append(
        connection,
        actor,
        "call_back.change",
        old.call_id,
        {"before": {name: getattr(old, name) for name in changed}, "after": {name: new[name] for name in changed}},
    )
    office_events.tell(connection, EVENT, {"call_id": old.call_id}, to=who_sees_channel(crm, settings, old.channel))
