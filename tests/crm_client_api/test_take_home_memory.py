"""What the box remembers of what was taken home: the choice sealed, and gone with the number that it names."""

from __future__ import annotations

import hashlib
from contextlib import closing

import msgspec
import pytest
from crm_office import hire
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_client_api.domain import erasure
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.calls import CallFilter
from crm_client_api.domain.holds import WantedHold, set_hold
from crm_client_api.stores import open_stores
from crm_client_api.take_home.past import Past, note_past, read_past
from firmware.store.connection import write
from recorder.library.erasure.erase import subject_of
from recorder.numbers import Site

NUMBER, OTHER = "13812345678", "13900001111"
NAMING = (
    CallFilter(number="138 1234-5678"), CallFilter(number="+8613812345678", channel=3),
    CallFilter(numbers=(OTHER, NUMBER)), CallFilter(number="2345678"),
)  # fmt: skip
NOT_NAMING = (CallFilter(), CallFilter(channel=1), CallFilter(numbers=(OTHER,)), CallFilter(number="5678"))


class _Library:
    def __init__(self, home, stores):
        self.home, self.crm, self.calls = home, stores.crm, stores.calls


def note(crm, chosen, *, staff_no="1", until_ms=5, left_out=("a",), rate=7):
    with write(crm) as connection:
        note_past(connection, "stick", staff_no, chosen, Past(until_ms, left_out, rate))


def test_a_choice_is_known_again_whatever_its_times_and_by_nobody_else(crm):
    for n, chosen in enumerate((*NAMING, *NOT_NAMING), 1):
        note(crm, chosen, until_ms=n)
    for n, chosen in enumerate((*NAMING, *NOT_NAMING), 1):
        assert read_past(crm, "stick", "1", chosen) == Past(n, ("a",), 7)
        assert read_past(crm, "stick", "2", chosen) is None
        assert read_past(crm, "another", "1", chosen) is None
    assert read_past(crm, "stick", "1", CallFilter(channel=1, from_ms=4, limit=9)) == Past(6, ("a",), 7)
    note(crm, NAMING[0], until_ms=0, left_out=(), rate=9)
    assert read_past(crm, "stick", "1", NAMING[0]) == Past(1, ("a",), 9), "it reached less far"
    note(crm, NAMING[0], until_ms=100, left_out=("b",))
    assert read_past(crm, "stick", "1", NAMING[0]) == Past(100, ("b",), 7)
    assert crm.conn.execute("SELECT count(*) FROM take_homes").fetchone()[0] == len(NAMING) + len(NOT_NAMING)


def test_nothing_in_the_store_is_a_hash_that_somebody_could_look_up(crm):
    note(crm, NAMING[0])
    note(crm, NAMING[0], staff_no="2")
    rows = crm.conn.execute("SELECT salt, choice, numbers FROM take_homes").fetchall()
    assert all(one != other for one, other in zip(*rows, strict=True))
    bare = hashlib.sha256(msgspec.json.encode(NAMING[0])).hexdigest()
    plain = hashlib.sha256(NUMBER.encode()).hexdigest()
    assert not any(bare in value or plain[:16] in value for row in rows for value in row)


@pytest.fixture
def stores(crm, home):
    hire(crm, "1", "super")
    with closing(open_stores(home)) as one:
        yield one


def test_erasing_a_number_forgets_every_choice_that_names_it(crm, home, stores):
    for chosen in (*NAMING, *NOT_NAMING):
        note(crm, chosen)
    subject = subject_of(stores.crm, NUMBER)
    found = erasure.OfficeEraser().find(stores, subject)
    assert [(one.kind, one.kept) for one in found] == [("what was last taken home by the number", None)] * len(NAMING)
    assert erasure.OfficeEraser().erase(_Library(home, stores), subject, "1") == []
    assert [read_past(crm, "stick", "1", one) for one in NAMING] == [None] * len(NAMING)
    assert None not in [read_past(crm, "stick", "1", one) for one in NOT_NAMING]
    entries = crm.conn.execute("SELECT count(*) FROM audit WHERE action = 'take_home.erase_number'").fetchone()
    assert entries[0] == len(NAMING)


def test_a_hold_on_the_number_keeps_it(crm, home, stores):
    note(crm, NAMING[0])
    hold = set_hold(crm, WantedHold("number", "法院来函", NUMBER), Actor("1"), Site())
    left = erasure.OfficeEraser().erase(_Library(home, stores), subject_of(stores.crm, NUMBER), "1")
    assert ("what was last taken home by the number", f"hold {hold.id}") in [(one.kind, one.kept) for one in left]
    assert read_past(crm, "stick", "1", NAMING[0]) is not None


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.integers(0, 4), last=st.integers(7, 11), filling=st.sampled_from(["", " ", "-"]))
def test_any_part_that_means_the_number_is_found(crm, stores, first, last, filling):
    part = filling.join(NUMBER[first:last])
    with write(crm) as connection:
        connection.execute("DELETE FROM take_homes")
    note(crm, CallFilter(number=part))
    found = erasure.OfficeEraser().find(stores, subject_of(stores.crm, NUMBER))
    assert len(found) == (1 if last - first >= 7 else 0), part
