"""The tape: what was written is what is read, gaps are exact, damage and a lapped reader show as gaps."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.api import EventKind, LineEvent, Pcm, PcmBlock
from firmware.errors import StoreError
from recorder.tape.assembly import LONGEST_FILL_S
from recorder.tape.format import HINT, HINT_OFFSETS, PAGE_BYTES, SlotHead, geometry_for
from recorder.tape.reader import TapeReader, resume_point, set_aside_tape
from recorder.tape.writer import TapeWriter

RATE_HZ = 8000
BOOT = "00112233445566778899aabbccddeeff"
WALL_NS = 1_800_000_000_000_000_000


def noise(tracks: int, samples: int, seed: int = 1) -> Pcm:
    return np.random.default_rng(seed).integers(-32768, 32767, (tracks, samples), np.int16, endpoint=True)


def put(tape: TapeWriter, samples: Pcm, first: int) -> None:
    wall_ns = WALL_NS + first * 1_000_000_000 // RATE_HZ
    tape.append(PcmBlock(np.ascontiguousarray(samples), first, 0, wall_ns), wall_ns)
    tape.spool.write_out()


def new_tape(path: Path, tracks: int = 3, minutes: float = 0.1) -> TapeWriter:
    tape = TapeWriter(path, geometry_for(tracks, RATE_HZ, minutes), "serial-1")
    tape.join(BOOT, 0, 0)
    return tape


@given(chunks=st.lists(st.integers(1, 3000), min_size=1, max_size=20))
@settings(max_examples=40, deadline=None)
def test_what_was_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, chunks: list[int]) -> None:
    path = tmp_path_factory.mktemp("tape") / "t.tape"
    tape = new_tape(path)
    sent = noise(3, sum(chunks))
    at = 0
    for size in chunks:
        put(tape, sent[:, at : at + size], at)
        at += size
    whole = at // 800 * 800
    tape.close()
    reader = TapeReader(path)
    for track in range(3):
        out, gaps = reader.read(track, 0, whole)
        assert np.array_equal(out, sent[track, :whole])
        assert gaps == []
    reader.close()


def test_missing_samples_are_silence_and_listed_exactly(tmp_path: Path) -> None:
    tape = new_tape(tmp_path / "t.tape")
    sent = noise(3, 8000)
    put(tape, sent[:, :1003], 0)
    put(tape, sent[:, 2510:8000], 2510)
    tape.spool.sync()
    out, gaps = TapeReader(tmp_path / "t.tape").read(1, 0, 8000)
    assert gaps == [(1003, 2510)]
    assert not out[1003:2510].any()
    assert np.array_equal(np.delete(out, slice(1003, 2510)), np.delete(sent[1], slice(1003, 2510)))


def test_samples_sent_twice_are_taken_once(tmp_path: Path) -> None:
    tape = new_tape(tmp_path / "t.tape")
    sent = noise(3, 4000)
    put(tape, sent[:, :2000], 0)
    put(tape, sent[:, 500:4000], 500)
    out, gaps = TapeReader(tmp_path / "t.tape").read(2, 0, 4000)
    assert np.array_equal(out, sent[2])
    assert gaps == []


def test_a_long_hole_is_a_gap_without_being_written(tmp_path: Path) -> None:
    tape = new_tape(tmp_path / "t.tape", minutes=3)
    hole_end = (LONGEST_FILL_S + 20) * RATE_HZ + 333
    put(tape, noise(3, 1234), 0)
    put(tape, noise(3, 4000, seed=2), hole_end)
    out, gaps = TapeReader(tmp_path / "t.tape").read(0, 0, hole_end + 1000)
    assert gaps == [(1234, hole_end)]
    assert np.array_equal(out[hole_end:], noise(3, 4000, seed=2)[0, :1000])


def test_reopened_tape_goes_on_at_the_last_whole_block(tmp_path: Path) -> None:
    path = tmp_path / "t.tape"
    tape = new_tape(path)
    sent = noise(3, 10_000)
    put(tape, sent[:, :2_500], 0)
    tape._ring.close()  # as a SIGKILL would: no sync, no hint
    again = resume_point(path)
    assert again is not None
    assert (again.boot_id, again.next_sample) == (BOOT, 2400)
    tape = TapeWriter(path, geometry_for(3, RATE_HZ, 0.1), "serial-1")
    tape.join(BOOT, again.next_sample, 99_999)
    put(tape, sent[:, 2400:], 2400)
    out, gaps = TapeReader(path).read(0, 0, 9_600)
    assert np.array_equal(out, sent[0, :9_600])
    assert gaps == []


def test_restarted_card_continues_after_the_time_it_was_away(tmp_path: Path) -> None:
    path = tmp_path / "t.tape"
    tape = new_tape(path)
    put(tape, noise(3, 1000), 0)
    closed = tape.join("ff" * 16, 5000, 3000)
    assert [block.number for block in closed] == [1]
    begins = tape.end_sample
    assert begins >= 1000 + 3000
    put(tape, noise(3, 1600, seed=3), 5000)
    out, gaps = TapeReader(path).read(1, 0, begins + 1600)
    assert gaps == [(1000, begins)]
    assert np.array_equal(out[begins:], noise(3, 1600, seed=3)[1])
    assert resume_point(path) == resume_point(path)
    assert resume_point(path).boot_id == "ff" * 16  # type: ignore[union-attr]


def test_lapped_reader_sees_a_gap_never_wrong_samples(tmp_path: Path) -> None:
    tape = new_tape(tmp_path / "t.tape")
    slots = tape.geometry.slots
    total = (slots + 5) * 800
    sent = noise(3, total)
    put(tape, sent, 0)
    out, gaps = TapeReader(tmp_path / "t.tape").read(0, 0, total)
    assert gaps == [(0, 5 * 800)]
    assert np.array_equal(out[5 * 800 :], sent[0, 5 * 800 :])


def test_flipped_byte_damages_one_track_of_one_block(tmp_path: Path) -> None:
    path = tmp_path / "t.tape"
    tape = new_tape(path)
    sent = noise(3, 4000)
    put(tape, sent, 0)
    geometry = tape.geometry
    tape.close()
    with path.open("rb+") as file:
        file.seek(geometry.slot_offset(2) + geometry.head_bytes + geometry.track_bytes + 77)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0x40]))
    reader = TapeReader(path)
    assert reader.read(1, 0, 4000)[1] == [(1600, 2400)]
    assert reader.read(0, 0, 4000)[1] == []
    block = reader.block(2)
    assert block is not None
    assert block.gaps == ((1600, 2400),)


def test_damaged_hint_costs_only_time(tmp_path: Path) -> None:
    path = tmp_path / "t.tape"
    tape = new_tape(path)
    put(tape, noise(3, 8000), 0)
    tape.close()
    wipe_hints(path)
    last = TapeReader(path).last_head()
    assert last is not None
    assert last.number == 9


def wipe_hints(path: Path) -> None:
    with path.open("rb+") as file:
        for at in HINT_OFFSETS:
            file.seek(at)
            file.write(b"\xff" * HINT.size)


def test_a_torn_hint_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With hundreds of gigabytes a search takes longer than a card's buffer lasts."""
    path = tmp_path / "t.tape"
    tape = new_tape(path)
    for number in range(2):
        put(tape, noise(3, 800), number * 800)
        tape.spool.write_out()
        tape.spool.sync()
    tape.close()
    monkeypatch.setattr(TapeReader, "_search_all", lambda *_: pytest.fail("every slot is looked at"))
    for torn in HINT_OFFSETS:
        damaged = tmp_path / f"{torn}.tape"
        damaged.write_bytes(path.read_bytes())
        with damaged.open("rb+") as file:
            file.seek(torn)
            file.write(b"\xff" * PAGE_BYTES)
        last = TapeReader(damaged).last_head()
        assert last is not None
        assert last.number == 1


