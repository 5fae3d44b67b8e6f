"""How much recordings may take, and what goes when it is too much: pure rules over what was measured.

Two limits: the quota for the audio of all recordings (0: none), and the reserve that stays free on the disk. Above one
of them, so much goes that it is kept with a fiftieth to spare: the next recordings do not start it all again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import sqlite_utils

from firmware.config import Home
from firmware.parameters import Value, get_all
from recorder.library.storage.judge import Judged
from recorder.library.storage.stock import used_bytes

GIB = 1 << 30
_SPARE = 50
FullAction = Literal["overwrite_oldest", "stop_and_alarm", "move_to_archive"]


@dataclass(frozen=True, slots=True)
class Limits:
    """``quota_bytes`` 0: no quota."""

    quota_bytes: int
    reserve_bytes: int
    action: FullAction


@dataclass(frozen=True, slots=True)
class Usage:
    """What recordings take, and what is free on their disk."""

    used_bytes: int
    free_bytes: int

    def after(self, removed_bytes: int) -> Usage:
        """The same, so much less recorded."""
        return Usage(self.used_bytes - removed_bytes, self.free_bytes + removed_bytes)


def full_flag(home: Home) -> Path:
    """While this file is there, no new recordings are cut: they wait on the tape."""
    return home.run / "storage-full"


def limits_of(parameters: Mapping[str, Value]) -> Limits:
    """The limits that these system parameters set."""
    action: FullAction = parameters["storage_full_action"]  # type: ignore[assignment]
    return Limits(_bytes(parameters["storage_quota_gib"]), _bytes(parameters["storage_reserve_gib"]), action)


def _bytes(gib: Value) -> int:
    return round(gib * GIB) if isinstance(gib, int | float) else 0


def read_limits(crm: sqlite_utils.Database) -> Limits:
    """The limits as they stand."""
    return limits_of(get_all(crm, "system"))


def measure(home: Home, calls: sqlite_utils.Database) -> Usage:
    """Ask store and disk. Raises OSError."""
    disk = os.statvfs(home.recordings)
    return Usage(used_bytes(calls), disk.f_bavail * disk.f_frsize)


def _beyond(limits: Limits, usage: Usage) -> list[tuple[int, int]]:
    """For each limit: how far it is passed (negative: what is left), and what is to be spared beyond it."""
    found = [(limits.reserve_bytes - usage.free_bytes, limits.reserve_bytes // _SPARE)]
    if limits.quota_bytes:
        found.append((usage.used_bytes - limits.quota_bytes, limits.quota_bytes // _SPARE))
    return found


def room_bytes(limits: Limits, usage: Usage) -> int:
    """What can be recorded until a limit is reached; negative beyond it."""
    return -max(over for over, _ in _beyond(limits, usage))


def excess_bytes(limits: Limits, usage: Usage, was_full: bool = False) -> int:
    """What has to go, 0 while no limit is passed. A box that was full is so until there is room to spare."""
    beyond = _beyond(limits, usage)
    return max((over + spare for over, spare in beyond if over > (-spare if was_full else 0)), default=0)


def to_free_bytes(limits: Limits, usage: Usage, was_full: bool = False) -> int:
    """What recordings have to make free; 0 also where all of them together are too little.

    Then something else fills the disk, or the reserve is larger than the disk: to delete everything would not help.
    """
    need_bytes = excess_bytes(limits, usage, was_full)
    return need_bytes if need_bytes <= usage.used_bytes else 0


def may_go(one: Judged, action: FullAction) -> bool:
    """Whether a recording may be deleted because there is no room."""
    if one.protection is not None or action == "stop_and_alarm":
        return False
    return action == "overwrite_oldest" or one.archived is True


def surplus(oldest_first: Iterable[Judged], need_bytes: int, action: FullAction) -> Iterator[Judged]:
    """The recordings that go so that ``need_bytes`` become free; fewer when the rest may not go."""
    freed_bytes = 0
    for one in oldest_first:
        if freed_bytes >= need_bytes:
            return
        if may_go(one, action):
            freed_bytes += one.recording.bytes
            yield one
