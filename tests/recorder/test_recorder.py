"""The recorder as a whole, in this process, with a card in memory: cards and stores may come and go."""

from __future__ import annotations

import errno
import signal
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import numpy as np
import pytest
from recorded_lines import RATE_HZ, rows

import recorder.daemon as daemon_module
import recorder.tape.writer as writer_module
from drivers.api import Capabilities, CardIdentity, EventKind, LineEvent, LinkCounters, Pcm, PcmBlock, ResumePoint
from firmware.config import Home
from firmware.errors import ConfigError, LineCardGone, LineCardProtocolError
from recorder.daemon import Recorder, RecorderOptions, stop_on_signal
from recorder.processor import Processor
from recorder.tape.format import TapeBlock
from recorder.tape.reader import TapeReader
from recorder.tape.ring import TapeRing

SLICE = 160
START_NS = 1_800_000_000_000_000_000
BOOT_A, BOOT_B = "a1" * 8, "b2" * 7 + "00"


def sound(first: int, samples: int, boot_id: str) -> Pcm:
    """What the card hears there, in that power-up."""
    seed = first // SLICE + (0 if boot_id == BOOT_A else 1 << 20)
    return np.random.default_rng(seed).integers(-3000, 3000, (1, samples), np.int16)


class MemoryCard:
    """Delivers at once what it heard up to ``now``; keeps all of it for whoever comes back."""

    def __init__(self) -> None:
        self.identity = CardIdentity("memory", "1")
        self.capabilities = Capabilities(1, RATE_HZ)
        self.boot_id = BOOT_A
        self.counters = LinkCounters()
        self.now = 0
        self.next = 0
        self.began_ns = 0
        self.wall_step_ns = 0
        self.gone = False
        self.slow_s = 0.0
        self.events: deque[LineEvent] = deque()
        self.resumed: list[ResumePoint | None] = []

    def open(self, resume: ResumePoint | None = None) -> None:
        self.resumed.append(resume)
        if self.gone:
            raise LineCardGone("unplugged")
        self.starts_at = time.monotonic() + self.slow_s
        self.next = resume.next_sample if resume and resume.boot_id == self.boot_id else 0
        if self.next > self.now:
            raise LineCardProtocolError("asked for the future")

    def read(self, timeout_s: float) -> PcmBlock | LineEvent | None:
        if self.gone:
            raise LineCardGone("unplugged")
        if time.monotonic() < self.starts_at:
            time.sleep(0.005)
            return None
        if self.events and self.events[0].at_sample <= self.next:
            return self.events.popleft()
        if self.next >= self.now:
            time.sleep(0.005)
            return None
        first, self.next = self.next, self.next + SLICE
        heard_ns = self.began_ns + first * 125_000
        samples = sound(first, SLICE, self.boot_id)
        return PcmBlock(samples, first, heard_ns, START_NS + self.wall_step_ns + heard_ns)

    def close(self) -> None:
        self.next = self.now

    def restarted(self, boot_id: str, at_ns: int) -> None:
        """A new power-up: the sample clock begins anew."""
        self.boot_id, self.began_ns, self.now = boot_id, at_ns, 0


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


class Box:
    """A recorder on a thread."""

    def __init__(self, home: Home, card: MemoryCard, simulated_time: bool = False) -> None:
        self.home, self.card = home, card
        options = RecorderOptions("t", "memory", "", simulated_time=simulated_time, tape_minutes=2)
        self.recorder = Recorder(home, options, card)
        self.thread = threading.Thread(target=self.recorder.run)

    def reader(self) -> TapeReader:
        wait_until(lambda: (self.home.tapes / "t.tape").exists(), "a tape")
        return TapeReader(self.home.tapes / "t.tape")

    def wait_for(self, card_sample: int) -> None:
        """Until the card's audio up to there is on the tape."""

        def there() -> bool:
            head = reader.last_head()
            return (
                head is not None
                and head.boot_id == self.card.boot_id
                and (head.number + 1) * 800 >= card_sample + head.card_offset
            )

        reader = self.reader()
        wait_until(there, f"sample {card_sample} on the tape")
        reader.close()

    def wait_processed(self, condition: str, count: int = 1) -> None:
        wait_until(lambda: len(rows(self.home, condition)) >= count, condition)


