"""The backup of every night: when it is due, and when the last good one is too old."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

import msgspec

from crm_client_api.backup import records
from crm_client_api.backup.asking import BACKUP, wanted_at
from crm_client_api.backup.parameters import HOUR, OVERDUE_DAYS, PLACE, RECORDINGS
from crm_client_api.courier.jobs import add_job
from crm_client_api.domain.audit import BOX, Actor
from crm_client_api.domain.settings import read_settings
from crm_client_api.stores import Stores
from firmware.parameters import get_all
from firmware.store.connection import open_store, write
from recorder.library.keeping.alarms import let_stand

OVERDUE = "backup_overdue"
"""The standing alarm; ``data``: ``last_ms`` (the last good backup, else null), ``error`` of the last try."""
_RETRY_MS = 3_600_000
_DAY_MS = 86_400_000


def is_due(now_ms: int, hour: int, zone: tzinfo, tried_ms: int, made_ms: int) -> bool:
    """Whether to begin now. ``tried_ms``: the last try; ``made_ms``: the last good one; 0: never. Pure.

    Once after the hour begins, also later when the box was off; after a failure every hour. A clock that went back
    makes nothing due twice within the hour; a backup of the future is none.
    """
    slot_ms = _slot_ms(now_ms, hour, zone, 0)
    if slot_ms > now_ms:
        slot_ms = _slot_ms(now_ms, hour, zone, -1)
    if slot_ms <= made_ms <= now_ms:
        return False
    return tried_ms < slot_ms or abs(now_ms - tried_ms) >= _RETRY_MS


def next_night_ms(now_ms: int, hour: int, zone: tzinfo) -> int:
    """When the hour begins next, Unix ms UTC. Pure."""
    return min(slot for day in (0, 1) if (slot := _slot_ms(now_ms, hour, zone, day)) > now_ms)


def _slot_ms(now_ms: int, hour: int, zone: tzinfo, days: int) -> int:
    at = datetime.fromtimestamp(now_ms / 1000, zone) + timedelta(days=days)
    return int(at.replace(hour=hour, minute=0, second=0, microsecond=0).timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class _LastTry:
    at_ms: int
    open: bool
    error: str | None


def ask_when_due(stores: Stores, now_ms: int) -> bool:
    """Ask for the backup of the night; whether it was time. Raises StoreError."""
    system = get_all(stores.crm, "system")
    place, hour = system[PLACE], system[HOUR]
    if not isinstance(place, str) or not place or not isinstance(hour, int) or records.read_key(stores.crm) is None:
        return False
    last = _last_try(stores.crm.conn, place)
    made_ms = _last_good_ms(stores, now_ms, place) or 0
    if last.open or not is_due(now_ms, hour, read_settings(stores.crm).zone, last.at_ms, made_ms):
        return False
    wanted = msgspec.to_builtins(wanted_at(place, recordings=system[RECORDINGS] is True))
    with write(stores.crm) as connection:
        add_job(connection, BACKUP, Actor(BOX), wanted, frozenset())
    return True


def tell_overdue(stores: Stores, now_ms: int) -> None:
    """Let the alarm stand while the last good backup is too old. Raises StoreError."""
    system = get_all(stores.crm, "system")
    place, days = system[PLACE], system[OVERDUE_DAYS]
    standing: dict[str, Mapping[str, Any]] = {}
    if isinstance(place, str) and place and isinstance(days, int) and days:
        made_ms = _last_good_ms(stores, now_ms)
        row = stores.crm.conn.execute(
            "SELECT changed_ms FROM parameters WHERE scope = 'system' AND subject = '' AND key = ?", (PLACE,)
        ).fetchone()
        since_ms = max(made_ms or 0, 0 if row is None or row[0] > now_ms else int(row[0]))
        if now_ms - since_ms > days * _DAY_MS:
            standing[""] = {"last_ms": made_ms, "error": _last_try(stores.crm.conn, place).error}
    calls = open_store(stores.home.calls_db)
    try:
        let_stand(calls, OVERDUE, standing)
    finally:
        calls.conn.close()


def _last_good_ms(stores: Stores, now_ms: int, place: str | None = None) -> int | None:
    """When the last good backup was made. One of the future is of a clock that was wrong: nobody knows its age."""
    made = (one for one in records.list_made(stores.crm) if place in (None, one.address))
    return max((one.made_ms for one in made if one.made_ms <= now_ms), default=None)


def _last_try(crm: sqlite3.Connection, place: str) -> _LastTry:
    """The last job for this place, whoever asked for it: one that works or waits is not asked for again."""
    row = crm.execute(
        "SELECT created_ms, state, CASE WHEN state = 'running' THEN 'the last try has not ended: its place may not"
        " answer' ELSE error END FROM jobs WHERE kind = ? AND json_extract(wanted, '$.place') = ?"
        " ORDER BY state IN ('waiting', 'running') DESC, id DESC LIMIT 1",
        (BACKUP, place),
    ).fetchone()
    return _LastTry(0, False, None) if row is None else _LastTry(row[0], row[1] in ("waiting", "running"), row[2])
