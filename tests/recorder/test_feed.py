"""The feed between reading and processing: every block once, in order, from memory or from the tape."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from recorded_lines import BLOCK, BOOT, CARD_ID, RATE_HZ, noise

import recorder.tape.feed as feed_module
from drivers.api import PcmBlock
from recorder.tape.assembly import LONGEST_FILL_S
from recorder.tape.feed import BlockFeed
from recorder.tape.format import TapeBlock, geometry_for
from recorder.tape.reader import TapeReader
from recorder.tape.writer import TapeWriter


class Reel:
    """A tape that is being written, and its feed."""

    def __init__(self, path: Path, minutes: float = 0.5) -> None:
        self.tape = TapeWriter(path, geometry_for(1, RATE_HZ, minutes), CARD_ID)
        self.tape.join(BOOT, 0, 0)
        self.feed = BlockFeed(TapeReader(path), self.tape.spool.first_from)
        self.sent = noise(1, 60 * RATE_HZ)
        self.at = 0

    def write(self, blocks: int) -> None:
        for _ in range(blocks):
            samples = np.ascontiguousarray(self.sent[:, self.at : self.at + BLOCK])
            for done in self.tape.append(PcmBlock(samples, self.at, 0, 1), 1):
                self.feed.put(done)
            self.tape.spool.write_out()
            self.at += BLOCK

    def take_all(self, number: int = 0) -> list[int]:
        taken = []
        while (block := self.feed.take(number, 0.0)) is not None:
            if block.first_sample + BLOCK <= self.sent.shape[1]:
                first = block.first_sample
                assert np.array_equal(block.samples, self.sent[:, first : first + BLOCK])
            taken.append(block.number)
            number = block.number + 1
        return taken


@pytest.fixture
def reel(tmp_path: Path) -> Reel:
    return Reel(tmp_path / "t.tape")


def test_blocks_come_in_order_and_once(reel: Reel) -> None:
    reel.write(5)
    assert reel.take_all() == [0, 1, 2, 3, 4]
    assert reel.feed.take(5, 0.01) is None
    reel.write(2)
    assert reel.take_all(5) == [5, 6]


def test_a_slow_reader_falls_back_to_the_tape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "MEMORY_BYTES", 1)
    reel = Reel(tmp_path / "t.tape")
    reel.write(50)
    assert reel.take_all() == list(range(50))


def test_a_lapped_reader_goes_on_with_the_oldest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "MEMORY_BYTES", 1)
    reel = Reel(tmp_path / "t.tape")
    slots = reel.tape.geometry.slots
    reel.write(slots + 20)
    reel.tape.spool.sync()  # nor does memory have them
    assert reel.take_all() == list(range(20, slots + 20))


def test_processing_that_begins_again_reads_what_was_taken_already(reel: Reel) -> None:
    reel.write(10)
    assert reel.take_all() == list(range(10))
    assert reel.take_all(4) == list(range(4, 10))


def test_a_hole_in_the_tape_is_passed_over(reel: Reel) -> None:
    reel.write(3)
    reel.at += (LONGEST_FILL_S + 1) * RATE_HZ
    reel.write(2)
    after = 3 + (LONGEST_FILL_S + 1) * 10
    assert reel.take_all() == [0, 1, 2, after, after + 1]


def test_a_reader_ahead_of_the_tape_waits(reel: Reel) -> None:
    reel.write(3)
    assert reel.feed.take(5, 0.01) is None
    reel.write(4)
    assert reel.take_all(5) == [5, 6]


def test_a_restart_finds_what_the_tape_has(reel: Reel) -> None:
    reel.write(8)
    again = BlockFeed(TapeReader(reel.tape.path), reel.tape.spool.first_from)
    assert again.take(2, 0.0) is None
    again.start_at_end_of(7)
    block = again.take(2, 0.0)
    assert block is not None
    assert block.number == 2


def test_one_writer_and_one_reader_at_once(reel: Reel) -> None:
    writer = threading.Thread(target=reel.write, args=(200,))
    writer.start()
    number, taken = 0, []
    while len(taken) < 200:
        block = reel.feed.take(number, 5.0)
        assert block is not None
        taken.append(block.number)
        number = block.number + 1
    writer.join()
    assert taken == list(range(200))


def test_a_block_that_memory_lets_go_while_older_ones_are_looked_for_is_not_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "MEMORY_BYTES", 1)
    reel = Reel(tmp_path / "t.tape")
    reel.at = (LONGEST_FILL_S + 1) * RATE_HZ
    first = reel.at // BLOCK
    reel.write(4)

    def held(number: int) -> TapeBlock | None:
        if reel.at // BLOCK == first + 4:
            reel.write(1)
        return reel.tape.spool.first_from(number)

    reel.feed._held = held
    assert reel.take_all() == list(range(first, first + 5))
