"""A disk whose sync hangs longer than memory lasts: what memory lets go is written again, or lost and counted."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest
from bad_disk import Desk
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_lines import BLOCK

import recorder.tape.reader as reader_module
from recorder.tape.format import HINT, HINT_OFFSETS
from recorder.tape.reader import TapeReader


def hung(path: Path, most_blocks: int = 20, blocks: int = 50) -> Desk:
    """All blocks are in the file, none on the medium, and memory has the newest few."""
    desk = Desk(path, most_blocks=most_blocks)
    for _ in range(blocks):
        desk.put(1)
        assert desk.spool.write_out()
    return desk


def held(desk: Desk) -> int:
    return len(desk.spool._waiting) + len(desk.spool._unsynced)


def test_what_memory_let_go_is_read_back_and_written_again(tmp_path: Path) -> None:
    desk = hung(tmp_path / "t.tape")
    assert held(desk) == 20
    desk.disk.sync_fails, desk.disk.cache_lies, desk.disk.forgets = True, True, 1.0
    desk.spool.sync()
    desk.disk.sync_fails = False
    desk.settle()
    desk.disk.power_cut()
    assert desk.gaps() == []
    assert (desk.spool.given_up, desk.spool.is_safe, desk.spool.trouble) == (0, True, None)


def test_what_the_file_lost_after_memory_let_it_go_is_counted_and_an_exact_gap(tmp_path: Path) -> None:
    desk = hung(tmp_path / "t.tape")
    desk.disk.sync_fails, desk.disk.forgets = True, 1.0
    desk.spool.sync()
    desk.disk.sync_fails = False
    desk.settle()
    desk.disk.power_cut()
    assert desk.gaps() == [(0, 30 * BLOCK)]
    assert desk.spool.given_up == 30
    assert desk.spool.is_safe


def test_of_what_memory_let_go_only_what_is_lost_is_counted(tmp_path: Path) -> None:
    desk = hung(tmp_path / "t.tape")
    desk.disk.sync_fails = True
    desk.spool.sync()
    desk.disk.sync_fails = False
    desk.settle()
    desk.disk.power_cut()
    lost = sum(high - low for low, high in desk.gaps())
    assert 0 < lost < 30 * BLOCK
    assert desk.spool.given_up * BLOCK == lost


def test_a_sync_that_comes_back_well_after_all_forgets_nothing(tmp_path: Path) -> None:
    desk = hung(tmp_path / "t.tape")
    assert not desk.spool.is_safe
    desk.spool.sync()
    assert desk.spool.is_safe
    desk.disk.power_cut()
    assert desk.gaps() == []
    assert desk.spool.given_up == 0


def test_what_was_written_while_a_sync_hung_is_not_on_the_medium_with_it(tmp_path: Path) -> None:
    """Memory lets go of blocks that were written before and after the sync began."""
    desk = hung(tmp_path / "t.tape")
    sync = desk.disk.sync

    def slow_sync() -> None:
        sync()
        for _ in range(40):
            desk.put(1)
            desk.spool.write_out()

    desk.disk.sync = slow_sync  # type: ignore[method-assign]
    desk.spool.sync()
    desk.disk.sync = sync  # type: ignore[method-assign]
    assert not desk.spool.is_safe
    desk.disk.sync_fails, desk.disk.forgets = True, 1.0
    desk.spool.sync()
    desk.disk.sync_fails = False
    desk.settle()
    assert desk.gaps() == [(50 * BLOCK, 70 * BLOCK)]
    assert desk.spool.given_up == 20


def test_what_waits_to_be_written_again_may_be_let_go_too(tmp_path: Path) -> None:
    """After a failed sync the disk refuses, and memory runs full of what is new."""
    desk = hung(tmp_path / "t.tape", blocks=20)
    desk.disk.sync_fails, desk.disk.cache_lies, desk.disk.forgets = True, True, 1.0
    desk.spool.sync()
    desk.disk.refuses, desk.disk.spill_fails = 5, True
    desk.put(15)
    assert not desk.spool.write_out()
    assert held(desk) == 20
    desk.disk.refuses, desk.disk.sync_fails = 0, False
    desk.settle()
    desk.disk.power_cut()
    assert desk.gaps() == []
    assert desk.spool.given_up == 0


def test_what_the_ring_has_passed_is_not_lost(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "t.tape", most_blocks=5, minutes=0.05)
    slots = desk.disk.geometry.slots
    for _ in range(slots + 10):
        desk.put(1)
        desk.spool.write_out()
    desk.disk.sync_fails, desk.disk.cache_lies = True, True
    desk.spool.sync()
    desk.disk.sync_fails = False
    desk.settle()
    assert desk.gaps() == [(0, 10 * BLOCK)]
    assert desk.spool.given_up == 0


@given(
    steps=st.lists(st.sampled_from(["put", "put", "put", "write", "sync", "fail", "refuse", "bad"]), max_size=60),
    seed=st.integers(0, 99),
    cache_lies=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_whatever_happens_every_block_is_on_the_medium_or_counted(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], seed: int, cache_lies: bool
) -> None:
    desk = Desk(tmp_path_factory.mktemp("disk") / "t.tape", most_blocks=6)
    desk.disk.dice, desk.disk.cache_lies = random.Random(seed), cache_lies
    for step in steps:
        desk.disk.refuses = desk.disk.spill_fails = 5 if step == "refuse" else 0
        desk.disk.sync_fails = step == "fail"
        if step == "put":
            desk.put(3)
        elif step in ("write", "refuse"):
            desk.spool.write_out()
        elif step in ("sync", "fail"):
            desk.spool.sync()
        else:
            desk.disk.bad_slots = {desk.put_blocks % desk.disk.geometry.slots}
        assert held(desk) <= 6
    desk.disk.refuses = desk.disk.spill_fails = 0
    desk.disk.sync_fails = False
    desk.settle()
    assert desk.spool.is_safe
    desk.disk.power_cut()
    assert sum(high - low for low, high in desk.gaps()) == desk.spool.given_up * BLOCK
    desk.disk.close()


def refuse(*_: object) -> int:
    raise OSError(errno.EIO, "no")


def hints(path: Path) -> set[int]:
    content = path.read_bytes()
    pages = (HINT.unpack_from(content, at) for at in HINT_OFFSETS)
    return {sequence for sequence, crc in pages if crc}


def test_a_hint_never_names_a_block_that_was_not_written(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "t.tape")
    desk.put(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pwritev", refuse)
        assert not desk.spool.write_out()
    assert hints(desk.disk.path) == set()
    assert desk.spool.write_out()
    assert hints(desk.disk.path) == {0}  # the first of a tape is written through
    desk.put(1)
    desk.spool.write_out()
    assert hints(desk.disk.path) == {0}  # in the file, but not on the medium yet
    desk.spool.sync()
    assert hints(desk.disk.path) == {0, 1}


def test_a_good_sync_after_one_that_failed_hints_at_nothing_that_is_still_to_be_written_again(tmp_path: Path) -> None:
    """The kernel reports what it dropped once."""
    desk = Desk(tmp_path / "t.tape")
    desk.put(3)
    desk.settle()
    desk.put(5)
    desk.spool.write_out()
    desk.disk.sync_fails, desk.disk.forgets = True, 1.0
    desk.spool.sync()
    desk.disk.sync_fails = False
    desk.spool.sync()
    assert max(hints(desk.disk.path)) == 2
    desk.settle()
    assert max(hints(desk.disk.path)) == 7


def test_the_end_is_found_behind_more_lost_blocks_than_are_searched(tmp_path: Path) -> None:
    """The power goes while blocks are written again, before the next sync."""
    desk = Desk(tmp_path / "t.tape", most_blocks=20, minutes=2)
    desk.put(1)
    desk.settle()
    for _ in range(reader_module.SEARCHED_BLOCKS + 100):
        desk.put(1)
        desk.spool.write_out()
    desk.disk.sync_fails, desk.disk.forgets = True, 1.0
    desk.spool.sync()
    assert desk.spool.write_out()
    last = TapeReader(desk.disk.path).last_head()
    assert last is not None
    assert last.number == desk.put_blocks - 1