def torn_tape(path: Path, sent: Pcm, blocks: int, tracks: int = 0) -> None:
    """As the kernel leaves it that ends write(2) of a killed process between two pages: ``tracks`` are whole."""
    tape = new_tape(path)
    put(tape, sent[:, : blocks * 800], 0)
    tape.close()
    with path.open("rb+") as file:
        whole = tape.geometry.head_bytes + tracks * 1600
        file.seek(tape.geometry.slot_offset(blocks - 1) + whole)
        file.write(bytes(tape.geometry.slot_bytes - whole))


@pytest.mark.parametrize("blocks", [1, 5])
@pytest.mark.parametrize("is_hinted", [False, True])
def test_a_block_that_a_kill_tore_is_taken_anew(tmp_path: Path, blocks: int, is_hinted: bool) -> None:
    path, sent, start = tmp_path / "t.tape", noise(3, (blocks + 1) * 800), (blocks - 1) * 800
    torn_tape(path, sent, blocks)
    if not is_hinted:
        wipe_hints(path)
    assert TapeReader(path).read(2, 0, blocks * 800)[1] == [(start, blocks * 800)]
    point = resume_point(path)
    assert point is not None
    assert (point.boot_id, point.next_sample) == (BOOT, start)
    again = TapeWriter(path, geometry_for(3, RATE_HZ, 0.1), "serial-1")
    again.join(BOOT, start, 0)
    put(again, sent[:, start:], start)
    again.close()
    for track in range(3):
        out, gaps = TapeReader(path).read(track, 0, (blocks + 1) * 800)
        assert gaps == []
        assert np.array_equal(out, sent[track])


