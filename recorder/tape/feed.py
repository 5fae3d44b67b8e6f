"""Hands tape blocks from the reading thread to the processing thread: from memory, else from the tape itself.

A block is processed as soon as it is whole: a disk that stalls delays recordings, not calls and pop-ups.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from recorder.tape.format import TapeBlock
from recorder.tape.reader import TapeReader

MEMORY_BYTES = 32 << 20


class BlockFeed:
    """Blocks in order of their number. The writer never waits; a slow reader falls back to the tape.

    Thread: one putting, one taking.
    """

    def __init__(self, tape: TapeReader, held: Callable[[int], TapeBlock | None]) -> None:
        """``held`` gives the first block from a number on of those that may not be on the tape yet."""
        self._tape, self._held = tape, held
        self._recent: OrderedDict[int, TapeBlock] = OrderedDict()
        self._keep = max(4, MEMORY_BYTES // tape.geometry.slot_bytes)
        self._newest = -1
        self._changed = threading.Condition()

    def put(self, block: TapeBlock) -> None:
        """The block is whole, and on its way to the tape."""
        with self._changed:
            self._recent[block.number] = block
            self._newest = block.number
            while len(self._recent) > self._keep:
                self._recent.popitem(last=False)
            self._changed.notify()

    def start_at_end_of(self, newest: int) -> None:
        """The tape already reaches to block ``newest``."""
        self._newest = newest

    @property
    def newest(self) -> int:
        """Number of the newest block, -1 before the first."""
        return self._newest

    def take(self, number: int, timeout_s: float) -> TapeBlock | None:
        """Block ``number``, or the next that exists after it; None when nothing came within ``timeout_s``."""
        with self._changed:
            if self._newest < number:
                self._changed.wait(timeout_s)
        while True:
            with self._changed:
                if self._newest < number:
                    return None
                while self._recent and next(iter(self._recent)) < number:
                    self._recent.popitem(last=False)
                if number in self._recent:
                    return self._recent.pop(number)
                upto = next(iter(self._recent), self._newest + 1)
            block = self._older(number, upto)
            if block is not None:
                return block
            number = upto

    def _older(self, number: int, upto: int) -> TapeBlock | None:
        """The first block from ``number`` on, below ``upto``, that memory no longer has."""
        while number < upto:
            held = self._held(number)
            if held is not None and held.number == number:
                return held
            on_tape = number if self._tape.head(number) else self._tape.next_from(number)
            if held is not None and (on_tape is None or held.number < on_tape):
                return held if held.number < upto else None
            if on_tape is None or on_tape >= upto:
                return None
            block = self._tape.block(on_tape)
            if block is not None:
                return block
            number = on_tape + 1  # the ring has come round meanwhile
        return None
