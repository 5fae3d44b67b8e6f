"""Recordings and calls are found by what they are and what was written about them; exactly those in scope."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import pytest
from crm_office import hire
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from walked_calls import NUMBERS, SCOPES, Kept, crowds, put, some_of, walk_steps

from crm_client_api.domain.call_search import search_calls
from crm_client_api.domain.calls import CallFilter
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
from recorder.numbers import Site, match_key

SITE = Site()
HOLDS = (
    Hold("1", "call", "call-1"),
    Hold("2", "number", "95588", frozenset({"95588"})),
    Hold("3", "period", None, frozenset(), 25, None, 3),
)
searches = some_of(
    {
        "channel": st.sampled_from([1, 2, 3, 4501]),
        "kind": st.sampled_from(["call", "continuous"]),
        "from_ms": st.integers(0, 30) | st.just(1 << 47),
        "to_ms": st.integers(0, 40),
        "duration_from_ms": st.integers(0, 9),
        "duration_to_ms": st.integers(0, 9),
        "number": st.sampled_from([*NUMBERS, "5678", "+8613812345678", "999", "没有"]),
        "numbers": st.sampled_from([(), ("13812345678", "95588")]),
        "operator": st.sampled_from(["11", "13", ""]),
        "direction": st.sampled_from(["incoming", "outgoing"]),
        "machine": st.just("fax"),
        "call_ids": st.sampled_from([(), ("call-0", "call-2")]),
        "held": st.booleans(),
        "holds": st.just(HOLDS),
        "sort": st.sampled_from(["newest", "oldest", "longest"]),
    },
    most=5,
).map(lambda given: RecordingSearch(**given))


def matches(n: int, one: Kept, wanted: RecordingSearch) -> bool:
    def same(typed: str) -> bool:
        return match_key(typed, SITE) == match_key(one.number, SITE)

    of_call = one.direction is not None
    end = one.started_ms + one.duration_ms
    held = (of_call and (n == 1 or one.number == "95588")) or (end >= 25 and one.channel == 3)
    held = held and bool(wanted.holds)
    return (
        wanted.channel in (None, one.channel)
        and wanted.kind in (None, "call" if of_call else "continuous")
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
@given(crowds(14), searches, st.sampled_from(SCOPES), st.integers(1, 5), st.booleans())
@example([Kept(1, 1, 1)], RecordingSearch(operator="", held=True), SCOPES[0], 1, False)
@example([Kept(1, 1, 1)], RecordingSearch(machine="fax", call_ids=(), number="x"), SCOPES[3], 1, False)
def test_every_page_has_exactly_what_it_should(template, rows, wanted, scope, limit, in_small_steps):
    calls = open_store(template.calls_db)
    put(calls, rows)
    with walk_steps(in_small_steps):
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
    calls.conn.close()


@settings(max_examples=40, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate],
          suppress_health_check=list(HealthCheck))  # fmt: skip
@given(
    crowds(8),
    crowds(8),
    searches,
    st.sampled_from([
        ChannelScope(frozenset({1, 2})), ChannelScope(frozenset({3}), all_but=True),
        ChannelScope(frozenset(range(3, 400)), all_but=True), ChannelScope(frozenset({1, 2, *range(4, 400)})),
    ]),
)  # fmt: skip
def test_nothing_out_of_scope_changes_anything(template, mine, foreign, wanted, scope):
    """Neither what is found nor where pages end, however small the steps."""
    calls = open_store(template.calls_db)
    mine = [replace(one, channel=1 + one.channel % 2) for one in mine]
    foreign = [replace(one, channel=3, started_ms=one.started_ms + 5, duration_ms=40) for one in foreign]
    shown = []
    for rows in (mine, mine + foreign):
        put(calls, rows)
        shown.append([count_recordings(calls, replace(wanted, sort="newest"), scope, SITE)])
        with walk_steps(small=True):
            position = None
            for _ in range(100):
                page, position = search_recordings(calls, wanted, scope, SITE, position, 2)
                shown[-1].append(([one.id for one in page], str(position)))
                if position is None:
                    break
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


def test_a_number_of_the_own_area_is_whole_when_it_is_known_and_else_part_of_others(template):
    calls = open_store(template.calls_db)
    everything = SCOPES[0]
    local, mobile = Kept(1, 1, 1, number="62345678"), Kept(2, 1, 1, number="13862345678")
    for rows, expected_ids in (([mobile], ["call-0"]), ([local, mobile], ["call-0"]), ([local], ["call-0"])):
        put(calls, rows)
        found, after = search_calls(calls, CallFilter(number="62345678"), everything, SITE, None, 50)
        assert ([one.id for one in found], after) == (expected_ids, None)
    calls.conn.close()
