"""Reading a tape, while it is written or long after."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from drivers.api import Pcm, ResumePoint
from firmware.errors import StoreError
from recorder.tape.format import (
    HINT,
    HINT_OFFSETS,
    PAGE_BYTES,
    SLOT_START_BYTES,
    Geometry,
    Range,
    SlotHead,
    TapeBlock,
    checksum,
    join_gap,
    unpack_file_head,
    unpack_slot_head,
    unpack_slot_start,
)

SEARCHED_BLOCKS = 600


class TapeReader:
    """Reads a tape. Thread: safe, every read is one ``pread``. What the medium cannot give back (EIO) is a gap.

    Numbers rise with sequences, but a time without a card leaves some out: where a block is, is guessed from the last
    that was found, else looked for by halves.
    """

    def __init__(self, path: Path) -> None:
        """Raises StoreError when there is no whole tape at ``path``."""
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise StoreError(f"tape {path}: {error.strerror}") from error
        try:
            self.geometry, self.epoch, self.card_id = read_file_head(self._fd)
            self._left_out = 0
            """Number minus sequence where a block was last found."""
            self._newest = -1
            """A sequence that is on the tape, not far from its end."""
            self._asked: int | None = -1
            """The hint with which the end was last looked for."""
        except BaseException:
            os.close(self._fd)
            raise

    def close(self) -> None:
        """Call once."""
        os.close(self._fd)

    def _read_at(self, offset: int, size: int) -> bytes:
        return read_at(self._fd, offset, size)

    def head(self, block: int) -> SlotHead | None:
        """The head of block ``block`` if the tape still holds it."""
        head = self._head_at(block - self._left_out)
        if head is None or head.number != block:
            sequence = self._sequence_of(block)
            head = None if sequence is None else self._head_at(sequence)
        return head or self._spilled_head(block)

    def _head_at(self, sequence: int) -> SlotHead | None:
        """The head of the block with this sequence, if it is in its slot."""
        geometry = self.geometry
        raw = self._read_at(geometry.slot_offset(sequence), geometry.head_bytes)
        head = unpack_slot_head(geometry, raw)
        return head if head is not None and head.sequence == sequence else None

    def _number_at(self, sequence: int) -> int | None:
        """The number of the block with this sequence; None when it is not in its slot."""
        start = unpack_slot_start(self._read_at(self.geometry.slot_offset(sequence), SLOT_START_BYTES))
        return start[0] if start is not None and start[1] == sequence else None

    def _sequence_of(self, block: int) -> int | None:
        """Of a block that is in its slot; None when it is in none."""
        found = self._first_from(block)
        if found is None or found[0] != block:
            return None
        self._left_out = block - found[1]
        return found[1]

    def next_from(self, block: int) -> int | None:
        """The first block from ``block`` on that the tape holds; None when it has none yet."""
        found = self._first_from(block)
        names = (number for number in self._spill_names() if number >= block)
        in_files = next(filter(self._spilled_head, names), None)
        return min((number for number in (found and found[0], in_files) if number is not None), default=None)

    def _first_from(self, block: int) -> tuple[int, int] | None:
        """Number and sequence of the first block from ``block`` on that is in its slot."""
        newest = self._follow_newest()
        low, high = max(0, newest - self.geometry.slots + 1), newest + 1  # sequences: all before `low` are below
        found = None
        while low < high:
            middle = (low + high) // 2
            at, number = middle, self._number_at(middle)
            while number is None and at + 1 < high:  # a slot that is bad, or was never written
                at += 1
                number = self._number_at(at)
            if number is not None and number >= block:
                found = number, at
                high = middle
            elif number is not None:
                low = at + 1
            else:
                high = middle
        return found

    def _follow_newest(self) -> int:
        """The sequence of the newest block that is in its slot; -1 without any."""
        hinted, newest = self._hint(), self._newest
        if hinted is not None and hinted > newest and self._number_at(hinted) is not None:
            newest = hinted
        number = self._number_at(newest)
        if number is None and hinted != self._asked:  # never looked for, or the ring went round
            self._asked, last = hinted, self.last_head()
            newest, number = (-1, None) if last is None else (last.sequence, last.number)
        # What a power cut left behind the end is no news: numbers rise.
        while (after := self._number_at(newest + 1)) is not None and (number is None or after > number):
            newest, number = newest + 1, after
        self._newest = newest
        return newest

    def _hint(self) -> int | None:
        pages = (HINT.unpack(self._read_at(at, HINT.size).ljust(HINT.size, b"\xff")) for at in HINT_OFFSETS)
        whole = (int(sequence) for sequence, crc in pages if crc == checksum(struct.pack("<Q", sequence)))
        return max(whole, default=None)

    def block(self, number: int) -> TapeBlock | None:
        """A whole block, or None when the tape does not hold it. Tracks with a wrong CRC come back as gaps."""
        block, whole = self._block_at(number - self._left_out, number)
        if block is None:
            sequence = self._sequence_of(number)
            if sequence is not None:
                block, whole = self._block_at(sequence, number)
        if not whole:
            block = self._unpack(number, self._spilled_slot(number))[0] or block
        return block

    def whole(self, sequence: int) -> TapeBlock | None:
        """The block with this sequence, if it is in its slot and every track of it is right."""
        number = self._number_at(sequence)
        block, whole = (None, False) if number is None else self._block_at(sequence, number)
        return block if block is not None and whole and block.sequence == sequence else None

    def _block_at(self, sequence: int, number: int) -> tuple[TapeBlock | None, bool]:
        geometry = self.geometry
        return self._unpack(number, self._read_at(geometry.slot_offset(sequence), geometry.slot_bytes))

    def _unpack(self, number: int, raw: bytes) -> tuple[TapeBlock | None, bool]:
        """The block in these bytes of a slot, and whether every track of it is right."""
        geometry = self.geometry
        head = unpack_slot_head(geometry, raw[: geometry.head_bytes])
        if head is None or head.number != number or len(raw) < geometry.slot_bytes:
            return None, False
        samples: Pcm = np.frombuffer(raw, np.int16, offset=geometry.head_bytes).reshape(geometry.tracks, -1).copy()
        first = number * geometry.block_samples
        gaps = head.gaps()
        whole = True
        for track, crc in enumerate(head.track_crcs):
            if checksum(samples[track].data) != crc:
                samples[track] = 0
                gaps = ((first, first + geometry.block_samples),)
                whole = False
        block = TapeBlock(
            number, first, samples, head.events(), gaps, head.wall_ns, head.monotonic_ns, head.boot_id,
            head.card_offset, head.sequence, head.follows(),
        )  # fmt: skip
        return block, whole

    def _spilled_slot(self, number: int, size: int = -1) -> bytes:
        """The bytes of a slot that the disk refused, from the file that stands for it; empty when there is none."""
        try:
            with (spill_folder(self.path) / f"{number}.block").open("rb") as file:
                geometry, epoch, card_id = unpack_file_head(file.read(PAGE_BYTES))
                content = file.read(size)
        except (OSError, StoreError):
            return b""
        ours = (geometry, epoch, card_id) == (self.geometry, self.epoch, self.card_id)
        return content if ours else b""

    def _spilled_head(self, number: int) -> SlotHead | None:
        head = unpack_slot_head(self.geometry, self._spilled_slot(number, self.geometry.head_bytes))
        return head if head is not None and head.number == number else None

    def _spill_names(self) -> list[int]:
        return sorted(int(file.stem) for file in spill_folder(self.path).glob("*.block") if file.stem.isdecimal())

    def spilled(self) -> dict[int, int]:
        """Sequences and numbers of the blocks that have files of their own, in order."""
        heads = map(self._spilled_head, self._spill_names())
        return dict(sorted((head.sequence, head.number) for head in heads if head is not None))

    def unreadable_spills(self) -> list[Path]:
        """Files that should hold such blocks and hold none of this tape's, as far as one can read them, by name."""
        files = sorted(spill_folder(self.path).glob("*.block"))
        bad = [file for file in files if not file.stem.isdecimal() or self._spilled_head(int(file.stem)) is None]
        return [file for file in bad if file.exists()]  # the ring passes some meanwhile

    def read(self, track: int, from_sample: int, to_sample: int) -> tuple[Pcm, list[Range]]:
        """One track: int16 ``(to_sample - from_sample,)`` and the ranges of it that are silence filled in."""
        geometry = self.geometry
        out = np.zeros(max(0, to_sample - from_sample), np.int16)
        gaps: list[Range] = []
        if not len(out):
            return out, gaps
        size = geometry.block_samples
        for number in range(from_sample // size, (to_sample - 1) // size + 1):
            low, high = max(from_sample, number * size), min(to_sample, (number + 1) * size)
            row, holes = self._track_of_block(number, track)
            if row is None:
                join_gap(gaps, (low, high))
                continue
            out[low - from_sample : high - from_sample] = row[low - number * size : high - number * size]
            for start, end in holes:
                if max(start, low) < min(end, high):
                    join_gap(gaps, (max(start, low), min(end, high)))
        return out, gaps

    def _track_of_block(self, number: int, track: int) -> tuple[Pcm | None, Sequence[Range]]:
        geometry = self.geometry
        at = geometry.head_bytes + track * geometry.track_bytes
        head = self.head(number)
        raw = b""
        if head is not None:
            raw = self._read_at(geometry.slot_offset(head.sequence) + at, geometry.track_bytes)
        if head is None or not _is_whole(raw, head, track):
            spilled = self._spilled_slot(number)
            head, raw = unpack_slot_head(geometry, spilled), spilled[at : at + geometry.track_bytes]
            if head is None or not _is_whole(raw, head, track):
                return None, ()
        return np.frombuffer(raw, np.int16), head.gaps()

    def last_head(self) -> SlotHead | None:
        """The newest block on the tape (after a crash as well): from the hint on, else by looking at every slot."""
        sequence, spilled = self._hint(), self.spilled()
        best = None if sequence is None else self._head_of(sequence, spilled)
        if best is None:
            return self._search_all(spilled)
        misses, sequence = 0, best.sequence
        while misses < self.geometry.slots and misses < SEARCHED_BLOCKS:
            sequence += 1
            head = self._head_of(sequence, spilled)
            if head is not None and head.number > best.number:
                misses, best = 0, head
            else:
                misses += 1
        return best

    def is_torn(self, head: SlotHead) -> bool:
        """Whether the slot behind this head holds other audio than it says.

        A kill may end write(2) between two pages. Of bytes that cannot be read nobody knows.
        """
        geometry = self.geometry
        raw = self._read_at(geometry.slot_offset(head.sequence), geometry.slot_bytes)
        if len(raw) < geometry.slot_bytes or unpack_slot_head(geometry, raw[: geometry.head_bytes]) != head:
            return False
        samples: Pcm = np.frombuffer(raw, np.int16, offset=geometry.head_bytes).reshape(geometry.tracks, -1)
        return any(checksum(track.data) != crc for track, crc in zip(samples, head.track_crcs, strict=True))

    def before(self, head: SlotHead) -> tuple[int, int] | None:
        """Number and sequence of the newest block before this one that the tape holds whole.

        (-1, -1): none, though nothing was written over yet; None: what was there is written over.
        """
        spilled, oldest = self.spilled(), self._follow_newest() - self.geometry.slots + 1
        for sequence in range(head.sequence - 1, max(-1, oldest - 1), -1):
            found = self._head_of(sequence, spilled)
            if found is not None:
                return found.number, found.sequence
        return (-1, -1) if oldest <= 0 else None

    def _head_of(self, sequence: int, spilled: Mapping[int, int]) -> SlotHead | None:
        return self._head_at(sequence) or (self._spilled_head(spilled[sequence]) if sequence in spilled else None)

    def _search_all(self, spilled: Mapping[int, int]) -> SlotHead | None:
        geometry = self.geometry
        heads = (
            unpack_slot_head(geometry, self._read_at(geometry.slot_offset(slot), geometry.head_bytes))
            for slot in range(geometry.slots)
        )
        in_files = map(self._spilled_head, spilled.values())
        found = (head for head in itertools.chain(heads, in_files) if head)
        return max(found, key=lambda head: head.sequence, default=None)


def read_file_head(fd: int) -> tuple[Geometry, str, str]:
    """Geometry, epoch and card id of the tape that is open as ``fd``, from the first of its two headers that is whole.

    Raises StoreError: neither is.
    """
    try:
        return unpack_file_head(read_at(fd, 0, PAGE_BYTES))
    except StoreError:
        size = os.fstat(fd).st_size
        head = unpack_file_head(read_at(fd, max(0, size - PAGE_BYTES), PAGE_BYTES))
        if head[0].file_bytes != size:
            raise
        return head


def read_at(fd: int, offset: int, size: int) -> bytes:
    """Bytes of a file; none where the medium is bad, which must not hold up what is whole around it."""
    try:
        return os.pread(fd, size, offset)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return b""


def spill_folder(tape: Path) -> Path:
    """Where the blocks of this tape are whose slots the disk refused: ``NUMBER.block``, a tape's head and a slot."""
    return tape.with_suffix(".spill")


def _is_whole(raw: bytes, head: SlotHead, track: int) -> bool:
    return len(raw) > 0 and checksum(raw) == head.track_crcs[track]


def tape_files(folder: Path) -> list[Path]:
    """All tapes of the box, set aside or not, readable or not, in the order in which they were written last."""
    found = []
    for file in folder.iterdir():
        if file.suffix in (".tape", ".set-aside"):
            with contextlib.suppress(FileNotFoundError):  # renamed just now
                found.append((file.stat().st_mtime_ns, file))
    return [file for _, file in sorted(found)]


def set_aside_tape(path: Path, epoch: str) -> TapeReader | None:
    """The tape of ``epoch`` beside the one at ``path``, if it is still there: one that once stood there, or where its
    card was before.

    Raises StoreError: one cannot be opened right now, and may be it.
    """
    for file in tape_files(path.parent):
        try:
            reader = TapeReader(file)
        except StoreError as error:
            if isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, FileNotFoundError):
                raise
            continue
        if reader.epoch == epoch:
            return reader
        reader.close()
    return None


def resume_point(path: Path) -> ResumePoint | None:
    """Where a card should go on for the tape at ``path``: with its last block, if that is torn; None without a tape."""
    try:
        reader = TapeReader(path)
    except StoreError:
        return None
    try:
        head = reader.last_head()
        if head is None:
            return None
        end = (head.number + (0 if reader.is_torn(head) else 1)) * reader.geometry.block_samples
        return ResumePoint(head.boot_id, end - head.card_offset)
    finally:
        reader.close()
