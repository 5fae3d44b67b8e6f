"""Blocks in memory on their way to the medium: a disk that stalls or fails holds up nobody who reads a card."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from dataclasses import replace

from recorder.tape.format import Geometry, TapeBlock
from recorder.tape.ring import TapeRing

log = logging.getLogger("recorder")

HELD_S = 60
"""So much of the card's audio is held in memory for a disk that does not take it."""
MEMORY_SHARE = 0.25
"""Of the machine's memory at most; what must go then is the oldest."""
RETRY_S = 0.5
TRIES = 3
"""A slot that fails so often in a row is passed over: its block gets a file of its own."""
SLOW_S = 5.0
"""A disk that has not caught up for so long is in trouble, whether it says so or not."""
_CAUGHT_UP_BLOCKS = 10


def capacity_bytes(geometry: Geometry) -> int:
    """What the spool of such a tape may hold."""
    blocks = HELD_S * geometry.sample_rate_hz // geometry.block_samples
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(blocks * geometry.tracks * geometry.track_bytes, int(memory * MEMORY_SHARE))


class Spool:
    """Holds every block until it is on the medium.

    After an fdatasync(2) that failed, the kernel has dropped what it could not write and reports it once (since
    Linux 4.13): all blocks since the last good one are written again, one by one, so that the slot at fault shows.
    Thread: ``put`` one, ``write_out`` another, ``sync`` a third; the rest any.
    """

    def __init__(self, ring: TapeRing, capacity: int) -> None:
        self._ring = ring
        self._most = max(2, capacity // (ring.geometry.tracks * ring.geometry.track_bytes))
        self._waiting: dict[int, TapeBlock] = {}
        self._unsynced: dict[int, TapeBlock] = {}
        self._changed = threading.Condition()
        self._in_flight = -1
        self._failed_syncs = 0
        self._tries = 0
        self._careful = False
        self._error = ""
        self._caught_up_at = time.monotonic()
        self.given_up = 0
        """Blocks that never reached the disk because memory was full."""

    def put(self, block: TapeBlock) -> None:
        """Take a block. Never waits; when memory is full, the oldest that is not written is given up."""
        with self._changed:
            if not self._waiting and not self._unsynced:
                self._caught_up_at = time.monotonic()
            self._waiting[block.number] = block
            while len(self._waiting) + len(self._unsynced) > self._most:
                if self._unsynced:  # written at least: the medium may have it
                    del self._unsynced[next(iter(self._unsynced))]
                    continue
                oldest = next(number for number in self._waiting if number != self._in_flight)
                del self._waiting[oldest]
                if not self.given_up:
                    log.error("memory is full and the disk does not write: audio is lost from block %d on", oldest)
                self.given_up += 1
            self._changed.notify_all()

    def first_from(self, number: int) -> TapeBlock | None:
        """The first block from ``number`` on of those that may not be on the tape yet."""
        with self._changed:
            blocks = (*self._unsynced.values(), *self._waiting.values())
        return min((block for block in blocks if block.number >= number), key=lambda block: block.number, default=None)

    def held_from(self) -> int | None:
        """The first sample that is not on the medium; None when everything is."""
        with self._changed:
            block = next(itertools.chain(self._unsynced.values(), self._waiting.values()), None)
            return None if block is None else block.first_sample

    @property
    def written_to(self) -> int:
        """The first sample that is not in the file; a very high one when everything is."""
        with self._changed:
            block = next(iter(self._waiting.values()), None)
            return 1 << 62 if block is None else block.first_sample

    @property
    def trouble(self) -> str | None:
        """Why the disk does not take what it should; None while all is well."""
        with self._changed:
            if self._error:
                return self._error
            behind = bool(self._waiting or self._unsynced)
            return "the disk is too slow" if behind and time.monotonic() - self._caught_up_at > SLOW_S else None

    def wait(self, timeout_s: float) -> None:
        """Until a block waits to be written."""
        with self._changed:
            if not self._waiting:
                self._changed.wait(timeout_s)

    def wait_written(self, timeout_s: float) -> None:
        """Until no block waits to be written. A file that is being synced may take none: the writer needs its turn."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, timeout_s)

    def write_out(self) -> bool:
        """Write what waits, in order; False when the disk refuses: try again after RETRY_S."""
        while True:
            with self._changed:
                block = next(iter(self._waiting.values()), None)
                if block is None:
                    self._careful = False
                    self._changed.notify_all()
                    return True
                if block.sequence < 0:  # what is given up takes no place
                    block = replace(block, sequence=self._ring.next_sequence)
                self._in_flight = block.number
                through, failed_syncs = self._careful, self._failed_syncs
            try:
                safe = self._write(block, through)
            except OSError as error:
                self._in_flight = -1
                self._complain(error)
                return False
            with self._changed:
                self._in_flight = -1
                if not safe and failed_syncs != self._failed_syncs:  # nobody knows what became of it: once more
                    self._waiting[block.number] = block
                    continue
                del self._waiting[block.number]
                if not safe:
                    self._unsynced[block.number] = block

    def _write(self, block: TapeBlock, through: bool) -> bool:
        """Returns whether the block is on the medium already."""
        try:
            self._ring.write(block, through=through)
        except OSError as error:
            self._tries += 1
            if self._tries < TRIES:
                raise
            try:
                self._ring.spill(block)
            except OSError:  # nor can the disk do that
                raise error from None
            self._complain(error)
            return True
        self._tries = 0
        return through

    def _complain(self, error: OSError) -> None:
        with self._changed:
            if not self._error:
                log.error("tape %s: %s", self._ring.path, error)
            self._error = error.strerror or str(error)

    def sync(self) -> None:
        """Bring what was written to the medium, as far as the disk lets us; call about once a second."""
        with self._changed:
            upto = next(reversed(self._unsynced), -1)
            if not self._unsynced and not self._waiting and not self._error:
                return
        try:
            self._ring.sync()
        except OSError as error:
            self._complain(error)
            with self._changed:
                self._waiting = {**self._unsynced, **self._waiting}
                self._unsynced = {}
                self._failed_syncs += 1
                self._careful = True
                self._changed.notify_all()
            return
        with self._changed:
            for number in [number for number in self._unsynced if number <= upto]:
                del self._unsynced[number]
            if len(self._waiting) <= _CAUGHT_UP_BLOCKS and not self._careful:
                self._caught_up_at = time.monotonic()
                if self._error and not self._tries:
                    log.warning("tape %s: the disk writes again", self._ring.path)
                    self._error = ""
