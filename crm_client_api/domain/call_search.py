"""Searches calls, newest first, in bounded steps; see ``walk``. The scope is in every query."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import sqlite_utils

from crm_client_api.domain.call_branches import (
    channel_branches,
    few_calls,
    handler_branches,
    held_condition,
    is_whole,
    machine_branches,
    number_branches,
    number_condition,
    numbers_condition,
)
from crm_client_api.domain.calls import CALL_FIELDS, Call, CallFilter, call_of
from crm_client_api.domain.scope import EVERY_CHANNEL, ChannelScope, Sql
from crm_client_api.domain.walk import Branch, Plan, Position, parse_position, walk
from recorder.library.storage.holds import Hold
from recorder.numbers import Site

_COLUMNS = ", ".join(f"c.{name}" for name in CALL_FIELDS)


def position_of(calls: sqlite_utils.Database, before: str, scope: ChannelScope) -> Position | None:
    """Where a list goes on behind the ``next`` of a page, or behind a call in scope; None: there is no such call.

    Raises BadInput.
    """
    if "~" in before:
        return parse_position(before)
    condition, given = scope.sql("channel")
    row = calls.conn.execute(
        f"SELECT started_ms, id FROM calls WHERE id = ? AND {condition}", (before, *given)
    ).fetchone()
    return None if row is None else Position(row[0], row[1], 0)


def search_calls(
    calls: sqlite_utils.Database,
    wanted: CallFilter,
    scope: ChannelScope,
    site: Site,
    position: Position | None,
    limit: int,
    *,
    backwards: bool = False,
) -> tuple[list[Call], Position | None]:
    """Calls in scope, newest first (``backwards``: oldest), and where to go on (None: these were the last); ``limit``
    and ``before`` of the filter are not looked at.

    A search for something rare may end before the page is full, with a position: older ones were not looked at yet.
    """
    if wanted.channels is not None:
        scope = ChannelScope(frozenset(one for one in wanted.channels if scope.allows(one)))
    plan = Plan(
        "calls", "c", "c.started_ms", "c.id", "0", _COLUMNS, "",
        _branches(calls.conn, wanted, scope, site), scope.sql("c.channel"), _conditions(calls.conn, wanted, site),
        (wanted.from_ms, None if wanted.to_ms is None else wanted.to_ms - 1), not backwards,
    )  # fmt: skip
    rows, after = walk(calls.conn, plan, position, limit)
    return [call_of(row) for row in rows], after


def list_calls(calls: sqlite_utils.Database, wanted: CallFilter, scope: ChannelScope, site: Site) -> list[Call]:
    """Calls in scope, newest first, as many as the filter's ``limit`` behind its ``before``: fewer are the last.

    However long that takes; for people who wait see ``search_calls``.
    """
    position = position_of(calls, wanted.before, scope) if wanted.before else None
    found: list[Call] = []
    while not wanted.before or position is not None:
        page, position = search_calls(calls, wanted, scope, site, position, wanted.limit - len(found))
        found += page
        if position is None or len(found) >= wanted.limit:
            break
    return found


def held_among(calls: sqlite_utils.Database, ids: Sequence[str], holds: Sequence[Hold]) -> list[str]:
    """Which of these calls a hold protects by its own call, number or time."""
    if not ids or not holds:
        return []
    condition, given = held_condition(holds, "c.id", "c")
    marks = ",".join("?" * len(ids))
    rows = calls.conn.execute(f"SELECT c.id FROM calls c WHERE c.id IN ({marks}) AND {condition}", (*ids, *given))
    return [str(row[0]) for row in rows]


def _branches(connection: sqlite3.Connection, wanted: CallFilter, scope: ChannelScope, site: Site) -> list[Branch]:
    """The narrowest index that a filter allows."""
    channel = wanted.channel
    if wanted.among is not None:
        return few_calls(wanted.among)
    if wanted.state not in (None, "ended"):
        return [Branch("calls_running", ("c.state <> 'ended'", ()), few=True)]
    if wanted.numbers is not None:
        return number_branches(connection, wanted.numbers, site)
    if wanted.number and is_whole(connection, wanted.number, scope, site):
        return number_branches(connection, (wanted.number,), site)
    if wanted.machine is not None:
        return machine_branches(connection, wanted.machine, channel, scope)
    if wanted.handled_by is not None:
        return handler_branches(connection, wanted.handled_by, channel, scope)
    if wanted.result is not None and channel is None and scope == EVERY_CHANNEL:
        return [Branch("calls_by_result", ("c.result = ?", (wanted.result,)))]
    return channel_branches(connection, "calls", "c", channel, scope)


def _conditions(connection: sqlite3.Connection, wanted: CallFilter, site: Site) -> list[Sql]:
    found: list[Sql] = [
        (f"c.{column} = ?", (value,))
        for column in ("channel", "direction", "result", "state", "machine", "handled_by")
        if (value := getattr(wanted, column)) is not None
    ]
    found += [
        (f"c.talk_ms {comparison} ?", (value,))
        for comparison, value in ((">=", wanted.talk_from_ms), ("<=", wanted.talk_to_ms))
        if value is not None
    ]
    if wanted.number:
        found.append(number_condition(connection, wanted.number, site))
    if wanted.numbers is not None:
        found.append(numbers_condition(connection, wanted.numbers, site))
    if wanted.held is not None:
        text, given = held_condition(wanted.holds, "c.id", "c")
        found.append((text if wanted.held else f"NOT coalesce({text}, 0)", given))
    return found
