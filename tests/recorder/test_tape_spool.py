"""Between memory and medium: a disk that refuses, forgets or breaks costs no block while memory lasts."""

from __future__ import annotations

import errno
import os
import random
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bad_disk import Desk
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_lines import BLOCK

import recorder.tape.spool as spool_module
from recorder.tape.format import TapeBlock
from recorder.tape.reader import TapeReader, spill_folder
from recorder.tape.safekeeping import LEAST_APART_S, REMEMBERED_SYNCS, SYNCED_WITHIN_S, SyncPace
from recorder.tape.spool import TRIES


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "t.tape")


@pytest.mark.parametrize("refusal", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_refuses_gets_everything_later_and_in_order(desk: Desk, refusal: int) -> None:
    desk.put(3)
    desk.settle()
    desk.disk.refuses, desk.disk.spill_fails = refusal, True
    desk.put(50)
    for _ in range(10):
        assert not desk.spool.write_out()
        desk.spool.sync()
    assert desk.spool.trouble == os.strerror(refusal)
    assert desk.spool.held_from() == 3 * BLOCK
    assert desk.gaps() == [(3 * BLOCK, 53 * BLOCK)]
    found = desk.spool.first_from(40)
    assert found is not None
    assert desk.spool.first_from(53) is None
    assert np.array_equal(found.samples, desk.sent[:, 40 * BLOCK : 41 * BLOCK])
    desk.disk.refuses = 0
    desk.put(1)
    desk.settle()
    assert desk.gaps() == []
    assert (desk.spool.trouble, desk.spool.held_from(), desk.spool.given_up) == (None, None, 0)


def test_what_a_failed_sync_lost_is_written_again(desk: Desk) -> None:
    desk.put(5)
    desk.settle()
    desk.put(20)
    desk.spool.write_out()
    desk.disk.sync_fails = True
    desk.spool.sync()
    assert desk.gaps() != [], "the disk has forgotten nothing: the test tests nothing"
    desk.disk.sync_fails = False
    desk.settle()
    assert desk.gaps() == []
    assert desk.spool.trouble is None


def test_a_block_that_is_written_while_a_sync_fails_is_written_again(desk: Desk) -> None:
    """The error may be that block's, and is reported once."""
    desk.put(1)
    write = desk.disk.write

    def write_while_sync_fails(block: TapeBlock, *, through: bool = False) -> None:
        write(block, through=through)
        if not through:
            desk.disk.sync_fails = True
            desk.disk.dice = random.Random(1)  # forgets the one block
            desk.spool.sync()
            desk.disk.sync_fails = False

    desk.disk.write = write_while_sync_fails  # type: ignore[method-assign]
    desk.put(1)
    desk.settle()
    assert desk.gaps() == []


def test_a_bad_slot_gets_a_file_of_its_own_until_the_ring_has_passed_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "t.tape", minutes=0.05)
    slots, folder = desk.disk.geometry.slots, spill_folder(tmp_path / "t.tape")
    desk.disk.bad_slots = {4, 5}
    desk.put(10)
    for _ in range(TRIES):
        desk.spool.write_out()
    desk.settle()
    assert sorted(file.name for file in folder.iterdir()) == ["4.block", "5.block"]
    assert desk.gaps() == []
    reader = TapeReader(desk.disk.path)
    block, head, last = reader.block(4), reader.head(5), reader.last_head()
    assert block is not None
    assert head is not None
    assert last is not None
    assert (block.gaps, head.number, last.number) == ((), 5, 9)
    assert desk.spool.trouble is None
    desk.disk.bad_slots = set()
    desk.put(slots)
    desk.settle()
    assert list(folder.iterdir()) == []


def test_the_newest_block_is_found_in_a_file_of_its_own_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "t.tape"
    desk = Desk(path)
    desk.put(4)
    desk.settle()
    desk.disk.bad_slots = {4}
    desk.put(1)
    for _ in range(TRIES):
        desk.spool.write_out()
    with path.open("rb+") as file:  # and the hint is gone
        file.seek(2048)
        file.write(b"\xff" * 12)
    last = TapeReader(path).last_head()
    assert last is not None
    assert last.number == 4
    again = Desk(path)
    assert again.assembly.end_sample == 5 * BLOCK
    again.put_blocks = 5
    again.put(again.disk.geometry.slots)
    again.settle()
    assert list(spill_folder(path).iterdir()) == []


