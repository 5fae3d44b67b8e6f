"""What every line-card driver must do with its card, or with the card's emulator.

A driver's test derives from ``LineCardContract`` and gives a ``harness`` fixture.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pytest

from drivers.api import EventKind, LineCard, LineEvent, PcmBlock, ResumePoint
from firmware.errors import LineCardGone

BLOCK_LIMIT = 20_000


class CardHarness(Protocol):
    """One powered card whose signal is known, and its plug."""

    def driver(self) -> LineCard:
        """A fresh driver for the card, not yet opened."""

    def heard(self, first_sample: int, samples: int) -> npt.NDArray[np.int16]:
        """What the card must deliver there."""

    def disturb(self, data: bytes) -> None:
        """Bytes from nowhere arrive at the host."""

    def pause(self, seconds: float) -> None:
        """The card goes on that long while nobody reads."""

    def step_wall_clock(self, seconds: float) -> None:
        """The host's wall clock jumps."""

    def unplug_mid_block(self) -> None:
        """The card vanishes within one of the next blocks."""

    def fall_silent(self) -> None:
        """The card stays plugged in, but says nothing more."""


def read_blocks(card: LineCard, count: int) -> tuple[list[PcmBlock], list[LineEvent]]:
    blocks: list[PcmBlock] = []
    events: list[LineEvent] = []
    for _ in range(BLOCK_LIMIT):
        item = card.read(2.0)
        if isinstance(item, PcmBlock):
            blocks.append(item)
            if len(blocks) == count:
                return blocks, events
        elif item is not None:
            events.append(item)
    raise AssertionError(f"only {len(blocks)} blocks")


def end_of(block: PcmBlock) -> int:
    return block.first_sample + block.samples.shape[1]


