"""Calls heard by wrong settings of the site are found by the right ones; what was heard stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from archive_box import ArchiveBox
from hypothesis import given
from hypothesis import strategies as st

from firmware.config import Home
from firmware.errors import Refused
from firmware.parameters import set_value
from firmware.store.connection import write
from recorder.library.erasure.erase import find_all, subject_of
from recorder.library.keeping import number_keys
from recorder.library.keeping.number_corrections import (
    Correction,
    correct_from,
    corrected_too,
    mark_of,
    read_corrections,
    site_at,
)
from recorder.library.keeping.number_keys import NumberKeysTask, all_keyed, is_corrected, key_next, keyed_by
from recorder.library.keeping.task import Stores
from recorder.library.rebuilding.entering import enter
from recorder.library.rebuilding.gather import Found
from recorder.library.rebuilding.reconciliation import Pass, save_pass
from recorder.numbers import Site, match_key

BEIJING, SHANGHAI, SHENZHEN = Site(), Site("CN", "021"), Site("CN", "0755")
MINUTE_MS = 60_000


@pytest.fixture
def box(home: Home) -> Iterator[ArchiveBox]:
    one = ArchiveBox(home)
    yield one
    one.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, box: ArchiveBox) -> list[int]:
    """The keeper's time in ms, behind all calls at first."""
    now = [box.call("10086")["started_ms"] + 100 * MINUTE_MS]
    monkeypatch.setattr(number_keys, "now_ms", lambda: now[0])
    return now


def stores(box: ArchiveBox) -> Stores:
    return Stores(box.home, box.calls, box.crm)


def keep(box: ArchiveBox) -> None:
    NumberKeysTask().run(stores(box), lambda: False)


def move(box: ArchiveBox, area_code: str) -> None:
    set_value(box.crm, "system", "site_area_code", area_code)


def correct(box: ArchiveBox, from_ms: int, at_ms: int, site: Site) -> tuple[Correction, ...]:
    with write(box.crm) as connection:
        return correct_from(connection, from_ms, at_ms, site)


def keys(box: ArchiveBox) -> dict[str, str | None]:
    rows = box.calls.conn.execute("SELECT id, coalesce(caller_key, dialled_key) FROM calls")
    return {row[0]: row[1] for row in rows}


def all_but_keys(box: ArchiveBox) -> list[tuple[object, ...]]:
    rows = [tuple(row) for row in box.calls.conn.execute("SELECT * FROM events ORDER BY id")]
    names = [row[1] for row in box.calls.conn.execute("PRAGMA table_info(calls)")]
    told = ", ".join(name for name in names if not name.endswith("_key"))
    return rows + [tuple(row) for row in box.calls.conn.execute(f"SELECT {told} FROM calls ORDER BY id")]


@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.integers(1, 20), st.sampled_from((BEIJING, SHANGHAI, SHENZHEN))), max_size=8
    )
)
def test_the_latest_word_on_a_time_counts(given: list[tuple[int, int, Site]]) -> None:
    told: list[Correction] = []
    kept: tuple[Correction, ...] = ()
    at_ms = 50
    for from_ms, later, site in given:
        at_ms += later
        told.append(Correction(from_ms, at_ms, site))
        kept = corrected_too(kept, told[-1])
    assert all(one.from_ms < one.until_ms <= two.from_ms for one, two in pairwise(kept))
    for moment in range(at_ms + 2):
        latest = next((one.site for one in reversed(told) if one.from_ms <= moment < one.until_ms), None)
        assert site_at(kept, moment) == latest


