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
from crm_client_api.domain.call_branches import EVERYTHING, channels_each
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.permissions import Level
from crm_client_api.domain.scope import ChannelScope, Sql
from crm_client_api.domain.settings import Settings
from crm_client_api.domain.tasks import TaskScope
from crm_client_api.domain.walk import Branch, Plan, Position, parse_position, walk
from crm_client_api.domain.witnesses import who_sees_channel
from firmware.clock import now_ms
from firmware.errors import NotFound, Refused
from firmware.store.connection import write
from recorder.numbers import Site, match_key

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
    """What to list, by the time of the missed call. ``states``: those that wait, one, or all."""

    states: tuple[State, ...] = WAITING
    owner: str | None = None
    channel: int | None = None
    number: str = ""
    from_ms: int | None = None
    to_ms: int | None = None
    newest_first: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """What to change; None stays. ``owner``: who takes it, with the state ``taken`` only.

    ``of_number``: the state holds for all missed calls of the number in scope that wait; of a settled one, for those
    that were settled with it.
    """

    state: State | None = None
    owner: str | None = None
    note: str | None = None
    reason: str | None = None
    of_number: bool = False


_NAMES = tuple(field.name for field in fields(CallBack))
_COLUMNS = ", ".join(_NAMES)
_IS_WAITING = "state IN ('open', 'taken')"
MOST_COUNTED = 1000
"""Nobody reads more, and a number can have been missed often."""


def get_call_back(crm: sqlite_utils.Database, call_id: str, scope: ChannelScope) -> CallBack:
    """Raises NotFound, also out of scope."""
    condition, given = scope.sql("channel")
    row = crm.conn.execute(
        f"SELECT {_COLUMNS} FROM call_backs WHERE call_id = ? AND {condition}", (call_id, *given)
    ).fetchone()
    if row is None:
        raise NotFound("there is no such missed call")
    return CallBack(*row)


def position_of(crm: sqlite_utils.Database, after: str, scope: ChannelScope) -> Position | None:
    """Where a list goes on behind the ``next`` of a page, or behind a call in scope; None: there is no such call.

    Raises BadInput.
    """
    if "~" in after:
        return parse_position(after)
    condition, given = scope.sql("channel")
    row = crm.conn.execute(
        f"SELECT missed_ms, call_id FROM call_backs WHERE call_id = ? AND {condition}", (after, *given)
    ).fetchone()
    return None if row is None else Position(row[0], row[1], 0)


def list_call_backs(
    crm: sqlite_utils.Database,
    wanted: CallBackFilter,
    scope: ChannelScope,
    site: Site,
    position: Position | None,
    limit: int,
) -> tuple[list[CallBack], Position | None]:
    """Missed calls in scope, and where to go on (None: these were the last).

    A search for something rare may end before the page is full, with a position: see ``walk``.
    """
    key = match_key(wanted.number, site) if wanted.number else None
    conditions: list[Sql] = [
        (text, (value,))
        for text, value in (("owner = ?", wanted.owner), ("channel = ?", wanted.channel), ("match_key = ?", key))
        if value is not None
    ]
    conditions.append((f"state IN ({','.join('?' * len(wanted.states))})", wanted.states))
    plan = Plan(
        "call_backs", "b", "missed_ms", "call_id", "0", _COLUMNS, "", _branches(crm.conn, wanted, scope, key),
        scope.sql("channel"), conditions,
        (wanted.from_ms, None if wanted.to_ms is None else wanted.to_ms - 1), wanted.newest_first,
    )  # fmt: skip
    rows, behind = walk(crm.conn, plan, position, limit)
    return [CallBack(*(row[name] for name in _NAMES)) for row in rows], behind