class LineCardContract:
    """The suite. Cards buffer ``buffer_s`` at least, blocks are shorter than a second."""

    buffer_s = 4.0

    def check(self, harness: CardHarness, *runs: list[PcmBlock]) -> None:
        """Every sample is right, nothing is missing unsaid; a run is what was read between open and close."""
        blocks = [block for run in runs for block in run]
        for block in blocks:
            expected = harness.heard(block.first_sample, block.samples.shape[1])
            np.testing.assert_array_equal(block.samples, expected)
        for before, after in pairwise(blocks):
            assert after.first_sample == end_of(before) + after.missing
        for run in runs:
            times_ns = [block.monotonic_ns for block in run]
            assert times_ns == sorted(set(times_ns))

    def test_open_tells_what_the_card_is(self, harness: CardHarness) -> None:
        card = harness.driver()
        card.open()
        assert card.identity.serial
        assert card.identity.card_id.startswith(card.identity.family)
        assert card.capabilities.channels >= 1
        assert card.capabilities.buffer_ms >= self.buffer_s * 1000
        assert card.boot_id
        card.close()

    def test_blocks_are_exact_and_join(self, harness: CardHarness) -> None:
        card = harness.driver()
        card.open()
        blocks, events = read_blocks(card, 50)
        card.close()
        self.check(harness, blocks)
        assert all(block.missing == 0 for block in blocks)
        assert all(block.samples.dtype == np.int16 for block in blocks)
        assert all(block.samples.shape[0] == card.capabilities.channels for block in blocks)
        assert all(block.samples.flags.c_contiguous for block in blocks)
        assert card.counters.bad_frames == 0
        assert all(event.source == "hardware" for event in events)

    def test_the_present_state_of_every_port_comes_before_audio(self, harness: CardHarness) -> None:
        card = harness.driver()
        card.open()
        blocks, events = read_blocks(card, 1)
        card.close()
        first = {(e.port, e.kind) for e in events if e.kind is not EventKind.VOLTAGE}
        for port in range(card.capabilities.channels):
            assert (port, EventKind.LINE_PRESENT) in first or (port, EventKind.LINE_LOST) in first
        assert {e.at_sample for e in events if e.kind is not EventKind.VOLTAGE} == {blocks[0].first_sample}

    def test_garbage_is_counted_and_costs_nothing(self, harness: CardHarness) -> None:
        card = harness.driver()
        card.open()
        blocks, _ = read_blocks(card, 5)
        harness.disturb(bytes(np.random.default_rng(5).integers(0, 256, 5000, np.uint8)))
        blocks += read_blocks(card, 60)[0]
        card.close()
        self.check(harness, blocks)
        assert sum(block.missing for block in blocks) == 0
        assert card.counters.bad_frames > 0
        assert card.counters.garbage_bytes > 0

    def test_unplugging_within_a_block(self, harness: CardHarness) -> None:
        card = harness.driver()
        card.open()
        blocks, _ = read_blocks(card, 5)
        harness.unplug_mid_block()
        with pytest.raises(LineCardGone):
            blocks += read_blocks(card, BLOCK_LIMIT)[0]
        self.check(harness, blocks)
        card.close()

    def test_a_silent_card_is_gone(self, harness: CardHarness) -> None:
        card = harness.driver()
        card.open()
        read_blocks(card, 5)
        harness.fall_silent()
        with pytest.raises(LineCardGone):
            read_blocks(card, BLOCK_LIMIT)
        card.close()

    def test_slow_reader_within_the_buffer_loses_nothing(self, harness: CardHarness) -> None:
        card = harness.driver()
        card.open()
        blocks, _ = read_blocks(card, 5)
        harness.pause(self.buffer_s - 0.5)
        blocks += read_blocks(card, 300)[0]
        card.close()
        self.check(harness, blocks)
        assert sum(block.missing for block in blocks) == 0

    def test_slow_reader_is_told_exactly_what_is_lost(self, harness: CardHarness) -> None:
        card = harness.driver()
        card.open()
        blocks, _ = read_blocks(card, 5)
        harness.pause(3 * card.capabilities.buffer_ms / 1000)
        blocks += read_blocks(card, 900)[0]
        card.close()
        self.check(harness, blocks)
        missing = sum(block.missing for block in blocks)
        assert missing > card.capabilities.buffer_ms * card.capabilities.sample_rate_hz / 1000
        assert missing == card.counters.lost_samples

    def test_reopening_goes_on_where_it_stopped(self, harness: CardHarness) -> None:
        card = harness.driver()
        card.open()
        blocks, _ = read_blocks(card, 20)
        card.close()
        harness.pause(1.0)
        again = harness.driver()
        again.open(ResumePoint(card.boot_id, end_of(blocks[-1])))
        assert again.boot_id == card.boot_id
        assert again.identity == card.identity
        resumed, _ = read_blocks(again, 100)
        again.close()
        self.check(harness, blocks, resumed)
        assert sum(block.missing for block in blocks + resumed) == 0

    def test_reopening_within_a_block(self, harness: CardHarness) -> None:
        card = harness.driver()
        card.open()
        blocks, _ = read_blocks(card, 3)
        card.close()
        wanted = end_of(blocks[-1]) - 7
        again = harness.driver()
        again.open(ResumePoint(card.boot_id, wanted))
        resumed, _ = read_blocks(again, 1)
        again.close()
        assert resumed[0].first_sample == wanted
        assert resumed[0].samples.flags.c_contiguous
        np.testing.assert_array_equal(resumed[0].samples[:, :7], blocks[-1].samples[:, -7:])

    def test_reopening_too_late_is_told_exactly_what_is_lost(self, harness: CardHarness) -> None:
        card = harness.driver()
        card.open()
        blocks, _ = read_blocks(card, 20)
        card.close()
        harness.pause(2 * card.capabilities.buffer_ms / 1000)
        again = harness.driver()
        again.open(ResumePoint(card.boot_id, end_of(blocks[-1])))
        resumed, _ = read_blocks(again, 20)
        again.close()
        self.check(harness, blocks, resumed)
        assert resumed[0].missing == again.counters.lost_samples > 0

    def test_a_resume_point_of_another_power_up_is_not_used(self, harness: CardHarness) -> None:
        card = harness.driver()
        card.open(ResumePoint("an earlier one", 1 << 50))
        blocks, _ = read_blocks(card, 5)
        card.close()
        self.check(harness, blocks)
        assert blocks[0].missing == 0

    def test_a_step_of_the_wall_clock_changes_labels_only(self, harness: CardHarness) -> None:
        card = harness.driver()
        card.open()
        blocks, _ = read_blocks(card, 5)
        harness.step_wall_clock(-3600.0)
        later, _ = read_blocks(card, 200)  # more than lines and queues held before the step
        card.close()
        self.check(harness, blocks + later)
        step_s = (later[-1].wall_ns - blocks[0].wall_ns) / 1e9
        assert -3601 < step_s < -3500

    def test_close_is_idempotent_and_reading_needs_open(self, harness: CardHarness) -> None:
        card = harness.driver()
        card.close()
        card.open()
        card.close()
        card.close()
        with pytest.raises(LineCardGone):
            card.read(0.1)
