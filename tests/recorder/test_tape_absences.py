"""A tape whose card was away: positions go on with time, slots with what is written, and nothing young is lost."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_lines import BLOCK, CARD_ID, RATE_HZ, noise

from drivers.api import Pcm, PcmBlock
from recorder.tape.assembly import LONGEST_FILL_S
from recorder.tape.feed import BlockFeed
from recorder.tape.format import TapeBlock, geometry_for
from recorder.tape.reader import TapeReader, resume_point, spill_folder
from recorder.tape.writer import TapeWriter

HALF_MINUTE = geometry_for(2, RATE_HZ, 0.5)
LONGEST_CALL_S = 20


def boot(tape: TapeWriter, sent: Pcm, gap_s: float) -> list[TapeBlock]:
    """A card that was away for so long sends all that from its own sample 0; returns the blocks."""
    done = tape.join(random.randbytes(8).hex(), 0, int(gap_s * RATE_HZ))
    for at in range(0, sent.shape[1], BLOCK):
        samples = np.ascontiguousarray(sent[:, at : at + BLOCK])
        done += tape.append(PcmBlock(samples, at, 0, 1), 1)
        tape.spool.write_out()
    return done


@pytest.mark.parametrize("gap_s", [3, 11, 20, 25, 29.3, 30, 37, 41, 59, 60, 61, 1000, 86_400])
def test_what_comes_after_an_absence_replaces_the_oldest(tmp_path: Path, gap_s: float) -> None:
    """However long it was: a call that ran when the power went is still to be cut."""
    path, call, later = tmp_path / "t.tape", noise(2, LONGEST_CALL_S * RATE_HZ), noise(2, 8 * RATE_HZ, seed=2)
    tape = TapeWriter(path, HALF_MINUTE, CARD_ID)
    boot(tape, call, 0)
    tape.close()
    again = TapeWriter(path, HALF_MINUTE, CARD_ID)
    boot(again, later, gap_s)
    reader = TapeReader(path)
    for track in range(2):
        out, gaps = reader.read(track, 0, LONGEST_CALL_S * RATE_HZ)
        assert gaps == []
        assert np.array_equal(out, call[track])
        begun = again.end_sample - later.shape[1]
        assert begun == LONGEST_CALL_S * RATE_HZ + -(-int(gap_s * RATE_HZ) // BLOCK) * BLOCK  # positions are time
        out, gaps = reader.read(track, begun, again.end_sample)
        assert gaps == []
        assert np.array_equal(out, later[track])


def test_a_hole_that_the_card_itself_leaves_costs_nothing_either(tmp_path: Path) -> None:
    path, call = tmp_path / "t.tape", noise(2, LONGEST_CALL_S * RATE_HZ)
    tape = TapeWriter(path, HALF_MINUTE, CARD_ID)
    boot(tape, call, 0)
    at = call.shape[1] + (LONGEST_FILL_S + 40) * RATE_HZ + 333
    for done in range(0, 5 * RATE_HZ, BLOCK):
        tape.append(PcmBlock(noise(2, BLOCK), at + done, 0, 1), 1)
        tape.spool.write_out()
    out, gaps = TapeReader(path).read(0, 0, call.shape[1])
    assert gaps == []
    assert np.array_equal(out, call[0])


def test_what_was_not_processed_before_an_absence_is_processed(tmp_path: Path) -> None:
    path = tmp_path / "t.tape"
    tape = TapeWriter(path, HALF_MINUTE, CARD_ID)
    boot(tape, noise(2, 5 * RATE_HZ), 0)
    tape.close()
    again = TapeWriter(path, HALF_MINUTE, CARD_ID)
    feed = BlockFeed(TapeReader(path), again.spool.first_from)
    feed.start_at_end_of(49)
    new = boot(again, noise(2, RATE_HZ), 3600)
    for block in new:
        feed.put(block)
    taken, number = [], 40
    while (block := feed.take(number, 0.0)) is not None:
        taken.append(block.number)
        number = block.number + 1
    assert taken == [*range(40, 50), *(block.number for block in new)]
    assert new[0].number == 50 + 36_000


def test_processing_goes_from_absence_to_absence(tmp_path: Path) -> None:
    """It begins again behind several, and some of the blocks are not on the disk yet."""
    path = tmp_path / "t.tape"
    tape = TapeWriter(path, HALF_MINUTE, CARD_ID)
    written = [block.number for gap_s in (0, 100, 40) for block in boot(tape, noise(2, 2 * RATE_HZ), gap_s)]
    tape.join("ff", 0, 50 * RATE_HZ)
    held = tape.append(PcmBlock(noise(2, 3 * BLOCK), 0, 0, 1), 1)
    newest = tape.append(PcmBlock(noise(2, BLOCK), 3 * BLOCK, 0, 1), 1)
    feed = BlockFeed(TapeReader(path), tape.spool.first_from)
    feed.put(newest[0])
    taken, number = [], 0
    while (block := feed.take(number, 0.0)) is not None:
        taken.append(block.number)
        number = block.number + 1
    assert taken == [*written, *(block.number for block in (*held, *newest))]


def test_a_bad_slots_file_outlives_an_absence(tmp_path: Path) -> None:
    path = tmp_path / "t.tape"
    tape = TapeWriter(path, HALF_MINUTE, CARD_ID)
    sent = noise(2, 2 * RATE_HZ)
    for block in boot(tape, sent, 0):
        if block.number == 7:
            tape._ring.spill(replace(block, sequence=7))
    with path.open("rb+") as file:
        file.seek(HALF_MINUTE.slot_offset(7))
        file.write(bytes(HALF_MINUTE.slot_bytes))
    boot(tape, noise(2, 5 * RATE_HZ, seed=3), 600)
    out, gaps = TapeReader(path).read(1, 0, 2 * RATE_HZ)
    assert gaps == []
    assert np.array_equal(out, sent[1])
    assert TapeReader(path).next_from(7) == 7
    boot(tape, noise(2, 30 * RATE_HZ, seed=4), 600)
    assert list(spill_folder(path).iterdir()) == []


def test_what_memory_gives_up_takes_no_place_in_the_ring(tmp_path: Path) -> None:
    """A disk that took nothing for longer than memory lasts: the call before is still to be cut."""
    path, call = tmp_path / "t.tape", noise(2, LONGEST_CALL_S * RATE_HZ)
    tape = TapeWriter(path, HALF_MINUTE, CARD_ID)
    boot(tape, call, 0)
    tape.spool.sync()
    tape.spool.most_blocks = 50
    later = noise(2, 28 * RATE_HZ, seed=5)
    for at in range(0, later.shape[1], BLOCK):
        tape.append(PcmBlock(np.ascontiguousarray(later[:, at : at + BLOCK]), call.shape[1] + at, 0, 1), 1)
    assert tape.spool.given_up == 280 - 50
    tape.close()
    reader = TapeReader(path)
    out, gaps = reader.read(0, 0, call.shape[1])
    assert gaps == []
    assert np.array_equal(out, call[0])
    out, gaps = reader.read(0, call.shape[1], call.shape[1] + later.shape[1])
    assert gaps == [(call.shape[1], call.shape[1] + 230 * BLOCK)]
    assert np.array_equal(out[230 * BLOCK :], later[0, 230 * BLOCK :])


@pytest.mark.parametrize("whole", [(), (43,), (42, 43, 47, 48, 49)])
def test_what_a_power_cut_leaves_behind_the_end_hides_nothing(tmp_path: Path, whole: tuple[int, ...]) -> None:
    """Of the ten blocks on their way some came whole, the others torn."""
    path = tmp_path / "t.tape"
    tape = TapeWriter(path, HALF_MINUTE, CARD_ID)
    boot(tape, noise(2, 5 * RATE_HZ), 0)
    tape._ring.close()
    with path.open("rb+") as file:
        for sequence in set(range(40, 50)) - set(whole):
            file.seek(HALF_MINUTE.slot_offset(sequence) + 512)
            file.write(b"\xff" * (HALF_MINUTE.head_bytes - 512))
            file.seek(HALF_MINUTE.slot_offset(sequence) + 4 + 24)
            file.write(b"\xff" * 8)
    patient = TapeReader(path)
    kept = max([39, *whole])
    assert patient.next_from(39) == 39
    again = TapeWriter(path, HALF_MINUTE, CARD_ID)
    assert again._assembly.end_sample == (kept + 1) * BLOCK
    for seed in range(12):
        (new,) = boot(again, noise(2, BLOCK, seed=seed), 3)
        for reader in (patient, TapeReader(path)):
            found, last = reader.block(new.number), reader.last_head()
            assert found is not None
            assert np.array_equal(found.samples, new.samples)
            assert last is not None
            assert last.number == new.number


@settings(deadline=None, max_examples=40)
@given(
    visits=st.lists(
        st.tuples(st.floats(0, 90), st.integers(0, 12), st.booleans()),
        min_size=1, max_size=12,
    )
)  # fmt: skip
def test_a_reader_finds_just_what_the_ring_holds(
    tmp_path_factory: pytest.TempPathFactory, visits: list[tuple[float, int, bool]]
) -> None:
    """Of random absences, of which some are kills: by a reader that was there all the time, and by a new one."""
    path = tmp_path_factory.mktemp("ring") / "t.tape"
    shape = geometry_for(1, RATE_HZ, 0.05)
    tape, patient = TapeWriter(path, shape, CARD_ID), TapeReader(path)
    written: list[TapeBlock] = []
    for seed, (gap_s, blocks, killed) in enumerate(visits):
        if killed:
            tape._ring.close()
            tape = TapeWriter(path, shape, CARD_ID)
        written += boot(tape, noise(1, blocks * BLOCK, seed=seed), gap_s)
        held = {block.number: block for block in written[-shape.slots :]}
        for reader in (patient, TapeReader(path)):
            last = reader.last_head()
            assert (last and last.number) == max(held, default=None)
            for block in written:
                found = reader.block(block.number)
                assert (found is not None) == (block.number in held)
                assert found is None or np.array_equal(found.samples, block.samples)
                after = min((number for number in held if number > block.number), default=None)
                assert reader.next_from(block.number + 1) == after
    point = resume_point(path)
    assert (point is None) == (not written)
