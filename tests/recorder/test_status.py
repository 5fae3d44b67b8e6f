"""The status files: what the live board shows of each port right now, and how good the lines sound."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from recorded_lines import BOOT, CARD_ID, RATE_HZ, noise, put, registered
from tracked_line import asks, wall_ms

from drivers.api import EventKind, LineEvent, LinkCounters
from firmware.config import Home
from firmware.live_file import read_live
from recorder.journal import Journal
from recorder.processor import Processor
from recorder.status import CardQuality, CardStatus, PortStatus, write_quality, write_status
from recorder.tape.format import geometry_for
from recorder.tape.reader import TapeReader
from recorder.tape.writer import TapeWriter
from recorder.tracking.channel import TrackerSettings


def ports(home: Home, processor: Processor, connected: bool = True) -> list[PortStatus]:
    path = home.status / "t.live"
    write_status(path, CARD_ID, False, connected, LinkCounters(frames=3), processor, {})
    status = msgspec.json.decode(read_live(path) or b"", type=CardStatus)
    assert (status.card_id, status.connected, status.link.frames) == (CARD_ID, connected, 3)
    return status.ports


def test_what_is_recorded_and_what_is_paused(home: Home, tmp_path: Path) -> None:
    tape = TapeWriter(tmp_path / "t.tape", geometry_for(3, RATE_HZ, 0.5), CARD_ID)
    tape.join(BOOT, 0, 0)
    for port in (0, 1):
        tape.note(LineEvent(EventKind.OFF_HOOK, port, 100))
    tape.note(LineEvent(EventKind.VOLTAGE, 2, 100, -48.5))
    put(tape, noise(3, RATE_HZ), 0)
    tape.close()
    settings = {1: TrackerSettings(), 2: TrackerSettings(record_mode="none"), 3: TrackerSettings()}
    journal = Journal(home, CARD_ID)
    reader = TapeReader(tmp_path / "t.tape")
    processor = Processor(journal, reader, registered(home, 3), False, lambda number: settings[number])
    for number in range(10):
        block = reader.block(number)
        assert block is not None
        processor.process(block)
    found = ports(home, processor)
    assert [(port.channel, port.hook, port.recording, port.paused) for port in found] == [
        (1, "off", True, False), (2, "off", False, False), (3, "unknown", False, False),
    ]  # fmt: skip
    assert [port.call_id is not None for port in found] == [True, True, False]
    assert found[2].volts == -48.5
    assert [port.rings for port in found] == [0, 0, 0]
    processor.trackers[2].feed(LineEvent(EventKind.RING_ON, 2, 8000), wall_ms)
    assert ports(home, processor)[2].rings == 1
    processor.trackers[2].feed(LineEvent(EventKind.LINE_LOST, 2, 8100), wall_ms)
    assert ports(home, processor)[2].rings == 0
    processor.trackers[0].order(asks(0.5, "pause"), 4000, RATE_HZ, wall_ms)
    processor.trackers[2].order(asks(0.5, "record"), 4000, RATE_HZ, wall_ms)
    assert [(port.recording, port.paused) for port in ports(home, processor)] == [
        (False, True), (False, False), (True, False),
    ]  # fmt: skip
    gone = ports(home, processor, connected=False)
    assert [(port.hook, port.recording) for port in gone] == [("unknown", False)] * 3


def test_how_good_the_lines_sound_over_the_call_that_is_heard(home: Home, tmp_path: Path) -> None:
    """Near is 10 dB louder than far; what was clipped before the call does not count for it."""
    time = np.arange(4 * RATE_HZ) / RATE_HZ
    near = np.rint(8000 * np.sin(2 * np.pi * 1020 * time)).astype(np.int16)
    far = np.rint(2530 * np.sin(2 * np.pi * 1020 * time)).astype(np.int16)
    near[4000:4100] = 32256
    tape = TapeWriter(tmp_path / "t.tape", geometry_for(4, RATE_HZ, 0.5), CARD_ID)
    tape.join(BOOT, 0, 0)
    heard = np.stack((np.zeros_like(near), np.zeros_like(near), near, far))
    put(tape, heard[:, : 2 * RATE_HZ - 800], 0)
    tape.note(LineEvent(EventKind.OFF_HOOK, 1, 2 * RATE_HZ - 10))
    put(tape, heard[:, 2 * RATE_HZ - 800 :], 2 * RATE_HZ - 800)
    tape.close()
    reader = TapeReader(tmp_path / "t.tape")
    processor = Processor(Journal(home, CARD_ID), reader, registered(home, 2), False, lambda number: TrackerSettings())

    def quality(blocks: range) -> CardQuality:
        for number in blocks:
            block = reader.block(number)
            assert block is not None
            processor.process(block)
        write_quality(home.status / "t.quality", processor)
        return msgspec.json.decode(read_live(home.status / "t.quality") or b"", type=CardQuality)

    idle, before = quality(range(10)).ports
    assert before.sides[0].clipped_runs == 1
    assert idle.sides[0].clipped_runs == 0
    assert before.sides[0].peak_dbm0 == pytest.approx(3.0, abs=0.3)
    idle, line = quality(range(10, 40)).ports
    assert (idle.channel, line.channel) == (1, 2)
    assert (idle.sides[0].silent_percent, idle.difference_db) == (100.0, None)
    assert line.difference_db == pytest.approx(10.0, abs=0.2)
    assert [side.seconds for side in line.sides] == [2.0, 2.0]
    assert idle.sides[0].seconds == 4.0
    assert line.sides[0].clipped_runs == 0
    assert line.sides[1].rms_dbm0 == pytest.approx(-19.1, abs=0.2)
