"""Recordings and calls are found by what they are and what was written about them; exactly those in scope."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import quote

import pytest
from crm_office import hire
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from crm_client_api.domain import walk as walking
from crm_client_api.domain.call_search import position_of, search_calls
from crm_client_api.domain.calls import CallFilter, list_calls
from crm_client_api.domain.numbers import Site, match_key
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.domain.recording_search import RecordingSearch, count_recordings, search_recordings
from crm_client_api.domain.scope import ChannelScope
from crm_client_api.domain.walk import parse_position
from firmware.clock import iso_utc
from firmware.config import Home
from firmware.errors import BadInput
from firmware.store.connection import open_store, write
from firmware.store.migrations import migrate
from recorder.library.storage.holds import Hold

SITE = Site()
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


kept = st.builds(
    Kept,
    st.integers(0, 30),
    st.integers(1, 3),
    st.integers(1, 9),
    st.sampled_from([None, "incoming", "outgoing"]),
    st.sampled_from(NUMBERS),
    st.sampled_from([None, "11", "12"]),
    st.sampled_from([None, "fax"]),
    st.integers(1, 2),
)
searches = st.builds(
    RecordingSearch,
    channel=st.none() | st.integers(1, 3),
    from_ms=st.none() | st.integers(0, 30),
    to_ms=st.none() | st.integers(0, 40),
    duration_from_ms=st.none() | st.integers(0, 9),
    duration_to_ms=st.none() | st.integers(0, 9),
    number=st.none() | st.sampled_from([*NUMBERS, "5678", "+8613812345678", "999"]),
    numbers=st.none() | st.sampled_from([(), ("13812345678", "95588")]),
    operator=st.none() | st.sampled_from(["11", "13"]),
    direction=st.none() | st.sampled_from(["incoming", "outgoing"]),
    machine=st.none() | st.just("fax"),
    call_ids=st.none() | st.just(("call-0", "call-2")),
    held=st.none() | st.booleans(),
    sort=st.sampled_from(["newest", "oldest", "longest"]),
)
SCOPES = (
    ChannelScope(frozenset(), all_but=True),
    ChannelScope(frozenset({1, 2})),
    ChannelScope(frozenset({2}), all_but=True),
    ChannelScope(frozenset()),
)
HOLDS = (
    Hold("1", "call", "call-1"),
    Hold("2", "number", "95588", frozenset({"95588"})),
    Hold("3", "period", None, frozenset(), 25, None, 3),
)


def put(calls, rows: list[Kept]) -> None:
    with write(calls) as connection:
        connection.execute("DELETE FROM recordings")
        connection.execute("DELETE FROM calls")
        for n, one in enumerate(rows):
            if one.direction is not None:
                incoming = one.direction == "incoming"
                connection.execute(
                    "INSERT INTO calls (id, channel, card_id, direction, state, caller_number, dialled_number,"
                    " started_ms, handled_by, machine) VALUES (?,?,'x',?,'ended',?,?,?,?,?)",
                    (f"call-{n}", one.channel, one.direction, one.number if incoming else None,
                     None if incoming else one.number, one.started_ms, one.operator, one.machine),
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


def matches(n: int, one: Kept, wanted: RecordingSearch) -> bool:
    def same(typed: str) -> bool:
        return match_key(typed, SITE) == match_key(one.number, SITE)

    of_call = one.direction is not None
    end = one.started_ms + one.duration_ms
    held = (of_call and (n == 1 or one.number == "95588")) or (end >= 25 and one.channel == 3)
    return (
        wanted.channel in (None, one.channel)
        and (wanted.from_ms is None or end > wanted.from_ms)
        and (wanted.to_ms is None or one.started_ms < wanted.to_ms)
        and (wanted.duration_from_ms is None or one.duration_ms >= wanted.duration_from_ms)
        and (wanted.duration_to_ms is None or one.duration_ms <= wanted.duration_to_ms)
        and (wanted.number is None or (of_call and (same(wanted.number) or wanted.number in one.number)))
        and (wanted.numbers is None or (of_call and any(map(same, wanted.numbers))))
        and (wanted.operator is None or (of_call and one.operator == wanted.operator))
        and (wanted.direction is None or one.direction == wanted.direction)
        and (wanted.machine is None or (of_call and one.machine == wanted.machine))
        and (wanted.call_ids is None or (of_call and f"call-{n}" in wanted.call_ids))
        and wanted.held in (None, held)
    )


def expected(rows: list[Kept], wanted: RecordingSearch, scope: ChannelScope) -> list[str]:
    found = []
    for n, one in enumerate(rows):
        if scope.allows(one.channel) and matches(n, one, wanted):
            for segment in range(one.segments):
                key = one.duration_ms if wanted.sort == "longest" else one.started_ms
                walked = f"call-{n}" if wanted.by_call and wanted.sort != "longest" else f"r-{n}-{segment}"
                found.append((key, walked, segment, f"r-{n}-{segment}"))
    return [one[3] for one in sorted(found, reverse=wanted.sort != "oldest")]


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Home:
    home = Home(tmp_path_factory.mktemp("search"))
    home.create()
    migrate(home)
    return home


@settings(max_examples=150, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate],
          suppress_health_check=list(HealthCheck))  # fmt: skip
@given(st.lists(kept, max_size=8), searches, st.sampled_from(SCOPES), st.integers(1, 5), st.booleans())
def test_every_page_has_exactly_what_it_should(template, rows, wanted, scope, limit, in_small_steps):
    calls = open_store(template.calls_db)
    put(calls, rows)
    wanted = replace(wanted, holds=HOLDS if wanted.held is not None else ())
    steps, fewest = walking._STEPS, walking._FEWEST_ROWS
    if in_small_steps:
        walking._STEPS, walking._FEWEST_ROWS = (1, 2), 1
    try:
        found, position = [], None
        for _ in range(200):
            page, position = search_recordings(calls, wanted, scope, SITE, position, limit)
            assert len(page) <= limit
            found += [one.id for one in page]
            if position is None:
                break
            position = parse_position(str(position))
        assert found == expected(rows, wanted, scope)
        if not in_small_steps:
            assert count_recordings(calls, replace(wanted, sort="newest"), scope, SITE) == (len(found), True)
    finally:
        walking._STEPS, walking._FEWEST_ROWS = steps, fewest
        calls.conn.close()


@settings(max_examples=40, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate],
          suppress_health_check=list(HealthCheck))  # fmt: skip
@given(st.lists(kept, max_size=5), st.lists(kept, max_size=5), searches)
def test_nothing_out_of_scope_changes_anything(template, mine, foreign, wanted):
    calls = open_store(template.calls_db)
    scope = ChannelScope(frozenset({1, 2}))
    mine = [replace(one, channel=1 + one.channel % 2) for one in mine]
    foreign = [replace(one, channel=3, started_ms=one.started_ms + 5) for one in foreign]
    wanted = replace(wanted, holds=HOLDS if wanted.held is not None else ())
    shown = []
    for rows in (mine, mine + foreign):
        put(calls, rows)
        shown.append((
            [one.id for one in search_recordings(calls, wanted, scope, SITE, None, 50)[0]],
            count_recordings(calls, replace(wanted, sort="newest"), scope, SITE),
        ))  # fmt: skip
    assert shown[0] == shown[1]
    calls.conn.close()


@pytest.mark.parametrize(
    "text", ["", "x", "1~2", "1~a~x", "1~a~1~2", "9" * 30 + "~a~0", "~~", "1.5~a~0", "²~a~0", "1~" + "a" * 80 + "~0"]
)
def test_a_wrong_position_is_refused(text):
    with pytest.raises(BadInput):
        parse_position(text)


def test_over_http(crm, exchange, browse):
    hire(crm, "1", "super")
    hire(crm, "2", "ordinary", None, (1,), frozenset({Permission.RECORDING_QUERY}))
    browser = browse("1")
    fax, other = exchange.call(1, "013812345678"), exchange.call(2, "02161234567", "outgoing")
    with write(exchange.db) as connection:
        connection.execute("UPDATE calls SET machine = 'fax', handled_by = '7' WHERE id = ?", (fax["id"],))
    first = exchange.recording(fax, "a.flac", duration_ms=90_000)
    second = exchange.recording(other, "b.flac", started_ms=other["started_ms"])
    customer = browser.ask("POST", "/customers", {"name": "王", "phones": [{"number": "+86 21 6123 4567"}]}).json["id"]

    def ids(query: str) -> list[str]:
        return [one["id"] for one in browser.get(f"/recordings?{query}")["recordings"]]

    assert ids("") == [second, first]
    assert ids("sort=oldest") == ids("sort=longest") == [first, second]
    assert (
        ids("number=13812345678") == ids("machine=fax") == ids("operator=7") == ids("duration_from_ms=60000") == [first]
    )
    assert ids(f"customer={customer}") == ids("number=6123") == ids("direction=outgoing") == [second]
    assert ids(f"to={quote(iso_utc(other['started_ms']))}") == [first]
    assert browser.get("/recordings/count?channel=2") == {"count": 1, "complete": True}
    body = {"customer_id": customer, "call_id": fax["id"], "content": "要求重发传真", "at": iso_utc(fax["started_ms"])}
    with write(crm) as connection:
        connection.execute("INSERT INTO popup_receipts (call_id, staff_no, shown_ms) VALUES (?, '1', 1)", (fax["id"],))
    added = browser.ask("POST", "/communications", {key: body[key] for key in ("customer_id", "call_id", "content")})
    assert added.status == 201, added.body
    assert ids(f"text={quote('传真')}") == [first]
    assert ids(f"text={quote('没有')}") == []
    browser.ask("POST", "/holds", {"kind": "number", "subject": "62161234567", "reason": "x"})
    assert browser.ask("POST", "/holds", {"kind": "number", "subject": "13812345678", "reason": "案件"}).status == 201
    assert ids("held=true") == [first]
    assert ids("held=false") == [second]
    own = browse("2")
    assert [one["id"] for one in own.get("/recordings")["recordings"]] == [first]
    assert own.get("/recordings/count") == {"count": 1, "complete": True}
    for query in (f"customer={customer}", "text=x", "held=true"):
        assert own.ask("GET", f"/recordings?{query}").code == "permission_missing"
    hire(
        crm, "3", "ordinary", None, (1,), ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE, Permission.COMMUNICATION_SHARE}
    )
    third = browse("3")
    assert third.ask("GET", f"/recordings?customer={customer}").status == 404
    assert third.get(f"/recordings?text={quote('传真')}")["recordings"] == []
    for wrong in ("before=x", "duration_from_ms=-1", "sort=best", "customer=0", "number=", "held=maybe"):
        assert browser.ask("GET", f"/recordings?{wrong}").status == 400, wrong


call_filters = st.builds(
    CallFilter,
    limit=st.just(1000),
    channel=st.none() | st.integers(1, 3),
    number=st.none() | st.sampled_from([*NUMBERS, "5678", "999"]),
    direction=st.none() | st.sampled_from(["incoming", "outgoing"]),
    result=st.none() | st.sampled_from(["missed", "answered"]),
    state=st.none() | st.sampled_from(["ended", "talking"]),
    machine=st.none() | st.just("fax"),
    handled_by=st.none() | st.sampled_from(["11", "13"]),
    from_ms=st.none() | st.integers(0, 30),
    to_ms=st.none() | st.integers(0, 40),
    among=st.none() | st.just(("call-0", "call-2")),
)


@settings(max_examples=100, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate],
          suppress_health_check=list(HealthCheck))  # fmt: skip
@given(st.lists(kept, max_size=8), call_filters, st.sampled_from(SCOPES), st.integers(1, 5), st.booleans())
def test_calls_come_in_the_same_order_whatever_the_steps(template, rows, wanted, scope, limit, in_small_steps):
    calls = open_store(template.calls_db)
    put(calls, rows)
    with write(calls) as connection:
        connection.execute("UPDATE calls SET result = 'missed' WHERE channel = 1")
        connection.execute("UPDATE calls SET state = 'talking' WHERE id = 'call-0'")
    steps, fewest = walking._STEPS, walking._FEWEST_ROWS
    if in_small_steps:
        walking._STEPS, walking._FEWEST_ROWS = (1, 2), 1
    try:
        found, position = [], None
        for _ in range(200):
            page, position = search_calls(calls, wanted, scope, SITE, position, limit)
            found += [one.id for one in page]
            if position is None:
                break
        nothing = not scope.channels and not scope.all_but
        assert found == ([] if nothing else [one.id for one in list_calls(calls, wanted, scope, SITE)])
        if found:
            after_first = search_calls(calls, wanted, scope, SITE, position_of(calls, found[0], scope), 1000)[0]
            if not in_small_steps:
                assert [one.id for one in after_first] == found[1:]
    finally:
        walking._STEPS, walking._FEWEST_ROWS = steps, fewest
        calls.conn.close()


def test_a_number_of_the_own_area_is_whole_when_it_is_known_and_else_part_of_others(template):
    calls = open_store(template.calls_db)
    everything = SCOPES[0]
    local, mobile = Kept(1, 1, 1, number="62345678"), Kept(2, 1, 1, number="13862345678")
    for rows, expected_ids in (([mobile], ["call-0"]), ([local, mobile], ["call-0"]), ([local], ["call-0"])):
        put(calls, rows)
        found, after = search_calls(calls, CallFilter(number="62345678"), everything, SITE, None, 50)
        assert ([one.id for one in found], after) == (expected_ids, None)
    calls.conn.close()
