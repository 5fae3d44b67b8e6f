"""Whatever number has the key is found, however it was dialled or sent, and whenever it came into the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
import sqlite_utils
from archive_box import ArchiveBox
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tracked_line import TrackedLine, digits, line

from drivers.api import EventKind
from firmware.config import Home
from firmware.errors import Refused
from firmware.parameters import set_value
from firmware.store.connection import open_store, write
from recorder.calls import CallEvent, CallEventKind
from recorder.library.erasure.erase import find_all, subject_of
from recorder.library.keeping.number_keys import NumberKeysTask, all_keyed, key_next
from recorder.library.keeping.task import Stores
from recorder.library.rebuilding.entering import enter
from recorder.library.rebuilding.gather import Found
from recorder.numbers import Site, e164, match_key
from recorder.schema import migrations

BEIJING, NINE, SHANGHAI = Site(), Site("CN", "010", "9"), Site("CN", "021")
PLAIN = (
    "13812345678",
    "62345678",
    "01062345678",
    "02161234567",
    "10086",
    "95588",
    "4008001234",
    "8001",
    "+442071234567",
)
IN_FRONT = (
    "",
    "0",
    "86",
    "+86",
    "0086",
    "9",
    "90",
    "9+86",
    "17951",
    "179510",
    "12593",
    "125930",
    "917951",
    "9125930",
    "00",
)
BEHIND = ("", "#", "##", " #", "-801", "转801")
numbers = st.builds(
    lambda front, plain, behind, gap: f"{front}{gap}{plain.removeprefix('+') if front else plain}{behind}",
    st.sampled_from(IN_FRONT), st.sampled_from(PLAIN), st.sampled_from(BEHIND), st.sampled_from(("", " ", "-")),
)  # fmt: skip
anything = st.text("0123456789+*#- ABCD", min_size=1, max_size=24)


@pytest.fixture
def box(home: Home) -> Iterator[ArchiveBox]:
    one = ArchiveBox(home)
    yield one
    one.close()


def stores(box: ArchiveBox) -> Stores:
    return Stores(box.home, box.calls, box.crm)


def put(box: ArchiveBox, site: Site | None, *received: str) -> list[str]:
    """Calls with these numbers, heard at a site; None: by a version that made no keys."""
    with write(box.calls) as connection:
        connection.execute("DELETE FROM calls")
        for n, number in enumerate(received):
            key = match_key(number, site) or None if site else None
            way, of = ("incoming", "caller") if n % 2 else ("outgoing", "dialled")
            columns = f"id, channel, card_id, direction, state, {of}_number, {of}_key, started_ms, manifest"
            connection.execute(
                f"INSERT INTO calls ({columns}) VALUES (?,1,'c',?,'ended',?,?,?,'m')",
                (f"call-{n}", way, number, key, n),
            )
        if site is None:
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('calls_without_key', '0')")
    return [f"call-{n}" for n in range(len(received))]


def calls_found(box: ArchiveBox, number: str) -> set[str]:
    return {one.id for one in find_all(stores(box), subject_of(box.crm, number)) if one.kind == "call"}


def keys_of(box: ArchiveBox) -> list[str | None]:
    rows = box.calls.conn.execute("SELECT coalesce(caller_key, dialled_key) FROM calls ORDER BY started_ms")
    return [row[0] for row in rows]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.one_of(numbers, anything), min_size=1, max_size=12),
    st.sampled_from((BEIJING, NINE, SHANGHAI)),
    st.booleans(),
)
def test_whatever_number_has_the_key_is_found(
    box: ArchiveBox, received: list[str], site: Site, before_keys: bool
) -> None:
    set_value(box.crm, "system", "site_area_code", site.area_code)
    set_value(box.crm, "system", "outside_line_prefix", site.outside_prefix)
    ids = put(box, None if before_keys else site, *received)
    NumberKeysTask().run(stores(box), lambda: False)
    for asked in {*received, *PLAIN}:
        key = match_key(asked, site)
        if any(character.isdigit() for character in key):
            wanted = {one for one, number in zip(ids, received, strict=True) if match_key(number, site) == key}
            assert calls_found(box, asked) == wanted


@pytest.mark.parametrize(
    "dialled", ["1795113812345678", "17951013812345678", "12593013812345678", "13812345678#", "8613812345678#"]
)
def test_a_number_by_another_carrier_is_the_same(box: ArchiveBox, dialled: str) -> None:
    put(box, BEIJING, dialled, "13812345679")
    assert calls_found(box, "+8613812345678") == calls_found(box, "138 1234 5678") == {"call-0"}
    put(box, NINE, f"9{dialled}", "913812345679")
    assert calls_found(box, "13812345678") == {"call-0"}


def test_until_older_calls_have_keys_nothing_is_certified(box: ArchiveBox) -> None:
    put(box, None, "1795113812345678", "62345678", "8001", "")
    assert not all_keyed(box.calls.conn)
    with pytest.raises(Refused, match="in some minutes"):
        calls_found(box, "13812345678")
    NumberKeysTask().run(stores(box), lambda: True)  # it was to stop at once
    assert keys_of(box) == [None] * 4
    NumberKeysTask().run(stores(box), lambda: False)
    assert all_keyed(box.calls.conn)
    assert keys_of(box) == ["+8613812345678", "+861062345678", "8001", None]
    assert calls_found(box, "13812345678") == {"call-0"}
    assert not key_next(box.calls, BEIJING)


def test_many_calls_get_their_keys_in_short_steps(box: ArchiveBox) -> None:
    put(box, None, *(f"1381234{n:04d}" for n in range(1000)))
    steps = next(n for n in count() if not key_next(box.calls, BEIJING))
    assert 3 < steps < 12
    assert keys_of(box) == [f"+861381234{n:04d}" for n in range(1000)]


def test_a_number_stays_what_it_was_where_it_was_heard(box: ArchiveBox) -> None:
    put(box, BEIJING, "62345678", "913812345678", "8001")
    NumberKeysTask().run(stores(box), lambda: False)
    set_value(box.crm, "system", "site_area_code", "021")
    set_value(box.crm, "system", "outside_line_prefix", "9")
    with pytest.raises(Refused, match="in some minutes"):  # what the prefix makes a number is not known yet
        calls_found(box, "13812345678")
    NumberKeysTask().run(stores(box), lambda: False)
    assert keys_of(box) == ["+861062345678", "+8613812345678", "8001"]
    assert calls_found(box, "62345678") == set()
    assert calls_found(box, "010-62345678") == {"call-0"}
    assert calls_found(box, "13812345678") == {"call-1"}


@pytest.mark.parametrize(("area", "key"), [("010", "+861062345678"), ("021", "+862162345678")])
def test_the_recorder_keeps_numbers_as_they_mean_at_its_site(area: str, key: str) -> None:
    box = TrackedLine(site_area_code=area, outside_line_prefix="9")
    box.play([line(0.5, EventKind.OFF_HOOK), *digits(1.0, "962345678"), line(9.0, EventKind.ON_HOOK)], 15.0)
    told = [one for one in box.news if isinstance(one, CallEvent) and one.call is not None]
    ended = next(one.call for one in told if one.kind is CallEventKind.CALL_ENDED)
    assert ended is not None
    assert (ended.dialled_number, ended.dialled_key, ended.caller_key) == ("962345678", key, None)
    early = next(one.call for one in told if one.kind is CallEventKind.CALL_STARTED)
    assert early is not None
    assert early.dialled_key is None


def test_a_rebuilt_store_knows_the_keys_of_then_and_makes_those_that_are_missing(box: ArchiveBox) -> None:
    bare = {"channel": 1, "card_id": "c", "direction": "incoming", "state": "ended", "started_ms": 1, "manifest": "m"}
    then = Found("a", bare | {"id": "a", "caller_number": "62345678", "caller_key": "+862162345678"}, None)
    older = Found("b", bare | {"id": "b", "caller_number": "62345678", "started_ms": 2}, None)
    assert enter(box.calls, [then]) == (1, 0, [])
    assert all_keyed(box.calls.conn)
    assert enter(box.calls, [older]) == (1, 0, [])
    assert not all_keyed(box.calls.conn)
    NumberKeysTask().run(stores(box), lambda: False)
    assert keys_of(box) == ["+862162345678", "+861062345678"]


def test_a_store_from_before_there_were_keys_is_brought_up_at_once(tmp_path: Path) -> None:
    db = sqlite_utils.Database(tmp_path / "calls.db")
    db.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT")
    steps = migrations["calls"]
    steps.apply(db, stop_before="0008_number_keys")
    db.execute(
        "INSERT INTO calls (id, channel, card_id, direction, state, caller_number, started_ms)"
        " VALUES ('a', 1, 'c', 'incoming', 'ended', '013812345678', 1)"
    )
    db.conn.commit()
    steps.apply(db)
    db.conn.close()
    with closing(open_store(tmp_path / "calls.db").conn) as connection:
        again = sqlite_utils.Database(connection, execute_plugins=False)
        assert not all_keyed(connection)
        while key_next(again, BEIJING):
            pass
        assert connection.execute("SELECT caller_key FROM calls").fetchone()[0] == "+8613812345678"


def test_short_numbers_behind_the_outside_prefix_are_themselves() -> None:
    assert [match_key(one, NINE) for one in ("995588", "910086", "9110", "95588", "9801", "95105105")] == [
        "95588", "10086", "110", "95588", "9801", "95105105",
    ]  # fmt: skip
    assert match_key("995588", BEIJING) == "995588"
    assert match_key("0112", Site("DE", "030", "0")) == "112"
    assert e164("910086", NINE) is None
