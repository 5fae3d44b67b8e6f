"""Walks long tables in the order of an index, for a bounded time.

A page that asks for something rare must not look through ten million rows while somebody waits. So the walk follows
one or more branches (each an index with what is equal in it), looks at more and more rows of them until the page is
full or the time is over, and then answers what it found with the position at which to go on. Positions are taken from
rows in scope alone: they tell nothing of others.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

from crm_client_api.domain.scope import Sql
from firmware.errors import BadInput

_FIRST_STEP_ROWS = 200
"""Rows that are looked at first, in all branches together."""
_FEWEST_ROWS = 8
_GROWTH = 4
_MOST_STEP_ROWS = 32_000
_ENOUGH_S = 0.04
"""No further step begins that would probably end later; the list has 100 ms for everything."""
_PARTS = "~"
_BEHIND_ALL_IDS = "{"  # ids are digits, letters and hyphens


@dataclass(frozen=True, slots=True)
class Position:
    """Behind which row to go on: its key (``key`` of the plan), its id, and its segment."""

    key: int
    id: str
    segment: int

    def __str__(self) -> str:
        return f"{self.key}{_PARTS}{self.id}{_PARTS}{self.segment}"


def parse_position(text: str) -> Position:
    """Raises BadInput."""
    parts = text.split(_PARTS)
    key, segment = parts[0], parts[-1]
    numbers = all(one.removeprefix("-").isascii() and one.removeprefix("-").isdigit() for one in (key, segment))
    if len(parts) != 3 or not numbers or len(key) > 16 or len(segment) > 9 or len(parts[1]) > 60:
        raise BadInput(f"not a position in this list: {text[:60]!r}")
    return Position(int(key), parts[1], int(segment))


@dataclass(frozen=True, slots=True)
class Branch:
    """Rows that an index finds: ``index`` names it (empty: SQLite finds it), ``equal`` says what is equal in it.

    ``few``: all are looked at, in whatever order the index has them.
    """

    index: str
    equal: Sql
    few: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """``table`` with its alias is walked by ``key``, an expression of it; ``join`` adds what filters need.

    ``identity`` and ``segment`` order rows of one key. ``scope`` is a condition of the walked table alone.
    ``conditions`` are of rows with what is joined. ``bounds``: lowest and highest key that can match.
    """

    table: str
    alias: str
    key: str
    identity: str
    segment: str
    columns: str
    join: str
    branches: Sequence[Branch]
    scope: Sql
    conditions: Sequence[Sql]
    bounds: tuple[int | None, int | None] = (None, None)
    descending: bool = True


def walk(
    connection: sqlite3.Connection, plan: Plan, position: Position | None, limit: int, enough_s: float | None = None
) -> tuple[list[sqlite3.Row], Position | None]:
    """At most ``limit`` rows behind a position; where to go on, None at the end.

    Fewer rows than ``limit`` with a position: what was looked at did not hold more. Rows have ``walk_key``,
    ``walk_id`` and ``walk_segment`` beside the plan's columns. ``enough_s``: how long to look, if not as for a list.
    """
    found: list[sqlite3.Row] = []
    until_s = time.monotonic() + (_ENOUGH_S if enough_s is None else enough_s)
    step = _FIRST_STEP_ROWS
    while True:
        begun_s = time.monotonic()
        horizon = _horizon(connection, plan, position, max(_FEWEST_ROWS, step // max(1, len(plan.branches))))
        found += _rows(connection, plan, position, horizon, limit + 1 - len(found))
        if len(found) > limit:
            last = found[limit - 1]
            return found[:limit], Position(last["walk_key"], last["walk_id"], last["walk_segment"])
        if horizon is None:
            return found, None
        position = in_front_of(horizon, plan.descending)
        step = _next_step(step, time.monotonic() - begun_s, until_s - time.monotonic())
        if step == 0:
            return found, position


def _next_step(step: int, took_s: float, left_s: float) -> int:
    """How many rows to look at after a step that took so long; 0: there is no time left for any worth the while.

    Half of what would fit: what was looked at before may have been in memory, and what comes next not.
    """
    fits = int(step * left_s / took_s / 2) if took_s > 0 else _MOST_STEP_ROWS
    return min(step * _GROWTH, _MOST_STEP_ROWS, fits) if left_s > 0 and fits >= _FEWEST_ROWS else 0


def in_front_of(key: int, descending: bool) -> Position:
    """The position before all rows with this key: no id goes before."""
    return Position(key, _BEHIND_ALL_IDS if descending else "", 0)


def _opaque(conditions: Sequence[Sql]) -> Sql:
    """All of these, in a form of which SQLite concludes nothing.

    It must neither follow them in place of the branch's index, nor fold the whole clause into "false" when one of them
    cannot hold: then it does not find the index's own condition any more, and says that there is no solution.
    """
    texts = [f"(({text}) IS TRUE)" for text, _ in conditions]
    return " AND ".join(texts) or "1", tuple(value for _, given in conditions for value in given)


def _from(plan: Plan, branch: Branch) -> str:
    return f"{plan.table} {plan.alias}" + (f" INDEXED BY {branch.index}" if branch.index else "")


def _horizon(connection: sqlite3.Connection, plan: Plan, position: Position | None, each: int) -> int | None:
    """The key up to which (without) all branches are looked at; None when that is to their ends."""
    worst: int | None = None
    within, arguments = _within(plan, position, None)
    scope, in_scope = _opaque([plan.scope])
    for branch in plan.branches:
        if branch.few:
            continue
        equal, given = branch.equal
        row = connection.execute(
            f"SELECT {plan.key} FROM {_from(plan, branch)} WHERE {equal} AND {within} AND {scope}"
            f" ORDER BY {plan.key} {_order(plan)} LIMIT 1 OFFSET ?",
            (*given, *arguments, *in_scope, each),
        ).fetchone()
        if row is not None and (worst is None or (row[0] > worst) == plan.descending):
            worst = int(row[0])
    if worst is not None and position is not None and worst == position.key:
        return worst - 1 if plan.descending else worst + 1  # more rows of one moment than a step holds
    return worst


def _order(plan: Plan) -> str:
    return "DESC" if plan.descending else "ASC"


def _within(plan: Plan, position: Position | None, horizon: int | None) -> Sql:
    """What the index itself narrows: one bound at each end, for SQLite would follow any of two and check the other."""
    low, high = plan.bounds
    here = None if position is None else position.key
    if plan.descending:
        lows, highs = (low, None if horizon is None else horizon + 1), (high, here)
    else:
        lows, highs = (low, here), (high, None if horizon is None else horizon - 1)
    texts, arguments = ["1"], []
    for sign, values, nearest in ((">=", lows, max), ("<=", highs, min)):
        known = [value for value in values if value is not None]
        if known:
            texts.append(f"{plan.key} {sign} ?")
            arguments.append(nearest(known))
    return " AND ".join(texts), tuple(arguments)


def _rows(
    connection: sqlite3.Connection, plan: Plan, position: Position | None, horizon: int | None, limit: int
) -> list[sqlite3.Row]:
    within, arguments = _within(plan, position, horizon)
    identity = ", ".join((plan.key, plan.identity, plan.segment))
    conditions = [plan.scope, *plan.conditions]
    if position is not None:
        behind = f"({identity}) {'<' if plan.descending else '>'} (?, ?, ?)"
        conditions.append((behind, (position.key, position.id, position.segment)))
    filters, filtered = _opaque(conditions)
    order = _order(plan)
    found: dict[tuple[int, str, int], sqlite3.Row] = {}  # a call can be on two branches
    for branch in plan.branches:
        equal, given = branch.equal
        rows = connection.execute(
            f"SELECT {plan.columns}, {plan.key} AS walk_key, {plan.identity} AS walk_id, {plan.segment} AS walk_segment"
            f" FROM {_from(plan, branch)} {plan.join} WHERE {equal} AND {within} AND {filters}"
            f" ORDER BY walk_key {order}, walk_id {order}, walk_segment {order} LIMIT ?",
            (*given, *arguments, *filtered, limit),
        )
        found.update(((row["walk_key"], row["walk_id"], row["walk_segment"]), row) for row in rows)
    return [found[key] for key in sorted(found, reverse=plan.descending)[:limit]]
