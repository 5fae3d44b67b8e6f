"""Orders of the office: carried out once, at the sample they were asked for, whatever happens in between."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from recorded_lines import BOOT, CARD_ID, RATE_HZ, WALL_NS, noise, put, registered, rows

import recorder.processor as processor_module
import recorder.tracking.order_desk as desk_module
from drivers.api import EventKind, LineEvent
from firmware.config import Home
from firmware.store.connection import open_store, write
from recorder.journal import Journal
from recorder.orders import add_order, last_settled
from recorder.processor import Processor
from recorder.settings import SettingsReader
from recorder.tape.format import geometry_for
from recorder.tape.reader import TapeReader
from recorder.tape.writer import TapeWriter
from recorder.tracking.channel import TrackerSettings

K = EventKind
WALL_MS = WALL_NS // 1_000_000
LIFT = [(K.OFF_HOOK, 0, 5.0), (K.ON_HOOK, 0, 45.0)]


def ms(at_s: float) -> int:
    return WALL_MS + round(at_s * 1000)


@pytest.fixture(autouse=True)
def _the_time_of_the_tape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "now_ms", lambda: ms(60))


def tape_of(path: Path, seconds: float, events: list[tuple[EventKind, int, float]], minutes: float = 3) -> TapeReader:
    """Two ports; a tape that is there already goes on."""
    tape = TapeWriter(path, geometry_for(2, RATE_HZ, minutes), CARD_ID)
    if not tape.end_sample:
        tape.join(BOOT, 0, 0)
    story = [LineEvent(kind, port, round(at_s * RATE_HZ)) for kind, port, at_s in events]
    while tape.end_sample < seconds * RATE_HZ:
        while story and story[0].at_sample < tape.end_sample + RATE_HZ:
            tape.note(story.pop(0))
        put(tape, noise(2, RATE_HZ), tape.end_sample)
    tape.close()
    return TapeReader(path)


class Office:
    """A card's processing, and people who ask for things."""

    def __init__(self, home: Home, tape: TapeReader, **parameters: Any) -> None:
        self.home, self.tape, self.parameters = home, tape, parameters
        self.channels = registered(home, 2)
        self.crm = open_store(home.crm_db)
        self.begin()

    def begin(self) -> None:
        self.store = SettingsReader(self.home)
        self.journal = Journal(self.home, CARD_ID)
        settings = TrackerSettings(**self.parameters)
        self.processor = Processor(self.journal, self.tape, self.channels, False, lambda _: settings, self.store.orders)

    def killed(self) -> None:
        self.journal.close()
        self.store.close()
        self.begin()

    def ask(self, verb: Any, at_s: float, channel: int | None = 1, **more: Any) -> int:
        with write(self.crm) as connection:
            return add_order(connection, at_ms=ms(at_s), asked_by="8001", verb=verb, channel=channel, **more)

    def run(self, until_s: float) -> Office:
        assert self.store.changed() in (True, False)
        self.processor.look_for_orders()
        for number in range(self.processor.next_block, round(until_s * 10)):
            block = self.tape.block(number)
            if block is not None:
                self.processor.process(block)
        return self

    def rest(self) -> Office:
        self.processor.look_for_orders()
        self.processor.catch_up()
        return self

    def done(self) -> list[tuple[int, int, str]]:
        return [
            (row["order_id"], row["ok"], row["message"])
            for row in rows(self.home, "SELECT * FROM order_results ORDER BY order_id")
        ]

    def call(self) -> dict[str, Any]:
        (call,) = rows(self.home, "SELECT * FROM calls")
        return call

    def recordings(self) -> list[dict[str, Any]]:
        return rows(self.home, "SELECT * FROM recordings WHERE channel = 1 ORDER BY kind, segment")

    def pauses(self) -> list[str]:
        return [row["pauses"] for row in self.recordings()]


@pytest.fixture
def tape(tmp_path: Path) -> TapeReader:
    return tape_of(tmp_path / "t.tape", 60, LIFT)


PAUSED = '[{"from_sample":160000,"to_sample":240000,"by":"8001","reason":"card"}]'