def test_numbers_heard_since_then_get_other_keys_and_nothing_else_changes(box: ArchiveBox, clock: list[int]) -> None:
    before = box.call("62345678")
    since = [box.call(number, way) for number, way in (("62345678", "incoming"), ("62345679", "outgoing"))]
    others = [box.call(number) for number in ("13812345678", "8001", "95588", "02087654321")]
    keep(box)
    then, files = all_but_keys(box), {one: one.read_bytes() for one in box.home.recordings.rglob("*.json")}
    move(box, "021")
    keep(box)
    assert keys(box)[since[0]["id"]] == "+861062345678"  # the site may have moved: nobody said that this was wrong
    correct(box, since[0]["started_ms"], clock[0], SHANGHAI)
    with pytest.raises(Refused, match="in some minutes"):  # an erasure would go by the wrong keys
        find_all(stores(box), subject_of(box.crm, "62345678"))
    keep(box)
    assert [keys(box)[one["id"]] for one in (before, *since)] == ["+861062345678", "+862162345678", "+862162345679"]
    assert [keys(box)[one["id"]] for one in others] == ["+8613812345678", "8001", "95588", "+862087654321"]
    assert all_but_keys(box) == then
    assert {one: one.read_bytes() for one in box.home.recordings.rglob("*.json")} == files
    assert len(files) == 8
    move(box, "0755")  # another site, another time: what was corrected stays
    keep(box)
    assert keys(box)[since[0]["id"]] == "+862162345678"


def test_what_was_whole_by_a_wrong_prefix_is_read_again(box: ArchiveBox, clock: list[int]) -> None:
    with_prefix = Site("CN", "010", "6")
    call = box.call("662345678", "outgoing", dialled_key=match_key("662345678", Site("CN", "021", "6")))
    assert call["dialled_key"] == "+862162345678"
    set_value(box.crm, "system", "outside_line_prefix", "6")
    correct(box, call["started_ms"], clock[0], with_prefix)
    keep(box)
    assert keys(box)[call["id"]] == "+861062345678"
    no_prefix = Site("CN", "010", "")
    set_value(box.crm, "system", "outside_line_prefix", "")
    correct(box, call["started_ms"], clock[0], no_prefix)
    keep(box)
    assert keys(box)[call["id"]] == match_key("662345678", no_prefix) == "662345678"


def test_many_calls_are_corrected_in_short_steps_and_go_on_where_they_were(box: ArchiveBox, clock: list[int]) -> None:
    first = box.call("62340000")
    with write(box.calls) as connection:
        names = "id, channel, card_id, direction, state, caller_number, caller_key, started_ms, manifest"
        connection.executemany(
            f"INSERT INTO calls ({names}) VALUES (?,1,'c','incoming','ended',?,?,?,'m')",
            [(f"c{n}", f"6234{n:04d}", f"+86106234{n:04d}", first["started_ms"] + n) for n in range(1000)],
        )
    keep(box)
    move(box, "021")
    correct(box, first["started_ms"], clock[0], SHANGHAI)
    corrections = read_corrections(box.crm.conn)
    steps, most = 0, 0
    while key_next(box.calls, SHANGHAI, corrections):
        steps += 1
        changed = sum(key[:5] == "+8621" for key in keys(box).values() if key)
        most = max(most, changed - steps * 300)
        if steps == 2:  # a restart: what is left stands in the store
            assert not all_keyed(box.calls.conn)
            assert 0 < changed < 1001
            with pytest.raises(Refused, match="in some minutes"):
                find_all(stores(box), subject_of(box.crm, "62340001"))
    assert 3 < steps < 12
    assert most <= 0
    assert {key[:5] for one, key in keys(box).items() if key and one.startswith("c")} == {"+8621"}
    clock[0] += 2 * MINUTE_MS  # no recorder hears by the wrong settings any more
    keep(box)
    assert {one.id for one in find_all(stores(box), subject_of(box.crm, "62340001")) if one.kind == "call"} == {"c1"}


def test_a_call_that_runs_meanwhile_is_corrected_when_it_has_ended(box: ArchiveBox, clock: list[int]) -> None:
    runs = box.call("62345678", state="talking", ended_ms=None)
    ended = box.call("62345679")
    move(box, "021")
    corrections = correct(box, runs["started_ms"], clock[0], SHANGHAI)
    keep(box)
    assert keys(box)[ended["id"]] == "+862162345679"
    clock[0] += 10 * MINUTE_MS
    keep(box)
    assert not is_corrected(box.calls.conn, corrections)
    assert all_keyed(box.calls.conn)  # a long call keeps nobody from erasing
    with write(box.calls) as connection:  # its recorder knows nothing of the correction
        connection.execute(
            "UPDATE calls SET state = 'ended', caller_key = ? WHERE id = ?", ("+861062345678", runs["id"])
        )
    keep(box)
    assert keys(box)[runs["id"]] == "+862162345678"
    assert is_corrected(box.calls.conn, corrections)


