"""Practice beside real lines: whether somebody turned it on, in a file that the keeper looks at.

A box that never held a real line card needs none of it: there simulated lines run by themselves.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import msgspec

from firmware.config import Home
from firmware.durable import sync_folder, write_whole
from firmware.errors import StoreError

SHORTEST_MIN, LONGEST_MIN = 5, 480
MOST_LINES = 8
_MINUTE_MS = 60_000
_log = logging.getLogger(__name__)


class Practice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Practice as it was turned on: by whom (a staff number), on how many lines, from when until when (Unix ms UTC)."""

    lines: Annotated[int, msgspec.Meta(ge=1, le=MOST_LINES)]
    since_ms: int
    until_ms: int
    by: str

    def left_ms(self, at_ms: int) -> int:
        """How long it still lasts by the wall clock, 0 when it is over: never longer than it was asked for, wherever
        that clock was set to meanwhile.
        """
        longest = min(self.until_ms - self.since_ms, LONGEST_MIN * _MINUTE_MS)
        return max(0, min(self.until_ms - at_ms, longest))


def practice_for(minutes: int, lines: int, by: str, at_ms: int) -> Practice:
    """Practice that begins now and lasts ``minutes``."""
    return Practice(lines, at_ms, at_ms + minutes * _MINUTE_MS, by)


def read_practice(home: Home) -> Practice | None:
    """What was turned on last and not off again; None: nothing, or a file that nobody can read. It may be over."""
    try:
        return msgspec.json.decode(_file(home).read_bytes(), type=Practice)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        _log.warning("%s: %s", _file(home), error)
        return None


def write_practice(home: Home, practice: Practice) -> None:
    """Turn it on, in the place of one that is on. Raises StoreError."""
    write_whole(_file(home), msgspec.json.encode(practice))


def end_practice(home: Home) -> None:
    """Turn it off; without any nothing happens. Raises StoreError."""
    try:
        _file(home).unlink(missing_ok=True)
        sync_folder(home.root)
    except OSError as error:
        raise StoreError(f"{_file(home)}: {error.strerror}") from error


def _file(home: Home) -> Path:
    return home.root / "practice.json"