def test_a_pause_is_where_it_was_asked_for(home: Home, tape: TapeReader) -> None:
    office = Office(home, tape).run(20)
    office.ask("pause", 20.0, reason="card")
    office.run(25)
    assert office.call()["pauses"] == '[{"from_sample":160000,"to_sample":null,"by":"8001","reason":"card"}]'
    office.ask("resume", 30.0)
    office.run(60)
    assert office.pauses() == [office.call()["pauses"]] == [PAUSED]
    assert office.done() == [(1, 1, ""), (2, 1, "")]
    kinds = [row["kind"] for row in rows(home, "SELECT kind FROM events ORDER BY id")]
    assert kinds == ["call_started", "recording_paused", "recording_resumed", "call_ended"]


def test_orders_wait_for_the_tape_when_it_is_behind(home: Home, tape: TapeReader) -> None:
    """All is asked before the first block is processed, as after a time without a recorder."""
    office = Office(home, tape)
    office.ask("pause", 20.0, reason="card")
    office.ask("resume", 30.0)
    office.run(60)
    assert office.pauses() == [PAUSED]


@pytest.mark.parametrize("every_s", [3.1, 11.0])
def test_killed_again_and_again_carries_each_out_once_at_the_same_place(
    home: Home, tape: TapeReader, every_s: float
) -> None:
    office = Office(home, tape, continuous=True, longest_segment_s=25)
    office.ask("pause", 20.0, reason="card")
    office.ask("resume", 30.0)
    office.ask("record", 48.0)
    office.ask("stop", 52.0)
    office.ask("stop", 53.0)
    until_s = 0.0
    while until_s < 60:
        until_s = min(60.0, until_s + every_s)
        office.run(until_s)
        office.killed()
    found = [(row["kind"], row["from_sample"] / RATE_HZ, row["to_sample"] / RATE_HZ) for row in office.recordings()]
    assert found == [
        ("call", 4, 29),
        ("call", 29, 45.3),
        ("continuous", 0, 25),
        ("continuous", 25, 50),
        ("manual", 48, 52),
    ]
    assert office.call()["pauses"] == PAUSED
    assert [ok for _, ok, _ in office.done()] == [1, 1, 1, 1, 0]


