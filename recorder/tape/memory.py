"""How much audio the recorders of a box may hold in memory together: every card the same seconds of it."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from firmware.errors import StoreError
from recorder.tape.format import Geometry
from recorder.tape.reader import TapeReader
from recorder.tape.spool import HELD_S

MEMORY_SHARE = 0.25
"""Of the machine's memory, for all its cards."""


def machine_bytes() -> int:
    """The memory of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def share_bytes(tape: Path, geometry: Geometry, memory_bytes: int) -> int:
    """What the card with this tape may hold, beside the cards whose tapes lie in the same folder. Raises OSError."""
    own = bytes_per_s(geometry)
    others = sum(_bytes_per_s_of(path) for path in tape.parent.glob("*.tape") if path != tape)
    return int(seconds_held(own + others, memory_bytes) * own)


def seconds_held(all_bytes_per_s: int, memory_bytes: int) -> float:
    """So much audio each card may hold, where all of them bring ``all_bytes_per_s``."""
    return min(float(HELD_S), memory_bytes * MEMORY_SHARE / all_bytes_per_s)


def bytes_per_s(geometry: Geometry) -> int:
    """The audio of a card in a second."""
    return 2 * geometry.tracks * geometry.sample_rate_hz


def _bytes_per_s_of(tape: Path) -> int:
    try:
        with closing(TapeReader(tape)) as reader:
            return bytes_per_s(reader.geometry)
    except StoreError:  # it is being made, or nobody can read it
        return 0
