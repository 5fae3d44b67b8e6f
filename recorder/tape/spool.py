"""Blocks in memory on their way to the medium: a disk that stalls or fails holds up nobody who reads a card."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from recorder.tape.format import Range, TapeBlock, join_gap
from recorder.tape.ring import TapeRing

log = logging.getLogger("recorder")

HELD_S = 60
"""So much of the card's audio at most is held in memory for a disk that does not take it."""
SHARED_AGAIN_S = 60.0
"""So often memory is shared out again, for cards come and go."""
RETRY_S = 0.5
TRIES = 3
"""A slot that fails so often in a row is passed over: its block gets a file of its own."""
SLOW_S = 5.0
"""A disk that has not caught up for so long is in trouble, whether it says so or not."""
_CAUGHT_UP_BLOCKS = 10


class Spool:
    """Holds every block until it is on the medium.

    After an fdatasync(2) that failed, the kernel has dropped what it could not write and reports it once (since
    Linux 4.13): all blocks since the last good one are written again, one by one, so that the slot at fault shows.
    Those that memory had to let go meanwhile are read back from the file, which may have them still; one that it has
    not is lost, and counted. Thread: ``put`` one, ``write_out`` another, ``sync`` a third; the rest any.
    """

    def __init__(self, ring: TapeRing, capacity: Callable[[], int]) -> None:
        """``capacity`` tells how many bytes of audio may be held; it is asked by ``sync`` too, on a disk that answers.

        Raises OSError, as ``capacity`` does.
        """
        self._ring = ring
        self._capacity = capacity
        self._waiting: dict[int, TapeBlock] = {}
        self._unsynced: dict[int, TapeBlock] = {}
        self._let_go: list[Range] = []
        """Sequences of blocks in the file that memory had no room to keep until a sync."""
        self._doubtful: list[Range] = []
        """Those of them that a failed sync may have dropped."""
        self._in_file = -1
        """The newest sequence that a sync would bring to the medium, as far as no sync failed since."""
        self._on_medium = -1
        self._changed = threading.Condition()
        self._in_flight = -1
        self._failed_syncs = 0
        self._tries = 0
        self._careful = False
        self._error = ""
        self._caught_up_at = self._shared_at = time.monotonic()
        self.most_blocks = 2
        """So many are held in memory at most."""
        self.given_up = 0
        """Blocks that are lost: memory was full before they were in the file, or the file lost them after."""
        self._share_memory()

    def _share_memory(self) -> None:
        most = max(2, self._capacity() // (self._ring.geometry.tracks * self._ring.geometry.track_bytes))
        with self._changed:
            self.most_blocks, self._shared_at = most, time.monotonic()

    def put(self, block: TapeBlock) -> None:
        """Take a block. Never waits; when memory is full, the oldest is let go."""
        with self._changed:
            if not self._is_behind():
                self._caught_up_at = time.monotonic()
            self._waiting[block.number] = block
            while len(self._waiting) + len(self._unsynced) > self.most_blocks:
                self._let_one_go()
            self._changed.notify_all()

    def _let_one_go(self) -> None:
        if self._unsynced:
            block, ranges = self._unsynced.pop(next(iter(self._unsynced))), self._let_go
        else:
            oldest = next(number for number in self._waiting if number != self._in_flight)
            block, ranges = self._waiting.pop(oldest), self._doubtful
        if block.sequence < 0:
            self._lose(f"memory is full and the disk does not write: audio is lost from block {block.number} on")
            return
        if not self._let_go and not self._doubtful:
            log.error("tape %s: memory is full, block %d and more are in the file alone", self._ring.path, block.number)
        join_gap(ranges, (block.sequence, block.sequence + 1))

    def _lose(self, why: str) -> None:
        if not self.given_up:
            log.error("tape %s: %s", self._ring.path, why)
        self.given_up += 1

    def _is_behind(self) -> bool:
        return bool(self._waiting or self._unsynced or self._let_go or self._doubtful)

    def first_from(self, number: int) -> TapeBlock | None:
        """The first block from ``number`` on of those that may not be on the tape yet."""
        with self._changed:
            blocks = (*self._unsynced.values(), *self._waiting.values())
        return min((block for block in blocks if block.number >= number), key=lambda block: block.number, default=None)

    def held_from(self) -> int | None:
        """The first sample that is not on the medium; None when everything is that memory had room for.

        Of what it had to let go the file tells all there ever will be.
        """
        with self._changed:
            block = next(itertools.chain(self._unsynced.values(), self._waiting.values()), None)
            return None if block is None else block.first_sample

    @property
    def is_safe(self) -> bool:
        """Whether everything is on the medium, or lost."""
        with self._changed:
            return not self._is_behind()

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
            behind = self._is_behind()
            return "the disk is too slow" if behind and time.monotonic() - self._caught_up_at > SLOW_S else None

    def wait(self, timeout_s: float) -> None:
        """Until a block waits to be written."""
        with self._changed:
            if not self._waiting and not self._doubtful:
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
                if block is None and not self._doubtful:
                    self._careful = False
                    self._changed.notify_all()
                    return True
                if block is not None and block.sequence < 0:  # what is given up takes no place
                    block = replace(block, sequence=self._ring.next_sequence)
                self._in_flight = -1 if block is None else block.number
                through, failed_syncs = self._careful, self._failed_syncs
            try:
                if block is None:
                    self._read_back()
                    continue
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
                if safe:
                    self._on_medium = max(self._on_medium, block.sequence)
                else:
                    self._unsynced[block.number] = block
                    self._in_file = block.sequence

    def _read_back(self) -> None:
        """Take the next doubtful block into memory again, to be written once more, if the file has it still."""
        with self._changed:
            sequence = self._doubtful[0][0]
        block = self._ring.read_back(sequence)
        with self._changed:
            end = self._doubtful[0][1]
            self._doubtful[:1] = [(sequence + 1, end)] if sequence + 1 < end else []
            if block is not None:
                self._waiting[block.number] = block
            elif sequence > self._ring.next_sequence - 1 - self._ring.geometry.slots:  # else the ring has passed it
                self._lose("the disk has lost what it had taken, and memory had let it go")

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
            upto = self._in_file
            if not self._is_behind() and not self._error:
                return
        try:
            self._ring.sync()
        except OSError as error:
            self._complain(error)
            self._doubt()
            return
        with self._changed:
            for number in [number for number, block in self._unsynced.items() if block.sequence <= upto]:
                del self._unsynced[number]
            self._let_go = [(max(low, upto + 1), high) for low, high in self._let_go if high > upto + 1]
            self._on_medium = max(self._on_medium, upto)
        try:
            if self._on_medium >= 0:
                self._ring.hint(self._on_medium)
            if time.monotonic() - self._shared_at >= SHARED_AGAIN_S:
                self._share_memory()
        except OSError as error:
            self._complain(error)
            return
        with self._changed:
            if len(self._waiting) <= _CAUGHT_UP_BLOCKS and not self._careful:
                self._caught_up_at = time.monotonic()
                if self._error and not self._tries:
                    log.warning("tape %s: the disk writes again", self._ring.path)
                    self._error = ""

    def _doubt(self) -> None:
        """After a sync that failed: nobody knows what became of anything since the last good one."""
        with self._changed:
            self._waiting = {**self._unsynced, **self._waiting}
            self._unsynced = {}
            self._doubtful += self._let_go
            self._let_go = []
            self._in_file = -1
            self._failed_syncs += 1
            self._careful = True
            self._changed.notify_all()