def test_files_of_blocks_go_with_the_tape_that_is_set_aside(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "t.tape")
    desk.disk.bad_slots = {1}
    desk.put(3)
    for _ in range(TRIES):
        desk.spool.write_out()
    desk.settle()
    other = Desk(tmp_path / "t.tape", minutes=1)
    (aside,) = tmp_path.glob("*.set-aside")
    out, gaps = TapeReader(aside).read(0, 0, 3 * BLOCK)
    assert gaps == []
    assert np.array_equal(out, desk.sent[0, : 3 * BLOCK])
    assert TapeReader(other.disk.path).block(1) is None


def test_a_block_of_another_tape_is_not_taken_for_ours(tmp_path: Path) -> None:
    desk, other = Desk(tmp_path / "a.tape"), Desk(tmp_path / "b.tape")
    other.put(2)
    for block in other.spool._waiting.values():
        other.disk.spill(replace(block, sequence=block.number))
    spill_folder(other.disk.path).rename(spill_folder(desk.disk.path))
    assert TapeReader(desk.disk.path).block(1) is None
    assert TapeReader(desk.disk.path).read(0, 0, 2 * BLOCK)[1] == [(0, 2 * BLOCK)]


def test_full_memory_gives_up_the_oldest_that_is_not_written(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "t.tape", most_blocks=20)
    desk.put(10)
    desk.spool.write_out()  # not synced: these may be forgotten without loss
    desk.disk.refuses, desk.disk.spill_fails = errno.EIO, True
    desk.put(27)
    assert not desk.spool.write_out()
    assert desk.spool.given_up == 7
    desk.disk.refuses = 0
    desk.put(1)  # and one more is given up
    desk.settle()
    assert desk.gaps() == [(10 * BLOCK, 18 * BLOCK)]
    assert desk.spool.given_up == 8


def test_the_block_that_is_being_written_is_not_given_up(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "t.tape", most_blocks=5)
    desk.put(5)
    write = desk.disk.write

    def write_while_more_comes(block: TapeBlock, *, through: bool = False) -> None:
        desk.disk.write = write  # type: ignore[method-assign]
        desk.put(2)
        write(block, through=through)

    desk.disk.write = write_while_more_comes  # type: ignore[method-assign]
    desk.settle()
    assert desk.gaps() == [(BLOCK, 3 * BLOCK)]
    assert desk.spool.given_up == 2


def test_a_disk_that_only_is_slow_is_in_trouble_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.put(1)
    assert desk.spool.trouble is None
    monkeypatch.setattr(spool_module, "SLOW_S", -1.0)
    assert desk.spool.trouble == "the disk is too slow"
    desk.settle()
    assert desk.spool.trouble is None


@given(
    steps=st.lists(st.sampled_from(["put", "put", "write", "sync", "fail", "refuse", "bad"]), max_size=60),
    seed=st.integers(0, 99),
)
@settings(max_examples=150, deadline=None)
def test_whatever_happens_all_is_on_the_medium_in_the_end(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], seed: int
) -> None:
    desk = Desk(tmp_path_factory.mktemp("disk") / "t.tape")
    desk.disk.dice = random.Random(seed)
    for step in steps:
        desk.disk.refuses = errno.EIO if step == "refuse" else 0
        desk.disk.sync_fails = step == "fail"
        if step == "put":
            desk.put(2)
        elif step in ("write", "refuse"):
            desk.spool.write_out()
        elif step in ("sync", "fail"):
            desk.spool.sync()
        else:
            desk.disk.bad_slots = {desk.put_blocks % desk.disk.geometry.slots}
    desk.disk.refuses, desk.disk.sync_fails = 0, False
    desk.settle()
    assert desk.spool.held_from() is None
    desk.disk.power_cut()
    assert desk.gaps() == []
    desk.disk.close()


def test_who_waits_for_the_writer_goes_on_when_all_is_written(desk: Desk) -> None:
    desk.put(2)
    waiting = threading.Thread(target=desk.spool.wait_written, args=(60,))
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    desk.spool.write_out()
    waiting.join(10)
    assert not waiting.is_alive()


def test_a_slow_disk_is_synced_earlier() -> None:
    pace = SyncPace()
    assert pace.apart_s == LEAST_APART_S  # nobody knows how slow it is
    pace.took(0.3)
    pace.took(0.01)
    assert pace.apart_s + 0.3 == pytest.approx(SYNCED_WITHIN_S)
    pace.took(2.0)
    assert pace.apart_s == LEAST_APART_S
    for _ in range(REMEMBERED_SYNCS):
        pace.took(0.05)
    assert pace.apart_s + 0.05 == pytest.approx(SYNCED_WITHIN_S)
