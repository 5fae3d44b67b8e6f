"""Along which indexes calls and recordings are searched; see ``walk``. Calls have the alias ``c``."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from crm_client_api.domain.numbers import Site, spellings
from crm_client_api.domain.scope import ChannelScope, Sql
from crm_client_api.domain.walk import Branch

EVERYTHING: Sql = ("1", ())
_NOTHING = Branch("", ("0", ()), few=True)
_NUMBER_INDEXES = (("calls_by_caller", "caller_number"), ("calls_by_dialled", "dialled_number"))
_NATIONAL_DIGITS = 10
_FEW_CHANNELS = 4
_MOST_CHANNELS_EACH = 64
"""With more channels in scope than these, walking through all calls is less work."""


def is_empty(scope: ChannelScope) -> bool:
    """Whether nothing at all is in scope; SQLite finds no way along an index when a condition cannot hold."""
    return not scope.channels and not scope.all_but


def is_narrow(scope: ChannelScope) -> bool:
    """Whether walking along the channels in scope meets fewer calls than walking along those of one operator."""
    return not scope.all_but and len(scope.channels) <= _FEW_CHANNELS


def digits_of(number: str) -> str:
    """The digits of what somebody typed, all of it without any."""
    return "".join(one for one in number if one.isascii() and one.isdigit()) or number


def is_whole(connection: sqlite3.Connection, number: str, scope: ChannelScope, site: Site) -> bool:
    """Whether somebody typed a whole number, not some of its digits.

    What may be a number of the own area or the end of a longer one is whole if there are calls in scope with it.
    """
    exact = spellings(number, site)
    if not any(one.startswith("+") for one in exact):
        return False
    if len(digits_of(number)) >= _NATIONAL_DIGITS:
        return True
    marks = ",".join("?" * len(exact))
    condition, given = scope.sql("+channel")
    return any(
        connection.execute(
            f"SELECT 1 FROM calls INDEXED BY {index} WHERE {column} IN ({marks}) AND {condition} LIMIT 1",
            (*exact, *given),
        ).fetchone()
        for index, column in _NUMBER_INDEXES
    )


def number_branches(numbers: Iterable[str], site: Site) -> list[Branch]:
    """Calls with one of these numbers in any spelling, either way."""
    every = sorted({one for number in numbers for one in spellings(number, site)})
    return [Branch(index, (f"c.{column} = ?", (one,))) for index, column in _NUMBER_INDEXES for one in every] or [
        _NOTHING
    ]


def few_calls(call_ids: tuple[str, ...]) -> list[Branch]:
    """These calls."""
    return [Branch("", (f"c.id IN ({','.join('?' * len(call_ids))})", call_ids), few=True)]


def channel_branches(table: str, alias: str, channel: int | None, scope: ChannelScope) -> list[Branch]:
    """Everything in scope, of one channel if it is asked for; both tables have these indexes."""
    if channel is not None:
        allowed = [channel] if scope.allows(channel) else []
    elif scope.all_but or len(scope.channels) > _MOST_CHANNELS_EACH:
        return [Branch(f"{table}_by_start", EVERYTHING)]
    else:
        allowed = sorted(scope.channels)
    return [Branch(f"{table}_by_channel", (f"{alias}.channel = ?", (one,))) for one in allowed] or [_NOTHING]
