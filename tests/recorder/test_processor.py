"""The processing half: killed anywhere it gives the same calls; the store may refuse, the card may go."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from recorded_lines import (
    BOOT,
    CARD_ID,
    RATE_HZ,
    WALL_NS,
    noise,
    noise_tape,
    put,
    registered,
    rows,
    scripted_tape,
)

import recorder.processor as processor_module
from drivers.api import EventKind, LineEvent
from drivers.exchange.calls import IncomingCall, LineCut, LineSettings, OutgoingCall
from drivers.exchange.script import Script
from firmware.config import Home
from firmware.errors import StoreError
from firmware.store.migrations import migrate
from recorder.journal import Journal
from recorder.processor import Processor, in_order
from recorder.signals import Tone, ToneHeard
from recorder.tape.assembly import LONGEST_FILL_S
from recorder.tape.format import geometry_for
from recorder.tape.reader import TapeReader
from recorder.tape.writer import TapeWriter
from recorder.tracking.tracker import TrackerSettings

LINES = 4
SECONDS = 56
SCRIPT = Script(
    LINES,
    (
        IncomingCall(0, 1.0, "13800138000", "张三", answer_after_s=7.0, talk_s=9.0),
        IncomingCall(1, 1.5, "01062345678", answer_after_s=6.0, talk_s=8.0),
        OutgoingCall(2, 1.2, "10086", answer_after_s=6.0, talk_s=8.0),
        OutgoingCall(3, 2.0, "02087654321", answer_after_s=5.0, talk_s=9.0),
        IncomingCall(0, 30.0, "13900139000", rings=2),
        IncomingCall(1, 30.0, "075512345678", give_up_after_s=3.5),
        OutgoingCall(2, 30.0, "114", busy=True, give_up_after_s=6.0),
        OutgoingCall(3, 30.0, "10010", answer_after_s=4.0, talk_s=8.0),
        LineCut(3, 48.0, 3.0),
    ),
    11,
    (
        LineSettings(),
        LineSettings(caller_id="dtmf"),
        LineSettings(polarity_reversal=True),
        LineSettings(speech_dbm0=-18.0),
    ),
)


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> TapeReader:
    return scripted_tape(tmp_path_factory.mktemp("lines") / "t.tape", SCRIPT, SECONDS)


def fresh_home(folder: Path) -> Home:
    home = Home(folder)
    home.create()
    migrate(home)
    return home


class Worker:
    """Processing as the recorder starts it."""

    def __init__(self, home: Home, tape: TapeReader, ports: int = LINES) -> None:
        self.tape = tape
        channels = registered(home, ports)
        self.journal = Journal(home, CARD_ID)
        self.processor = Processor(self.journal, tape, channels, False, lambda _: TrackerSettings())

    def run(self, upto_block: int) -> None:
        for number in range(self.processor.next_block, upto_block):
            block = self.tape.block(number)
            if block is not None:
                self.processor.process(block)

    def checkpoint(self) -> None:
        """As happens every second."""
        self.journal.commit(self.processor.position, [tracker.state for tracker in self.processor.trackers], [])

    def killed(self) -> None:
        self.journal.close()


def outcome(home: Home) -> dict[str, list[dict[str, Any]]]:
    """All that the store says, without the identifiers, which are drawn anew."""
    order = "ORDER BY channel, started_ms"
    calls = rows(home, f"SELECT * FROM calls {order}")
    names = {call["id"]: f"call {index}" for index, call in enumerate(calls)}
    recordings = rows(home, f"SELECT * FROM recordings {order}, segment")
    events = rows(home, "SELECT kind, channel, at_ms, call_id FROM events ORDER BY channel, id")
    for row in calls:
        row["id"] = ""
    for row in [*recordings, *events]:
        row["call_id"] = names.get(row["call_id"])
        row.pop("id", None)
    return {"calls": calls, "recordings": recordings, "events": events}


@pytest.fixture(scope="module")
def expected(tape: TapeReader, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    home = fresh_home(tmp_path_factory.mktemp("straight"))
    worker = Worker(home, tape)
    worker.run(SECONDS * 10)
    worker.killed()
    return outcome(home)


def test_the_scripted_calls_are_found(expected: dict[str, list[dict[str, Any]]]) -> None:
    found = [
        (call["channel"], call["result"], call["caller_number"] or call["dialled_number"], call["answer_basis"])
        for call in expected["calls"]
    ]
    assert found == [
        (1, "answered", "13800138000", "off_hook"), (1, "missed", "13900139000", None),
        (2, "answered", "01062345678", "off_hook"), (2, "abandoned", "075512345678", None),
        (3, "answered", "10086", "polarity"), (3, "abandoned", "114", None),
        (4, "answered", "02087654321", "voice"), (4, "answered", "10010", "voice"),
    ]  # fmt: skip


@pytest.mark.parametrize("every_blocks", [17, 29, 53])
def test_killed_again_and_again_gives_the_same_calls(
    home: Home, tape: TapeReader, expected: dict[str, list[dict[str, Any]]], every_blocks: int
) -> None:
    for upto in [*range(every_blocks, SECONDS * 10, every_blocks), SECONDS * 10]:
        worker = Worker(home, tape)
        worker.run(upto)
        worker.killed()
    found = outcome(home)
    assert found["calls"] == expected["calls"]
    assert found["recordings"] == expected["recordings"]
    assert found["events"] == expected["events"]


def test_what_the_card_tells_last_is_true() -> None:
    """A restarted card states its lines, then reports late what began before that."""
    hung_up = LineEvent(EventKind.ON_HOOK, 0, 900)
    story = [LineEvent(EventKind.OFF_HOOK, 0, 1000), hung_up, LineEvent(EventKind.RING_ON, 1, 400)]
    tone = ToneHeard(0, 950, Tone.BUSY)
    ordered = in_order(story, [tone])
    assert ordered == [story[2], tone, story[0], hung_up]


def test_hanging_up_while_the_recorder_restarts_ends_the_call(home: Home, tmp_path: Path) -> None:
    tape = TapeWriter(tmp_path / "t.tape", geometry_for(1, RATE_HZ, 0.5), CARD_ID)
    tape.join(BOOT, 0, 0)
    for kind, at, upto in (
        (EventKind.OFF_HOOK, 4000, 32_000),
        (EventKind.OFF_HOOK, 32_000, 32_000),  # the state that the restarted card tells
        (EventKind.ON_HOOK, 31_400, 64_000),  # what it found out just then
    ):
        tape.note(LineEvent(kind, 0, at))
        put(tape, noise(1, upto - tape.end_sample), tape.end_sample)
    tape.close()
    worker = Worker(home, TapeReader(tmp_path / "t.tape"), ports=1)
    worker.run(80)
    worker.killed()
    (call,) = rows(home, "SELECT * FROM calls")
    assert (call["state"], call["ended_ms"]) == ("ended", WALL_NS // 1_000_000 + 31_400 // 8)


def long_lift(path: Path, hole_s: float = 0.0, minutes: float = 1.0) -> TapeReader:
    """Off-hook at 1 s; audio until 5 s, and again after the hole until 10 s after it."""
    tape = TapeWriter(path, geometry_for(1, RATE_HZ, minutes), CARD_ID)
    tape.join(BOOT, 0, 0)
    tape.note(LineEvent(EventKind.OFF_HOOK, 0, RATE_HZ))
    put(tape, noise(1, 5 * RATE_HZ), 0)
    put(tape, noise(1, 10 * RATE_HZ), int((5 + hole_s) * RATE_HZ))
    tape.close()
    return TapeReader(path)


@pytest.mark.parametrize(("hole_s", "running"), [(LONGEST_FILL_S - 1, True), (LONGEST_FILL_S + 1, False)])
def test_a_call_does_not_outlive_a_long_hole_in_the_tape(
    home: Home, tmp_path: Path, hole_s: float, running: bool
) -> None:
    worker = Worker(home, long_lift(tmp_path / "t.tape", hole_s), ports=1)
    worker.run(int((15 + hole_s) * 10))
    worker.killed()
    (call,) = rows(home, "SELECT * FROM calls")
    if running:
        assert call["state"] == "dialling"
    else:
        assert (call["state"], call["end_reason"]) == ("ended", "card_lost")
        assert call["ended_ms"] == WALL_NS // 1_000_000 + 5000


def test_lost_card_after_a_restart_ends_the_call_at_the_right_time(home: Home, tmp_path: Path) -> None:
    tape = long_lift(tmp_path / "t.tape")
    first = Worker(home, tape, ports=1)
    first.run(150)
    first.killed()
    second = Worker(home, tape, ports=1)
    second.processor.card_event("card_lost", "unplugged", 1_800_000_020_000)
    second.killed()
    (call,) = rows(home, "SELECT * FROM calls")
    position = second.processor.position
    assert (call["state"], call["ended_ms"]) == ("ended", WALL_NS // 1_000_000 + position // 8)
    assert rows(home, "SELECT code, raised_ms FROM alarms") == [{"code": "card_lost", "raised_ms": 1_800_000_020_000}]


def test_a_new_tape_ends_the_calls_of_the_old_one_and_keeps_their_audio_in_reach(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "t.tape"
    old = long_lift(path)
    worker = Worker(home, old, ports=1)
    worker.run(150)
    worker.checkpoint()
    worker.killed()
    noise_tape(path, 1, 20 * RATE_HZ, minutes=2.0)
    new = TapeReader(path)
    assert new.epoch != old.epoch
    worker = Worker(home, new, ports=1)
    worker.run(200)
    worker.checkpoint()
    worker.killed()
    (call,) = rows(home, "SELECT * FROM calls")
    assert (call["state"], call["end_reason"]) == ("ended", "card_lost")
    (order,) = rows(home, "SELECT * FROM recordings")
    assert (order["tape_epoch"], order["state"]) == (old.epoch, "pending")
    (state,) = rows(home, "SELECT * FROM recorder_state")
    assert (state["tape_epoch"], state["position"]) == (new.epoch, worker.processor.position)


def test_the_longest_segment_leaves_time_to_cut_it(home: Home, tmp_path: Path) -> None:
    worker = Worker(home, long_lift(tmp_path / "t.tape", minutes=1.5), ports=1)
    assert worker.processor.trackers[0].settings.longest_segment_s == 60
    worker.killed()


def test_a_tape_shorter_than_the_checkpoint_is_waited_for(home: Home, tmp_path: Path) -> None:
    """After a power cut the card sends the last second again: it was processed already."""
    path = tmp_path / "t.tape"
    worker = Worker(home, long_lift(path), ports=1)
    worker.run(150)
    worker.checkpoint()
    worker.killed()
    geometry = worker.tape.geometry
    with path.open("rb+") as file:
        for number in range(140, 150):
            file.seek(geometry.slot_offset(number))
            file.write(bytes(geometry.slot_bytes))
    again = Worker(home, TapeReader(path), ports=1)
    assert again.processor.next_block == 150
    again.killed()


class Hurry:
    """The store's patience without its time."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        self.now += 0.1
        return self.now


