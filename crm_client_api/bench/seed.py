"""``tapdeck bench seed``: a home full of data that looks like an office's, to measure on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import sqlite_utils

from crm_client_api.bench import seed_calls, seed_office
from crm_client_api.bench.seed_calls import Size
from crm_client_api.domain.customers.index import renew_soon
from firmware.config import Home
from firmware.errors import ConfigError
from firmware.store.connection import open_store
from firmware.store.migrations import migrate

Progress = Callable[[str, int, int], None]
"""Told what is being made, how many of it are there, and how many there will be."""


def seed(target: Path, size: Size, progress: Progress) -> Home:
    """Make a home at ``target`` and fill it. Raises ConfigError: something is there already."""
    _require_new_place(target)
    home = Home(target.absolute())
    home.create()
    migrate(home)
    crm = open_store(home.crm_db)
    try:
        seed_office.add_staff(crm, size)
    finally:
        crm.conn.close()
    calls_db, crm_db = _open_fast(home.calls_db), _open_fast(home.crm_db)
    try:
        _add_calls(calls_db, crm_db, size, progress)
        _add_records(crm_db, calls_db, size, progress)
    finally:
        for connection in (calls_db, crm_db):
            connection.close()
    return home


def _require_new_place(target: Path) -> None:
    """Never inside what may be a box's home."""
    for folder in (target.absolute(), *target.absolute().parents):
        if any((folder / name).exists() for name in ("calls.db", "crm.db")):
            raise ConfigError(f"{folder} is the home of a box: choose another place")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"{target} is not empty: choose another place")


def _open_fast(path: Path) -> sqlite3.Connection:
    """Nothing here needs to survive a power cut: who is cut off begins anew."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA cache_size=-400000")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("PRAGMA wal_autocheckpoint=20000")
    return connection


def _many(connection: sqlite3.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    connection.execute("BEGIN")
    connection.executemany(statement, rows)
    connection.execute("COMMIT")


def _add_calls(calls: sqlite3.Connection, crm: sqlite3.Connection, size: Size, progress: Progress) -> None:
    channels = range(1, size.channels + 1)
    cards = sorted({seed_calls.card_of(channel) for channel in channels})
    _many(calls, "INSERT INTO cards VALUES (?,'made','','Made',64,8000,1,0,0)", [(card,) for card in cards])
    _many(
        calls,
        "INSERT INTO channels VALUES (?,?,?,1)",
        [(channel, seed_calls.card_of(channel), channel) for channel in channels],
    )
    # Sorting once is a fraction of the work of keeping indexes while rows come in.
    made_later = calls.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        " AND tbl_name IN ('calls', 'recordings')"
    ).fetchall()
    for name, _ in made_later:
        calls.execute(f"DROP INDEX {name}")
    done = 0
    for day in seed_calls.days(size):
        _many(calls, seed_calls.CALLS, day.calls)
        _many(calls, seed_calls.RECORDINGS, day.recordings)
        _many(crm, seed_calls.TAKINGS, day.takings)
        done += len(day.calls)
        progress("calls", done, size.calls)
    for number, (_, statement) in enumerate(made_later, 1):
        calls.execute(statement)
        progress("indexes", number, len(made_later))
    calls.execute("BEGIN")
    seed_calls.add_events(calls)
    calls.execute("COMMIT")


def _add_records(crm: sqlite3.Connection, calls: sqlite3.Connection, size: Size, progress: Progress) -> None:
    done = 0
    for people in seed_office.customers(size):
        _many(crm, seed_office.CUSTOMERS, people.customers)
        _many(crm, seed_office.PHONES, people.phones)
        _many(crm, seed_office.TAGS, people.tags)
        ids = [row[0] for row in people.customers]
        renew_soon(sqlite_utils.Database(crm, execute_plugins=False), ids, batch=len(ids))
        done += len(ids)
        progress("customers", done, size.customers)
    done = 0
    for rows, indexed in seed_office.communications(size, calls):
        _many(crm, seed_office.COMMUNICATIONS, rows)
        _many(crm, seed_office.COMMUNICATION_WORDS, indexed)
        done += len(rows)
        progress("communications", done, size.communications)
    _many(
        crm,
        "INSERT INTO agent_state_log (staff_no, state, reason, from_ms, to_ms) VALUES (?,?,?,?,?)",
        seed_office.agent_states(size),
    )
