"""Along which indexes calls and recordings are searched; see ``walk``. Calls have the alias ``c``, recordings ``r``."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from crm_client_api.domain.calls import Way, ways_to
from crm_client_api.domain.scope import EVERY_CHANNEL, ChannelScope, Sql
from crm_client_api.domain.walk import Branch
from recorder.library.storage.holds import Hold
from recorder.numbers import Site, match_key

EVERYTHING: Sql = ("1", ())
_NATIONAL_DIGITS = 10
_MOST_CHANNELS_EACH = 300
"""With more channels in scope than these, walking through all calls is less work."""


def digits_of(number: str) -> str:
    """The digits of what somebody typed, all of it without any."""
    return "".join(one for one in number if one.isascii() and one.isdigit()) or number


def number_condition(connection: sqlite3.Connection, number: str, site: Site) -> Sql:
    """Calls with a number in any spelling, or one that contains its digits."""
    text, given = numbers_condition(connection, (number,), site)
    digits = digits_of(number)
    return f"{text} OR instr(c.caller_number, ?) OR instr(c.dialled_number, ?)", (*given, digits, digits)


def numbers_condition(connection: sqlite3.Connection, numbers: Iterable[str], site: Site) -> Sql:
    """Calls with one of these numbers in any spelling."""
    ways = ways_to(connection, {match_key(number, site) for number in numbers}, site)
    return " OR ".join(f"({_of_call(way)})" for way in ways) or "0", tuple(way.value for way in ways)


def _of_call(way: Way) -> str:
    """The condition with the alias of calls."""
    return " AND ".join(f"c.{part}" for part in way.condition.split(" AND "))


def held_condition(holds: Iterable[Hold], call_id: str, alias: str) -> Sql:
    """What a hold protects by its own call, number or time: ``call_id`` is an expression, ``alias`` that of the table.

    What runs still has no end, and ends later than every hold begins.
    """
    texts: list[str] = ["0"]
    given: list[object] = []
    for hold in holds:
        if hold.kind == "call":
            texts.append(f"{call_id} = ?")
            given.append(hold.subject)
        elif hold.kind == "period":
            part = ["1"]
            for text, value in (
                (f"coalesce({alias}.ended_ms, 1 << 62) >= ?", hold.from_ms), (f"{alias}.started_ms <= ?", hold.to_ms),
                (f"{alias}.channel = ?", hold.channel),
            ):  # fmt: skip
                if value is not None:
                    part.append(text)
                    given.append(value)
            texts.append(f"({' AND '.join(part)})")
        else:
            numbers = sorted(hold.numbers)
            marks = ",".join("?" * len(numbers))
            for column in ("caller_number", "dialled_number", "caller_key", "dialled_key"):
                texts.append(f"c.{column} IN ({marks})")
                given += numbers
    return f"({' OR '.join(texts)})", tuple(given)


def is_whole(connection: sqlite3.Connection, number: str, scope: ChannelScope, site: Site) -> bool:
    """Whether somebody typed a whole number, not some of its digits.

    What may be a number of the own area or the end of a longer one is whole if there are calls in scope with it.
    """
    key = match_key(number, site)
    if not key.startswith("+"):
        return False
    if len(digits_of(number)) >= _NATIONAL_DIGITS:
        return True
    condition, given = scope.sql("channel")
    return any(
        connection.execute(
            f"SELECT 1 FROM calls INDEXED BY {way.index} WHERE {way.condition} AND ({condition}) IS TRUE LIMIT 1",
            (way.value, *given),
        ).fetchone()
        for way in ways_to(connection, (key,), site)
    )


def number_branches(connection: sqlite3.Connection, numbers: Iterable[str], site: Site) -> list[Branch]:
    """Calls with one of these numbers in any spelling, either way."""
    ways = ways_to(connection, {match_key(number, site) for number in numbers}, site)
    return [Branch(way.index, (_of_call(way), (way.value,))) for way in ways]


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
