"""How the storage stands: what is used and free, how long it lasts, what is protected, how far archives lag."""

from __future__ import annotations

from contextlib import closing

import msgspec
import sqlite_utils

from firmware.clock import now_ms
from firmware.config import Home
from firmware.store.connection import open_store
from recorder.library.archive.copies import backlog
from recorder.library.storage.aging import aged_now_ms
from recorder.library.storage.forecast import Forecast, read_forecast
from recorder.library.storage.judge import Judge
from recorder.library.storage.quota import FullAction, full_flag, measure, read_limits, room_bytes


class ArchiveLag(msgspec.Struct, frozen=True):
    """What a target lacks; ``oldest_ms``: since when the oldest waits."""

    target: str
    required: bool
    recordings: int
    bytes: int
    oldest_ms: int | None


class StorageStatus(msgspec.Struct, frozen=True):
    """Times are Unix ms UTC. ``room_bytes``: what can be recorded until quota or reserve is reached.

    ``full``: no new recordings are cut. ``aging_lag_ms``: how far the clock by which recordings grow old is behind.
    """

    recordings: int
    used_bytes: int
    free_bytes: int
    quota_bytes: int
    reserve_bytes: int
    room_bytes: int
    action: FullAction
    full: bool
    oldest_ms: int | None
    held: int
    holds: int
    aging_lag_ms: int
    forecast: Forecast
    archives: tuple[ArchiveLag, ...]


def storage_status(home: Home) -> StorageStatus:
    """Ask stores and disk. Raises StoreError, sqlite3.Error, OSError."""
    calls = open_store(home.calls_db, readonly=True)
    with closing(calls.conn):
        crm = open_store(home.crm_db, readonly=True)
        with closing(crm.conn):
            return _status(home, calls, crm)


def _status(home: Home, calls: sqlite_utils.Database, crm: sqlite_utils.Database) -> StorageStatus:
    limits, usage = read_limits(crm), measure(home, calls)
    recordings, oldest_ms = calls.conn.execute(
        "SELECT count(*), min(started_ms) FROM recordings WHERE state = 'ready'"
    ).fetchone()
    judge = Judge(calls, crm)
    room = room_bytes(limits, usage)
    targets = crm.conn.execute("SELECT name, required, set_ms FROM archive_targets WHERE enabled = 1 ORDER BY name")
    return StorageStatus(
        recordings=recordings,
        used_bytes=usage.used_bytes,
        free_bytes=usage.free_bytes,
        quota_bytes=limits.quota_bytes,
        reserve_bytes=limits.reserve_bytes,
        room_bytes=max(0, room),
        action=limits.action,
        full=full_flag(home).exists(),
        oldest_ms=oldest_ms,
        held=sum(1 for _ in judge.held()),
        holds=len(judge.holds),
        aging_lag_ms=now_ms() - aged_now_ms(home),
        forecast=read_forecast(calls, room, now_ms()),
        archives=tuple(_lag(calls, *target) for target in targets),
    )


def _lag(calls: sqlite_utils.Database, name: str, required: int, set_ms: int) -> ArchiveLag:
    lacks = backlog(calls, name, set_ms)
    return ArchiveLag(name, bool(required), lacks.recordings, lacks.bytes, lacks.oldest_ms)
