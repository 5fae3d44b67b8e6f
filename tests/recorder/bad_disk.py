"""A ring file on a disk that refuses, forgets or breaks, and a spool that writes to it."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import numpy as np
from recorded_lines import BLOCK, BOOT, CARD_ID, RATE_HZ, noise

from drivers.api import PcmBlock
from recorder.tape.assembly import BlockAssembly
from recorder.tape.format import TapeBlock, geometry_for
from recorder.tape.reader import TapeReader
from recorder.tape.ring import TapeRing
from recorder.tape.spool import Spool

TRACKS = 2


class BadDisk(TapeRing):
    """A real ring file on a disk that can refuse; what a failed sync had to write is gone from the file too.

    So it is with page cache and medium since Linux 4.13: btrfs forgets at once, ext4 and XFS only on the medium
    (``cache_lies``), where no later sync brings it. ``bad_slots`` never take anything.
    """

    def __init__(self, path: Path, minutes: float = 0.5) -> None:
        super().__init__(path, geometry_for(TRACKS, RATE_HZ, minutes), CARD_ID)
        self.refuses = 0
        self.sync_fails = False
        self.spill_fails = False
        self.bad_slots: set[int] = set()
        self.forgets = 0.5
        self.dice = random.Random(1)
        self.cache_lies = False
        self._medium: dict[int, bytes] = {}
        self._dropped: dict[int, bytes] = {}

    def write(self, block: TapeBlock, *, through: bool = False) -> None:
        if self.refuses:
            raise OSError(self.refuses, os.strerror(self.refuses))
        slot = block.sequence % self.geometry.slots
        if slot in self.bad_slots:
            raise OSError(errno.EIO, "bad slot")
        offset, size = self.geometry.slot_offset(block.sequence), self.geometry.slot_bytes
        if not through:
            before = self._dropped.get(offset) or os.pread(self._fd, size, offset)
            self._medium.setdefault(offset, before)
        super().write(block, through=through)
        self._dropped.pop(offset, None)
        if through:
            self._medium.pop(offset, None)

    def sync(self) -> None:
        if self.sync_fails:
            for offset, before in self._medium.items():
                if self.dice.random() >= self.forgets:
                    continue
                if self.cache_lies:
                    self._dropped[offset] = before
                else:
                    os.pwrite(self._fd, before, offset)
            self._medium = {}
            raise OSError(errno.EIO, "gone")
        super().sync()
        self._medium = {}

    def spill(self, block: TapeBlock) -> None:
        if self.spill_fails:
            raise OSError(errno.EIO, "no better")
        super().spill(block)

    def power_cut(self) -> None:
        """Nothing that was not synced remains."""
        for offset, before in (*self._dropped.items(), *self._medium.items()):
            os.pwrite(self._fd, before, offset)


class Desk:
    """Blocks of noise, a spool, and what a reader finds."""

    def __init__(self, path: Path, most_blocks: int = 1000, minutes: float = 0.5) -> None:
        self.disk = BadDisk(path, minutes)
        geometry = self.disk.geometry
        self.spool = Spool(self.disk, lambda: most_blocks * geometry.tracks * geometry.track_bytes)
        self.assembly = BlockAssembly(geometry, self.disk.last)
        self.assembly.join(BOOT, self.assembly.end_sample, 0)
        self.sent = noise(TRACKS, 120 * RATE_HZ)
        self.put_blocks = 0

    def put(self, blocks: int) -> None:
        for _ in range(blocks):
            at = self.put_blocks * BLOCK
            samples = np.ascontiguousarray(self.sent[:, at : at + BLOCK])
            for block in self.assembly.append(PcmBlock(samples, at, 0, 1), 1):
                self.spool.put(block)
            self.put_blocks += 1

    def settle(self) -> None:
        """As the threads go on for a while."""
        for _ in range(4):
            self.spool.write_out()
            self.spool.sync()

    def gaps(self) -> list[tuple[int, int]]:
        """Gaps of the tape, and a check that all else is what was sent."""
        reader = TapeReader(self.disk.path)
        out, gaps = reader.read(1, 0, self.put_blocks * BLOCK)
        expected = self.sent[1, : self.put_blocks * BLOCK].copy()
        for low, high in gaps:
            expected[low:high] = 0
        assert np.array_equal(out, expected)
        reader.close()
        return gaps
