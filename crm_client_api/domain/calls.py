"""Calls, channels and cards as the recorder stores them; read only, with the viewer's scope."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import sqlite_utils

from crm_client_api.domain.numbers import Site, spellings
from crm_client_api.domain.recordings import Pause, pauses_of
from crm_client_api.domain.scope import ChannelScope
from firmware.errors import NotFound


@dataclass(frozen=True, slots=True)
class Call:
    """A call as stored. Times are Unix ms UTC, durations ms, ``*_sample`` positions on the tape."""

    id: str
    channel: int
    card_id: str
    direction: str
    state: str
    result: str | None
    caller_number: str | None
    caller_name: str | None
    absence: str | None
    dialled_number: str | None
    started_ms: int
    answered_ms: int | None
    ended_ms: int | None
    ring_ms: int
    talk_ms: int
    simulated: bool
    handled_by: str | None
    tape_epoch: str | None
    from_sample: int | None
    to_sample: int | None
    kept: bool
    kept_reason: str | None
    machine: str | None
    pauses: tuple[Pause, ...]

    @property
    def paused(self) -> bool:
        """Whether its recording is paused at this moment."""
        return self.state != "ended" and any(pause.to_sample is None for pause in self.pauses)

    @property
    def number(self) -> str | None:
        """The other party's number."""
        return self.caller_number if self.direction == "incoming" else self.dialled_number


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """A channel and the card port that it is bound to."""

    number: int
    card_id: str
    port: int
    simulated: bool


@dataclass(frozen=True, slots=True)
class CardRow:
    """A line card that was seen at least once."""

    card_id: str
    driver: str
    model: str
    ports: int
    simulated: bool


@dataclass(frozen=True, slots=True)
class CallFilter:
    """What to list. ``before`` is the id that the page before ended with; newest calls come first.

    ``from_ms`` (included) and ``to_ms`` (not) bound the start, Unix ms UTC. ``among``: only these calls.
    """

    limit: int = 50
    before: str | None = None
    channel: int | None = None
    number: str | None = None
    direction: str | None = None
    result: str | None = None
    state: str | None = None
    machine: str | None = None
    handled_by: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    among: tuple[str, ...] | None = None


CALL_FIELDS = tuple(field.name for field in fields(Call))
"""What ``call_of`` needs of a row."""
_CALL_COLUMNS = ", ".join(CALL_FIELDS)
_OF_NOW = frozenset({"handled_by", "tape_epoch", "from_sample", "to_sample", "kept", "kept_reason", "pauses"})


def call_of(row: sqlite3.Row | Mapping[str, Any]) -> Call:
    """A call from a row of the store."""
    values = {name: row[name] for name in CALL_FIELDS}
    flags = {name: bool(values[name]) for name in ("simulated", "kept")}
    return Call(**(values | flags | {"pauses": pauses_of(values["pauses"])}))


def call_of_event(data: Mapping[str, Any], row: sqlite3.Row) -> Call:
    """A call as an event of the recorder describes it, its state at that moment; the rest is as ``row`` has it now."""
    return call_of(dict(row) | {name: data[name] for name in CALL_FIELDS if name in data and name not in _OF_NOW})


def get_call(calls: sqlite_utils.Database, call_id: str, scope: ChannelScope) -> Call:
    """Raises NotFound, also out of scope."""
    condition, arguments = scope.sql("channel")
    row = calls.conn.execute(
        f"SELECT {_CALL_COLUMNS} FROM calls WHERE id = ? AND {condition}", (call_id, *arguments)
    ).fetchone()
    if row is None:
        raise NotFound("there is no such call")
    return call_of(row)


def calls_by_id(calls: sqlite_utils.Database, call_ids: Iterable[str]) -> dict[str, Call]:
    """The calls with these ids, whatever their channel: for what is in scope by something else than the channel."""
    wanted = list(call_ids)
    rows = calls.conn.execute(f"SELECT {_CALL_COLUMNS} FROM calls WHERE id IN ({','.join('?' * len(wanted))})", wanted)
    return {row["id"]: call_of(row) for row in rows}


def ended_since(calls: sqlite_utils.Database, from_ms: int) -> list[Call]:
    """The calls of all channels that began at ``from_ms`` (Unix ms UTC) or later and have ended, oldest first."""
    rows = calls.conn.execute(
        f"SELECT {_CALL_COLUMNS} FROM calls WHERE started_ms >= ? AND state = 'ended' ORDER BY started_ms, id",
        (from_ms,),
    )
    return [call_of(row) for row in rows]


# Without statistics SQLite walks through all calls by their start instead of taking the few that run.
_RUNNING = "calls INDEXED BY calls_running"
NUMBER_INDEXES = (("calls_by_caller", "caller_number"), ("calls_by_dialled", "dialled_number"))
"""Indexes of calls by one number and their start, with the column that each is of."""


def history(
    calls: sqlite_utils.Database, number: str, scope: ChannelScope, site: Site, limit: int, without: str
) -> list[Call]:
    """The last calls with a number, either way, without the call ``without``; newest first."""
    found = calls_with(calls, spellings(number, site), scope, _BEHIND_ALL, limit + 1)
    return [call for call in found if call.id != without][:limit]


def calls_with(
    calls: sqlite_utils.Database, exact: Sequence[str], scope: ChannelScope, before: tuple[int, str], limit: int
) -> list[Call]:
    """Calls in scope with one of these spellings of numbers, newest first, that come before (start, id)."""
    condition, given = scope.sql("channel")
    rows = {
        row["id"]: row
        for (index, column), direction in zip(NUMBER_INDEXES, ("incoming", "outgoing"), strict=True)
        for one in exact
        for row in calls.conn.execute(
            f"SELECT {_CALL_COLUMNS} FROM calls INDEXED BY {index} WHERE {column} = ? AND direction = '{direction}'"
            f" AND ({condition}) IS TRUE AND (started_ms, id) < (?, ?) ORDER BY started_ms DESC, id DESC LIMIT ?",
            (one, *given, *before, limit),
        )
    }
    newest = sorted(rows.values(), key=lambda row: (row["started_ms"], row["id"]), reverse=True)
    return [call_of(row) for row in newest[:limit]]


_BEHIND_ALL = (1 << 62, "")


def running_calls(calls: sqlite_utils.Database) -> dict[int, Call]:
    """The call that runs on each channel (the newest one, should there be several)."""
    rows = calls.conn.execute(f"SELECT {_CALL_COLUMNS} FROM {_RUNNING} WHERE state <> 'ended' ORDER BY started_ms, id")
    return {row["channel"]: call_of(row) for row in rows}


def list_channels(calls: sqlite_utils.Database) -> list[ChannelRow]:
    """Every channel of the box, by number."""
    rows = calls.conn.execute("SELECT number, card_id, port, simulated FROM channels ORDER BY number")
    return [ChannelRow(row[0], row[1], row[2], bool(row[3])) for row in rows]


def list_cards(calls: sqlite_utils.Database) -> list[CardRow]:
    """Every line card that was ever seen."""
    rows = calls.conn.execute("SELECT card_id, driver, model, ports, simulated FROM cards ORDER BY card_id")
    return [CardRow(row[0], row[1], row[2], row[3], bool(row[4])) for row in rows]