@pytest.mark.parametrize(("boot", "goes_on_at"), [(BOOT, 4000), (BOOT, 3201), ("another", 0)])
def test_of_a_torn_block_stays_what_is_whole_when_the_card_has_it_no_more(
    tmp_path: Path, boot: str, goes_on_at: int
) -> None:
    path, sent = tmp_path / "t.tape", noise(3, 6400)
    torn_tape(path, sent, 5, tracks=1)
    again = TapeWriter(path, geometry_for(3, RATE_HZ, 0.1), "serial-1")
    again.join(boot, goes_on_at, 0)
    put(again, sent[:, goes_on_at : goes_on_at + 1600], goes_on_at)
    again.close()
    out, gaps = TapeReader(path).read(0, 0, 4000)
    assert gaps == []
    assert np.array_equal(out, sent[0, :4000])
    assert TapeReader(path).read(2, 0, 4000)[1] == [(3200, 4000)]


@pytest.mark.parametrize("which", [0, 1])
def test_a_damaged_header_costs_nothing_and_is_written_again(tmp_path: Path, which: int) -> None:
    path = tmp_path / "t.tape"
    tape = new_tape(path)
    sent = noise(3, 8000)
    put(tape, sent, 0)
    tape.close()
    whole = path.read_bytes()
    at = (0, tape.geometry.head_copy_offset)[which]
    with path.open("rb+") as file:
        file.seek(at)
        file.write(bytes(range(256)) * 16)
    out, gaps = TapeReader(path).read(1, 0, 8000)
    assert np.array_equal(out, sent[1])
    assert gaps == []
    again = new_tape(path)
    assert (again.epoch, again.end_sample) == (tape.epoch, 8000)
    again.close()
    assert path.read_bytes()[at : at + PAGE_BYTES] == whole[:PAGE_BYTES]
    assert not list(tmp_path.glob("*.set-aside"))


def test_a_header_that_cannot_be_read_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.tape"
    tape = new_tape(path)
    sent = noise(3, 8000)
    put(tape, sent, 0)
    tape.close()
    bad_medium(monkeypatch, range(100, 101))
    assert np.array_equal(TapeReader(path).read(2, 0, 8000)[0], sent[2])
    again = new_tape(path)
    assert again.epoch == tape.epoch
    again.close()


