"""Makes a new ``calls.db`` from the recordings, and from what can still be read of the old one.

It is built beside the old one and renamed; the old one is set aside and never deleted. Channel numbers stay as they
are, the event log begins a new epoch. What nobody can read any more (the checkpoint of a recorder) the recorders make
anew: they play their tapes from the beginning.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path

import msgspec
import sqlite_utils

from firmware.clock import now_ms
from firmware.config import Home
from firmware.errors import StoreError
from firmware.store.connection import open_store, write
from firmware.store.health import ABSENT, EMPTY
from firmware.store.migrations import apply_steps
from firmware.store.replace import (
    finish_setting_aside,
    newest_set_aside,
    nobody_has_it,
    put_in_place,
    remove_store,
    set_aside_name,
)
from recorder.library.rebuilding.channel_map import enter_channels, keep_channels, read_kept, told_by_papers
from recorder.library.rebuilding.reconciliation import STORE_REBUILT, Pass, advance, save_pass
from recorder.library.rebuilding.salvage import salvage
from recorder.library.rebuilding.shelf import places

AT_START_S = 2.0
"""So long may reading back hold up the start of the recorders; the keeper goes on with it while the box works."""
Enough = Callable[[Pass], bool]


def recover(home: Home, damage: str) -> bool:
    """The store is damaged, and the daemons have not started: make a new one that they can work with at once.

    Entry point of ``tapdeck.store_rebuilders``. Raises StoreError.
    """
    if damage in (ABSENT, EMPTY) and not _has_a_past(home):
        return False
    until = time.monotonic() + AT_START_S
    rebuild(home, damage, lambda _: time.monotonic() > until)
    return True


def _has_a_past(home: Home) -> bool:
    unread: dict[str, str] = {}
    with suppress(OSError):
        if newest_set_aside(home.calls_db) is not None or next(places(home.recordings, unread), None) is not None:
            return True
    return bool(unread)


def rebuild(home: Home, reason: str, enough: Enough, *, dry_run: bool = False) -> Pass:
    """Make a new store and read back the past until ``enough``; returns how far that came.

    ``dry_run``: throw the new store away. Raises StoreBusy: a process has the store open; StoreError.
    """
    store = home.calls_db
    draft = store.with_name("calls.dry-run" if dry_run else "calls.new")
    if not dry_run:
        finish_setting_aside(store)
        with nobody_has_it(store):
            pass  # before any work is done
    aside = set_aside_name(store)
    try:
        with _new_store(draft) as db:
            old = store if store.exists() else newest_set_aside(store)
            _furnish(home, db, old, reason, aside.name)
            with nullcontext() if dry_run else nobody_has_it(store):
                done = Pass(now_ms(), rebuilding=True)
                save_pass(db, done)
                advance(home, db, done, lambda: enough(done))
                if dry_run:
                    return done
                _close_whole(db)
                put_in_place(draft, store, aside)
                return done
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{store} cannot be made anew: {error}") from error
    finally:
        with suppress(OSError):
            remove_store(draft)


@contextmanager
def _new_store(draft: Path) -> Iterator[sqlite_utils.Database]:
    remove_store(draft)
    apply_steps("calls", draft)
    db = open_store(draft)
    with closing(db.conn):
        db.conn.execute("PRAGMA synchronous=OFF")  # it is synced as a whole before it gets its name
        yield db


def _close_whole(db: sqlite_utils.Database) -> None:
    """Everything in the one file."""
    db.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.conn.close()


def _furnish(home: Home, db: sqlite_utils.Database, old: Path | None, reason: str, aside: str) -> None:
    """What the recorders need before they start: channels, checkpoints, marks; and the alarm that tells of it."""
    with write(db) as connection:
        lost = salvage(old, connection)
        seen_ms = now_ms()
        enter_channels(connection, read_kept(home), seen_ms)
        if "channels" in lost:
            enter_channels(connection, told_by_papers(home.recordings), seen_ms)
        if "order_marks" in lost:
            _mark_orders(home, connection)
        connection.execute(
            "INSERT INTO alarms (code, subject, raised_ms, data) VALUES (?, 'calls.db', ?, ?)",
            (
                STORE_REBUILT,
                seen_ms,
                msgspec.json.encode({"reason": reason, "set_aside": aside, "lost": lost}).decode(),
            ),
        )
    keep_channels(home, db)


def _mark_orders(home: Home, connection: sqlite3.Connection) -> None:
    """Nobody knows which orders were carried out: none is carried out twice."""
    try:
        with closing(open_store(home.crm_db, readonly=True).conn) as crm:
            last = crm.execute("SELECT coalesce(max(id), 0) FROM orders").fetchone()[0]
    except (StoreError, sqlite3.Error):
        return
    connection.execute(
        "INSERT INTO order_marks SELECT card_id, ? FROM cards UNION SELECT 'library', ? ON CONFLICT DO NOTHING",
        (last, last),
    )
