"""Calls and recordings for searches that are compared with plain ones."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import sqlite_utils
from hypothesis import strategies as st

from crm_client_api.domain import walk as walking
from crm_client_api.domain.scope import ChannelScope
from firmware.store.connection import write
from recorder.numbers import Site, match_key

NUMBERS = ("13812345678", "013812345678", "02161234567", "95588")


@dataclass(frozen=True)
class Kept:
    """A recording with its call (``direction`` None: without one)."""

    started_ms: int
    channel: int
    duration_ms: int
    direction: str | None = "incoming"
    number: str = NUMBERS[0]
    operator: str | None = None
    machine: str | None = None
    segments: int = 1


def _crowd(seed: int, most: int) -> list[Kept]:
    """Many of the same few numbers, channels and moments: drawn one by one they would be too unlike each other."""
    drawn = random.Random(seed)
    return [
        Kept(
            started_ms=drawn.randint(0, 30),
            channel=drawn.randint(1, 3),
            duration_ms=drawn.randint(1, 9),
            direction=drawn.choice((None, "incoming", "incoming", "outgoing")),
            number=drawn.choice(NUMBERS),
            operator=drawn.choice((None, "11", "12")),
            machine=drawn.choice((None, "fax")),
            segments=drawn.randint(1, 2),
        )
        for _ in range(drawn.randint(0, most))
    ]


def crowds(most: int) -> st.SearchStrategy[list[Kept]]:
    """So many recordings at most, with and without calls."""
    return st.builds(_crowd, st.integers(0, 1 << 32), st.just(most))


def some_of(filters: Mapping[str, st.SearchStrategy[Any]], most: int) -> st.SearchStrategy[dict[str, Any]]:
    """Some filters only: where all are asked for, nothing is found."""
    names = st.lists(st.sampled_from(sorted(filters)), max_size=most, unique=True)
    return names.flatmap(lambda some: st.fixed_dictionaries({name: filters[name] for name in some}))


SCOPES = (
    ChannelScope(frozenset(), all_but=True),
    ChannelScope(frozenset({1, 2})),
    ChannelScope(frozenset({2}), all_but=True),
    ChannelScope(frozenset()),
    ChannelScope(frozenset(range(2, 400))),
    ChannelScope(frozenset(range(3, 400)), all_but=True),
)
"""As a super operator has, an ordinary one, a leader of the group of all other channels, nobody; and of huge boxes."""


def put(calls: sqlite_utils.Database, rows: list[Kept]) -> None:
    with write(calls) as connection:
        connection.execute("DELETE FROM recordings")
        connection.execute("DELETE FROM calls")
        for n, one in enumerate(rows):
            if one.direction is not None:
                incoming = one.direction == "incoming"
                connection.execute(
                    "INSERT INTO calls (id, channel, card_id, direction, state, caller_number, dialled_number,"
                    " started_ms, handled_by, machine, caller_key, dialled_key)"
                    " VALUES (?,?,'x',?,'ended',?,?,?,?,?,?,?)",
                    (f"call-{n}", one.channel, one.direction, one.number if incoming else None,
                     None if incoming else one.number, one.started_ms, one.operator, one.machine,
                     match_key(one.number, Site()) if incoming else None,
                     None if incoming else match_key(one.number, Site())),
                )  # fmt: skip
            for segment in range(one.segments):
                connection.execute(
                    "INSERT INTO recordings (id, kind, call_id, channel, segment, state, card_id, tape_epoch,"
                    " from_sample, to_sample, sample_rate_hz, started_ms, duration_ms)"
                    " VALUES (?,?,?,?,?,'ready','x','e',?,1,8000,?,?)",
                    (f"r-{n}-{segment}", "call" if one.direction else "continuous",
                     f"call-{n}" if one.direction else None, one.channel, segment, n * 10 + segment, one.started_ms,
                     one.duration_ms),
                )  # fmt: skip


@contextmanager
def walk_steps(small: bool) -> Iterator[None]:
    """Pages that end after a row or two of each branch, if they shall."""
    with pytest.MonkeyPatch.context() as patch:
        if small:
            for name, value in (("_FIRST_STEP_ROWS", 1), ("_FEWEST_ROWS", 1), ("_ENOUGH_S", 0.0)):
                patch.setattr(walking, name, value)
        yield
