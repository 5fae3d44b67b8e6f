"""What a line card left that is not there any more: nothing of it stays unended, uncut or unsigned."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

import numpy as np
import pytest
import soundfile
from recorded_lines import RATE_HZ, rows
from test_recorder import BOOT_A, BOOT_B, SLICE, START_NS, MemoryCard, recording, sound, wait_until

import recorder.daemon as daemon_module
import recorder.left_behind as left_behind
from drivers.api import CardIdentity, EventKind, LineEvent
from firmware.config import Home
from firmware.errors import LineCardGone
from recorder.daemon import Recorder, RecorderOptions
from recorder.library.evidence.log import EvidenceLog, read_entries
from recorder.processor import Processor
from recorder.tape.format import TapeBlock, geometry_for
from recorder.tape.reader import TapeReader
from recorder.tape.writer import TapeWriter

START_MS = START_NS // 1_000_000


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon_module, "GIVE_UP_S", 0.3)
    monkeypatch.setattr(left_behind, "RETRY_S", 0.05)
    monkeypatch.setattr("recorder.cutting.cutter.RETRY_S", 0.1)


@contextmanager
def waiting_for(home: Home, card: MemoryCard) -> Iterator[Recorder]:
    """A recorder whose card is not there, and perhaps never comes."""
    recorder = Recorder(home, RecorderOptions("t", "memory", "", tape_minutes=2), card)

    def run() -> None:
        with suppress(LineCardGone):
            recorder.run()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield recorder
    finally:
        recorder.stop()
        thread.join(20)
    assert not thread.is_alive()


def is_there(home: Home, query: str, count: int = 1) -> None:
    wait_until(lambda: len(rows(home, query)) >= count, query)


def stopped_in_a_call(home: Home, card: MemoryCard) -> None:
    """A call since 1 s, of which the tape has all up to 10 s; then the box loses its power."""
    card.events.append(LineEvent(EventKind.OFF_HOOK, 0, RATE_HZ))
    card.now = 10 * RATE_HZ
    with recording(home, card) as box:
        box.wait_for(10 * RATE_HZ)
        box.wait_processed("SELECT 1 FROM calls WHERE state <> 'ended'")


def audio_of(home: Home, row: dict[str, object]) -> np.ndarray:
    samples, _ = soundfile.read(home.recordings / str(row["path"]), dtype="int16")
    return np.asarray(samples)


def heard(from_sample: int, to_sample: int, boot_id: str = BOOT_A) -> np.ndarray:
    slices = [sound(first, SLICE, boot_id)[0] for first in range(0, to_sample, SLICE)]
    return np.concatenate(slices)[from_sample:to_sample]


def check_the_call_of_the_missing_card(home: Home, card_id: str) -> None:
    """It ends where the tape ends, is cut whole, and is in the evidence log of its card."""
    (call,) = rows(home, "SELECT * FROM calls WHERE card_id = ?", card_id)
    assert (call["state"], call["end_reason"], call["ended_ms"]) == ("ended", "card_lost", START_MS + 10_000)
    (recording_row,) = rows(home, "SELECT * FROM recordings WHERE card_id = ?", card_id)
    assert (recording_row["state"], recording_row["missing_samples"]) == ("ready", 0)
    assert np.array_equal(audio_of(home, recording_row), heard(call["from_sample"], 10 * RATE_HZ))
    manifest = json.loads((home.recordings / call["manifest"]).read_text())["manifest"]
    assert manifest["call"]["end_reason"] == "card_lost"
    with closing(EvidenceLog(home, card_id, False)) as log:
        entered = [entry.manifest_id for entry, _ in read_entries(log.path)]
    assert entered.count(manifest["id"]) == 1


def lost_alarms(home: Home) -> list[str]:
    return [
        row["subject"] for row in rows(home, "SELECT * FROM alarms WHERE code = 'card_lost' AND cleared_ms IS NULL")
    ]


def test_a_card_that_is_gone_at_the_start_leaves_nothing_open(home: Home) -> None:
    card = MemoryCard()
    stopped_in_a_call(home, card)
    card.gone = True
    with waiting_for(home, card):
        is_there(home, "SELECT 1 FROM calls WHERE manifest IS NOT NULL")
        assert lost_alarms(home) == ["memory-1"]
    check_the_call_of_the_missing_card(home, "memory-1")
    kinds = [row["kind"] for row in rows(home, "SELECT kind FROM events WHERE kind LIKE 'card_%' ORDER BY id")]
    assert kinds == ["card_present", "card_lost"]


@contextmanager
def nothing_can_be_cut(home: Home) -> Iterator[None]:
    """A file stands where the folder of recordings should."""
    aside = home.recordings.with_name("aside")
    home.recordings.rename(aside)
    home.recordings.touch()
    yield
    home.recordings.unlink()
    aside.rename(home.recordings)


def test_who_can_cut_nothing_lets_go_of_the_card_and_tries_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(left_behind, "CUT_PATIENCE_S", 0.3)
    card = MemoryCard()
    with nothing_can_be_cut(home):
        stopped_in_a_call(home, card)
        lost = ("unplugged", START_MS)
        assert not left_behind.LeftBehind(home, "memory-1", lost, threading.Event()).finish()
    assert left_behind.LeftBehind(home, "memory-1", None, threading.Event()).finish()
    check_the_call_of_the_missing_card(home, "memory-1")


def test_a_recorder_goes_on_finishing_when_it_can_cut_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(left_behind, "CUT_PATIENCE_S", 0.3)
    card = MemoryCard()
    stopped_in_a_call(home, card)
    card.gone = True
    finish, tries = left_behind.LeftBehind.finish, []

    def finish_and_note(left: left_behind.LeftBehind) -> bool:
        tries.append(finish(left))
        return tries[-1]

    monkeypatch.setattr(left_behind.LeftBehind, "finish", finish_and_note)
    with ExitStack() as blocked:
        blocked.enter_context(nothing_can_be_cut(home))
        with waiting_for(home, card):
            wait_until(lambda: False in tries, "nothing can be cut")
            blocked.close()
            is_there(home, "SELECT 1 FROM calls WHERE manifest IS NOT NULL")
    check_the_call_of_the_missing_card(home, "memory-1")


def test_a_card_that_comes_back_goes_on_where_its_tape_was_finished(home: Home) -> None:
    card = MemoryCard()
    stopped_in_a_call(home, card)
    card.gone = True
    with waiting_for(home, card):
        is_there(home, "SELECT 1 FROM calls WHERE manifest IS NOT NULL")
        card.events.append(LineEvent(EventKind.ON_HOOK, 0, 11 * RATE_HZ))
        card.events.append(LineEvent(EventKind.OFF_HOOK, 0, 13 * RATE_HZ))
        card.events.append(LineEvent(EventKind.ON_HOOK, 0, 16 * RATE_HZ))
        card.now = 20 * RATE_HZ
        card.gone = False
        is_there(home, "SELECT 1 FROM recordings WHERE state = 'ready'", 2)
        assert lost_alarms(home) == []
        with closing(TapeReader(home.tapes / "t.tape")) as reader:
            assert reader.read(0, 0, 20 * RATE_HZ)[1] == []
    first, second = rows(home, "SELECT * FROM calls ORDER BY started_ms")
    assert (first["ended_ms"], second["started_ms"]) == (START_MS + 10_000, START_MS + 13_000)
    assert second["ended_ms"] == START_MS + 16_000
    kinds = [row["kind"] for row in rows(home, "SELECT kind FROM events WHERE kind LIKE 'card_%' ORDER BY id")]
    assert kinds == ["card_present", "card_lost", "card_present"]


def test_what_was_not_processed_when_the_card_went_is_heard(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tape is ahead of the store: the whole second call is only there."""
    process = Processor.process

    def slow(processor: Processor, block: TapeBlock) -> None:
        if block.number >= 20:
            raise RuntimeError("later")
        process(processor, block)

    card = MemoryCard()
    for kind, at in ((EventKind.OFF_HOOK, 4), (EventKind.ON_HOOK, 7)):
        card.events.append(LineEvent(kind, 0, at * RATE_HZ))
    card.now = 10 * RATE_HZ
    with monkeypatch.context() as patched:
        patched.setattr(Processor, "process", slow)
        patched.setattr(daemon_module, "MOST_FAILURES", 1 << 30)
        with recording(home, card) as box:
            box.wait_for(10 * RATE_HZ)
            box.wait_processed("SELECT 1 FROM cards")
    assert rows(home, "SELECT * FROM calls") == []
    card.gone = True
    with waiting_for(home, card):
        is_there(home, "SELECT 1 FROM calls WHERE manifest IS NOT NULL")
    (call,) = rows(home, "SELECT * FROM calls")
    assert (call["started_ms"], call["ended_ms"]) == (START_MS + 4000, START_MS + 7000)
    assert [row["state"] for row in rows(home, "SELECT * FROM recordings")] == ["ready"]


