"""Following the end of a card's tape while its recorder writes it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import numpy as np

from crm_client_api.audio.listening import Heard
from crm_client_api.audio.tapes import tape_of_card
from firmware.config import Home
from firmware.errors import StoreError
from recorder.tape.format import BLOCK_MS, SlotHead
from recorder.tape.reader import TapeReader

_WRITTEN_SOON = 0.7
"""After a block the next one cannot be there for most of a block's time: looking earlier only costs."""
_LOST_S = 1.0
"""Without a block for so long the card is away, has leapt, or its recorder writes a new tape: look anew."""
_TORN_LOOKS = 5
"""A block that is just being written can be seen half; one that stays damaged is silence."""
_MOST_BEHIND_BLOCKS = 20
"""Who is further behind than this goes on at the end of the tape: what is heard is live, or it is not heard."""


class LiveTape:
    """What the channels ``rows`` (the tape's rows of each) of a card say from now on. Thread: one."""

    def __init__(self, home: Home, card_id: str, tape: TapeReader) -> None:
        self._home, self._card_id, self._tape = home, card_id, tape
        self.rows: Mapping[int, range] = {}
        self._next = self._end()
        self._torn = 0
        self.is_over = False
        """Whether the card writes a tape of another shape now: the rows would be those of other channels."""
        self._heard_at = time.monotonic()
        self._look_at = 0.0

    def close(self) -> None:
        """Call once."""
        self._tape.close()

    @property
    def sample_rate_hz(self) -> int:
        """Of all rows."""
        return self._tape.geometry.sample_rate_hz

    @property
    def quiet_s(self) -> float:
        """How long nothing can come."""
        return max(0.0, self._look_at - time.monotonic())

    def _end(self) -> int:
        last = self._tape.last_head()
        return 0 if last is None else last.number + 1

    def news(self) -> Iterator[Heard]:
        """Every block that has come since, without waiting."""
        now = time.monotonic()
        if self._tape.head(self._next + _MOST_BEHIND_BLOCKS) is not None:
            self._next = max(self._next, self._end() - 1)
        end = self._next + _MOST_BEHIND_BLOCKS
        while self._next < end and (head := self._tape.head(self._next)) is not None:
            blocks = [self._read(head, channel, rows) for channel, rows in self.rows.items()]
            if None in blocks:
                self._torn += 1
                return
            yield from (block for block in blocks if block is not None)
            self._torn = 0
            self._next += 1
            self._heard_at = now
            self._look_at = now + _WRITTEN_SOON * BLOCK_MS / 1000
        if now - self._heard_at > _LOST_S:
            self._heard_at = now
            self._find_end_anew()

    def _read(self, head: SlotHead, channel: int, rows: range) -> Heard | None:
        """A channel's part of a block; None when it cannot be read yet."""
        size, rate = self._tape.geometry.block_samples, self._tape.geometry.sample_rate_hz
        first = head.number * size
        tracks, holes = zip(*(self._tape.read(row, first, first + size) for row in rows), strict=True)
        whole_is_missing = any(hole == [(first, first + size)] for hole in holes)
        if whole_is_missing and self._torn < _TORN_LOOKS and (first, first + size) not in head.gaps():
            return None
        pcm = np.stack(tracks, axis=1).astype("<i2").tobytes()
        return Heard(channel, len(rows), rate, first, head.wall_ns // 1_000_000, pcm)

    def _find_end_anew(self) -> None:
        try:
            tape = tape_of_card(self._home, self._card_id)
        except (StoreError, OSError):
            return
        if tape is None:
            return
        if tape.epoch == self._tape.epoch:
            tape.close()
            self._next = max(self._next, self._end() - 1)
        elif _shape(tape) != _shape(self._tape):
            tape.close()
            self.is_over = True
        else:
            self._tape.close()
            self._tape = tape
            self._next = self._end()


def _shape(tape: TapeReader) -> tuple[int, int]:
    return tape.geometry.tracks, tape.geometry.sample_rate_hz
