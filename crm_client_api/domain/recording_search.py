"""Searches recordings: by themselves, by their call, by what was written about it. The scope is in every query."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from typing import Literal

import sqlite_utils

from crm_client_api.domain.call_branches import (
    channel_branches,
    few_calls,
    handler_branches,
    held_condition,
    is_whole,
    length_branches,
    machine_branches,
    number_branches,
    number_condition,
    numbers_condition,
)
from crm_client_api.domain.recordings import COLUMNS, Recording, RecordingKind, recording_of
from crm_client_api.domain.scope import ChannelScope, Sql
from crm_client_api.domain.walk import Branch, Plan, Position, walk
from recorder.library.storage.holds import Hold
from recorder.numbers import Site

Sort = Literal["newest", "oldest", "longest"]
MOST_COUNTED = 1000
"""Counting stops here: nobody reads more, and it would take seconds."""
_COUNTED_S = 0.06
_FEW = 2000
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class RecordingSearch:
    """What to find. Times are Unix ms; ``from_ms`` to ``to_ms`` must overlap the recording.

    ``number``: any spelling, or digits within it. ``numbers``: one of these numbers (a customer's). ``call_ids``: calls
    that something was written about, or that have a tag. ``holds``: those that stand, when ``held`` is asked for.
    """

    channel: int | None = None
    kind: RecordingKind | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    duration_from_ms: int | None = None
    duration_to_ms: int | None = None
    number: str | None = None
    numbers: tuple[str, ...] | None = None
    operator: str | None = None
    direction: str | None = None
    machine: str | None = None
    call_ids: tuple[str, ...] | None = None
    held: bool | None = None
    holds: tuple[Hold, ...] = ()
    sort: Sort = "newest"

    @property
    def by_call(self) -> bool:
        """Whether only recordings of calls can be meant."""
        return any(
            one is not None
            for one in (self.number, self.numbers, self.operator, self.direction, self.machine, self.call_ids)
        )


def search_recordings(
    calls: sqlite_utils.Database,
    wanted: RecordingSearch,
    scope: ChannelScope,
    site: Site,
    position: Position | None,
    limit: int,
) -> tuple[list[Recording], Position | None]:
    """Recordings in scope, and where to go on (None: these were the last).

    A search for something rare may end before the page is full, with a position: older ones were not looked at yet.
    """
    rows, after = walk(calls.conn, _plan(calls.conn, wanted, scope, site), position, limit)
    return [recording_of(row) for row in rows], after


def count_recordings(
    calls: sqlite_utils.Database, wanted: RecordingSearch, scope: ChannelScope, site: Site
) -> tuple[int, bool]:
    """How many recordings in scope there are, and whether all were looked at; at most ``MOST_COUNTED``."""
    plan = replace(_plan(calls.conn, wanted, scope, site), columns="1")
    rows, after = walk(calls.conn, plan, None, MOST_COUNTED, _COUNTED_S)
    return len(rows), after is None


def _plan(connection: sqlite3.Connection, wanted: RecordingSearch, scope: ChannelScope, site: Site) -> Plan:
    columns = ", ".join(f"r.{name}" for name in COLUMNS)
    in_scope = scope.sql("r.channel")
    conditions = _of_recording(wanted)
    if wanted.sort == "longest":
        bounds = (wanted.duration_from_ms, wanted.duration_to_ms)
        return Plan(
            "recordings", "r", "r.duration_ms", "r.id", "r.segment", columns, _CALL_OF_IT,
            _length_branches(connection, wanted, scope), in_scope, conditions + _of_call(connection, wanted, site),
            bounds,
        )  # fmt: skip
    low = None if wanted.from_ms is None else wanted.from_ms - _longest(connection, wanted.channel, scope)
    descending = wanted.sort == "newest"
    if wanted.by_call:
        # A call begins before its recording does, and not long before: see retention of calls without a sound.
        bounds = (
            None if low is None else low - _DAY_MS,
            None if wanted.to_ms is None else wanted.to_ms + _DAY_MS,
        )
        return Plan(
            "calls", "c", "c.started_ms", "c.id", "r.segment", columns, "CROSS JOIN recordings r ON r.call_id = c.id",
            _call_branches(connection, wanted, scope, site), scope.sql("c.channel"),
            [in_scope, *conditions, *_of_call(connection, wanted, site)], bounds, descending,
        )  # fmt: skip
    join = _CALL_OF_IT if wanted.held is not None else ""
    branches = _recording_branches(connection, wanted, scope)
    return Plan(
        "recordings", "r", "r.started_ms", "r.id", "r.segment", columns, join, branches, in_scope, conditions,
        (low, wanted.to_ms), descending,
    )  # fmt: skip


_CALL_OF_IT = "LEFT JOIN calls c ON c.id = r.call_id"


def _longest(connection: sqlite3.Connection, channel: int | None, scope: ChannelScope) -> int:
    """How long the longest recording in scope is, ms."""
    longest = 0
    for branch in length_branches(connection, channel, scope):
        equal, given = branch.equal
        row = connection.execute(
            f"SELECT max(r.duration_ms) FROM recordings r INDEXED BY {branch.index} WHERE {equal}", given
        ).fetchone()
        longest = max(longest, row[0] or 0)
    return longest


def _of_recording(wanted: RecordingSearch) -> list[Sql]:
    found: list[Sql] = [
        (text, (value,))
        for text, value in (
            ("r.channel = ?", wanted.channel),
            ("r.kind = ?", wanted.kind),
            ("r.ended_ms > ?", wanted.from_ms),
            ("r.started_ms < ?", wanted.to_ms),
            ("r.duration_ms >= ?", wanted.duration_from_ms),
            ("r.duration_ms <= ?", wanted.duration_to_ms),
        )
        if value is not None
    ]
    if wanted.held is not None:
        text, given = held_condition(wanted.holds, "r.call_id", "r")
        found.append((text if wanted.held else f"NOT coalesce({text}, 0)", given))
    return found


def _of_call(connection: sqlite3.Connection, wanted: RecordingSearch, site: Site) -> list[Sql]:
    """Without ``call_ids``, which are branches."""
    found: list[Sql] = [
        (text, (value,))
        for text, value in (
            ("c.direction = ?", wanted.direction),
            ("c.handled_by = ?", wanted.operator),
            ("c.machine = ?", wanted.machine),
        )
        if value is not None
    ]
    if wanted.number is not None:
        found.append(number_condition(connection, wanted.number, site))
    if wanted.numbers is not None:
        found.append(numbers_condition(connection, wanted.numbers, site))
    return found


def _call_branches(
    connection: sqlite3.Connection, wanted: RecordingSearch, scope: ChannelScope, site: Site
) -> list[Branch]:
    """The indexes to walk along, the narrowest that a filter allows."""
    if wanted.call_ids is not None:
        return few_calls(wanted.call_ids)
    if wanted.numbers is not None:
        return number_branches(connection, wanted.numbers, site)
    if wanted.number is not None and is_whole(connection, wanted.number, scope, site):
        return number_branches(connection, (wanted.number,), site)
    if wanted.machine is not None:
        return machine_branches(connection, wanted.machine, wanted.channel, scope)
    if wanted.operator is not None:
        return handler_branches(connection, wanted.operator, wanted.channel, scope)
    return channel_branches(connection, "calls", "c", wanted.channel, scope)


def _length_branches(connection: sqlite3.Connection, wanted: RecordingSearch, scope: ChannelScope) -> list[Branch]:
    if wanted.call_ids is None:
        return length_branches(connection, wanted.channel, scope)
    marks = ",".join("?" * len(wanted.call_ids))
    return [Branch("", (f"r.call_id IN ({marks})", wanted.call_ids), few=True)] if wanted.call_ids else []


def _recording_branches(connection: sqlite3.Connection, wanted: RecordingSearch, scope: ChannelScope) -> list[Branch]:
    if wanted.duration_from_ms is not None:
        longer: Sql = ("r.duration_ms >= ?", (wanted.duration_from_ms,))
        long = length_branches(connection, wanted.channel, scope, longer)
        if all(_is_few(connection, branch, _FEW // len(long)) for branch in long):
            return [replace(branch, few=True) for branch in long]
    return channel_branches(connection, "recordings", "r", wanted.channel, scope)


def _is_few(connection: sqlite3.Connection, branch: Branch, most: int) -> bool:
    equal, given = branch.equal
    many = connection.execute(
        f"SELECT 1 FROM recordings r INDEXED BY {branch.index} WHERE {equal} LIMIT 1 OFFSET ?", (*given, most)
    ).fetchone()
    return many is None