def other_card(now_s: int) -> MemoryCard:
    card = MemoryCard()
    card.identity = CardIdentity("memory", "2")
    card.restarted(BOOT_B, 25_000_000_000)
    card.now = now_s * RATE_HZ
    return card


def test_another_card_at_the_start_leaves_nothing_open_of_the_one_before(home: Home) -> None:
    stopped_in_a_call(home, MemoryCard())
    card = other_card(8)
    card.events.append(LineEvent(EventKind.OFF_HOOK, 0, RATE_HZ))
    card.events.append(LineEvent(EventKind.ON_HOOK, 0, 4 * RATE_HZ))
    with recording(home, card) as box:
        box.wait_processed("SELECT 1 FROM recordings WHERE state = 'ready'", 2)
        box.wait_processed("SELECT 1 FROM calls WHERE manifest IS NOT NULL", 2)
        wait_until(lambda: lost_alarms(home) == ["memory-1"], "the alarm names the missing card")
        wait_until(
            lambda: not rows(home, "SELECT 1 FROM recorder_state WHERE card_id = 'memory-1'"), "the tape is done with"
        )
    check_the_call_of_the_missing_card(home, "memory-1")
    (call,) = rows(home, "SELECT * FROM calls WHERE card_id = 'memory-2'")
    assert (call["channel"], call["ended_ms"] - call["started_ms"]) == (2, 3000)


