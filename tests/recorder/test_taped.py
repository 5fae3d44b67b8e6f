"""Reading orders from a tape gives what the tape's own reader gives, whatever is wrong with the tape."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from recorded_lines import BOOT, CARD_ID, RATE_HZ, noise, noise_tape, put

from drivers.api import Pcm
from firmware.errors import StoreError
from recorder.cutting.taped import SharedTape, Taped, joined
from recorder.tape.format import geometry_for
from recorder.tape.reader import TapeReader
from recorder.tape.writer import TapeWriter

TRACKS = 6


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.tape"


@pytest.fixture
def sent(path: Path) -> Pcm:
    return noise_tape(path, TRACKS, 5 * RATE_HZ, minutes=0.2)


@pytest.fixture
def tape(path: Path, sent: Pcm) -> Iterator[TapeReader]:
    with closing(TapeReader(path)) as reader:
        yield reader


def same(tape: TapeReader, taped: Taped, tracks: range, low: int, high: int) -> bool:
    for row, gaps, track in zip(taped.samples, taped.gaps_by_track, tracks, strict=True):
        samples, found = tape.read(track, low, high)
        if not np.array_equal(row, samples) or [(a + low, b + low) for a, b in gaps] != list(found):
            return False
    return True


@pytest.mark.parametrize("tracks", [range(3, 4), range(4, 6), range(6)])
@pytest.mark.parametrize(("low", "high"), [(0, 1), (799, 801), (800, 1600), (1234, 38_765), (0, 40_000)])
def test_samples_are_those_of_the_tape(tape: TapeReader, sent: Pcm, tracks: range, low: int, high: int) -> None:
    with closing(SharedTape(tape)) as shared:
        for _ in range(2):
            taped = shared.read_order(tape.epoch, tracks, low, high)
            assert np.array_equal(taped.samples, sent[tracks.start : tracks.stop, low:high])
            assert taped.samples.flags.c_contiguous
            assert taped.gaps == []


@pytest.mark.parametrize("damage", ["a slot", "a track", "a head"])
def test_a_damaged_block_is_the_gap_that_the_tape_says(tape: TapeReader, path: Path, damage: str) -> None:
    geometry = tape.geometry
    offset = geometry.slot_offset(20)
    with closing(SharedTape(tape)) as shared:
        shared.read_order(tape.epoch, range(0, 1), 0, 40_000)  # heads are known from before
        with path.open("rb+") as file:
            file.seek(offset + {"a track": geometry.head_bytes + 4 * geometry.track_bytes}.get(damage, 0))
            file.write(bytes(geometry.slot_bytes if damage == "a slot" else 500))
        for tracks in (range(0, 1), range(4, 6)):
            taped = shared.read_order(tape.epoch, tracks, 15_900, 17_000)
            if damage == "a head":  # the audio is what the head said when it was whole
                assert taped.gaps == []
            else:
                assert same(tape, taped, tracks, 15_900, 17_000)
                assert taped.gaps == ([(100, 900)] if damage == "a slot" or tracks.stop == 6 else [])


def test_a_ring_that_went_round_is_a_gap_and_never_another_time(path: Path, sent: Pcm, tape: TapeReader) -> None:
    with closing(SharedTape(tape)) as shared:
        before = shared.read_order(tape.epoch, range(2, 4), 0, 40_000)
        writer = TapeWriter(path, tape.geometry, CARD_ID)
        put(writer, noise(TRACKS, (tape.geometry.slots - 30) * 800, seed=9), writer.end_sample)
        writer.close()
        after = shared.read_order(tape.epoch, range(2, 4), 0, 40_000)
        assert same(tape, after, range(2, 4), 0, 40_000)
        assert after.gaps == [(0, 20 * 800)]
        assert np.array_equal(after.samples[:, 20 * 800 :], before.samples[:, 20 * 800 :])


def test_a_gap_from_the_card_is_exact(path: Path) -> None:
    writer = TapeWriter(path, geometry_for(2, RATE_HZ, 0.2), CARD_ID)
    writer.join(BOOT, 0, 0)
    put(writer, noise(2, 1000), 0)
    put(writer, noise(2, 1000, seed=2), 1333)
    writer.close()
    with closing(TapeReader(path)) as tape, closing(SharedTape(tape)) as shared:
        taped = shared.read_order(tape.epoch, range(0, 2), 500, 1500)
        assert taped.gaps == [(500, 833)]
        assert same(tape, taped, range(0, 2), 500, 1500)
        assert not taped.is_lost
        assert shared.read_order(tape.epoch, range(0, 2), 1100, 1200).gaps == [(0, 100)]
        assert shared.read_order(tape.epoch, range(0, 2), 1100, 1200).is_lost


def test_what_is_not_on_the_tape_yet_is_waited_for(tape: TapeReader, path: Path) -> None:
    with closing(SharedTape(tape)) as shared:
        with pytest.raises(StoreError, match="not come"):
            shared.read_order(tape.epoch, range(0, 1), 39_000, 40_001)
        writer = TapeWriter(path, tape.geometry, CARD_ID)
        put(writer, noise(TRACKS, 800), writer.end_sample)
        writer.close()
        assert shared.read_order(tape.epoch, range(0, 1), 39_000, 40_001).gaps == []


def test_heads_that_nobody_needs_are_forgotten(tape: TapeReader) -> None:
    with closing(SharedTape(tape)) as shared:
        shared.read_order(tape.epoch, range(0, 1), 0, 40_000)
        assert len(shared._heads) == 50
        shared.forget(10)
        assert sorted(shared._heads) == list(range(40, 50))
        shared.read_order(tape.epoch, range(0, 1), 0, 40_000)


def test_another_tape_in_its_place_is_refused(tape: TapeReader, path: Path) -> None:
    path.unlink()
    noise_tape(path, TRACKS, 800)
    with pytest.raises(StoreError, match="another"):
        SharedTape(tape)


def test_pauses_are_silence_and_leave_the_rest() -> None:
    taped = Taped(np.arange(1, 21, dtype=np.int16).reshape(2, 10), (((0, 2),), ((1, 3),)))
    assert taped.gaps == [(0, 3)]
    quiet = taped.without([(4, 6)])
    assert quiet.tolist() == [[1, 2, 3, 4, 0, 0, 7, 8, 9, 10], [11, 12, 13, 14, 0, 0, 17, 18, 19, 20]]
    assert taped.samples.all()


def test_a_track_that_was_heard_is_enough() -> None:
    samples = np.zeros((2, 10), np.int16)
    assert not Taped(samples, (((0, 10),), ((0, 9),))).is_lost
    assert Taped(samples, (((0, 10),), ((0, 4), (4, 10)))).is_lost
    assert joined([(5, 9), (0, 2), (2, 3), (8, 12)]) == [(0, 3), (5, 12)]
