"""Reading a tape, while it is written or long after."""

from __future__ import annotations

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
    """Reads a tape. Thread: safe, every read is one ``pread``."""

    def __init__(self, path: Path) -> None:
        """Raises StoreError when there is no whole tape at ``path``."""
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise StoreError(f"tape {path}: {error.strerror}") from error
        try:
            self.geometry, self.epoch, self.card_id = unpack_file_head(os.pread(self._fd, PAGE_BYTES, 0))
        except BaseException:
            os.close(self._fd)
            raise

    def close(self) -> None:
        """Call once."""
        os.close(self._fd)

    def head(self, block: int) -> SlotHead | None:
        """The head of block ``block`` if the ring still holds it."""
        geometry = self.geometry
        head = unpack_slot_head(geometry, os.pread(self._fd, geometry.head_bytes, geometry.slot_offset(block)))
        return head if head is not None and head.number == block else None

    def block(self, number: int) -> TapeBlock | None:
        """A whole block, or None when the ring does not hold it. Tracks with a wrong CRC come back as gaps."""
        geometry = self.geometry
        raw = os.pread(self._fd, geometry.slot_bytes, geometry.slot_offset(number))
        head = unpack_slot_head(geometry, raw[: geometry.head_bytes])
        if head is None or head.number != number or len(raw) < geometry.slot_bytes:
            return None
        samples: Pcm = np.frombuffer(raw, np.int16, offset=geometry.head_bytes).reshape(geometry.tracks, -1).copy()
        first = number * geometry.block_samples
        gaps = head.gaps()
        for track, crc in enumerate(head.track_crcs):
            if checksum(samples[track].data) != crc:
                samples[track] = 0
                gaps = ((first, first + geometry.block_samples),)
        return TapeBlock(
            number, first, samples, head.events(), gaps, head.wall_ns, head.monotonic_ns, head.boot_id,
            head.card_offset, head.sequence,
        )  # fmt: skip

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
        offset = geometry.slot_offset(number)
        head = self.head(number)
        raw = os.pread(self._fd, geometry.track_bytes, offset + geometry.head_bytes + track * geometry.track_bytes)
        if head is None or len(raw) < geometry.track_bytes or checksum(raw) != head.track_crcs[track]:
            return None, ()
        return np.frombuffer(raw, np.int16), head.gaps()

    def last_head(self) -> SlotHead | None:
        """The newest block on the tape (after a crash as well): from the hint on, else by looking at every slot."""
        number, crc = HINT.unpack(os.pread(self._fd, HINT.size, HINT_OFFSET))
        best = self.head(number) if crc == checksum(struct.pack("<Q", number)) else None
        if best is None:
            return self._search_all()
        misses, number = 0, best.number
        while misses < self.geometry.slots and misses < SEARCHED_BLOCKS:
            number += 1
            head = self.head(number)
            misses = 0 if head else misses + 1
            best = head or best
        return best

    def _search_all(self) -> SlotHead | None:
        geometry = self.geometry
        heads = (
            unpack_slot_head(geometry, os.pread(self._fd, geometry.head_bytes, geometry.slot_offset(slot)))
            for slot in range(geometry.slots)
        )
        return max((head for head in heads if head), key=lambda head: head.number, default=None)


def set_aside_tape(path: Path, epoch: str) -> TapeReader | None:
    """The tape of ``epoch`` that once stood at ``path``, if it is still there."""
    for file in path.parent.glob(f"{path.stem}-*.set-aside"):
        try:
            reader = TapeReader(file)
        except StoreError:
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