@contextmanager
def one_after_the_other(home: Home, card: MemoryCard) -> Iterator[list[Recorder]]:
    """A recorder for every card that is there, as the daemon runs them."""
    recorders = [Recorder(home, RecorderOptions("t", "memory", "", tape_minutes=2), card)]

    def run() -> None:
        while recorders[-1].run():
            recorders.append(Recorder(home, RecorderOptions("t", "memory", "", tape_minutes=2), card))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield recorders
    finally:
        recorders[-1].stop()
        thread.join(20)
    assert not thread.is_alive()


def test_a_card_that_is_exchanged_within_seconds_works_like_any_new_one(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon_module, "GIVE_UP_S", 60.0)
    card = MemoryCard()
    card.events.append(LineEvent(EventKind.OFF_HOOK, 0, RATE_HZ))
    card.now = 10 * RATE_HZ
    with one_after_the_other(home, card) as recorders:
        wait_until(lambda: rows(home, "SELECT 1 FROM calls") and card.next == card.now, "a call")
        card.gone = True
        wait_until(lambda: len(card.resumed) > 1, "the recorder looks for the card")
        card.identity = CardIdentity("memory", "2")
        card.restarted(BOOT_B, 25_000_000_000)
        card.events.append(LineEvent(EventKind.OFF_HOOK, 0, RATE_HZ))
        card.events.append(LineEvent(EventKind.ON_HOOK, 0, 5 * RATE_HZ))
        card.now = 8 * RATE_HZ
        card.gone = False
        wait_until(lambda: len(rows(home, "SELECT 1 FROM recordings WHERE state = 'ready'")) == 2, "both are cut")
        wait_until(lambda: len(rows(home, "SELECT 1 FROM calls WHERE manifest IS NOT NULL")) == 2, "both are signed")
        assert lost_alarms(home) == ["memory-1"]
        assert len(recorders) == 2
    check_the_call_of_the_missing_card(home, "memory-1")
    (call,) = rows(home, "SELECT * FROM calls WHERE card_id = 'memory-2'")
    assert call["ended_ms"] - call["started_ms"] == 4000
    (row,) = rows(home, "SELECT * FROM recordings WHERE card_id = 'memory-2'")
    assert np.array_equal(audio_of(home, row), heard(0, 8 * RATE_HZ, BOOT_B)[row["from_sample"] : row["to_sample"]])
    with closing(TapeReader(home.tapes / "t.tape")) as reader:
        assert reader.card_id == "memory-2"


