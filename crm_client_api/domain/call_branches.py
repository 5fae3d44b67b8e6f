"""Along which indexes calls and recordings are searched; see ``walk``. Calls have the alias ``c``, recordings ``r``."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from crm_client_api.domain.calls import NUMBER_INDEXES
from crm_client_api.domain.numbers import Site, spellings
from crm_client_api.domain.scope import EVERY_CHANNEL, ChannelScope, Sql
from crm_client_api.domain.walk import Branch

EVERYTHING: Sql = ("1", ())
_NATIONAL_DIGITS = 10
_MOST_CHANNELS_EACH = 300
"""With more channels in scope than these, walking through all calls is less work."""


def digits_of(number: str) -> str:
    """The digits of what somebody typed, all of it without any."""
    return "".join(one for one in number if one.isascii() and one.isdigit()) or number


def number_condition(number: str, site: Site) -> Sql:
    """Calls with a number in any spelling, or one that contains its digits."""
    exact, digits = spellings(number, site), digits_of(number)
    marks = ",".join("?" * len(exact))
    return (
        f"c.caller_number IN ({marks}) OR c.dialled_number IN ({marks})"
        " OR instr(c.caller_number, ?) OR instr(c.dialled_number, ?)",
        (*exact, *exact, digits, digits),
    )


def is_whole(connection: sqlite3.Connection, number: str, scope: ChannelScope, site: Site) -> bool:
    """Whether somebody typed a whole number, not some of its digits.

    What may be a number of the own area or the end of a longer one is whole if there are calls in scope with it.
    """
    exact = spellings(number, site)
    if not any(one.startswith("+") for one in exact):
        return False
    if len(digits_of(number)) >= _NATIONAL_DIGITS:
        return True
    condition, given = scope.sql("channel")
    return any(
        connection.execute(
            f"SELECT 1 FROM calls INDEXED BY {index} WHERE {column} = ? AND ({condition}) IS TRUE LIMIT 1",
            (one, *given),
        ).fetchone()
        for index, column in NUMBER_INDEXES
        for one in exact
    )


def number_branches(numbers: Iterable[str], site: Site) -> list[Branch]:
    """Calls with one of these numbers in any spelling, either way."""
    every = sorted({one for number in numbers for one in spellings(number, site)})
    return [Branch(index, (f"c.{column} = ?", (one,))) for index, column in NUMBER_INDEXES for one in every]


def few_calls(call_ids: tuple[str, ...]) -> list[Branch]:
    """These calls."""
    return [Branch("", (f"c.id IN ({','.join('?' * len(call_ids))})", call_ids), few=True)] if call_ids else []


def channel_branches(
    connection: sqlite3.Connection, table: str, alias: str, channel: int | None, scope: ChannelScope
) -> list[Branch]:
    """Everything in scope, of one channel if it is asked for; both tables have these indexes."""
    index = f"{table}_by_channel"
    allowed = channels_each(connection, table, index, EVERYTHING, channel, scope)
    if allowed is None:
        return [Branch(f"{table}_by_start", EVERYTHING)]
    return [Branch(index, (f"{alias}.channel = ?", (one,))) for one in allowed]


def machine_branches(
    connection: sqlite3.Connection, machine: str, channel: int | None, scope: ChannelScope
) -> list[Branch]:
    """Calls in scope with a fax or a modem."""
    if channel is None and scope == EVERY_CHANNEL:
        return [Branch("calls_by_machine", ("c.machine = ?", (machine,)))]
    return _same(connection, "calls_by_machine_channel", "machine", machine, channel, scope)


def handler_branches(
    connection: sqlite3.Connection, staff_no: str, channel: int | None, scope: ChannelScope
) -> list[Branch]:
    """Calls in scope that an operator handled, which is on few channels."""
    return _same(connection, "calls_by_handler", "handled_by", staff_no, channel, scope)


def _same(
    connection: sqlite3.Connection, index: str, column: str, value: str, channel: int | None, scope: ChannelScope
) -> list[Branch]:
    allowed = channels_each(connection, "calls", index, (f"{column} = ?", (value,)), channel, scope, narrow=True)
    return [Branch(index, (f"c.{column} = ? AND c.channel = ?", (value, one))) for one in allowed or ()]


def length_branches(
    connection: sqlite3.Connection, channel: int | None, scope: ChannelScope, longer: Sql = EVERYTHING
) -> list[Branch]:
    """Recordings in scope by how long they are; ``longer``: a condition of that alone."""
    allowed = channels_each(connection, "recordings", "recordings_by_length", EVERYTHING, channel, scope)
    text, given = longer
    if allowed is None:
        return [Branch("recordings_by_duration", longer)]
    return [Branch("recordings_by_length", (f"r.channel = ? AND {text}", (one, *given))) for one in allowed]


def channels_each(
    connection: sqlite3.Connection,
    table: str,
    index: str,
    equal: Sql,
    channel: int | None,
    scope: ChannelScope,
    *,
    narrow: bool = False,
) -> list[int] | None:
    """The channels in scope to walk along, each by itself, or the one that is asked for; ``index`` has them behind what
    is ``equal``. None: all together, which an index that is ``narrow`` cannot."""
    if channel is not None:
        return [channel] if scope.allows(channel) else []
    if not scope.all_but:
        found = sorted(scope.channels)
    elif scope.channels or narrow:
        found = [one for one in _channels_with(connection, table, index, equal) if scope.allows(one)]
    else:
        return None
    return found if narrow or len(found) <= _MOST_CHANNELS_EACH else None


def _channels_with(connection: sqlite3.Connection, table: str, index: str, equal: Sql) -> list[int]:
    """The channels that follow each other in an index, from one to the next."""
    text, given = equal
    least = f"SELECT min(channel) FROM {table} INDEXED BY {index} WHERE {text}"
    rows = connection.execute(
        f"WITH RECURSIVE one(channel) AS ({least} UNION ALL SELECT ({least} AND channel > one.channel) FROM one"
        " WHERE one.channel IS NOT NULL) SELECT channel FROM one WHERE channel IS NOT NULL",
        (*given, *given),
    )
    return [row[0] for row in rows]