def test_a_locked_store_is_caught_up_with(
    home: Home,
    tape: TapeReader,
    expected: dict[str, list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = Worker(home, tape)
    worker.journal._db.conn.execute("PRAGMA busy_timeout = 1")
    worker.run(50)
    monkeypatch.setattr(processor_module, "time", Hurry())
    other = sqlite3.connect(home.calls_db, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    before = other.execute("SELECT count(*) FROM events").fetchone()[0]
    worker.run(400)
    worker.processor.card_event("card_present", "", 1)
    assert other.execute("SELECT count(*) FROM events").fetchone()[0] == before
    other.execute("ROLLBACK")
    other.close()
    worker.run(SECONDS * 10)
    worker.killed()
    found = outcome(home)
    assert [event["kind"] for event in found["events"]].count("card_present") == 1
    found["events"] = [event for event in found["events"] if event["kind"] != "card_present"]
    assert found == expected


def test_a_full_store_is_caught_up_with(
    home: Home, tape: TapeReader, expected: dict[str, list[dict[str, Any]]]
) -> None:
    worker = Worker(home, tape)
    connection = worker.journal._db.conn
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    worker.run(SECONDS * 10)
    assert worker.processor._news or rows(home, "SELECT 1 FROM calls")
    connection.execute("PRAGMA max_page_count = 1000000")
    deadline = time.monotonic() + 10
    while worker.processor._news and time.monotonic() < deadline:
        worker.processor.catch_up()
        time.sleep(0.05)
    worker.killed()
    found = outcome(home)
    assert found == expected


def test_too_much_news_for_a_broken_store_begins_again(
    home: Home, tape: TapeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor_module, "MOST_NEWS", 3)
    worker = Worker(home, tape)
    worker.journal._db.conn.execute("PRAGMA query_only = 1")
    monkeypatch.setattr(processor_module, "time", Hurry())
    with pytest.raises(StoreError):
        worker.run(SECONDS * 10)
    worker.killed()


def test_a_card_may_say_anything(home: Home, tmp_path: Path) -> None:
    tape = TapeWriter(tmp_path / "t.tape", geometry_for(2, RATE_HZ, 0.5), CARD_ID)
    tape.join(BOOT, 0, 0)
    for port in (-1, 0, 1, 2, 254, 1 << 40):
        for kind in EventKind:
            for value in (None, "", "{", '{"a":1}', "9" * 600, "9" * 5000, 1e308):
                tape.note(LineEvent(kind, port, 100, value))
    put(tape, noise(2, 20 * RATE_HZ), 0)
    tape.close()
    worker = Worker(home, TapeReader(tmp_path / "t.tape"), ports=2)
    worker.run(200)
    assert worker.processor.position == 20 * RATE_HZ
    worker.killed()
