"""Calls, channels and cards as the recorder stores them; read only, with the viewer's scope."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import sqlite_utils

from crm_client_api.domain.recordings import Pause, pauses_of
from crm_client_api.domain.scope import ChannelScope
from firmware.errors import NotFound
from recorder.library.keeping.number_keys import all_keyed
from recorder.library.storage.holds import Hold
from recorder.numbers import Site, match_key, spellings


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
    caller_key: str | None = None
    dialled_key: str | None = None

    @property
    def paused(self) -> bool:
        """Whether its recording is paused at this moment."""
        return self.state != "ended" and any(pause.to_sample is None for pause in self.pauses)

    @property
    def number(self) -> str | None:
        """The other party's number."""
        return self.caller_number if self.direction == "incoming" else self.dialled_number

    def key(self, site: Site) -> str:
        """What the other party's number is found by: what it meant at the site where it was heard; "" for none.

        While the call runs, that is the site of today.
        """
        key = self.caller_key if self.direction == "incoming" else self.dialled_key
        return match_key(self.number or "", site) if key is None or self.state != "ended" else key


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

    ``from_ms`` (included) and ``to_ms`` (not) bound the start, Unix ms UTC. ``among``: only these calls; ``channels``:
    only those of these channels; ``numbers``: with one of these numbers (a customer's). ``holds``: those that stand,
    when ``held`` is asked for.
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
    channels: tuple[int, ...] | None = None
    numbers: tuple[str, ...] | None = None
    talk_from_ms: int | None = None
    talk_to_ms: int | None = None
    held: bool | None = None
    holds: tuple[Hold, ...] = ()


CALL_FIELDS = tuple(field.name for field in fields(Call))
"""What ``call_of`` needs of a row."""
_CALL_COLUMNS = ", ".join(CALL_FIELDS)
_KEY_OF = {"caller_number": "caller_key", "dialled_number": "dialled_key"}
_OF_NOW = frozenset({"handled_by", "tape_epoch", "from_sample", "to_sample", "kept", "kept_reason", "pauses"})


def call_of(row: sqlite3.Row | Mapping[str, Any]) -> Call:
    """A call from a row of the store."""
    values = {name: row[name] for name in CALL_FIELDS}
    flags = {name: bool(values[name]) for name in ("simulated", "kept")}
    return Call(**(values | flags | {"pauses": pauses_of(values["pauses"])}))


def call_of_event(data: Mapping[str, Any], row: sqlite3.Row) -> Call:
    """A call as an event of the recorder describes it, its state at that moment; the rest is as ``row`` has it now."""
    older = {key: None for number, key in _KEY_OF.items() if number in data}  # its event has no keys
    return call_of(
        dict(row) | older | {name: data[name] for name in CALL_FIELDS if name in data and name not in _OF_NOW}
    )


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
KEY_INDEXES = (("calls_by_caller_key", "caller_key"), ("calls_by_dialled_key", "dialled_key"))
"""Indexes of calls by the key of one number and their start, with the column that each is of."""
_AS_RECEIVED = (
    ("calls_by_caller", "caller_number", "caller_key"),
    ("calls_by_dialled", "dialled_number", "dialled_key"),
)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to find calls with a number: an index, and the condition with its one value."""

    index: str
    condition: str
    value: str
    direction: str


def ways_to(connection: sqlite3.Connection, keys: Iterable[str], site: Site, schema: str = "main") -> list[Way]:
    """All ways to find calls with numbers of these keys; while older calls have no keys yet, their usual spellings."""
    wanted = sorted({key for key in keys if key})
    directions = ("incoming", "outgoing")
    found = [
        Way(index, f"{column} = ?", key, direction)
        for (index, column), direction in zip(KEY_INDEXES, directions, strict=True)
        for key in wanted
    ]
    if not all_keyed(connection, schema):
        found += [
            Way(index, f"{column} = ? AND {key} IS NULL", one, direction)
            for (index, column, key), direction in zip(_AS_RECEIVED, directions, strict=True)
            for one in sorted({one for key in wanted for one in spellings(key, site)})
        ]
    return found


def history(
    calls: sqlite_utils.Database, number: str, scope: ChannelScope, site: Site, limit: int, without: str
) -> list[Call]:
    """The last calls with a number, either way, without the call ``without``; newest first."""
    found = calls_with(calls, [match_key(number, site)], scope, site, _BEHIND_ALL, limit + 1)
    return [call for call in found if call.id != without][:limit]


def calls_with(
    calls: sqlite_utils.Database,
    keys: Iterable[str],
    scope: ChannelScope,
    site: Site,
    before: tuple[int, str],
    limit: int,
) -> list[Call]:
    """Calls in scope with another party of one of these keys, newest first, that come before (start, id)."""
    condition, given = scope.sql("channel")
    rows = {
        row["id"]: row
        for way in ways_to(calls.conn, keys, site)
        for row in calls.conn.execute(
            f"SELECT {_CALL_COLUMNS} FROM calls INDEXED BY {way.index} WHERE {way.condition}"
            f" AND direction = '{way.direction}'"
            f" AND ({condition}) IS TRUE AND (started_ms, id) < (?, ?) ORDER BY started_ms DESC, id DESC LIMIT ?",
            (way.value, *given, *before, limit),
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