def _branches(
    connection: sqlite3.Connection, wanted: CallBackFilter, scope: ChannelScope, key: str | None
) -> list[Branch]:
    """The narrowest index that a filter allows."""
    if key is not None:
        return [Branch("call_backs_by_key", ("match_key = ?", (key,)))]
    if wanted.owner is not None:
        return [Branch("call_backs_by_owner", ("owner = ?", (wanted.owner,)))]
    waiting = set(wanted.states) <= set(WAITING)
    equal: Sql = (_IS_WAITING, ()) if waiting else EVERYTHING
    index = "call_backs_waiting_by_channel" if waiting else "call_backs_by_channel"
    channels = channels_each(connection, "call_backs", index, equal, wanted.channel, scope)
    if channels is not None:
        return [Branch(index, (f"channel = ? AND {equal[0]}", (one,))) for one in channels]
    if len(wanted.states) == 1:
        return [Branch("call_backs_by_state", ("state = ?", wanted.states))]
    return [Branch("call_backs_waiting" if waiting else "call_backs_by_time", equal)]


def missed_since(crm: sqlite_utils.Database, missed: Iterable[CallBack], scope: ChannelScope) -> dict[str, int]:
    """For each missed call how many more from its number were missed later, in scope; ``MOST_COUNTED`` at most."""
    condition, given = scope.sql("channel")
    return {
        one.call_id: crm.conn.execute(
            "SELECT count(*) FROM (SELECT 1 FROM call_backs INDEXED BY call_backs_by_key"
            f" WHERE match_key = ? AND missed_ms > ? AND ({condition}) IS TRUE LIMIT ?)",
            (one.match_key, one.missed_ms, *given, MOST_COUNTED),
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
    Refused: a colleague has taken it (``of_number``: or another of them), or it is given to somebody out of reach.
    """
    _check(change)
    with write(crm) as connection:
        old = get_call_back(crm, call_id, scope)
        others = _with(connection, old, scope) if change.of_number and change.state is not None else []
        if old.state == "taken" and change.state == "open":  # what somebody else has taken is not given back with it
            others = [one for one in others if one.owner == old.owner]
        for one in (old, *others):
            _require_free(crm, one, actor, reach, change)
        changed = [old]
        if change.note is not None:
            connection.execute("UPDATE call_backs SET note = ? WHERE call_id = ?", (change.note, call_id))
        if change.state in WAITING:
            owner = (change.owner or actor.staff_no) if change.state == "taken" else None
            if owner not in (None, actor.staff_no) and not reach.may_assign(crm, str(owner)):
                raise Refused("a call-back is given to oneself, by leaders within their group, by super operators")
            changed = [old, *others]
            connection.executemany(
                "UPDATE call_backs SET state = ?, owner = ?, reason = '', closed_ms = NULL, closed_by_call = NULL"
                " WHERE call_id = ?",
                [(change.state, owner, one.call_id) for one in changed],
            )
        if change.state in ("done", "dismissed"):
            changed = [old, *(others if change.of_number else _waiting_before(connection, old, scope))]
            closed_ms = now_ms()
            connection.executemany(
                "UPDATE call_backs SET state = ?, reason = ?, closed_ms = ?, closed_by_call = NULL,"
                " owner = coalesce(owner, ?) WHERE call_id = ?",
                [(change.state, change.reason or "", closed_ms, actor.staff_no, one.call_id) for one in changed],
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


def _with(connection: sqlite3.Connection, one: CallBack, scope: ChannelScope) -> list[CallBack]:
    """The number's others in scope that wait as one does, or were settled together with it; the newest first."""
    together: Sql = (_IS_WAITING, ())
    if one.state not in WAITING:
        together = ("(state, closed_ms, changed_by) = (?, ?, ?)", (one.state, one.closed_ms, one.changed_by))
    condition, given = scope.sql("channel")
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM call_backs WHERE match_key = ? AND call_id <> ? AND {together[0]} AND {condition}"
        " ORDER BY missed_ms DESC LIMIT ?",
        (one.match_key, one.call_id, *together[1], *given, _MOST_AT_ONCE),
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
