"""Missed calls are listed as a plain look through all of them finds them, whoever asks, in pages however small."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import sqlite_utils
from crm_office import Exchange, hire
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from walked_calls import SCOPES, some_of, walk_steps

from crm_client_api.domain.call_backs import (
    ALL_STATES,
    MOST_COUNTED,
    WAITING,
    CallBack,
    CallBackFilter,
    list_call_backs,
    missed_since,
    position_of,
)
from crm_client_api.domain.scope import ChannelScope
from crm_client_api.domain.walk import parse_position
from firmware.config import Home
from firmware.store.connection import open_store, write
from firmware.store.migrations import migrate
from recorder.numbers import Site, match_key

SITE = Site()
NUMBERS = ("13812345678", "02161234567", "801")
SETTINGS = settings(
    max_examples=200, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
filters = some_of(
    {
        "states": st.sampled_from([WAITING, ALL_STATES, *((one,) for one in ALL_STATES)]),
        "owner": st.sampled_from(["11", "12", "没有"]),
        "channel": st.sampled_from([1, 2, 3, 4501]),
        "number": st.sampled_from([*NUMBERS, "+86 138 1234 5678", "5678", "没有"]),
        "from_ms": st.integers(0, 30) | st.just(1 << 47),
        "to_ms": st.integers(0, 40),
        "newest_first": st.booleans(),
    },
    most=4,
).map(lambda given: CallBackFilter(**given))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory):
    home = Home(tmp_path_factory.mktemp("missed"))
    home.create()
    migrate(home)
    db = open_store(home.crm_db)
    yield db
    db.conn.close()


def fill(crm: sqlite_utils.Database, seed: int, foreign: int = 0) -> None:
    """Missed calls of channels 1 to 3; ``foreign``: so many more of channel 3, the others then lie on 1 and 2."""
    drawn = random.Random(seed)
    rows = [
        (f"call-{n}", drawn.randint(1, 3 if not foreign else 2), match_key(drawn.choice(NUMBERS), SITE),
         drawn.randint(0, 30), drawn.choice(ALL_STATES), drawn.choice((None, "11", "12")))
        for n in range(drawn.randint(0, 14))
    ]  # fmt: skip
    rows += [
        (f"foreign-{n}", 3, match_key(NUMBERS[n % 3], SITE), n * 3, ALL_STATES[n % 4], "11") for n in range(foreign - 1)
    ]
    with write(crm) as connection:
        connection.execute("DELETE FROM call_backs")
        connection.executemany(
            "INSERT INTO call_backs (call_id, channel, match_key, missed_ms, state, owner, changed_ms, changed_by)"
            " VALUES (?,?,?,?,?,?,1,'')",
            rows,
        )


def plain(crm: sqlite_utils.Database, wanted: CallBackFilter, scope: ChannelScope) -> list[str]:
    found = [
        (row["missed_ms"], row["call_id"])
        for row in crm.conn.execute("SELECT * FROM call_backs NOT INDEXED")
        if scope.allows(row["channel"])
        and row["state"] in wanted.states
        and wanted.owner in (None, row["owner"])
        and wanted.channel in (None, row["channel"])
        and (not wanted.number or match_key(wanted.number, SITE) == row["match_key"])
        and (wanted.from_ms is None or row["missed_ms"] >= wanted.from_ms)
        and (wanted.to_ms is None or row["missed_ms"] < wanted.to_ms)
    ]
    return [one[1] for one in sorted(found, reverse=wanted.newest_first)]


def pages(
    crm: sqlite_utils.Database, wanted: CallBackFilter, scope: ChannelScope, limit: int
) -> list[tuple[list[CallBack], str]]:
    found, position = [], None
    while True:
        page, position = list_call_backs(crm, wanted, scope, SITE, position, limit)
        assert len(page) <= limit
        found.append((page, str(position)))
        if position is None:
            return found
        position = parse_position(str(position))


@SETTINGS
@given(st.integers(0, 1 << 32), filters, st.sampled_from(SCOPES), st.integers(1, 5), st.booleans())
def test_every_page_has_exactly_what_it_should(store, seed, wanted, scope, limit, in_small_steps):
    fill(store, seed)
    with walk_steps(in_small_steps):
        listed = [one for page, _ in pages(store, wanted, scope, limit) for one in page]
    assert [one.call_id for one in listed] == plain(store, wanted, scope)
    everything = replace(wanted, states=ALL_STATES, owner=None, number="", from_ms=None, to_ms=None, channel=None)
    every = [one for page, _ in pages(store, everything, scope, 50) for one in page]
    assert missed_since(store, listed, scope) == {
        one.call_id: sum(other.match_key == one.match_key and other.missed_ms > one.missed_ms for other in every)
        for one in listed
    }
    if listed:
        behind = list_call_backs(store, wanted, scope, SITE, position_of(store, listed[0].call_id, scope), 50)
        assert behind == (listed[1:], None)


@SETTINGS
@given(
    st.integers(0, 1 << 32), filters, st.sampled_from([
        ChannelScope(frozenset({1, 2})), ChannelScope(frozenset({3}), all_but=True),
        ChannelScope(frozenset(range(3, 400)), all_but=True), ChannelScope(frozenset({1, 2, *range(4, 400)})),
    ]),
)  # fmt: skip
def test_neither_missed_calls_nor_positions_tell_of_others(store, seed, wanted, scope):
    shown = []
    for foreign in (1, 9):
        fill(store, seed, foreign)
        with walk_steps(small=True):
            shown.append(pages(store, wanted, scope, 2))
    assert shown[0] == shown[1]


def test_a_number_that_was_missed_very_often_is_counted_up_to_a_limit(store):
    with write(store) as connection:
        connection.execute("DELETE FROM call_backs")
        connection.executemany(
            "INSERT INTO call_backs (call_id, channel, match_key, missed_ms, state, changed_ms, changed_by)"
            " VALUES (?,1,'801',?,'open',1,'')",
            [(f"call-{n}", n) for n in range(MOST_COUNTED + 5)],
        )
    first, _ = list_call_backs(store, CallBackFilter(), SCOPES[0], SITE, None, 9)
    assert missed_since(store, first, SCOPES[0]) == {one.call_id: MOST_COUNTED for one in first[:5]} | {
        one.call_id: MOST_COUNTED + 4 - n for n, one in enumerate(first) if n >= 5
    }


def test_calls_by_their_call_back_go_on_where_looking_took_too_long(crm, exchange: Exchange, browse, monkeypatch):
    """A page may be short or empty; nothing is lost on the way to the end."""
    hire(crm, "1", "super")
    browser = browse("1")
    numbers = [f"1381234567{n % 2}" for n in range(9)]
    calls = [exchange.call(1, number) for number in numbers]
    for call in calls:
        exchange.end(call)
    with write(crm) as connection:
        connection.execute("DELETE FROM call_backs")
        connection.executemany(
            "INSERT INTO call_backs (call_id, channel, match_key, missed_ms, state, changed_ms, changed_by)"
            " VALUES (?,1,?,?,'open',1,'')",
            [
                (one["id"], match_key(number, SITE), one["started_ms"])
                for one, number in zip(calls, numbers, strict=True)
            ],
        )
    monkeypatch.setattr("crm_client_api.views.call_backs._AT_ONCE", 2)
    monkeypatch.setattr("crm_client_api.views.call_backs._ENOUGH_S", 0.0)
    for query, wanted in (("number=5671", 1), ("number=13812345670", 0), ("direction=outgoing", None)):
        seen, path = [], f"/calls?call_back=open&limit=3&{query}"
        page = browser.get(path)
        asked = 1
        while page["next"] is not None:
            seen += page["calls"]
            page = browser.get(f"{path}&before={page['next']}")
            asked += 1
        seen += page["calls"]
        expected = [one["id"] for n, one in enumerate(calls) if n % 2 == wanted]
        assert [one["id"] for one in seen] == expected[::-1]
        assert asked > 1
