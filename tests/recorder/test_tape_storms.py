"""The tape under a hostile or broken card: no storm stops it, delays other ports for long, or makes it lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from recorded_lines import BOOT, CARD_ID, RATE_HZ, noise, put

from drivers.api import EventKind, LineEvent
from firmware.errors import StoreError
from recorder.tape.assembly import LONGEST_JUMP_S
from recorder.tape.format import geometry_for
from recorder.tape.reader import TapeReader, resume_point
from recorder.tape.writer import TapeWriter

BLOCK = 800


def new_tape(path: Path, tracks: int = 2, minutes: float = 0.5) -> TapeWriter:
    tape = TapeWriter(path, geometry_for(tracks, RATE_HZ, minutes), CARD_ID)
    tape.join(BOOT, 0, 0)
    return tape


def events_by_block(path: Path, blocks: int) -> list[tuple[LineEvent, ...]]:
    reader = TapeReader(path)
    found = [reader.block(number) for number in range(blocks)]
    return [block.events if block else () for block in found]


def test_hundreds_of_gaps_in_one_block_become_one(tmp_path: Path) -> None:
    tape = new_tape(tmp_path / "t.tape")
    sent = noise(2, 3 * BLOCK) | 1
    for at in range(0, BLOCK, 2):
        put(tape, sent[:, at : at + 1], at)
    put(tape, sent[:, BLOCK:], BLOCK)
    out, gaps = TapeReader(tmp_path / "t.tape").read(1, 0, 3 * BLOCK)
    assert gaps == [(1, BLOCK)]
    assert not out[1:BLOCK].any()
    assert np.array_equal(out[BLOCK:], sent[1, BLOCK:])


def test_an_event_too_long_to_note_holds_up_nothing(tmp_path: Path) -> None:
    tape = new_tape(tmp_path / "t.tape")
    tape.note(LineEvent(EventKind.CALLER_ID, 0, 1, "x" * 5000))
    good = LineEvent(EventKind.OFF_HOOK, 0, 2)
    tape.note(good)
    put(tape, noise(2, BLOCK), 0)
    assert events_by_block(tmp_path / "t.tape", 1) == [(good,)]
    assert tape.events_dropped == 1


def test_a_storm_on_one_port_does_not_delay_the_others(tmp_path: Path) -> None:
    tape = new_tape(tmp_path / "t.tape")
    for index in range(5000):
        tape.note(LineEvent(EventKind.OFF_HOOK if index % 2 else EventKind.ON_HOOK, 0, index))
    other = LineEvent(EventKind.RING_ON, 1, 5)
    tape.note(other)
    put(tape, noise(2, 40 * BLOCK), 0)
    told = events_by_block(tmp_path / "t.tape", 40)
    assert other in told[0]
    stormed = [event.at_sample for block in told for event in block if event.port == 0]
    assert stormed == list(range(512))
    assert tape.events_dropped == 5000 - 512


def test_of_voltages_that_wait_the_last_is_enough(tmp_path: Path) -> None:
    ports = 255
    tape = new_tape(tmp_path / "t.tape", ports)
    for turn in range(20):
        for port in range(ports):
            tape.note(LineEvent(EventKind.VOLTAGE, port, 1 << 40, 48.125 + turn))
    hook = LineEvent(EventKind.OFF_HOOK, 254, 3)
    tape.note(hook)
    put(tape, noise(ports, 3 * BLOCK), 0)
    told = events_by_block(tmp_path / "t.tape", 3)
    assert told[0][0] == hook
    volts = [event for block in told for event in block if event.kind is EventKind.VOLTAGE]
    assert sorted(event.port for event in volts) == list(range(ports))
    assert {event.value for event in volts} == {67.125}
    assert tape.events_dropped == 0


@pytest.mark.parametrize("ports", [1, 2, 128, 255])
def test_every_number_of_ports(tmp_path: Path, ports: int) -> None:
    tape = new_tape(tmp_path / "t.tape", ports, minutes=0.05)
    sent = noise(ports, 5 * BLOCK)
    put(tape, sent, 0)
    tape.close()
    reader = TapeReader(tmp_path / "t.tape")
    for track in (0, ports // 2, ports - 1):
        out, gaps = reader.read(track, 0, 5 * BLOCK)
        assert gaps == []
        assert np.array_equal(out, sent[track])


@pytest.mark.parametrize("card_sample", [0, 10 * RATE_HZ + LONGEST_JUMP_S * RATE_HZ + 1])
def test_a_clock_that_leaps_under_the_same_boot_id_is_a_new_power_up(tmp_path: Path, card_sample: int) -> None:
    tape = new_tape(tmp_path / "t.tape")
    put(tape, noise(2, 10 * RATE_HZ), 0)
    tape.join(BOOT, card_sample, 3 * RATE_HZ)
    put(tape, noise(2, RATE_HZ, seed=2), card_sample)
    out, gaps = TapeReader(tmp_path / "t.tape").read(0, 0, 14 * RATE_HZ)
    assert gaps == [(10 * RATE_HZ, 13 * RATE_HZ)]
    assert np.array_equal(out[13 * RATE_HZ :], noise(2, RATE_HZ, seed=2)[0])


def test_the_end_behind_a_long_hole_is_found_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "t.tape"
    tape = new_tape(path, minutes=3)
    put(tape, noise(2, RATE_HZ), 0)
    tape.spool.sync()
    put(tape, noise(2, RATE_HZ), 100 * RATE_HZ)
    tape._ring.close()
    point = resume_point(path)
    assert point is not None
    assert (point.boot_id, point.next_sample) == (BOOT, 101 * RATE_HZ)


def test_names_of_any_kind_come_back(tmp_path: Path) -> None:
    card_id = "serial-" + "七" * 20 + "0" * 40
    for boot_id in ("00" * 8, "ab" * 7 + "00", "not hexadecimal"):
        path = tmp_path / f"{boot_id}.tape"
        tape = TapeWriter(path, geometry_for(1, RATE_HZ, 0.1), card_id)
        tape.join(boot_id, 0, 0)
        put(tape, noise(1, BLOCK), 0)
        tape.close()
        again = TapeWriter(path, geometry_for(1, RATE_HZ, 0.1), card_id)
        assert (again.boot_id, again.end_sample) == (boot_id, BLOCK)
        again.close()
    assert list(tmp_path.glob("*.set-aside")) == []


def test_no_room_for_a_tape_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        TapeWriter(tmp_path / "t.tape", geometry_for(255, RATE_HZ, 10_000_000), CARD_ID)
    assert list(tmp_path.iterdir()) == []
