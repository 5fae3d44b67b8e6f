"""Reading a tape, while it is written or long after."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from drivers.api import Pcm, ResumePoint
from firmware.errors import StoreError
from recorder.tape.format import (
    HINT,
    HINT_OFFSET,
    PAGE_BYTES,
    Range,
    SlotHead,
    TapeBlock,
    checksum,
    join_gap,
    unpack_file_head,
    unpack_slot_head,
)

SEARCHED_BLOCKS = 600


class TapeReader:
    """Reads a tape. Thread: safe, every read is one ``pread``. What the medium cannot give back (EIO) is a gap."""

    def __init__(self, path: Path) -> None:
        """Raises StoreError when there is no whole tape at ``path``."""
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise StoreError(f"tape {path}: {error.strerror}") from error
        try:
            self.geometry, self.epoch, self.card_id = unpack_file_head(self._read_at(0, PAGE_BYTES))
        except BaseException:
            os.close(self._fd)
            raise

    def close(self) -> None:
        """Call once."""
        os.close(self._fd)

    def _read_at(self, offset: int, size: int) -> bytes:
        """Bytes of the file; none where the medium is bad, which must not hold up what is whole around it."""
        try:
            return os.pread(self._fd, size, offset)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return b""

    def head(self, block: int) -> SlotHead | None:
        """The head of block ``block`` if the tape still holds it."""
        return self._slot_head(block) or unpack_slot_head(self.geometry, self._spilled_slot(block))

    def _slot_head(self, block: int) -> SlotHead | None:
        """The head of a block that is in its slot."""
        geometry = self.geometry
        head = unpack_slot_head(geometry, self._read_at(geometry.slot_offset(block), geometry.head_bytes))
        return head if head is not None and head.number == block else None

    def block(self, number: int) -> TapeBlock | None:
        """A whole block, or None when the tape does not hold it. Tracks with a wrong CRC come back as gaps."""
        geometry = self.geometry
        raw = self._read_at(geometry.slot_offset(number), geometry.slot_bytes)
        block, whole = self._unpack(number, raw)
        if not whole:
            block = self._unpack(number, self._spilled_slot(number))[0] or block
        return block

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
            head.card_offset, head.sequence,
        )  # fmt: skip
        return block, whole

    def _spilled_slot(self, number: int) -> bytes:
        """The bytes of a slot that the disk refused, from the file that stands for it; empty when there is none."""
        try:
            content = (spill_folder(self.path) / f"{number}.block").read_bytes()
            geometry, epoch, card_id = unpack_file_head(content[:PAGE_BYTES])
        except (OSError, StoreError):
            return b""
        ours = (geometry, epoch, card_id) == (self.geometry, self.epoch, self.card_id)
        return content[PAGE_BYTES:] if ours else b""

    def spilled(self) -> list[int]:
        """Numbers of the blocks that have files of their own, in order."""
        return sorted(int(file.stem) for file in spill_folder(self.path).glob("*.block") if file.stem.isdecimal())

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
        slot, at = geometry.slot_offset(number), geometry.head_bytes + track * geometry.track_bytes
        head = unpack_slot_head(geometry, self._read_at(slot, geometry.head_bytes))
        raw = self._read_at(slot + at, geometry.track_bytes)
        if head is None or head.number != number or not _is_whole(raw, head, track):
            spilled = self._spilled_slot(number)
            head, raw = unpack_slot_head(geometry, spilled), spilled[at : at + geometry.track_bytes]
            if head is None or not _is_whole(raw, head, track):
                return None, ()
        return np.frombuffer(raw, np.int16), head.gaps()

    def last_head(self) -> SlotHead | None:
        """The newest block on the tape (after a crash as well): from the hint on, else by looking at every slot."""
        number, crc = HINT.unpack(self._read_at(HINT_OFFSET, HINT.size).ljust(HINT.size, b"\xff"))
        best = self.head(number) if crc == checksum(struct.pack("<Q", number)) else None
        if best is None:
            return self._search_all()
        misses, number, spilled = 0, best.number, frozenset(self.spilled())
        while misses < self.geometry.slots and misses < SEARCHED_BLOCKS:
            number += 1
            head = self.head(number) if number in spilled else self._slot_head(number)
            misses = 0 if head else misses + 1
            best = head or best
        return best

    def _search_all(self) -> SlotHead | None:
        geometry = self.geometry
        heads = (
            unpack_slot_head(geometry, self._read_at(geometry.slot_offset(slot), geometry.head_bytes))
            for slot in range(geometry.slots)
        )
        spilled = map(self.head, self.spilled())
        return max((head for head in (*heads, *spilled) if head), key=lambda head: head.number, default=None)


def spill_folder(tape: Path) -> Path:
    """Where the blocks of this tape are whose slots the disk refused: ``NUMBER.block``, a tape's head and a slot."""
    return tape.with_suffix(".spill")


def _is_whole(raw: bytes, head: SlotHead, track: int) -> bool:
    return len(raw) > 0 and checksum(raw) == head.track_crcs[track]


def set_aside_tape(path: Path, epoch: str) -> TapeReader | None:
    """The tape of ``epoch`` that once stood at ``path``, if it is still there.

    Raises StoreError: one cannot be opened right now, and may be it.
    """
    for file in path.parent.glob(f"{path.stem}-*.set-aside"):
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
    """Where a card should go on for the tape at ``path``; None without a usable tape."""
    try:
        reader = TapeReader(path)
    except StoreError:
        return None
    try:
        head = reader.last_head()
        if head is None:
            return None
        end = (head.number + 1) * reader.geometry.block_samples
        return ResumePoint(head.boot_id, end - head.card_offset)
    finally:
        reader.close()
