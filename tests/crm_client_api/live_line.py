"""A line card's tape that is written while the tests look, as its recorder writes it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from drivers.api import Pcm, PcmBlock
from firmware.config import Home
from recorder.tape.format import geometry_for
from recorder.tape.writer import TapeWriter

RATE_HZ = 8000


class Line:
    """A tape of ``rows`` rows whose samples are known: row r counts up from 1000·r, modulo 30,000."""

    def __init__(self, home: Home, card_id: str = "test-1", rows: int = 2, minutes: float = 1.0) -> None:
        self.rows = rows
        self.tape = TapeWriter(home.tapes / f"{card_id}.tape", geometry_for(rows, RATE_HZ, minutes), card_id)
        self.tape.join("boot", 0, 0)

    @property
    def epoch(self) -> str:
        return self.tape.epoch

    def expected(self, row: int, from_sample: int, to_sample: int) -> Pcm:
        return ((np.arange(from_sample, to_sample) + 1000 * row) % 30_000).astype(np.int16)

    def speak(self, samples: int, wall_ns: int | None = None) -> None:
        """So many samples more."""
        first = self.tape.end_sample
        pcm = np.stack([self.expected(row, first, first + samples) for row in range(self.rows)])
        now_ns = time.time_ns() if wall_ns is None else wall_ns
        card_sample = first - self.tape.card_offset
        self.tape.append(PcmBlock(pcm, card_sample, time.monotonic_ns(), now_ns), now_ns)
        assert self.tape.spool.write_out()


@contextmanager
def line(home: Home, card_id: str = "test-1", rows: int = 2, minutes: float = 1.0) -> Iterator[Line]:
    one = Line(home, card_id, rows, minutes)
    try:
        yield one
    finally:
        one.tape.close()
