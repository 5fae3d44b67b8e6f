"""The status file: what the live board shows of each port right now."""

from __future__ import annotations

from pathlib import Path

import msgspec
from recorded_lines import BOOT, CARD_ID, RATE_HZ, noise, put, registered
from tracked_line import asks, wall_ms

from drivers.api import EventKind, LineEvent, LinkCounters
from firmware.config import Home
from firmware.live_file import read_live
from recorder.journal import Journal
from recorder.processor import Processor
from recorder.status import CardStatus, PortStatus, write_status
from recorder.tape.format import geometry_for
from recorder.tape.reader import TapeReader
from recorder.tape.writer import TapeWriter
from recorder.tracking.channel import TrackerSettings


def ports(home: Home, processor: Processor, connected: bool = True) -> list[PortStatus]:
    path = home.status / "t.live"
    write_status(path, CARD_ID, False, connected, LinkCounters(frames=3), processor)
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
    processor.trackers[0].order(asks(0.5, "pause"), 4000, RATE_HZ, wall_ms)
    processor.trackers[2].order(asks(0.5, "record"), 4000, RATE_HZ, wall_ms)
    assert [(port.recording, port.paused) for port in ports(home, processor)] == [
        (False, True), (False, False), (True, False),
    ]  # fmt: skip
    gone = ports(home, processor, connected=False)
    assert [(port.hook, port.recording) for port in gone] == [("unknown", False)] * 3
