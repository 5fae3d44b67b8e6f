"""Holds protect what they name, and two different people lift them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from library_box import NOW_MS, Box, open_box

from crm_client_api.domain.audit import CONSOLE, Actor
from crm_client_api.domain.customers import Phone, add_customer, change_customer, delete_customer
from crm_client_api.domain.holds import (
    HoldRecord,
    SecondPersonNeeded,
    WantedHold,
    ask_release,
    cancel_release,
    confirm_release,
    list_holds,
    set_hold,
)
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.operators import Operator, add_operator
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Level
from crm_client_api.domain.scope import RecordScope
from firmware.config import Home
from firmware.errors import NotFound, Refused
from firmware.store.connection import open_store, write
from recorder.library.storage.deletion import delete_recordings
from recorder.library.storage.holds import Heard, Hold, holding
from recorder.library.storage.judge import Judge
from recorder.library.storage.stock import StoredRecording
from recorder.numbers import Site

SITE = Site()
ANNA, BERT, CARL = Actor("1", "10.0.0.1"), Actor("2"), Actor("3")


@pytest.fixture
def box(home: Home) -> Iterator[Box]:
    with open_box(home) as made:
        yield made


def held(box: Box) -> set[str]:
    """Held recordings, each of which no rule may delete."""
    judge = Judge(box.library.calls, box.library.crm)
    found = {one.recording.id for one in judge.all() if one.hold}
    assert {one.recording.id for one in judge.held()} == found
    for rule in ("retention", "quota", "order", "never_list", "erasure"):
        outcome = delete_recordings(box.library, sorted(found), rule, "1", "x")
        assert outcome.deleted == ()
        assert set(outcome.refused.values()) <= {"held"}
    return found


STORED = StoredRecording("r", "call", "c", 3, 1000, 2000, 1, "p", "flac", False, False)
HEARD = Heard(frozenset({"c"}), frozenset({"+8613800138000", "110"}))


@pytest.mark.parametrize(
    ("hold", "protects"),
    [
        (Hold("h", "call", "c"), True),
        (Hold("h", "call", "d"), False),
        (Hold("h", "number", "x", frozenset({"110"})), True),
        (Hold("h", "number", "x", frozenset({"120"})), False),
        (Hold("h", "number", "c"), False),
        (Hold("h", "customer", "17", frozenset({"120", "+8613800138000"})), True),
        (Hold("h", "period", from_ms=2000, to_ms=3000), True),
        (Hold("h", "period", from_ms=0, to_ms=1000), True),
        (Hold("h", "period", from_ms=1200, to_ms=1300), True),
        (Hold("h", "period", from_ms=2001, to_ms=3000), False),
        (Hold("h", "period", from_ms=0, to_ms=999), False),
        (Hold("h", "period", from_ms=500), True),
        (Hold("h", "period", from_ms=2001), False),
        (Hold("h", "period", from_ms=0, to_ms=5000, channel=3), True),
        (Hold("h", "period", from_ms=0, to_ms=5000, channel=4), False),
    ],
)
def test_what_a_hold_protects(hold: Hold, protects: bool) -> None:
    assert (holding(STORED, HEARD, [Hold("other", "call", "z"), hold]) is hold) is protects


def test_a_number_is_held_in_any_spelling_and_either_way(box: Box) -> None:
    ids = {
        box.recording(box.call("in", caller_number="62345678")),
        box.recording(box.call("out", direction="outgoing", dialled_number="0086 10 6234-5678")),
        box.recording(box.call("own", direction="outgoing", caller_number="010-62345678", dialled_number="110")),
    }
    box.recording(box.call("other", caller_number="62345679"))
    box.recording(box.call("none"))
    set_hold(box._crm, WantedHold("number", "court", "(010) 6234 5678"), ANNA, SITE)
    assert held(box) == ids


def test_periods_are_held(box: Box) -> None:
    for age_days in range(10):
        box.recording(box.call(f"c{age_days}"), age_days, name=f"age-{age_days}", channel=1 + age_days % 2)
    box.hold("period", from_ms=NOW_MS - 3 * 86_400_000, to_ms=NOW_MS - 86_400_000, channel=2)
    assert held(box) == {"age-1", "age-3"}
    box.hold("period", to_ms=NOW_MS - 9 * 86_400_000)
    box.hold("period", from_ms=NOW_MS)
    assert held(box) == {"age-0", "age-1", "age-3", "age-9"}


@pytest.mark.parametrize(
    ("held_number", "spelling"),
    [
        ("010-62345678", "62345678"),
        ("62345678", "01062345678-801"),
        ("62345678", "(010)6234 5678转12"),
        ("13800138000", "+86 138-0013-8000"),
        ("13800138000", "１３８００１３８０００"),
        ("110", "110"),
        ("8001", "8001"),
        ("400-810-8888", "4008108888"),
        ("+1 800 356 9377", "+1800FLOWERS"),
    ],
)
def test_every_spelling_of_a_held_number(box: Box, held_number: str, spelling: str) -> None:
    recording = box.recording(box.call("c", caller_number=spelling))
    box.recording(box.call("d", caller_number="13911112222"))
    box.hold("number", held_number)
    assert held(box) == {recording}


def test_a_recording_around_the_clock_is_held_for_a_call_in_it(box: Box) -> None:
    box.call("held", started_ms=NOW_MS + 5000, caller_number="110")
    box.call("running", channel=4, started_ms=NOW_MS - 60_000, ended_ms=None, caller_number="110")
    names = [box.recording(name=name, channel=n) for name, n in (("same", 1), ("line-2", 2), ("line-4", 4))]
    box.recording(age_days=1, name="yesterday")
    box.hold("call", "held")
    assert held(box) == {"same"}
    box.hold("number", "110")
    assert held(box) == {"same", "line-4"}
    assert len(names) == 3


def test_a_clock_that_was_set_meanwhile_hides_no_call_from_its_hold(box: Box) -> None:
    """Labels an hour apart, and the same stretch of the same tape."""
    box.call("held", channel=4, started_ms=NOW_MS - 3_600_000, tape_epoch="e", from_sample=50_000, to_sample=90_000)
    box.recording(name="before", channel=4, from_sample=0, to_sample=50_000)
    box.recording(name="begins in it", channel=4, from_sample=89_999, to_sample=200_000)
    box.recording(name="all of it", channel=4, from_sample=10_000, to_sample=120_000)
    box.recording(name="after", channel=4, from_sample=90_000, to_sample=120_000)
    box.recording(name="other tape", channel=4, from_sample=50_000, to_sample=90_000, tape_epoch="f")
    box.recording(name="other channel", channel=5, from_sample=50_000, to_sample=90_001)
    box.hold("call", "held")
    assert held(box) == {"begins in it", "all of it"}


def test_a_customer_is_held_with_the_numbers_of_today_and_of_then(box: Box) -> None:
    customer = add_customer(box._crm, {"name": "张三"}, (Phone("", "13800138000"),), ANNA, SITE)
    old = box.recording(box.call("old", caller_number="013800138000"))
    new = box.recording(box.call("new", caller_number="62345678"))
    set_hold(box._crm, WantedHold("customer", "court", customer.id), ANNA, SITE)
    assert held(box) == {old}
    everything = RecordScope(everything=True)
    change_customer(box._crm, customer.id, {}, (Phone("", "010 62345678"),), BERT, everything, SITE)
    assert held(box) == {old, new}, "one person alone takes no number out of a hold"
    delete_customer(box._crm, customer.id, BERT, everything)
    assert held(box) == {old, new}


@pytest.fixture
def crm(home: Home) -> Iterator[sqlite3.Connection]:
    db = open_store(home.crm_db)
    yield db  # type: ignore[misc]
    db.conn.close()


def audited(crm) -> list[tuple[str, str]]:
    holds = "SELECT actor, action FROM audit WHERE action LIKE 'hold.%' ORDER BY id"
    return [tuple(row) for row in crm.conn.execute(holds)]


def employ(crm, *actors: Actor) -> None:
    """People who may lift holds."""
    for actor in actors:
        one = Operator(actor.staff_no, f"name of {actor.staff_no}", Level.SUPER, None, frozenset(), ALL_PERMISSIONS)
        add_operator(crm, one, Actor(CONSOLE), grantor=None, password="one of 12 words")
        with write(crm) as connection:
            connection.execute("UPDATE operators SET must_change_password = 0")


def a_hold(crm) -> HoldRecord:
    return set_hold(crm, WantedHold("call", "complaint", "c"), ANNA, SITE)


def test_two_people_lift_a_hold(box: Box) -> None:
    crm = box._crm
    employ(crm, ANNA)
    recording = box.recording(box.call("c"))
    hold = a_hold(crm)
    asked = ask_release(crm, hold.id, ANNA)
    assert (asked.release_asked_by, asked.released_ms) == ("1", None)
    assert held(box) == {recording}, "a request protects as before"
    with pytest.raises(SecondPersonNeeded):
        confirm_release(crm, hold.id, ANNA)
    assert held(box) == {recording}
    released = confirm_release(crm, hold.id, BERT)
    assert (released.release_asked_by, released.released_by) == ("1", "2")
    assert held(box) == set()
    assert list_holds(crm) == []
    assert list_holds(crm, released=True) == [released]
    assert audited(crm) == [
        ("1", "hold.set"), ("1", "hold.release_ask"), ("1", "hold.release_refused"), ("2", "hold.release"),
    ]  # fmt: skip


def test_a_request_that_was_taken_back_begins_anew(crm) -> None:
    employ(crm, BERT, CARL)
    hold = a_hold(crm)
    ask_release(crm, hold.id, BERT)
    assert cancel_release(crm, hold.id, ANNA).release_asked_by is None
    with pytest.raises(Refused):
        confirm_release(crm, hold.id, CARL)
    ask_release(crm, hold.id, CARL)
    with pytest.raises(SecondPersonNeeded):
        confirm_release(crm, hold.id, CARL)
    assert confirm_release(crm, hold.id, BERT).released_by == "2"
    assert audited(crm)[2] == ("1", "hold.release_cancel")


def test_steps_out_of_order_are_refused(crm) -> None:
    employ(crm, ANNA)
    hold = a_hold(crm)
    for step in (confirm_release, cancel_release):
        with pytest.raises(Refused, match="nobody has asked"):
            step(crm, hold.id, BERT)
    ask_release(crm, hold.id, ANNA)
    with pytest.raises(Refused, match="1 has asked"):
        ask_release(crm, hold.id, BERT)
    confirm_release(crm, hold.id, BERT)
    for step in (ask_release, confirm_release, cancel_release):
        with pytest.raises(Refused, match="released already"):
            step(crm, hold.id, CARL)
        with pytest.raises(NotFound):
            step(crm, "no such hold", CARL)


def test_the_console_is_no_person(crm) -> None:
    hold = a_hold(crm)
    with pytest.raises(Refused, match="console"):
        ask_release(crm, hold.id, Actor(CONSOLE))
    ask_release(crm, hold.id, ANNA)
    with pytest.raises(Refused, match="console"):
        confirm_release(crm, hold.id, Actor(CONSOLE))


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (WantedHold("call", " ", "c"), "hold_reason"),
        (WantedHold("call", "x" * 1001, "c"), "hold_reason"),
        (WantedHold("call", "x"), "hold_subject"),
        (WantedHold("number", "x", ""), "hold_subject"),
        (WantedHold("number", "x", "1" * 61), "hold_subject"),
        (WantedHold("number", "x", "--"), "hold_number"),
        (WantedHold("call", "x", "c", from_ms=1), "hold_bounds"),
        (WantedHold("period", "x"), "hold_period"),
        (WantedHold("period", "x", "c", from_ms=1), "hold_period"),
        (WantedHold("period", "x", from_ms=5, to_ms=4), "hold_period"),
    ],
)
def test_what_cannot_be_held(crm, wanted: WantedHold, code: str) -> None:
    with pytest.raises(Invalid) as raised:
        set_hold(crm, wanted, ANNA, SITE)
    assert raised.value.code == code
    assert list_holds(crm) == []


def test_an_unknown_customer_cannot_be_held(crm) -> None:
    with pytest.raises(NotFound):
        set_hold(crm, WantedHold("customer", "x", "99"), ANNA, SITE)
    assert audited(crm) == []


def test_more_holds_than_sqlite_takes_conditions(box: Box) -> None:
    recording = box.recording(box.call("c", caller_number="13800138000"))
    box.recording(box.call("d", caller_number="13900139000"))
    box.in_crm(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1100)"
        " INSERT INTO holds (id, kind, from_ms, to_ms, reason, set_by, set_ms)"
        " SELECT 'p' || i, 'period', i, i, 'x', '1', 1 FROM n"
    )
    box.hold("number", "13800138000")
    assert held(box) == {recording}
