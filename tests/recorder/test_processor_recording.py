"""Calls that speech begins and recordings around the clock, from a tape, through crashes, holes and new tapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bank_runner import prompts
from recorded_lines import BOOT, CARD_ID, RATE_HZ, WALL_NS, noise, put, registered, rows

from drivers.api import EventKind, LineEvent
from firmware.config import Home
from recorder.journal import Journal
from recorder.processor import Processor
from recorder.tape.format import geometry_for
from recorder.tape.reader import TapeReader
from recorder.tape.writer import TapeWriter
from recorder.tracking.channel import TrackerSettings

RING_S, SPEECH_S = 3.0, ((8.0, 14.0), (30.0, 50.0))
SECONDS = 70


class Worker:
    """Processing as the recorder starts it, with settings of the test."""

    def __init__(self, home: Home, tape: TapeReader, ports: int = 1, **parameters: Any) -> None:
        self.tape = tape
        channels = registered(home, ports)
        self.journal = Journal(home, CARD_ID)
        self.settings = TrackerSettings(**parameters)
        self.processor = Processor(self.journal, tape, channels, False, lambda _: self.settings)

    def run(self, upto_s: float) -> Worker:
        for number in range(self.processor.next_block, round(upto_s * 10)):
            block = self.tape.block(number)
            if block is not None:
                self.processor.process(block)
        return self

    def checkpoint(self) -> None:
        """As happens every second."""
        self.journal.commit(self.processor.position, [tracker.state for tracker in self.processor.trackers], [])


def spans(home: Home, kind: str, port: int = 0) -> list[tuple[float, float]]:
    query = "SELECT * FROM recordings WHERE kind = ? AND channel = ? ORDER BY from_sample"
    return [(row["from_sample"] / RATE_HZ, row["to_sample"] / RATE_HZ) for row in rows(home, query, kind, port + 1)]


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> TapeReader:
    """A line that rings once and on which people then speak twice; its card senses no hook."""
    path = tmp_path_factory.mktemp("spoken") / "t.tape"
    heard = noise(1, SECONDS * RATE_HZ) // 300
    speech = prompts(40.0)
    for begin, end in SPEECH_S:
        low, high = round(begin * RATE_HZ), round(end * RATE_HZ)
        heard[0, low:high] = speech[: high - low]
    tape = TapeWriter(path, geometry_for(1, RATE_HZ, 2), CARD_ID)
    tape.join(BOOT, 0, 0)
    for kind, at_s in ((EventKind.RING_ON, RING_S), (EventKind.RING_OFF, RING_S + 1)):
        tape.note(LineEvent(kind, 0, round(at_s * RATE_HZ)))
    for first in range(0, SECONDS * RATE_HZ, 10 * RATE_HZ):
        put(tape, heard[:, first : first + 10 * RATE_HZ], first)
    tape.close()
    return TapeReader(path)


def test_speech_on_a_line_without_a_hook_is_found_where_it_is(home: Home, spoken: TapeReader) -> None:
    Worker(home, spoken, start_trigger="voice").run(SECONDS)
    calls = rows(home, "SELECT * FROM calls ORDER BY started_ms")
    assert [(call["direction"], call["answer_basis"]) for call in calls] == [
        ("incoming", "voice"),
        ("outgoing", "voice"),
    ]
    found = spans(home, "call")
    for (low, high), (begin, end) in zip(found, SPEECH_S, strict=True):
        assert begin - 1.3 < low < begin - 0.7
        assert end - 1.5 < high < end + 1.0
    rings = (WALL_NS // 1_000_000 + 3000, WALL_NS // 1_000_000 + round(found[0][0] * 1000) + 1000)
    assert (calls[0]["started_ms"], calls[0]["answered_ms"]) == rings


def test_without_the_trigger_nothing_is_a_call_but_the_ring(home: Home, spoken: TapeReader) -> None:
    Worker(home, spoken).run(SECONDS)
    assert [call["result"] for call in rows(home, "SELECT * FROM calls")] == ["abandoned"]
    assert spans(home, "call") == []


@pytest.mark.parametrize("every_s", [3.3, 7.1])
def test_voice_calls_survive_restarts(home: Home, spoken: TapeReader, every_s: float) -> None:
    """Detectors that begin anew may differ by a breath, but neither lose speech nor hear it end too soon."""
    upto_s = 0.0
    while upto_s < SECONDS:
        upto_s = min(SECONDS, upto_s + every_s)
        worker = Worker(home, spoken, start_trigger="voice").run(upto_s)
        worker.journal.close()
    found = spans(home, "call")
    for (low, high), (begin, end) in zip(found, SPEECH_S, strict=True):
        assert begin - 1.5 < low < begin - 0.5
        assert end - 1.5 < high < end + every_s + 1.0


def test_a_voice_call_whose_speech_ended_while_nobody_listened_ends(home: Home, spoken: TapeReader) -> None:
    worker = Worker(home, spoken, start_trigger="voice").run(10)
    assert worker.processor.trackers[0].state.call is not None
    worker.processor.position = 16 * RATE_HZ  # as if the detectors had lost track
    worker.checkpoint()
    worker.journal.close()
    Worker(home, spoken, start_trigger="voice").run(29)
    assert rows(home, "SELECT count(*) AS n FROM calls WHERE state = 'ended'") == [{"n": 1}]


# ── around the clock ────────────────────────────────────────────────────────────────────────────────────────────────


def quiet_tape(path: Path, *parts: tuple[float, float], minutes: float = 2) -> TapeReader:
    """Two ports of noise from–to seconds; holes between the parts."""
    tape = TapeWriter(path, geometry_for(2, RATE_HZ, minutes), CARD_ID)
    tape.join(BOOT, 0, 0)
    for begin, end in parts:
        for first in range(round(begin * RATE_HZ), round(end * RATE_HZ), RATE_HZ):
            put(tape, noise(2, RATE_HZ), first)
    tape.close()
    return TapeReader(path)


CONTINUOUS: dict[str, Any] = {"continuous": True, "longest_segment_s": 10}


@pytest.mark.parametrize("every_s", [1.7, 4.7])
def test_around_the_clock_through_restarts(home: Home, tmp_path: Path, every_s: float) -> None:
    tape = quiet_tape(tmp_path / "t.tape", (0, 45))
    upto_s = 0.0
    while upto_s < 45:
        upto_s = min(45, upto_s + every_s)
        worker = Worker(home, tape, 2, **CONTINUOUS).run(upto_s)
        worker.checkpoint()
        worker.journal.close()
    for port in (0, 1):
        assert spans(home, "continuous", port) == [(0, 10), (10, 20), (20, 30), (30, 40)]
    segments = rows(home, "SELECT segment, started_ms FROM recordings WHERE channel = 1 ORDER BY segment")
    assert segments == [{"segment": index, "started_ms": WALL_NS // 1_000_000 + index * 10_000} for index in range(4)]


def test_it_ends_and_begins_with_the_card(home: Home, tmp_path: Path) -> None:
    worker = Worker(home, quiet_tape(tmp_path / "t.tape", (0, 15), (40, 55)), 2, **CONTINUOUS).run(15)
    worker.processor.card_event("card_lost", "unplugged", 1)
    assert spans(home, "continuous") == [(0, 10), (10, 15)]
    assert worker.processor.trackers[0].running is False
    worker.run(55)
    assert spans(home, "continuous") == [(0, 10), (10, 15), (40, 50)]


def test_a_long_hole_without_a_word_from_the_card_ends_it_too(home: Home, tmp_path: Path) -> None:
    Worker(home, quiet_tape(tmp_path / "t.tape", (0, 15), (40, 55)), 2, **CONTINUOUS).run(55)
    assert spans(home, "continuous") == [(0, 10), (10, 15), (40, 50)]


def test_it_goes_on_with_a_new_tape_and_leaves_the_old_part_in_reach(home: Home, tmp_path: Path) -> None:
    old = quiet_tape(tmp_path / "t.tape", (0, 15))
    worker = Worker(home, old, 2, **CONTINUOUS).run(15)
    worker.checkpoint()
    worker.journal.close()
    new = quiet_tape(tmp_path / "t.tape", (0, 25), minutes=3)
    Worker(home, new, 2, **CONTINUOUS).run(25)
    found = rows(home, "SELECT tape_epoch, from_sample, to_sample FROM recordings WHERE channel = 1 ORDER BY rowid")
    assert [(row["tape_epoch"] == new.epoch, row["from_sample"], row["to_sample"]) for row in found] == [
        (False, 0, 80_000), (False, 80_000, 120_000), (True, 0, 80_000), (True, 80_000, 160_000),
    ]  # fmt: skip


def test_it_is_switched_at_once(home: Home, tmp_path: Path) -> None:
    worker = Worker(home, quiet_tape(tmp_path / "t.tape", (0, 60)), 2, longest_segment_s=10).run(12)
    for upto_s, continuous in ((12, True), (35, False)):
        worker.run(upto_s)
        worker.settings = TrackerSettings(continuous=continuous, longest_segment_s=10)
        worker.processor.reload_settings()
    worker.run(60)
    assert spans(home, "continuous") == [(12, 22), (22, 32), (32, 35)]


def test_a_segment_and_the_silence_behind_it_fit_on_the_tape(home: Home, tmp_path: Path) -> None:
    tape = quiet_tape(tmp_path / "t.tape", (0, 1))
    for parameters, longest_s in (
        ({"start_trigger": "voice", "voice_hang_ms": 20_000}, 60),
        ({"start_trigger": "voice", "voice_hang_ms": 600_000}, 40),
        ({"start_trigger": "hook", "voice_hang_ms": 600_000}, 80),
    ):
        worker = Worker(home, tape, 2, **parameters)
        assert worker.processor.trackers[0].settings.longest_segment_s == longest_s
        worker.journal.close()


def test_quiet_lines_are_quiet(home: Home, tmp_path: Path) -> None:
    worker = Worker(home, quiet_tape(tmp_path / "t.tape", (0, 20)), 2).run(20)
    assert not any(tracker.running for tracker in worker.processor.trackers)
    assert rows(home, "SELECT 1 FROM events") == rows(home, "SELECT 1 FROM recordings") == []
    assert np.all(worker.processor.levels_dbm0 > -60)