def test_a_card_in_another_port_ends_what_ran_in_the_first(home: Home) -> None:
    """Its tape stands where it was: nobody else needs the place."""
    card = MemoryCard()
    stopped_in_a_call(home, card)
    (home.tapes / "t.tape").rename(home.tapes / "first.tape")
    card.restarted(BOOT_B, 25_000_000_000)
    card.now = 4 * RATE_HZ
    with recording(home, card) as box:
        box.wait_processed("SELECT 1 FROM recordings WHERE state = 'ready'")
        box.wait_processed("SELECT 1 FROM calls WHERE manifest IS NOT NULL")
    check_the_call_of_the_missing_card(home, "memory-1")


def test_a_tape_set_aside_while_processing_is_behind_is_processed_to_its_end(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its calls come before those of the new tape, and are cut."""
    process = Processor.process

    def behind(processor: Processor, block: TapeBlock) -> None:
        if block.number >= 20:
            raise RuntimeError("later")
        process(processor, block)

    monkeypatch.setattr("recorder.processor.CHECKPOINT_S", 0.0)
    card = MemoryCard()
    for kind, at in ((EventKind.OFF_HOOK, 1), (EventKind.ON_HOOK, 4), (EventKind.OFF_HOOK, 6)):
        card.events.append(LineEvent(kind, 0, at * RATE_HZ))
    card.now = 10 * RATE_HZ
    with monkeypatch.context() as patched:
        patched.setattr(Processor, "process", behind)
        patched.setattr(daemon_module, "MOST_FAILURES", 1 << 30)
        with recording(home, card) as box:
            box.wait_for(10 * RATE_HZ)
            box.wait_processed("SELECT 1 FROM calls")
    tape = home.tapes / "t.tape"
    with closing(TapeWriter(tape, geometry_for(1, RATE_HZ, 3), card.identity.card_id)):  # somebody made it longer
        assert len(list(home.tapes.glob("t-*.set-aside"))) == 1
    card.events.append(LineEvent(EventKind.ON_HOOK, 0, 11 * RATE_HZ))
    card.events.append(LineEvent(EventKind.OFF_HOOK, 0, 12 * RATE_HZ))
    card.events.append(LineEvent(EventKind.ON_HOOK, 0, 15 * RATE_HZ))
    card.now = 20 * RATE_HZ
    recorder = Recorder(home, RecorderOptions("t", "memory", "", tape_minutes=3), card)
    thread = threading.Thread(target=recorder.run)
    thread.start()
    try:
        wait_until(lambda: len(rows(home, "SELECT 1 FROM recordings WHERE state = 'ready'")) == 3, "all is cut")
        wait_until(lambda: len(rows(home, "SELECT 1 FROM calls WHERE manifest IS NOT NULL")) == 3, "all is signed")
    finally:
        recorder.stop()
        thread.join(20)
    calls = rows(home, "SELECT * FROM calls ORDER BY rowid")
    assert [(call["started_ms"] - START_MS, call["ended_ms"] - START_MS) for call in calls] == [
        (1000, 4000), (6000, 10_000), (12_000, 15_000),
    ]  # fmt: skip
    assert [call["end_reason"] for call in calls] == ["on_hook", "card_lost", "on_hook"]
    told = [row["call_id"] for row in rows(home, "SELECT call_id FROM events WHERE kind LIKE 'call_%' ORDER BY id")]
    assert told == sorted(told, key=[call["id"] for call in calls].index)
    for row in rows(home, "SELECT * FROM recordings"):
        assert row["missing_samples"] == 0
