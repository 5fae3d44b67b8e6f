"""A tape tells why it lacks what it lacks: the card, the recorder, its memory or the disk."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from recorded_lines import BLOCK, BOOT, CARD_ID, RATE_HZ, noise, put

from drivers.api import PcmBlock
from recorder.cutting.taped import SharedTape, joined
from recorder.tape.format import geometry_for
from recorder.tape.missing import Missing, explain
from recorder.tape.reader import TapeReader, spill_folder
from recorder.tape.ring import TapeRing
from recorder.tape.writer import TapeWriter

GEOMETRY = geometry_for(2, RATE_HZ, 0.5)
SECOND = RATE_HZ


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.tape"


@pytest.fixture
def tape(path: Path) -> TapeWriter:
    """A recorder that heard the first second."""
    writer = TapeWriter(path, GEOMETRY, CARD_ID)
    writer.join(BOOT, 0, 0)
    put(writer, noise(2, SECOND), 0)
    return writer


def hear(tape: TapeWriter, first: int, samples: int = SECOND) -> None:
    put(tape, noise(2, samples, seed=first + 2), first)


def missing(path: Path, low: int, high: int) -> list[Missing]:
    """As the cutter finds it."""
    with closing(TapeReader(path)) as reader, closing(SharedTape(reader)) as shared:
        taped = shared.read_order(reader.epoch, range(2), low, high)
        assert joined((one.from_sample, one.to_sample) for one in taped.missing) == taped.gaps
        found = explain(reader, [(a + low, b + low) for a, b in taped.gaps])
        assert [one.later(-low) for one in found] == list(taped.missing)
        return found


@pytest.mark.parametrize("until", [SECOND + 333, 3 * SECOND + 5, 15 * SECOND, 15 * SECOND + 7])
def test_what_the_card_did_not_deliver(tape: TapeWriter, path: Path, until: int) -> None:
    hear(tape, until)
    tape.close()
    assert missing(path, 100, until + 1) == [Missing(SECOND, until, "not_received")]


@pytest.mark.parametrize("until", [SECOND + 333, 3 * SECOND + 5, 15 * SECOND + 7])
def test_what_came_while_no_recorder_ran(tape: TapeWriter, path: Path, until: int) -> None:
    """Of its own, a recorder that began anew tells only of what came after that."""
    tape.close()
    again = TapeWriter(path, GEOMETRY, CARD_ID)
    again.join(BOOT, until, 0)
    hear(again, until, SECOND // 2)
    hear(again, until + SECOND)
    again.close()
    lost = Missing(until + SECOND // 2, until + SECOND, "not_received")
    assert missing(path, 100, until + SECOND + 1) == [Missing(SECOND, until, "box_stopped"), lost]


def test_a_card_that_began_anew_while_no_recorder_ran(tape: TapeWriter, path: Path) -> None:
    hear(tape, SECOND, 500)  # of the block in hand nothing comes to the disk
    tape.close()
    again = TapeWriter(path, GEOMETRY, CARD_ID)
    again.join("other", 0, 3 * SECOND)
    hear(again, 0)
    again.close()
    assert missing(path, 0, 5 * SECOND) == [Missing(SECOND, 4 * SECOND, "box_stopped")]


def test_a_card_that_began_anew(tape: TapeWriter, path: Path) -> None:
    hear(tape, SECOND, 500)
    tape.join("other", 0, 3 * SECOND)
    hear(tape, 0)
    tape.close()
    assert missing(path, 0, 5 * SECOND) == [Missing(SECOND + 500, SECOND + BLOCK + 3 * SECOND, "not_received")]


def test_what_memory_gave_up(tape: TapeWriter, path: Path) -> None:
    tape.spool.sync()
    tape.spool.most_blocks = 10
    for second in (1, 2, 15):
        tape.append(PcmBlock(noise(2, SECOND, seed=second), second * SECOND, 0, 1), 1)
    assert tape.spool.given_up == 20
    tape.close()
    assert missing(path, 0, 15 * SECOND + 1) == [
        Missing(SECOND, 3 * SECOND, "not_written"),
        Missing(3 * SECOND, 15 * SECOND, "not_received"),
    ]


@pytest.mark.parametrize("what", ["a slot", "a head", "a track", "the first", "beside an absence"])
def test_what_the_disk_does_not_give_back(tape: TapeWriter, path: Path, what: str) -> None:
    hear(tape, 15 * SECOND)
    tape.close()
    block = {"the first": 0, "beside an absence": 9}.get(what, 3)
    with path.open("rb+") as file:
        file.seek(GEOMETRY.slot_offset(block) + (GEOMETRY.head_bytes + 9 if what == "a track" else 0))
        file.write(bytes(GEOMETRY.slot_bytes if what == "a slot" else 99))
    lost = Missing(block * BLOCK, (block + 1) * BLOCK, "unreadable")
    absent = Missing(SECOND, 15 * SECOND, "not_received")
    assert missing(path, 0, 16 * SECOND) == [lost, absent]


def test_a_damaged_track_beside_what_never_came(tape: TapeWriter, path: Path) -> None:
    """What never came, came on no track; the rest of the block is there on the other."""
    hear(tape, SECOND + 333)
    tape.close()
    with path.open("rb+") as file:
        file.seek(GEOMETRY.slot_offset(10) + GEOMETRY.head_bytes + 9)
        file.write(b"damage")
    assert missing(path, 0, 2 * SECOND) == [
        Missing(SECOND, SECOND + 333, "not_received"),
        Missing(SECOND + 333, SECOND + BLOCK, "unreadable"),
    ]


def test_what_was_written_over(tape: TapeWriter, path: Path) -> None:
    hear(tape, SECOND, 30 * SECOND)
    tape.close()
    assert missing(path, 0, 2 * SECOND) == [Missing(0, SECOND, "overwritten")]


def test_a_tape_that_was_set_aside_ends_where_its_recorder_stopped(tape: TapeWriter, path: Path) -> None:
    tape.close()
    epoch = tape.epoch
    TapeWriter(path, geometry_for(2, RATE_HZ, 1.0), CARD_ID).close()
    with closing(TapeReader(path)) as reader, closing(SharedTape(reader)) as shared:
        taped = shared.read_order(epoch, range(2), 100, 2 * SECOND)
    assert taped.missing == (Missing(SECOND - 100, 2 * SECOND - 100, "box_stopped"),)


def test_a_block_with_a_file_of_its_own_is_not_missing(tape: TapeWriter, path: Path) -> None:
    reader = TapeReader(path)
    block = reader.block(5)
    assert block is not None
    tape._ring.spill(block)
    tape.close()
    with path.open("rb+") as file:
        file.seek(GEOMETRY.slot_offset(5))
        file.write(bytes(GEOMETRY.slot_bytes))
    assert missing(path, 0, SECOND) == []
    (spill_folder(path) / "5.block").unlink()
    assert missing(path, 0, SECOND) == [Missing(5 * BLOCK, 6 * BLOCK, "unreadable")]


def test_a_tape_of_an_older_version_does_not_say(tape: TapeWriter, path: Path) -> None:
    hear(tape, SECOND + 333)
    hear(tape, 15 * SECOND)
    tape.close()
    reader = TapeReader(path)
    blocks = [reader.block(number) for number in (*range(21), *range(150, 160))]
    ring = TapeRing(path, GEOMETRY, CARD_ID)
    for block in blocks:
        assert block is not None
        ring.write(replace(block, follows=None))
    ring.close()
    assert missing(path, 0, 16 * SECOND) == [
        Missing(SECOND, SECOND + 333, "unknown"),
        Missing(2 * SECOND + 333, 15 * SECOND, "unknown"),
    ]
