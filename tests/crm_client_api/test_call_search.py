"""Whatever is asked for, whoever asks: calls are those that a plain look through all of them finds, in its order."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace

import pytest
import sqlite_utils
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from walked_calls import NUMBERS, SCOPES, Kept, crowds, put, some_of, walk_steps

from crm_client_api.domain.call_search import list_calls, position_of, search_calls
from crm_client_api.domain.calls import CallFilter, calls_with, history
from crm_client_api.domain.recording_search import RecordingSearch, count_recordings, search_recordings
from crm_client_api.domain.scope import ChannelScope
from crm_client_api.domain.walk import parse_position
from firmware.config import Home
from firmware.store.connection import open_store, write
from firmware.store.migrations import migrate
from recorder.numbers import Site, match_key

SITE = Site()
SETTINGS = settings(
    max_examples=200, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
call_filters = some_of(
    {
        "before": st.sampled_from(["call-0", "call-3", "没有"]),
        "channel": st.sampled_from([1, 2, 3, 4501]),
        "number": st.sampled_from([*NUMBERS, "5678", "999", "", " ", "没有", "x\x00"]),
        "direction": st.sampled_from(["incoming", "outgoing"]),
        "result": st.sampled_from(["missed", "answered"]),
        "state": st.sampled_from(["ended", "talking", "ringing"]),
        "machine": st.sampled_from(["fax", "modem"]),
        "handled_by": st.sampled_from(["11", "13", ""]),
        "from_ms": st.integers(0, 30) | st.just(1 << 47),
        "to_ms": st.integers(0, 40),
        "among": st.sampled_from([(), ("call-0", "call-2"), ("没有",)]),
        "limit": st.integers(1, 9),
    },
    most=4,
).map(lambda given: CallFilter(**given))


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory):
    home = Home(tmp_path_factory.mktemp("calls"))
    home.create()
    migrate(home)
    db = open_store(home.calls_db)
    yield db
    db.conn.close()


def fill(calls: sqlite_utils.Database, rows: list[Kept]) -> None:
    put(calls, rows)
    with write(calls) as connection:
        connection.execute("UPDATE calls SET result = 'missed' WHERE channel = 1")
        connection.execute("UPDATE calls SET state = 'talking' WHERE id = 'call-0'")


def plain(calls: sqlite_utils.Database, wanted: CallFilter, scope: ChannelScope) -> list[str]:
    """All of them, one by one."""
    found = [
        (row["started_ms"], row["id"])
        for row in calls.conn.execute("SELECT * FROM calls NOT INDEXED")
        if scope.allows(row["channel"]) and fits(row, wanted)
    ]
    found.sort(reverse=True)
    if wanted.before:
        start = calls.conn.execute("SELECT started_ms, channel FROM calls WHERE id = ?", (wanted.before,)).fetchone()
        if start is None or not scope.allows(start["channel"]):
            return []
        found = [one for one in found if one < (start["started_ms"], wanted.before)]
    return [one[1] for one in found]


def fits(row: sqlite3.Row, wanted: CallFilter) -> bool:
    same = all(
        getattr(wanted, name) in (None, row[name])
        for name in ("channel", "direction", "result", "state", "machine", "handled_by")
    )
    numbers = [one for one in (row["caller_number"], row["dialled_number"]) if one]
    digits = "".join(filter(str.isdigit, wanted.number or "")) or wanted.number
    return (
        same
        and (
            not wanted.number
            or any(match_key(one, SITE) == match_key(wanted.number, SITE) or digits in one for one in numbers)
        )
        and (wanted.from_ms is None or row["started_ms"] >= wanted.from_ms)
        and (wanted.to_ms is None or row["started_ms"] < wanted.to_ms)
        and (wanted.among is None or row["id"] in wanted.among)
    )


@SETTINGS
@given(crowds(14), call_filters, st.sampled_from(SCOPES), st.booleans())
@example([Kept(1, 1, 1)], CallFilter(state="talking"), SCOPES[3], False)
@example([Kept(1, 1, 1)], CallFilter(state="talking", among=()), SCOPES[0], False)
def test_a_list_is_what_a_plain_look_finds(calls, rows, wanted, scope, in_small_steps):
    fill(calls, rows)
    expected = plain(calls, wanted, scope)
    with walk_steps(in_small_steps):
        assert [one.id for one in list_calls(calls, wanted, scope, SITE)] == expected[: wanted.limit]
        found, position = [], position_of(calls, wanted.before, scope) if wanted.before else None
        while not wanted.before or position is not None:
            page, position = search_calls(calls, wanted, scope, SITE, position, wanted.limit)
            assert len(page) <= wanted.limit
            found += [one.id for one in page]
            if position is None:
                break
            position = parse_position(str(position))
        assert found == expected


@SETTINGS
@given(
    crowds(8),
    crowds(8),
    call_filters,
    st.sampled_from([
        ChannelScope(frozenset({1, 2})), ChannelScope(frozenset({3}), all_but=True),
        ChannelScope(frozenset(range(3, 400)), all_but=True), ChannelScope(frozenset({1, 2, *range(4, 400)})),
    ]),
)  # fmt: skip
def test_neither_calls_nor_positions_tell_of_others(calls, mine, foreign, wanted, scope):
    mine = [replace(one, channel=1 + one.channel % 2) for one in mine]
    foreign = [replace(one, channel=3, started_ms=one.started_ms + 5) for one in foreign]
    shown = []
    for rows in (mine, mine + foreign):
        fill(calls, rows)
        shown.append([])
        with walk_steps(small=True):
            position = None
            for _ in range(100):
                page, position = search_calls(calls, wanted, scope, SITE, position, 2)
                shown[-1].append(([one.id for one in page], str(position)))
                if position is None:
                    break
    assert shown[0] == shown[1]


@SETTINGS
@given(crowds(14), st.sampled_from(NUMBERS), st.sampled_from(SCOPES), st.integers(1, 5))
def test_the_history_of_a_number_is_what_a_plain_look_finds(calls, rows, number, scope, limit):
    fill(calls, rows)
    expected = plain(calls, CallFilter(number=number), scope)
    assert [one.id for one in history(calls, number, scope, SITE, limit, without="call-1")] == [
        one for one in expected if one != "call-1"
    ][:limit]
    behind = (10, "call-5")
    rest = [one.id for one in calls_with(calls, [match_key(number, SITE)], scope, SITE, behind, limit)]
    starts = {row["id"]: row["started_ms"] for row in calls.conn.execute("SELECT id, started_ms FROM calls")}
    assert rest == [one for one in expected if (starts[one], one) < behind][:limit]


def test_a_walk_follows_its_index_and_sorts_nothing_but_what_began_at_one_moment(calls):
    """Without it, an office with a year of calls waits for each list."""
    seen: list[str] = []
    calls.conn.set_trace_callback(seen.append)
    filters = (
        CallFilter(), CallFilter(number="13812345678"), CallFilter(number="5678"), CallFilter(result="missed"),
        CallFilter(machine="fax"), CallFilter(handled_by="11"), CallFilter(channel=2, direction="outgoing"),
    )  # fmt: skip
    searches = (
        RecordingSearch(), RecordingSearch(number="5678"), RecordingSearch(held=True), RecordingSearch(machine="fax"),
        RecordingSearch(sort="longest", operator="11"), RecordingSearch(sort="oldest", direction="incoming"),
        RecordingSearch(from_ms=5, to_ms=9), RecordingSearch(numbers=("95588",)),
    )  # fmt: skip
    for scope in SCOPES:
        for wanted in filters:
            list_calls(calls, wanted, scope, SITE)
        for search in searches:
            search_recordings(calls, search, scope, SITE, None, 50)
            count_recordings(calls, replace(search, sort="newest"), scope, SITE)
        history(calls, "13812345678", scope, SITE, 5, without="")
    calls.conn.set_trace_callback(None)
    for sql in {one for one in seen if one.startswith("SELECT")}:
        steps = [row[3] for row in calls.conn.execute(f"EXPLAIN QUERY PLAN {sql}")]
        assert not [one for one in steps if one.startswith("SCAN") and " INDEX " not in one], (sql, steps)
        assert "USE TEMP B-TREE FOR ORDER BY" not in steps, (sql, steps)
        assert len(steps) < 4, (sql, steps)


def test_a_page_of_something_rare_costs_the_same_whatever_there_is(calls, monkeypatch):
    """Counted in steps of SQLite's machine: in both stores pages end after one look at the first rows."""
    monkeypatch.setattr("crm_client_api.domain.walk._ENOUGH_S", 0.0)
    monkeypatch.setattr("crm_client_api.domain.recording_search._COUNTED_S", 0.0)
    number = "0" * 6
    filters = [
        CallFilter(number=number, **more)
        for more in ({}, {"from_ms": 5}, {"channel": 1, "from_ms": 5, "to_ms": 19_990}, {"handled_by": "11"})
    ] + [CallFilter(direction="outgoing", result="answered"), CallFilter(machine="fax", result="answered")]
    searches = [
        RecordingSearch(sort=sort, **more)
        for sort in ("newest", "oldest", "longest")
        for more in (
            {"number": number}, {"number": number, "from_ms": 5}, {"kind": "manual", "from_ms": 5, "to_ms": 19_990},
            {"operator": "11", "direction": "outgoing"}, {"duration_from_ms": 1, "kind": "manual"},
        )
    ]  # fmt: skip
    cost: list[list[int]] = []
    for rows in (2_000, 20_000):
        put(calls, [Kept(n, 1 + n % 2, 1 + n % 900, operator="11", machine="fax") for n in range(rows)])
        cost.append([])
        for scope in SCOPES[:3]:
            for wanted in filters:
                cost[-1].append(steps(search_calls, calls, wanted, scope))
            for search in searches:
                cost[-1].append(steps(search_recordings, calls, search, scope))
    assert max(many / few for few, many in zip(*cost, strict=True)) < 2


def steps(search: Callable[..., object], calls: sqlite_utils.Database, wanted: object, scope: ChannelScope) -> int:
    """How many hundred steps SQLite's machine takes for a page."""
    taken = [1]
    calls.conn.set_progress_handler(lambda: taken.append(1) or 0, 100)
    try:
        search(calls, wanted, scope, SITE, None, 50)
    finally:
        calls.conn.set_progress_handler(None, 0)
    return len(taken)
