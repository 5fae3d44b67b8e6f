"""A channel that is not in use: nothing of it is recorded or told, whatever happens on its line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from recorded_lines import BOOT, CARD_ID, RATE_HZ, noise, put, registered
from tracked_line import TrackedLine, asks, digits, line, voice, wall_ms

from drivers.api import EventKind, LineEvent, LinkCounters
from firmware.config import Home
from firmware.live_file import read_live
from recorder.journal import Journal
from recorder.processor import Processor
from recorder.signals import Tone, ToneHeard
from recorder.status import CardStatus, write_status
from recorder.tape.format import geometry_for
from recorder.tape.reader import TapeReader
from recorder.tape.writer import TapeWriter
from recorder.tracking.channel import TrackerSettings

K = EventKind
LIFE = [
    line(1, K.RING_ON), line(2, K.RING_OFF), line(3, K.OFF_HOOK), *digits(3.5, "110"), voice(6), voice(9, False),
    line(10, K.ON_HOOK), line(12, K.LINE_LOST), line(13, K.LINE_PRESENT), line(14, K.ON_HOOK), line(20, K.OFF_HOOK),
    ToneHeard(0, 21 * RATE_HZ, Tone.FAX_CALLING), line(22, K.CALL_SETUP, '{"direction":"incoming"}'),
]  # fmt: skip


@pytest.mark.parametrize("trigger", ["hook", "voice", "signalling"])
@pytest.mark.parametrize("store", [False, True])
def test_nothing_that_happens_is_told(trigger: str, store: bool) -> None:
    told = TrackedLine(enabled=False, start_trigger=trigger, continuous=True).play(LIFE, 60, store)
    assert told.news == []
    assert not told.tracker.running
    assert (told.tracker.state.line, told.tracker.state.hook) == ("present", "off")


def test_a_recording_by_hand_is_refused() -> None:
    told = TrackedLine(enabled=False).play([asks(1, "record")], 5)
    assert told.refused == ["this channel is switched off"]


def test_the_running_call_is_recorded_to_its_end_and_the_next_is_none() -> None:
    told = TrackedLine().play([line(2, K.OFF_HOOK)], 5)
    told.tracker.settings = replace(told.tracker.settings, enabled=False)
    assert (told.tracker.waiting, told.tracker.watched) == (("enabled",), True)
    told.play([line(9, K.ON_HOOK), line(20, K.OFF_HOOK), line(25, K.ON_HOOK)], 40)
    assert told.spans() == [(1, 9.3)]
    assert not told.tracker.watched


def test_switched_on_again_it_goes_on_from_the_line_as_it_is() -> None:
    told = TrackedLine(enabled=False).play([line(2, K.OFF_HOOK)], 5)
    told.tracker.settings = replace(told.tracker.settings, enabled=True)
    told.play([line(9, K.ON_HOOK), line(20, K.OFF_HOOK), line(25, K.ON_HOOK)], 40)
    assert told.spans() == [(19, 25.3)]


def test_round_the_clock_ends_when_it_is_switched_off() -> None:
    told = TrackedLine(continuous=True).play([], 20)
    told.tracker.settings = replace(told.tracker.settings, enabled=False)
    told.news += told.tracker.round_the_clock(20 * RATE_HZ, wall_ms)
    told.play([], 30)
    assert told.spans("continuous") == [(0, 20)]


def test_the_board_is_told_nothing_of_the_line(home: Home, tmp_path: Path) -> None:
    tape = TapeWriter(tmp_path / "t.tape", geometry_for(2, RATE_HZ, 0.5), CARD_ID)
    tape.join(BOOT, 0, 0)
    for port in (0, 1):
        tape.note(LineEvent(K.OFF_HOOK, port, 100))
        tape.note(LineEvent(K.VOLTAGE, port, 100, -48.5))
    put(tape, noise(2, RATE_HZ), 0)
    tape.close()
    reader, channels = TapeReader(tmp_path / "t.tape"), registered(home, 2)
    settings = {1: TrackerSettings(enabled=False), 2: TrackerSettings()}
    processor = Processor(Journal(home, CARD_ID), reader, channels, False, lambda number: settings[number])
    for number in range(10):
        block = reader.block(number)
        assert block is not None
        processor.process(block)
    path = home.status / "t.live"
    write_status(path, CARD_ID, False, True, LinkCounters(), processor, {})
    off, on = msgspec.json.decode(read_live(path) or b"", type=CardStatus).ports
    assert (off.line, off.hook, off.volts, off.level_dbm0, off.call_id) == ("unknown", "unknown", None, None, None)
    assert (on.hook, on.volts, on.recording) == ("off", -48.5, True)
