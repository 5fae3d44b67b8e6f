"""Walks long tables in the order of an index, a bounded number of rows at a time.

A page that asks for something rare must not look through ten million rows while somebody waits. So the walk follows
one or more branches (each an index with what is equal in it), looks at so many rows of each at most, and then answers
what it found with the position at which to go on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from crm_client_api.domain.scope import Sql
from firmware.errors import BadInput

_STEPS = (400, 2_000, 8_000)
"""Rows that are looked at, in all branches together, one step after the other."""
_FEWEST_ROWS = 60
_PARTS = "~"
_BEHIND_ALL_IDS = "{"  # ids are digits, letters and hyphens


@dataclass(frozen=True, slots=True)
class Position:
    """Behind which row to go on: its key (``key_of`` the plan), its id, and its segment."""

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
    """Rows that an index finds: ``hint`` names it, ``equal`` says what is equal in it. ``few``: all are looked at."""

    hint: str
    equal: Sql
    few: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """``table`` with its alias is walked by ``key``, an expression of it; ``join`` adds what filters need.

    ``bounds``: lowest and highest key that can match. ``conditions`` of rows with what is joined; their columns carry
    a ``+``, so that SQLite does not follow them instead of the branch.
    """

    table: str
    alias: str
    key: str
    segment: str
    columns: str
    join: str
    branches: Sequence[Branch]
    conditions: Sequence[Sql]
    bounds: tuple[int | None, int | None] = (None, None)
    descending: bool = True


def walk(
    connection: sqlite3.Connection, plan: Plan, position: Position | None, limit: int
) -> tuple[list[sqlite3.Row], Position | None]:
    """At most ``limit`` rows behind a position; where to go on, None at the end.

    Fewer rows than ``limit`` with a position: what was looked at did not hold more. Rows have ``walk_key``,
    ``walk_id`` and ``walk_segment`` beside the plan's columns.
    """
    found: list[sqlite3.Row] = []
    for step in _STEPS:
        each = max(_FEWEST_ROWS, step // max(1, len(plan.branches)))
        horizon = _horizon(connection, plan, position, each)
        rows = _rows(connection, plan, position, horizon, limit + 1 - len(found))
        found += rows
        if len(found) > limit:
            last = found[limit - 1]
            return found[:limit], Position(last["walk_key"], last["walk_id"], last["walk_segment"])
        if horizon is None:
            return found, None
        position = _in_front_of(horizon, plan.descending)
    return found, position


def _in_front_of(key: int, descending: bool) -> Position:
    """The position before all rows with this key: no id goes before."""
    return Position(key, _BEHIND_ALL_IDS if descending else "", 0)


def _horizon(connection: sqlite3.Connection, plan: Plan, position: Position | None, each: int) -> int | None:
    """The key up to which (without) all branches are looked at; None when that is to their ends."""
    worst: int | None = None
    for branch in plan.branches:
        if branch.few:
            continue
        within, arguments = _within(plan, position, None)
        equal, given = branch.equal
        row = connection.execute(
            f"SELECT {plan.key} FROM {plan.table} {plan.alias} INDEXED BY {branch.hint} WHERE {equal} AND {within}"
            f" ORDER BY {plan.key} {_order(plan)} LIMIT 1 OFFSET ?",
            (*given, *arguments, each),
        ).fetchone()
        if row is not None and (worst is None or (row[0] > worst) == plan.descending):
            worst = int(row[0])
    if worst is not None and position is not None and worst == position.key:
        return worst - 1 if plan.descending else worst + 1  # more rows of one moment than a step holds
    return worst


def _order(plan: Plan) -> str:
    return "DESC" if plan.descending else "ASC"


def _within(plan: Plan, position: Position | None, horizon: int | None) -> Sql:
    """What the index itself narrows."""
    low, high = plan.bounds
    first, past = ("<=", ">") if plan.descending else (">=", "<")
    texts, arguments = ["1"], []
    for text, value in (
        (f"{plan.key} >= ?", low),
        (f"{plan.key} <= ?", high),
        (f"{plan.key} {first} ?", None if position is None else position.key),
        (f"{plan.key} {past} ?", horizon),
    ):
        if value is not None:
            texts.append(text)
            arguments.append(value)
    return " AND ".join(texts), tuple(arguments)


def _rows(
    connection: sqlite3.Connection, plan: Plan, position: Position | None, horizon: int | None, limit: int
) -> list[sqlite3.Row]:
    within, arguments = _within(plan, position, horizon)
    behind: Sequence[object] = ()
    identity = f"{plan.alias}.id"
    if position is not None:
        sign = "<" if plan.descending else ">"
        within += f" AND ({plan.key}, {identity}, {plan.segment}) {sign} (?, ?, ?)"
        behind = (position.key, position.id, position.segment)
    filters = " AND ".join(f"({text})" for text, _ in plan.conditions) or "1"
    filtered = [value for _, given in plan.conditions for value in given]
    parts, values = [], []
    for branch in plan.branches:
        equal, given = branch.equal
        hint = f"INDEXED BY {branch.hint}" if branch.hint else ""
        parts.append(
            f"SELECT {plan.columns}, {plan.key} AS walk_key, {identity} AS walk_id, {plan.segment} AS walk_segment"
            f" FROM {plan.table} {plan.alias} {hint} {plan.join} WHERE {equal} AND {within} AND {filters}"
        )
        values += [*given, *arguments, *behind, *filtered]
    order = _order(plan)
    return connection.execute(
        f"{' UNION '.join(parts)} ORDER BY walk_key {order}, walk_id {order}, walk_segment {order} LIMIT ?",
        (*values, limit),
    ).fetchall()