def test_an_order_waits_while_the_store_refuses_and_is_carried_out_once(
    home: Home, tape: TapeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office(home, tape).run(15)
    office.journal._db.conn.execute("PRAGMA busy_timeout = 1")
    lock = sqlite3.connect(home.calls_db, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    office.ask("pause", 20.0, reason="card")
    office.ask("resume", 30.0)
    office.run(50)
    assert office.done() == []
    lock.execute("ROLLBACK")
    lock.close()
    monkeypatch.setattr(processor_module, "CHECKPOINT_S", 0.0)
    office.run(60)
    assert office.done() == [(1, 1, ""), (2, 1, "")]
    assert office.pauses() == [PAUSED]


def test_what_cannot_be_done_is_settled_with_the_reason(home: Home, tape: TapeReader) -> None:
    office = Office(home, tape)
    office.ask("discard", 2.0)
    office.ask("dance", 3.0)
    office.ask("pause", 10.0, call_id="of long ago")
    office.ask("keep", 10.0, call_id="of long ago")
    office.ask("pause", 10.0, channel=99)
    office.ask("delete", 10.0, channel=None)
    office.run(20).rest()
    assert office.done() == [
        (1, 0, "no call is running"),
        (2, 0, "a recorder knows no order 'dance'"),
        (3, 0, "this call is not running any more"),
        (4, 0, "there is no such call on this channel"),
    ]


def test_an_order_of_long_ago_means_nothing(home: Home, tape: TapeReader) -> None:
    office = Office(home, tape).run(20)
    office.ask("pause", -3601.0)
    office.run(60)
    assert office.done() == [(1, 0, "the order came too late")]
    assert office.pauses() == ["[]"]


def test_an_order_that_waited_with_the_tape_is_not_late(
    home: Home, tape: TapeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store refused for two hours: what was said in a pause is silence all the same."""
    monkeypatch.setattr(desk_module, "now_ms", lambda: ms(7200))
    office = Office(home, tape)
    office.ask("pause", 20.0, reason="card")
    office.ask("resume", 30.0)
    office.run(60)
    assert office.pauses() == [PAUSED]


def test_a_clock_that_was_set_back_lets_no_order_reach_back(
    home: Home, tape: TapeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tape's labels follow some seconds later. Without this, ten seconds of the pause would be heard."""
    office = Office(home, tape).run(19)
    office.ask("pause", 20.0, reason="card")
    office.run(30)
    monkeypatch.setattr(desk_module, "now_ms", lambda: ms(30 - 7199.8))
    office.ask("resume", 30 - 7200.0)
    office.rest()
    assert office.call()["pauses"] == '[{"from_sample":160000,"to_sample":238400,"by":"8001","reason":"card"}]'


@pytest.mark.parametrize(
    ("ahead_s", "now_s", "waits"),
    [
        (1.0, 21.2, True),
        (1.0, 23.1, False),  # the card is gone
        (1.0, -3600.0, True),
        (3000.0, 3020.1, False),  # the tape's labels are behind the clock
        (3000.0, 20.0, False),
    ],
)
def test_an_order_ahead_of_the_tape_waits_for_it_but_not_for_ever(
    home: Home, tape: TapeReader, monkeypatch: pytest.MonkeyPatch, ahead_s: float, now_s: float, waits: bool
) -> None:
    monkeypatch.setattr(desk_module, "now_ms", lambda: ms(now_s))
    office = Office(home, tape).run(20)
    office.ask("pause", 20.0 + ahead_s)
    office.rest()
    assert len(office.done()) == (not waits)
    office.run(60)
    (pause,) = rows(home, "SELECT json_extract(pauses, '$[0].from_sample') AS at FROM recordings")
    assert pause["at"] == (21 if waits else 20) * RATE_HZ


def test_a_call_is_kept_after_the_fact(home: Home, tape: TapeReader) -> None:
    office = Office(home, tape, record_mode="on_demand", longest_segment_s=15)
    office.ask("pause", 20.0, reason="card")
    office.ask("resume", 30.0)
    office.run(60)
    assert (office.call()["kept"], office.recordings()) == (0, [])
    with write(open_store(home.calls_db)) as connection:
        connection.execute("UPDATE calls SET manifest = 'of a call without a recording'")
    order = office.ask("keep", 59.0, call_id=office.call()["id"])
    office.rest()
    assert office.done()[-1] == (order, 1, "")
    call = office.call()
    assert (call["kept"], call["kept_reason"], call["manifest"], call["state"]) == (1, "asked", None, "ended")
    found = office.recordings()
    spans = [(row["segment"], row["from_sample"] / RATE_HZ, row["to_sample"] / RATE_HZ) for row in found]
    assert spans == [(0, 4, 19), (1, 19, 34), (2, 34, 45.3)]
    assert [row["started_ms"] for row in found] == [ms(4), ms(19), ms(34)]
    assert office.pauses() == ["[]", PAUSED, "[]"]
    again = office.ask("keep", 59.5, call_id=call["id"])
    office.killed()
    assert office.rest().done()[-1] == (again, 0, "the call is kept already")
    assert len(office.recordings()) == 3


def test_a_call_that_has_gone_from_the_tape_cannot_be_kept(home: Home, tmp_path: Path) -> None:
    office = Office(home, tape_of(tmp_path / "t.tape", 60, LIFT), record_mode="none").run(60)
    tape_of(tmp_path / "t.tape", 250, [])  # the ring goes round
    office.run(250)
    order = office.ask("keep", 59.0, call_id=office.call()["id"])
    office.rest()
    assert office.done() == [(order, 0, "the tape no longer holds it")]
    assert (office.call()["kept"], office.recordings()) == (0, [])


def test_a_call_of_a_tape_that_was_set_aside_can_be_kept(home: Home, tmp_path: Path) -> None:
    old = tape_of(tmp_path / "t.tape", 60, LIFT)
    office = Office(home, old, record_mode="none").run(60)
    office.tape = tape_of(tmp_path / "t.tape", 60, [], minutes=4)
    office.killed()
    office.run(10)
    office.ask("keep", 9.0, call_id=office.call()["id"])
    office.rest()
    (row,) = office.recordings()
    assert (row["tape_epoch"], row["started_ms"]) == (old.epoch, ms(4))
    assert office.call()["tape_epoch"] == old.epoch != office.tape.epoch


def test_a_call_whose_recording_was_deleted_is_not_made_again(home: Home, tape: TapeReader) -> None:
    office = Office(home, tape).run(60)
    call_id = office.call()["id"]
    for rule, result in (("retention", (1, 0, "a recording of this call was deleted")), ("discarded", (2, 1, ""))):
        with write(open_store(home.calls_db)) as connection:
            connection.execute("UPDATE recordings SET state = 'deleted', deleted_rule = ?", (rule,))
        order = office.ask("keep", 59.0, call_id=call_id)
        office.rest()
        assert office.done()[-1] == result == (order, *result[1:])
    assert [(row["segment"], row["state"]) for row in office.recordings()] == [(0, "deleted"), (1, "pending")]


def test_what_was_discarded_in_part_can_be_kept_before_it_is_deleted(home: Home, tape: TapeReader) -> None:
    office = Office(home, tape, longest_segment_s=15)
    office.ask("discard", 22.0)
    office.run(60)
    assert [(row["deleted_rule"], row["deleted_by"], row["state"]) for row in office.recordings()] == [
        ("discarded", "8001", "pending")
    ]
    office.ask("keep", 59.0, call_id=office.call()["id"])
    office.rest()
    assert [(row["from_sample"] // RATE_HZ, row["deleted_rule"]) for row in office.recordings()] == [
        (4, None), (19, None), (34, None),
    ]  # fmt: skip


def test_what_was_discarded_whole_can_be_kept_when_the_tape_has_gone_round(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "t.tape"
    office = Office(home, tape_of(path, 60, LIFT, minutes=1), longest_segment_s=15).run(60)
    with write(open_store(home.calls_db)) as connection:
        connection.execute("UPDATE calls SET kept = 0, kept_reason = 'discarded'")
        connection.execute("UPDATE recordings SET deleted_rule = 'discarded', deleted_by = '8001'")
    office.tape = tape_of(path, 140, [], minutes=1)
    office.killed()
    office.ask("keep", 59.0, call_id=office.call()["id"])
    office.run(140)
    assert office.done() == [(1, 1, "")]
    assert {row["deleted_rule"] for row in office.recordings()} == {None}


def test_a_call_whose_end_is_not_in_the_store_yet_can_be_kept(
    home: Home, tape: TapeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office(home, tape, record_mode="none").run(40)
    office.journal._db.conn.execute("PRAGMA busy_timeout = 1")
    lock = sqlite3.connect(home.calls_db, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    office.ask("keep", 50.0, call_id=office.call()["id"])
    office.run(55)
    lock.execute("ROLLBACK")
    lock.close()
    monkeypatch.setattr(processor_module, "CHECKPOINT_S", 0.0)
    office.run(60)
    assert (office.done(), office.call()["kept"], len(office.recordings())) == ([(1, 1, "")], 1, 1)


def test_nobody_keeps_a_call_of_another_channel_or_one_that_the_law_forbids(home: Home, tape: TapeReader) -> None:
    office = Office(home, tape, record_mode="none").run(60)
    call = office.call()
    office.ask("keep", 59.0, channel=2, call_id=call["id"])
    office.rest()
    with write(open_store(home.calls_db)) as connection:
        connection.execute("UPDATE calls SET kept_reason = 'never_list'")
    office.ask("keep", 59.5, call_id=call["id"])
    office.rest()
    assert office.done() == [
        (1, 0, "there is no such call on this channel"),
        (2, 0, "a number that must never be recorded"),
    ]
    assert office.recordings() == []


@pytest.mark.parametrize("broken", ["pauses = 'x'", "pauses = '[5]'", "from_sample = NULL", "tape_epoch = 'gone'"])
def test_a_call_that_makes_no_sense_holds_up_nothing(home: Home, tape: TapeReader, broken: str) -> None:
    office = Office(home, tape, record_mode="none").run(60)
    with write(open_store(home.calls_db)) as connection:
        connection.execute(f"UPDATE calls SET {broken}")
    office.ask("keep", 59.0, call_id=office.call()["id"])
    office.ask("resume", 59.1)
    office.rest()
    assert [ok for _, ok, _ in office.done()] == [0, 0]


def test_nothing_is_read_twice_and_other_cards_are_left_alone(home: Home, tape: TapeReader) -> None:
    office = Office(home, tape)
    for at_s in range(700):
        office.ask("resume", 0.001 * at_s)
    office.ask("resume", 1.0, channel=3)
    office.run(20)
    assert len(office.done()) == 700
    assert last_settled(open_store(home.calls_db), CARD_ID) == 700
    office.killed()
    assert office.rest().done()[-1][0] == 700
