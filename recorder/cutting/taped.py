"""What the cutter reads from tapes: the tracks of an order, with the gaps in them."""

from __future__ import annotations

import errno
import os
from array import array
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from drivers.api import Pcm
from firmware.errors import StoreError
from recorder.tape.format import Range, checksum, join_gap, silence
from recorder.tape.missing import Missing, explain
from recorder.tape.reader import TapeReader, read_file_head, set_aside_tape


@dataclass(frozen=True, slots=True)
class Taped:
    """What a tape holds of an order: int16 (tracks, samples), and per track the ranges of silence filled in.

    Ranges count from the first sample of the order. ``missing``: ``gaps`` with their reasons, of an order that is not
    lost.
    """

    samples: Pcm
    gaps_by_track: tuple[tuple[Range, ...], ...]
    missing: tuple[Missing, ...] = ()

    @property
    def gaps(self) -> list[Range]:
        """Where at least one track has a gap."""
        return joined(gap for gaps in self.gaps_by_track for gap in gaps)

    @property
    def is_lost(self) -> bool:
        """Whether no track holds a single sample."""
        length = self.samples.shape[1]
        return all(sum(high - low for low, high in gaps) == length for gaps in self.gaps_by_track)

    def without(self, pauses: Sequence[Range]) -> Pcm:
        """The samples, with exact silence in these ranges."""
        samples = self.samples.copy() if pauses else self.samples
        for low, high in pauses:
            samples[:, low:high] = 0
        return samples


def joined(ranges: Iterable[Range]) -> list[Range]:
    """Ranges in order, those that touch or overlap put together."""
    found: list[Range] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return found


@dataclass(frozen=True, slots=True)
class _Head:
    """Of a block's head what stays: its place, check sums of the tracks (four bytes each) and gaps."""

    sequence: int
    track_crcs: array[int]
    gaps: tuple[Range, ...]


class SharedTape:
    """Reads orders from a tape. Thread: one.

    The heads of blocks are kept: recordings of the same minutes share them, and on a card with a thousand tracks a
    head is thirty times what it describes of one track. A head may be that of a block which the ring has written
    over since: its check sums then fit no track.
    """

    def __init__(self, tape: TapeReader) -> None:
        """Raises StoreError."""
        self._tape = tape
        self._heads: dict[int, _Head] = {}
        try:
            self._fd = os.open(tape.path, os.O_RDONLY)
        except OSError as error:
            raise StoreError(f"tape {tape.path}: {error.strerror}") from error
        if read_file_head(self._fd)[1] != tape.epoch:
            os.close(self._fd)
            raise StoreError(f"tape {tape.path}: another one stands in its place")
        shape = tape.geometry
        self._slots, self._slot_bytes, self._track_bytes = shape.slots, shape.slot_bytes, shape.track_bytes
        self._first_track = shape.slot_offset(0) + shape.head_bytes

    def close(self) -> None:
        """Call once; the tape itself stays open."""
        os.close(self._fd)

    def read_order(self, epoch: str, tracks: range, from_sample: int, to_sample: int) -> Taped:
        """Read an order from the tape it is for, which may have been set aside since.

        Raises StoreError: the tape has not come so far yet.
        """
        if epoch == self._tape.epoch:
            self._require_written(to_sample)
            return _explained(self._read(tracks, from_sample, to_sample), self._tape, from_sample)
        old = set_aside_tape(self._tape.path, epoch)
        if old is None:
            return Taped(silence(len(tracks), 0), ((),) * len(tracks))
        with closing(old):
            rows = [old.read(track, from_sample, to_sample) for track in tracks]
            taped = _taped(np.stack([samples for samples, _ in rows]), [gaps for _, gaps in rows], from_sample)
            return _explained(taped, old, from_sample)

    def forget(self, most: int) -> None:
        """Keep the heads of the ``most`` newest blocks."""
        for block in sorted(self._heads)[: max(0, len(self._heads) - most)]:
            del self._heads[block]

    def _require_written(self, to_sample: int) -> None:
        """An order can be older than its last blocks on the disk: what is cut too early is lost."""
        block = (to_sample - 1) // self._tape.geometry.block_samples
        if self._head(block) is None:
            last = self._tape.last_head()
            if last is None or last.number < block:
                raise StoreError(f"the tape has not come to sample {to_sample} yet")

    def _head(self, block: int) -> _Head | None:
        known = self._heads.get(block)
        if known is None:
            head = self._tape.head(block)
            if head is not None:
                known = self._heads[block] = _Head(head.sequence, array("I", head.track_crcs), head.gaps())
        return known

    def _read(self, tracks: range, from_sample: int, to_sample: int) -> Taped:
        size = self._tape.geometry.block_samples
        first, last = from_sample // size, -(-to_sample // size)
        blocks = np.zeros((last - first, len(tracks), size), np.int16)
        gaps: list[list[Range]] = [[] for _ in tracks]
        content = blocks.data.cast("B")
        step = len(tracks) * size * blocks.itemsize
        for index, number in enumerate(range(first, last)):
            head = self._head(number)
            if head is not None and self._rows_into(content[index * step : (index + 1) * step], head, tracks):
                holes: Sequence[Sequence[Range]] = [head.gaps] * len(tracks)
            else:  # written over, or its slot is bad: the tape knows where else to look
                rows = [self._tape.read(track, number * size, (number + 1) * size) for track in tracks]
                blocks[index] = [row for row, _ in rows]
                holes = [missing for _, missing in rows]
            for found, missing in zip(gaps, holes, strict=True):
                for low, high in missing:
                    if max(low, from_sample) < min(high, to_sample):
                        join_gap(found, (max(low, from_sample), min(high, to_sample)))
        samples = blocks.transpose(1, 0, 2).reshape(len(tracks), -1)
        part = samples[:, from_sample - first * size : to_sample - first * size]
        return _taped(np.ascontiguousarray(part), gaps, from_sample)

    def _rows_into(self, place: memoryview, head: _Head, tracks: range) -> bool:
        """Read the tracks of a block from its slot; False when they are not what its head says."""
        size, at = self._track_bytes, self._first_track + head.sequence % self._slots * self._slot_bytes
        try:
            if os.preadv(self._fd, [place], at + tracks.start * size) < len(place):
                return False
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return False
        for index, track in enumerate(tracks):
            if checksum(place[index * size : (index + 1) * size]) != head.track_crcs[track]:
                return False
        return True


def _taped(samples: Pcm, gaps: Sequence[Sequence[Range]], from_sample: int) -> Taped:
    relative = tuple(tuple((low - from_sample, high - from_sample) for low, high in found) for found in gaps)
    return Taped(samples, relative)


def _explained(taped: Taped, tape: TapeReader, from_sample: int) -> Taped:
    if taped.is_lost:
        return taped
    gaps = [(low + from_sample, high + from_sample) for low, high in taped.gaps]
    return replace(taped, missing=tuple(one.later(-from_sample) for one in explain(tape, gaps)))