@contextmanager
def recording(home: Home, card: MemoryCard, simulated_time: bool = False) -> Iterator[Box]:
    box = Box(home, card, simulated_time)
    box.thread.start()
    try:
        yield box
    finally:
        box.recorder.stop()
        box.thread.join(20)
    assert not box.thread.is_alive()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon_module, "GIVE_UP_S", 0.3)


def all_events(reader: TapeReader) -> list[LineEvent]:
    last = reader.last_head()
    assert last is not None
    blocks = [reader.block(number) for number in range(last.number + 1)]
    return [event for block in blocks if block for event in block.events]


def test_a_locked_store_at_the_start_does_not_stop_the_tape(home: Home) -> None:
    lock = sqlite3.connect(home.calls_db, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    card = MemoryCard()
    card.now = 20 * RATE_HZ
    card.events.append(LineEvent(EventKind.OFF_HOOK, 0, RATE_HZ))
    with recording(home, card) as box:
        box.wait_for(20 * RATE_HZ)
        card.now = 30 * RATE_HZ
        box.wait_for(30 * RATE_HZ)
        lock.execute("ROLLBACK")
        lock.close()
        box.wait_processed("SELECT 1 FROM calls")
    (call,) = rows(home, "SELECT * FROM calls")
    assert call["started_ms"] == START_NS // 1_000_000 + 1000


def test_a_store_that_cannot_be_read_does_not_stop_the_tape(home: Home) -> None:
    whole = home.calls_db.read_bytes()
    home.calls_db.write_bytes(b"\xff" * 8192)
    for name in ("calls.db-wal", "calls.db-shm"):
        (home.root / name).unlink(missing_ok=True)
    card = MemoryCard()
    card.now = 10 * RATE_HZ
    card.events.append(LineEvent(EventKind.OFF_HOOK, 0, RATE_HZ))
    with recording(home, card) as box:
        box.wait_for(10 * RATE_HZ)
        home.calls_db.write_bytes(whole)
        box.wait_processed("SELECT 1 FROM calls")
    (call,) = rows(home, "SELECT * FROM calls")
    assert call["started_ms"] == START_NS // 1_000_000 + 1000


def test_a_card_whose_clock_went_back_is_taken_up_again(home: Home) -> None:
    card = MemoryCard()
    card.now = 10 * RATE_HZ
    with recording(home, card) as box:
        box.wait_for(10 * RATE_HZ)
        card.gone = True
        wait_until(lambda: len(card.resumed) > 2, "the recorder looks for the card")
        card.restarted(BOOT_A, 20_000_000_000)
        card.now = 2 * RATE_HZ
        card.gone = False
        reader = box.reader()
        wait_until(lambda: (head := reader.last_head()) and head.number >= 100, "audio of the second power-up")
        box.wait_for(2 * RATE_HZ)
        head = reader.last_head()
        assert head is not None
        again, gaps = reader.read(0, head.card_offset, head.card_offset + 2 * RATE_HZ)
        assert gaps == []
        assert np.array_equal(again[:SLICE], sound(0, SLICE, BOOT_A)[0])
        assert head.card_offset >= 10 * RATE_HZ
    assert None in card.resumed


def test_a_restart_resumes_a_boot_id_that_ends_in_zeros(home: Home) -> None:
    card = MemoryCard()
    card.boot_id = BOOT_B
    card.now = 5 * RATE_HZ
    with recording(home, card) as box:
        box.wait_for(5 * RATE_HZ)
    card.now = 8 * RATE_HZ
    with recording(home, card) as box:
        box.wait_for(8 * RATE_HZ)
        assert card.resumed == [None, ResumePoint(BOOT_B, 5 * RATE_HZ)]
        assert box.reader().read(0, 0, 8 * RATE_HZ)[1] == []


def test_with_simulated_time_a_tape_of_which_all_is_processed_goes_on(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recorder.processor.CHECKPOINT_S", 0.0)
    card = MemoryCard()
    end = (daemon_module.SIMULATED_LEAD_S + 5) * RATE_HZ
    card.now = end
    with recording(home, card, simulated_time=True) as box:
        box.wait_for(end)
        box.wait_processed(f"SELECT 1 FROM recorder_state WHERE position = {end}")
    card.now = end + 3 * RATE_HZ
    with recording(home, card, simulated_time=True) as box:
        box.wait_for(end + 3 * RATE_HZ)


def test_an_event_that_is_sent_again_is_taken_once(home: Home) -> None:
    """The line breaks after the event and before the next audio: the card sends the event again."""
    card = MemoryCard()
    card.now = 5 * RATE_HZ
    ring = LineEvent(EventKind.RING_ON, 0, 5 * RATE_HZ - 100)
    with recording(home, card) as box:
        box.wait_for(5 * RATE_HZ)
        card.events.append(ring)
        wait_until(lambda: not card.events, "the event was read")
        time.sleep(0.05)
        card.gone = True
        wait_until(lambda: len(card.resumed) > 1, "the recorder looks for the card")
        card.events.append(ring)
        card.gone = False
        card.now = 8 * RATE_HZ
        box.wait_for(8 * RATE_HZ)
        assert [event for event in all_events(box.reader()) if event.kind is EventKind.RING_ON] == [ring]


def test_events_without_audio_of_a_lost_power_up_are_not_put_into_the_next(home: Home) -> None:
    card = MemoryCard()
    card.events.append(LineEvent(EventKind.OFF_HOOK, 0, 0))
    with recording(home, card) as box:
        wait_until(lambda: not card.events, "the event was read")
        time.sleep(0.05)
        card.gone = True
        wait_until(lambda: len(card.resumed) > 1, "the recorder looks for the card")
        card.restarted(BOOT_B, 5_000_000_000)
        card.now = 2 * RATE_HZ
        card.gone = False
        box.wait_for(2 * RATE_HZ)
        assert all_events(box.reader()) == []


def test_impossible_positions_of_events_are_brought_near(home: Home) -> None:
    card = MemoryCard()
    with recording(home, card) as box:
        card.now = 20 * RATE_HZ
        box.wait_for(20 * RATE_HZ)
        card.events.extend(LineEvent(EventKind.ON_HOOK, 0, at) for at in (-5, 0))
        card.now = 30 * RATE_HZ
        box.wait_for(30 * RATE_HZ)
        assert [event.at_sample for event in all_events(box.reader())] == [10 * RATE_HZ, 10 * RATE_HZ]


@pytest.mark.parametrize("wall_step_s", [0, 86_400, -86_400])
def test_time_without_a_card_is_measured_by_the_clock_that_only_rises(home: Home, wall_step_s: int) -> None:
    card = MemoryCard()
    card.now = 5 * RATE_HZ
    with recording(home, card) as box:
        box.wait_for(5 * RATE_HZ)
        card.gone = True
        wait_until(lambda: len(card.resumed) > 1, "the recorder looks for the card")
        card.restarted(BOOT_B, 25_000_000_000)
        card.wall_step_ns = wall_step_s * 1_000_000_000
        card.now = 2 * RATE_HZ
        card.gone = False
        box.wait_for(2 * RATE_HZ)
        head = box.reader().last_head()
        assert head is not None
        assert head.card_offset == 25 * RATE_HZ


def test_a_lost_card_ends_the_call_behind_all_that_was_heard(home: Home) -> None:
    card = MemoryCard()
    card.events.append(LineEvent(EventKind.OFF_HOOK, 0, RATE_HZ))
    card.now = 60 * RATE_HZ + 400
    with recording(home, card) as box:
        box.wait_for(60 * RATE_HZ)
        card.gone = True
        box.wait_processed("SELECT 1 FROM calls WHERE state = 'ended'")
        box.wait_processed("SELECT 1 FROM alarms WHERE cleared_ms IS NULL")
        card.gone = False
        card.now = 62 * RATE_HZ
        box.wait_processed("SELECT 1 FROM alarms WHERE cleared_ms IS NOT NULL")
    (call,) = rows(home, "SELECT * FROM calls")
    assert call["end_reason"] == "card_lost"
    assert call["ended_ms"] == START_NS // 1_000_000 + 60_100


def test_a_card_that_is_absent_at_the_start_raises_its_alarm_without_being_there(home: Home) -> None:
    card = MemoryCard()
    card.now = 2 * RATE_HZ
    with recording(home, card) as box:
        box.wait_for(2 * RATE_HZ)
    card.gone = True
    with recording(home, card) as box:
        box.wait_processed("SELECT 1 FROM alarms WHERE cleared_ms IS NULL")
        card.gone = False
        box.wait_processed("SELECT 1 FROM alarms WHERE cleared_ms IS NOT NULL")
    (alarm,) = rows(home, "SELECT * FROM alarms")
    assert (alarm["code"], alarm["subject"]) == ("card_lost", card.identity.card_id)


def test_another_card_in_the_place_of_ours_is_not_recorded_as_ours(home: Home) -> None:
    card = MemoryCard()
    card.events.append(LineEvent(EventKind.OFF_HOOK, 0, RATE_HZ))
    card.now = 10 * RATE_HZ
    is_replaced: list[bool] = []
    recorder = Recorder(home, RecorderOptions("t", "memory", "", tape_minutes=2), card)
    thread = threading.Thread(target=lambda: is_replaced.append(recorder.run()))
    thread.start()
    wait_until(lambda: rows(home, "SELECT 1 FROM calls") and card.next == card.now, "a call")
    card.gone = True
    wait_until(lambda: len(card.resumed) > 1, "the recorder looks for the card")
    card.identity = CardIdentity("memory", "2")
    card.restarted(BOOT_B, 25_000_000_000)
    card.now = 2 * RATE_HZ
    card.gone = False
    thread.join(20)
    recorder.stop()
    thread.join(20)
    assert is_replaced == [True]
    with closing(TapeReader(home.tapes / "t.tape")) as reader:
        last = reader.last_head()
        assert last is not None
        assert (last.boot_id, last.number) == (BOOT_A, 99)
    (call,) = rows(home, "SELECT * FROM calls")
    assert (call["state"], call["end_reason"]) == ("ended", "card_lost")
    (alarm,) = rows(home, "SELECT * FROM alarms WHERE code = 'card_lost' AND cleared_ms IS NULL")
    assert (alarm["subject"], alarm["data"]) == (
        "memory-1", '{"reason":": memory-2 is in the place of memory-1"}',
    )  # fmt: skip


def test_processing_that_hangs_costs_the_tape_nothing_at_the_end(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it keep the recorder from ending, which the service manager would kill."""
    hangs = threading.Event()

    def process(processor: Processor, block: TapeBlock) -> None:
        hangs.wait()
        raise RuntimeError("the test is over")

    monkeypatch.setattr(Processor, "process", process)
    monkeypatch.setattr(daemon_module, "ENDS_WITHIN_S", 1.0)
    card = MemoryCard()
    card.now = 10 * RATE_HZ
    try:
        with recording(home, card) as box:
            box.wait_for(10 * RATE_HZ)
        with closing(box.reader()) as reader:
            assert reader.read(0, 0, 10 * RATE_HZ)[1] == []
    finally:
        hangs.set()


def test_a_long_backlog_is_left_to_the_next_start(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    processed: list[int] = []
    begun = threading.Event()

    def process(processor: Processor, block: TapeBlock) -> None:
        processed.append(block.number)
        begun.set()
        stopped.wait()
        processor.position = block.end_sample

    stopped = threading.Event()
    monkeypatch.setattr(Processor, "process", process)
    monkeypatch.setattr(daemon_module, "ENDS_WITHIN_S", daemon_module.CUTTING_ENDS_S)  # nothing is left for it
    card = MemoryCard()
    card.now = 10 * RATE_HZ
    with recording(home, card) as box:
        box.wait_for(10 * RATE_HZ)
        begun.wait()
        box.recorder.stop()
        wait_until(lambda: box.recorder._process_until < float("inf"), "the end begins")
        stopped.set()
    assert len(processed) < 10


def test_a_block_on_which_processing_always_fails_ends_nothing_but_itself(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Processor.process

    def fail_at_30(processor: Processor, block: TapeBlock) -> None:
        if block.number == 30:
            raise RuntimeError("a detector that cannot bear this")
        process(processor, block)

    monkeypatch.setattr(Processor, "process", fail_at_30)
    card = MemoryCard()
    card.events.append(LineEvent(EventKind.OFF_HOOK, 0, RATE_HZ))
    card.events.append(LineEvent(EventKind.ON_HOOK, 0, 8 * RATE_HZ))
    card.now = 12 * RATE_HZ
    with recording(home, card) as box:
        box.wait_processed("SELECT 1 FROM recordings WHERE state = 'ready'")
    (call,) = rows(home, "SELECT * FROM calls")
    assert call["ended_ms"] - call["started_ms"] == 7000
    assert [row["missing_samples"] for row in rows(home, "SELECT * FROM recordings")] == [0]


def test_a_signal_that_comes_as_the_recorder_waits_is_heard(home: Home) -> None:
    recorder = Recorder(home, RecorderOptions("t", "memory", ""), MemoryCard())
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    stop_on_signal(recorder)
    try:
        with recorder._stop._cond:  # as within wait()
            signal.raise_signal(signal.SIGTERM)
        assert recorder._stop.wait(15)
    finally:
        for number, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
            signal.signal(number, handler)


def test_a_card_with_another_sample_rate_is_refused(home: Home) -> None:
    card = MemoryCard()
    card.capabilities = Capabilities(1, 16_000)
    with pytest.raises(ConfigError, match="16000"):
        Recorder(home, RecorderOptions("t", "memory", ""), card).run()


class Stall:
    """A disk that takes nothing of the tape, from ``begin`` to ``end``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch

    def begin(self) -> None:
        def refuse(ring: TapeRing, block: TapeBlock, *, through: bool = False) -> None:
            raise OSError(errno.EIO, "stalled")

        self._patch.setattr(TapeRing, "write", refuse)
        self._patch.setattr(TapeRing, "spill", refuse)
        self._patch.setattr(writer_module, "LAST_TRY_S", 0.0)

    def end(self) -> None:
        self._patch.undo()
        self._patch.setattr(daemon_module, "GIVE_UP_S", 0.3)


def on_tape(box: Box) -> int:
    reader = box.reader()
    last = reader.last_head()
    reader.close()
    return 0 if last is None else (last.number + 1) * 800


WHILE_STALLED = tuple(
    LineEvent(kind, 0, at_s * RATE_HZ)
    for kind, at_s in ((EventKind.OFF_HOOK, 12), (EventKind.ON_HOOK, 15), (EventKind.OFF_HOOK, 24))
)


def killed_in_a_call_while_the_disk_stalls(home: Home, card: MemoryCard, stall: Stall) -> None:
    """The store has heard of a call at 12 s and one since 24 s, the tape of 10 s; the process's memory is lost."""
    card.now = 10 * RATE_HZ
    with recording(home, card) as box:
        box.wait_for(10 * RATE_HZ)
        stall.begin()
        card.events.extend(WHILE_STALLED)
        card.now = 25 * RATE_HZ
        box.wait_processed("SELECT 1 FROM calls WHERE state <> 'ended'")
        box.wait_processed(f"SELECT 1 FROM recorder_state WHERE position > {24 * RATE_HZ}")
        assert on_tape(box) == 10 * RATE_HZ
    assert [row["state"] for row in rows(home, "SELECT * FROM recordings")] == ["pending"]
    stall.end()


def test_a_checkpoint_ahead_of_the_tape_is_true_when_the_card_sends_again(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = MemoryCard()
    killed_in_a_call_while_the_disk_stalls(home, card, Stall(monkeypatch))
    card.events.extend(WHILE_STALLED)
    card.events.append(LineEvent(EventKind.ON_HOOK, 0, 27 * RATE_HZ))
    card.slow_s = 0.5  # the cutter is awake before the audio is there
    card.now = 32 * RATE_HZ
    with recording(home, card) as box:
        box.wait_processed("SELECT 1 FROM recordings WHERE state = 'ready'", 2)
        assert box.reader().read(0, 0, 32 * RATE_HZ)[1] == []
    calls = rows(home, "SELECT * FROM calls")
    assert [call["ended_ms"] - call["started_ms"] for call in calls] == [3000, 3000]
    assert [row["missing_samples"] for row in rows(home, "SELECT * FROM recordings")] == [0, 0]
    told = [(row["call_id"], row["kind"]) for row in rows(home, "SELECT * FROM events WHERE call_id NOT NULL")]
    assert len(told) == len(set(told)), "an event was told twice"


@pytest.mark.parametrize("wall_step_s", [0, -86_400])
def test_after_a_checkpoint_ahead_of_the_tape_nothing_of_a_new_power_up_is_missed(
    home: Home, monkeypatch: pytest.MonkeyPatch, wall_step_s: int
) -> None:
    """The box and its card were without power, and the box may have forgotten the time."""
    card = MemoryCard()
    killed_in_a_call_while_the_disk_stalls(home, card, Stall(monkeypatch))
    card.restarted(BOOT_B, 27_000_000_000)
    card.wall_step_ns = wall_step_s * 1_000_000_000
    for kind, at in ((EventKind.ON_HOOK, 0), (EventKind.OFF_HOOK, RATE_HZ), (EventKind.ON_HOOK, 4 * RATE_HZ)):
        card.events.append(LineEvent(kind, 0, at))
    card.now = 8 * RATE_HZ
    with recording(home, card) as box:
        box.wait_processed("SELECT 1 FROM calls WHERE state = 'ended'", 3)
        box.wait_processed("SELECT 1 FROM recordings WHERE state = 'ready'", 1)
    *_, new = rows(home, "SELECT * FROM calls ORDER BY rowid")
    assert new["ended_ms"] - new["started_ms"] == 3000


def test_nothing_is_cut_that_is_not_on_the_medium(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    card, stall = MemoryCard(), Stall(monkeypatch)
    card.now = 5 * RATE_HZ
    with recording(home, card) as box:
        box.wait_for(5 * RATE_HZ)
        stall.begin()
        card.events.append(LineEvent(EventKind.OFF_HOOK, 0, 6 * RATE_HZ))
        card.events.append(LineEvent(EventKind.ON_HOOK, 0, 9 * RATE_HZ))
        card.now = 15 * RATE_HZ
        box.wait_processed("SELECT 1 FROM recordings WHERE state = 'pending'")
        time.sleep(1.2)  # the cutter looks every second
        assert [row["state"] for row in rows(home, "SELECT state FROM recordings")] == ["pending"]
        stall.end()
        box.wait_processed("SELECT 1 FROM recordings WHERE state = 'ready'")
    (row,) = rows(home, "SELECT * FROM recordings")
    assert row["missing_samples"] == 0


def test_a_tape_may_be_given_by_its_size(home: Home) -> None:
    card = MemoryCard()
    recorder = Recorder(home, RecorderOptions("t", "memory", "", tape_gib=0.01), card)
    thread = threading.Thread(target=recorder.run)
    thread.start()
    wait_until(lambda: (home.tapes / "t.tape").exists(), "a tape")
    recorder.stop()
    thread.join(20)
    size = (home.tapes / "t.tape").stat().st_size
    assert 0.01 * (1 << 30) - 10_000 < size <= 0.01 * (1 << 30)