@pytest.mark.parametrize("damage", [b"", b"short", bytes(5000)])
def test_a_file_that_is_no_tape_is_refused_and_set_aside(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "t.tape"
    path.write_bytes(damage)
    with pytest.raises(StoreError):
        TapeReader(path)
    assert resume_point(path) is None
    tape = new_tape(path)
    assert tape.end_sample == 0
    assert [file.read_bytes() for file in tmp_path.glob("*.set-aside")] == [damage]


def test_tape_of_another_card_is_set_aside(tmp_path: Path) -> None:
    new_tape(tmp_path / "t.tape").close()
    TapeWriter(tmp_path / "t.tape", geometry_for(3, RATE_HZ, 0.1), "serial-2").close()
    assert len(list(tmp_path.glob("*.set-aside"))) == 1


def test_events_are_kept_with_their_block_and_a_storm_spreads(tmp_path: Path) -> None:
    tape = new_tape(tmp_path / "t.tape")
    first = LineEvent(EventKind.RING_ON, 2, 5, 75.5)
    tape.note(first)
    for index in range(300):
        tape.note(LineEvent(EventKind.ALARM, 0, index, "code"))
    put(tape, noise(3, 16_000), 0)
    reader = TapeReader(tmp_path / "t.tape")
    blocks = [reader.block(number) for number in range(20)]
    kept = [event for block in blocks if block for event in block.events]
    assert kept[0] == first
    assert [event.at_sample for event in kept[1:]] == list(range(300))
    assert tape.events_dropped == 0


def test_wall_clock_of_a_sample_comes_from_its_block(tmp_path: Path) -> None:
    tape = new_tape(tmp_path / "t.tape")
    put(tape, noise(3, 8000), 0)
    block = TapeReader(tmp_path / "t.tape").block(3)
    assert block is not None
    assert block.wall_ms(2400, RATE_HZ) == WALL_NS // 1_000_000 + 300
    assert block.wall_ms(2800, RATE_HZ) == WALL_NS // 1_000_000 + 350


def bad_medium(monkeypatch: pytest.MonkeyPatch, bad: range) -> None:
    """Bytes of the tape that cannot be read any more; a real one needs a disk of its own."""
    real = os.pread

    def pread(fd: int, size: int, offset: int) -> bytes:
        if offset < bad.stop and bad.start < offset + size:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(fd, size, offset)

    monkeypatch.setattr(os, "pread", pread)


@pytest.mark.parametrize("what", ["last head", "first head", "a track"])
def test_what_cannot_be_read_is_a_gap_and_holds_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    path = tmp_path / "t.tape"
    tape = new_tape(path)
    sent = noise(3, 8000)
    put(tape, sent, 0)
    shape = tape.geometry
    tape.close()
    wipe_hints(path)  # every slot is looked at
    starts, block = {
        "last head": (shape.slot_offset(9), 9),
        "first head": (shape.slot_offset(0), 0),
        "a track": (shape.slot_offset(4) + shape.head_bytes + shape.track_bytes, 4),
    }[what]
    reader = TapeReader(path)
    bad_medium(monkeypatch, range(starts, starts + 1))
    out, gaps = reader.read(1, 0, 8000)
    assert gaps == [(block * 800, block * 800 + 800)]
    expected = sent[1].copy()
    expected[block * 800 : block * 800 + 800] = 0
    assert np.array_equal(out, expected)
    assert [number for number in range(10) if reader.block(number) is None] == [block]
    again = TapeWriter(path, shape, "serial-1")
    assert again.end_sample == (7200 if what == "last head" else 8000)
    again.close()


def test_a_new_tape_is_not_searched_for_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With hundreds of gigabytes that takes longer than a card's buffer lasts."""
    real, looked_at = TapeReader._search_all, []

    def search_all(reader: TapeReader) -> SlotHead | None:
        looked_at.append(reader.path)
        return real(reader)

    monkeypatch.setattr(TapeReader, "_search_all", search_all)
    tape = new_tape(tmp_path / "t.tape")
    put(tape, noise(3, 800), 0)
    last = TapeReader(tmp_path / "t.tape").last_head()
    assert last is not None
    assert (last.number, looked_at) == (0, [])


def test_a_set_aside_tape_that_cannot_be_opened_right_now_is_not_taken_for_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tape = new_tape(tmp_path / "t-1.set-aside")
    epoch = tape.epoch
    tape.close()
    (tmp_path / "t-2.set-aside").write_bytes(b"no tape")
    real = os.open

    def exhausted(path: str | os.PathLike[str], *more: int) -> int:
        if str(path).endswith("t-1.set-aside"):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(path, *more)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", exhausted)
        with pytest.raises(StoreError, match="Too many open files"):
            set_aside_tape(tmp_path / "t.tape", epoch)
    found = set_aside_tape(tmp_path / "t.tape", epoch)
    assert found is not None
    found.close()
    assert set_aside_tape(tmp_path / "t.tape", "ff" * 16) is None
