"""The journal: all or nothing, once, and with channel numbers that stay."""

from __future__ import annotations

import sqlite3

import msgspec
import pytest
from recorded_lines import CARD_ID, RATE_HZ, QuietCard, registered, rows

from firmware.config import Home
from firmware.errors import StoreBusy, StoreError
from recorder.calls import Call, CallEvent, CallEventKind, CallState, Cut
from recorder.journal import Journal
from recorder.tracker import ChannelState

EPOCH = "e1"


def call(identifier: str = "call-1", state: CallState = CallState.RINGING) -> Call:
    return Call(identifier, 1, "incoming", state, 100, 1_800_000_000_000)


def told(kind: CallEventKind = CallEventKind.CALL_STARTED, about: Call | None = None) -> CallEvent:
    return CallEvent(kind, 1, 100, 1_800_000_000_000, about or call())


def cut(about: Call) -> Cut:
    return Cut("recording-1", about, 0, 0, RATE_HZ, 1_800_000_000_000)


@pytest.fixture
def journal(home: Home) -> Journal:
    registered(home, 2)
    journal = Journal(home, CARD_ID)
    journal.load()
    journal.begin(EPOCH)
    return journal


def test_channel_numbers_belong_to_ports_for_ever(home: Home) -> None:
    other = Journal(home, "other-1")
    first = registered(home, 3)
    assert other.register(QuietCard(2), "test", "there", False) == [4, 5]
    assert registered(home, 5) == [*first, 6, 7]
    assert registered(home, 2) == first[:2]
    most = Journal(home, "big-1").register(QuietCard(255), "test", "big", False)
    assert most == list(range(8, 263))


def test_checkpoint_and_news_come_back(home: Home, journal: Journal) -> None:
    running = call()
    state = ChannelState(line="present", call=running, ring_on=100)
    journal.commit(8000, [state, ChannelState()], [told(about=running)])
    checkpoint = Journal(home, CARD_ID).load()
    assert checkpoint is not None
    assert (checkpoint.tape_epoch, checkpoint.position) == (EPOCH, 8000)
    assert checkpoint.states == [state, ChannelState()]
    assert Journal(home, "another-card").load() is None


def test_a_refused_commit_leaves_nothing_and_is_whole_the_next_time(home: Home, journal: Journal) -> None:
    ended = call(state=CallState.ENDED)
    news = [told(), told(CallEventKind.CALL_ENDED, ended), cut(ended)]
    impossible = told(about=msgspec.structs.replace(call("call-2"), direction="sideways"))
    with pytest.raises(StoreError):
        journal.commit(8000, [], [*news, impossible])
    assert rows(home, "SELECT * FROM events") == rows(home, "SELECT * FROM calls") == []
    assert rows(home, "SELECT * FROM recordings") == rows(home, "SELECT * FROM recorder_state") == []
    journal.commit(8000, [], news)
    assert [row["seq"] for row in rows(home, "SELECT seq FROM events ORDER BY id")] == [1, 2]
    (order,) = rows(home, "SELECT * FROM recordings")
    assert (order["tape_epoch"], order["state"], order["duration_ms"]) == (EPOCH, "pending", 1000)


def test_a_locked_store_is_busy_and_nothing_is_lost(home: Home, journal: Journal) -> None:
    journal._db.conn.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(home.calls_db, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy):
        journal.commit(8000, [], [told()])
    with pytest.raises(StoreBusy):
        journal.card_event("card_lost", "unplugged", 5)
    other.execute("ROLLBACK")
    other.close()
    journal.commit(8800, [], [told()])
    assert len(rows(home, "SELECT * FROM events")) == 1


def test_committing_again_after_a_crash_writes_nothing_twice(home: Home, journal: Journal) -> None:
    """The commit reached the disk, but the recorder heard of an error: it commits the same again."""
    ended = call(state=CallState.ENDED)
    journal.commit(8000, [], [told(), told(CallEventKind.CALL_ENDED, ended), cut(ended)])
    journal._seq = 0
    journal.commit(8000, [], [told(), told(CallEventKind.CALL_ENDED, ended), cut(ended)])
    assert len(rows(home, "SELECT * FROM events")) == 2
    assert len(rows(home, "SELECT * FROM recordings")) == 1


def test_events_of_a_new_tape_are_not_taken_for_those_of_the_old(home: Home, journal: Journal) -> None:
    journal.commit(8000, [], [told()])
    journal.begin("e2")
    journal.commit(0, [], [told()])
    assert rows(home, "SELECT boot_id, seq FROM events ORDER BY id") == [
        {"boot_id": EPOCH, "seq": 1},
        {"boot_id": "e2", "seq": 1},
    ]


def test_a_card_is_lost_once_until_it_is_back(home: Home, journal: Journal) -> None:
    for kind, at_ms in (("card_lost", 10), ("card_lost", 20), ("card_present", 30), ("card_lost", 40)):
        journal.card_event(kind, "unplugged", at_ms)  # type: ignore[arg-type]
    alarms = rows(home, "SELECT raised_ms, cleared_ms FROM alarms ORDER BY id")
    assert alarms == [{"raised_ms": 10, "cleared_ms": 30}, {"raised_ms": 40, "cleared_ms": None}]


def test_a_reopened_store_goes_on(home: Home, journal: Journal) -> None:
    journal.commit(8000, [], [told()])
    journal.reopen()
    journal.commit(8800, [], [told(CallEventKind.CALL_ENDED, call(state=CallState.ENDED))])
    assert [row["seq"] for row in rows(home, "SELECT seq FROM events ORDER BY id")] == [1, 2]