def test_what_a_recorder_hears_before_it_knows_is_corrected_too(box: ArchiveBox, clock: list[int]) -> None:
    since = box.call("62345678")["started_ms"]
    clock[0] = since + 90_000
    move(box, "021")
    corrections = correct(box, since, clock[0], SHANGHAI)
    keep(box)
    late = box.call("62345679", started_ms=clock[0] + 500)
    keep(box)
    assert keys(box)[late["id"]] == "+861062345679"
    assert not is_corrected(box.calls.conn, corrections)
    clock[0] += MINUTE_MS
    keep(box)
    assert keys(box)[late["id"]] == "+862162345679"
    assert is_corrected(box.calls.conn, corrections)
    later = box.call("62345670", started_ms=clock[0] + 500)  # by settings of a time when they were right
    keep(box)
    assert keys(box)[later["id"]] == "+861062345670"


def test_a_rebuilt_store_is_corrected_when_all_is_there_again(box: ArchiveBox, clock: list[int]) -> None:
    call = box.call("62345678")
    move(box, "021")
    correct(box, call["started_ms"], clock[0], SHANGHAI)
    keep(box)
    with write(box.calls) as connection:  # a new store, with the keys of the manifests
        connection.execute("DELETE FROM meta WHERE key LIKE 'numbers_%'")
        connection.execute("UPDATE calls SET caller_key = '+861062345678' WHERE id = ?", (call["id"],))
    save_pass(box.calls, Pass(clock[0], rebuilding=True))
    keep(box)
    assert keys(box)[call["id"]] == "+861062345678"
    save_pass(box.calls, Pass(clock[0], rebuilding=True, phase="store"))
    keep(box)
    assert keys(box)[call["id"]] == "+862162345678"


def test_a_manifest_that_comes_in_later_is_corrected_too(box: ArchiveBox, clock: list[int]) -> None:
    call = box.call("62345678")
    move(box, "021")
    correct(box, call["started_ms"], clock[0], SHANGHAI)
    keep(box)
    with write(box.calls) as connection:
        connection.execute("DELETE FROM calls WHERE id = ?", (call["id"],))
    assert enter(box.calls, [Found("found", call, None)]) == (1, 0, [])
    assert keys(box)[call["id"]] == "+861062345678"
    keep(box)
    assert keys(box)[call["id"]] == "+862162345678"


def test_figures_are_told_whenever_keys_change(box: ArchiveBox, clock: list[int]) -> None:
    call = box.call("62345678", state="talking", ended_ms=None)
    move(box, "021")
    keep(box)
    rests = [keyed_by(box.calls.conn)]
    for site in (SHANGHAI, SHENZHEN):
        correct(box, call["started_ms"], clock[0], site)
        keep(box)
        rests.append(keyed_by(box.calls.conn))
    with write(box.calls) as connection:
        connection.execute("UPDATE calls SET state = 'ended'")
    clock[0] += 10 * MINUTE_MS
    keep(box)
    rests.append(keyed_by(box.calls.conn))
    assert len(set(rests)) == len(rests) == 4


def test_corrections_are_bounded(box: ArchiveBox) -> None:
    for n in range(100):
        correct(box, n * 1000, n * 1000 - 59_990, replace(BEIJING, area_code=f"0{n}"))
    before = read_corrections(box.crm.conn)
    assert len(before) == 100
    with pytest.raises(Refused, match="100"):
        correct(box, 200_000, 300_000, SHANGHAI)
    assert mark_of(read_corrections(box.crm.conn)) == mark_of(before)
    assert len(correct(box, 0, 300_000, SHANGHAI)) == 1
