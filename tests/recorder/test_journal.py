"""The journal: all or nothing, once, and with channel numbers that stay."""

from __future__ import annotations

import sqlite3

import msgspec
import pytest
from recorded_lines import CARD_ID, RATE_HZ, QuietCard, registered, rows

from drivers.api import EventKind, LineEvent
from firmware.config import Home
from firmware.errors import StoreBusy, StoreError
from firmware.store.connection import write
from recorder.calls import Call, CallEvent, CallEventKind, CallState, Cut, OrderDone, Pause, Withdrawn
from recorder.journal import Checkpoint, Journal
from recorder.tracking.channel import ChannelState, TrackerSettings
from recorder.tracking.tracker import ChannelTracker

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


def test_a_checkpoint_of_an_earlier_version_is_taken_up(home: Home, journal: Journal) -> None:
    """As version 1 wrote it, in the middle of a call."""
    old = (
        '[{"line":"present","hook":"off","ringing":false,"call":{"id":"c1","channel":1,"direction":"incoming",'
        '"state":"talking","started_sample":8000,"started_ms":1800000001000,"result":"answered","caller_number":"10086",'
        '"caller_name":null,"absence":null,"caller_id":null,"dialled_number":null,"answer_basis":"off_hook",'
        '"end_reason":null,"answered_ms":1800000003000,"ended_ms":null,"ring_ms":2000,"talk_ms":0,"simulated":false},'
        '"ring_on":8000,"ring_off":16000,"answered":24000,"off_hook":24000,"on_hook":null,"digits":"","last_digit":0,'
        '"number_told":false,"early_caller_id":null,"early_caller_id_at":0,"answer_supervision":false,"segment":1,'
        '"segment_from":96000}]'
    )
    with write(journal._db) as connection:
        connection.execute("INSERT INTO recorder_state VALUES (?,?,?,?,?)", (CARD_ID, EPOCH, 100_000, 7, old))
    checkpoint = journal.load()
    assert checkpoint is not None
    tracker = ChannelTracker(1, RATE_HZ, False, TrackerSettings())
    tracker.state = checkpoint.states[0]
    news = tracker.feed(LineEvent(EventKind.ON_HOOK, 0, 120_000), lambda sample: 1_800_000_000_000 + sample // 8)
    for now in range(120_800, 140_000, 800):
        news += tracker.advance(now, lambda sample: 1_800_000_000_000 + sample // 8)
    journal.commit(140_000, [tracker.state], news)
    (recording,) = rows(home, "SELECT * FROM recordings")
    assert (recording["segment"], recording["from_sample"], recording["to_sample"]) == (1, 96_000, 122_400)
    (row,) = rows(home, "SELECT * FROM calls")
    assert (row["from_sample"], row["to_sample"], row["kept"], row["caller_number"]) == (96_000, 122_400, 1, "10086")


@pytest.mark.parametrize("broken", ['{"line":5}', '{"call":{"id":"c1"}}', "[]", "7"])
def test_a_state_that_makes_no_sense_holds_up_no_other(home: Home, journal: Journal, broken: str) -> None:
    with write(journal._db) as connection:
        states = f'[{broken},{{"line":"present"}}]'
        connection.execute("INSERT INTO recorder_state VALUES (?,?,?,?,?)", (CARD_ID, EPOCH, 100_000, 7, states))
    checkpoint = journal.load()
    assert checkpoint == Checkpoint(EPOCH, 100_000, [ChannelState(), ChannelState(line="present")])


def test_a_checkpoint_that_is_none_begins_anew_where_it_was(home: Home, journal: Journal) -> None:
    with write(journal._db) as connection:
        connection.execute("INSERT INTO recorder_state VALUES (?,?,?,?,?)", (CARD_ID, EPOCH, 100_000, 7, "[{"))
    assert journal.load() == Checkpoint(EPOCH, 100_000, [])


def test_a_recording_without_a_call_is_ordered_once(home: Home, journal: Journal) -> None:
    pauses = (Pause(100, 200, "8001", "pin"),)
    beside = Cut("r1", None, 3, 0, RATE_HZ, 5, "continuous", 2, False, pauses, "g711")
    journal.commit(8000, [], [beside])
    journal.commit(8000, [], [msgspec.structs.replace(beside, recording_id="r2")])
    (row,) = rows(home, "SELECT * FROM recordings")
    found = [row[name] for name in ("id", "kind", "call_id", "channel", "segment", "wanted_format", "tracks")]
    assert found == ["r1", "continuous", None, 2, 3, "g711", 1]
    assert row["pauses"] == '[{"from_sample":100,"to_sample":200,"by":"8001","reason":"pin"}]'


def test_a_call_says_where_it_is_on_which_tape(home: Home, journal: Journal) -> None:
    here = msgspec.structs.replace(call(), from_sample=80, to_sample=900, kept=False, kept_reason="mode_none")
    there = msgspec.structs.replace(here, id="call-2", tape_epoch="e0", pauses=[Pause(90, None, "code", "")])
    journal.commit(8000, [], [told(about=here), told(about=there)])
    query = "SELECT tape_epoch, from_sample, to_sample, kept, kept_reason, pauses FROM calls ORDER BY id"
    assert [tuple(row.values()) for row in rows(home, query)] == [
        (EPOCH, 80, 900, 0, "mode_none", "[]"),
        ("e0", 80, 900, 0, "mode_none", '[{"from_sample":90,"to_sample":null,"by":"code","reason":""}]'),
    ]
    events = rows(home, "SELECT data FROM events ORDER BY id")
    assert [msgspec.json.decode(row["data"])["tape_epoch"] for row in events] == [EPOCH, "e0"]


def test_a_machine_is_in_the_call_its_event_and_the_call_that_is_read_again(home: Home, journal: Journal) -> None:
    faxed = msgspec.structs.replace(call(state=CallState.ENDED), from_sample=80, machine="fax")
    journal.commit(8000, [], [told(CallEventKind.MACHINE_HEARD, faxed), told(about=call("call-2"))])
    assert [row["machine"] for row in rows(home, "SELECT machine FROM calls ORDER BY id")] == ["fax", None]
    events = rows(home, "SELECT kind, data FROM events ORDER BY id")
    assert [msgspec.json.decode(row["data"])["machine"] for row in events] == ["fax", None]
    assert events[0]["kind"] == "machine_heard"
    again = journal.ended_call("call-1")
    assert again is not None
    assert again.machine == "fax"


def test_what_must_go_is_marked_for_the_keeper(home: Home, journal: Journal) -> None:
    ended = call(state=CallState.ENDED)
    other = call("call-2", CallState.ENDED)
    journal.commit(8000, [], [cut(ended), msgspec.structs.replace(cut(other), recording_id="other")])
    journal.commit(8000, [], [Withdrawn("call-1", "never_list", "rule")])
    journal.commit(8000, [], [Withdrawn("call-1", "discarded", "8001")])
    query = "SELECT call_id, state, deleted_rule, deleted_by FROM recordings ORDER BY call_id"
    assert [tuple(row.values()) for row in rows(home, query)] == [
        ("call-1", "pending", "never_list", "rule"),
        ("call-2", "pending", None, None),
    ]
    journal.commit(8000, [], [told(CallEventKind.RECORDING_KEPT, ended)])
    assert rows(home, query)[0]["deleted_rule"] == "never_list"  # nobody can take that back


def test_an_order_is_settled_with_its_effect_or_not_at_all(home: Home, journal: Journal) -> None:
    impossible = told(about=msgspec.structs.replace(call("call-2"), direction="sideways"))
    with pytest.raises(StoreError):
        journal.commit(8000, [], [OrderDone(5, True, ""), impossible])
    assert rows(home, "SELECT * FROM order_results") == []
    assert journal.last_order() == 0
    journal.commit(8000, [], [OrderDone(5, True, ""), OrderDone(6, False, "no call is running")])
    assert [tuple(row.values()) for row in rows(home, "SELECT order_id, ok, message FROM order_results")] == [
        (5, 1, ""),
        (6, 0, "no call is running"),
    ]
    assert journal.last_order() == 6
    assert Journal(home, "another-card").last_order() == 0
