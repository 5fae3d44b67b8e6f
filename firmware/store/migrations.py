"""Brings both store files to the schema that this version knows, floor by floor; a damaged one is seen to first."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path

import sqlite_utils
from sqlite_utils import Migrations

from firmware.config import Home
from firmware.errors import StoreError
from firmware.store.connection import open_store
from firmware.store.health import ABSENT, EMPTY, examine_for, marked_damage

StoreMigrations = Mapping[str, Migrations]
"""What a room contributes: one set of steps for each store file, by name (``calls``, ``crm``)."""
StoreRebuilder = Callable[[Home, str], bool]
"""An entry point of ``tapdeck.store_rebuilders``, named as the store that it makes anew: told what is wrong, it sets
the store aside and puts a new one in its place. False: there is nothing to make one from, and nothing was touched.
Raises StoreError."""

EXAMINED_S = 2.0
"""So long may looking at a store take before the daemons start: nothing records meanwhile, and a line card holds
4 s or more. 500,000 calls (2.4 GB) take 1.5 s from memory and 40 s from a disk that reads 60 MB/s."""

_APPLIED = "SELECT migration_set, name FROM _sqlite_migrations"


def _registered() -> list[StoreMigrations]:
    found = sorted(entry_points(group="tapdeck.migrations"), key=lambda point: point.name)
    return [point.load() for point in found]


def _file(home: Home, store: str) -> Path:
    return {"calls": home.calls_db, "crm": home.crm_db}[store]


def migrate(home: Home) -> list[str]:
    """Apply what is pending; returns the names of the steps taken. Run before the daemons start.

    A damaged store is made anew where a room knows how. Raises StoreError: nobody does.
    """
    taken: list[str] = []
    for store in ("calls", "crm"):
        damage = _damage(_file(home, store))
        if damage is not None:
            taken += _rebuild(home, store, damage)
        taken += apply_steps(store, _file(home, store))
    return taken


def apply_steps(store: str, path: Path) -> list[str]:
    """Bring the file of a ``store`` (``calls``, ``crm``) at ``path`` to our schema; returns the steps taken."""
    taken: list[str] = []
    db = open_store(path)
    try:
        for room in _registered():
            if store in room:
                steps = room[store]
                taken += [f"{store}:{steps.name}:{step.name}" for step in steps.pending(db)]
                steps.apply(db)
    finally:
        db.conn.close()
    return taken


def _damage(path: Path) -> str | None:
    """What is wrong with a store; an absent one was lost, or there never was one."""
    marked = marked_damage(path)
    if marked is not None:
        return marked
    if not path.exists():
        return ABSENT
    return examine_for(path, EXAMINED_S).damage


def _rebuild(home: Home, store: str, damage: str) -> list[str]:
    for point in entry_points(group="tapdeck.store_rebuilders", name=store):
        rebuild: StoreRebuilder = point.load()
        if rebuild(home, damage):
            return [f"{store}: made anew, because {damage}"]
    if damage not in (ABSENT, EMPTY):
        raise StoreError(
            f"{_file(home, store)} is damaged ({damage}): restore it from the backup; it was left as it is."
            " 数据库已损坏,请从备份恢复;文件未作改动。"
        )
    return []


def require_current_schema(home: Home) -> None:
    """Refuse stores that lack a step of ours or hold a step that we do not know, and a marked ``crm.db``.

    Not a marked ``calls.db``: it was found damaged while the box runs, which goes on, with an alarm, until its next
    start makes it anew. ``crm.db`` is marked while a restore puts another one in its place. Raises StoreError.
    """
    for store in ("calls", "crm"):
        path = _file(home, store)
        marked = marked_damage(path) if store == "crm" else None
        if marked is not None:
            raise StoreError(f"{path} must not be used ({marked}): start the box. 请重新启动本机。")
        if not path.exists():
            raise StoreError(f"{path} does not exist: run 'tapdeck migrate' first")
        known = _known_steps(store)
        db = open_store(path, readonly=True)
        try:
            applied = {(set_name, name) for set_name, name in db.conn.execute(_APPLIED)}
        except sqlite3.Error as error:
            raise StoreError(f"{path}: {error}") from error
        finally:
            db.conn.close()
        if known - applied:
            raise StoreError(f"{path} is older than this version: run 'tapdeck migrate' first")
        if applied - known:
            raise StoreError(f"{path} was written by a newer version ({min(applied - known)[1]}): update the box")


def _known_steps(store: str) -> set[tuple[str, str]]:
    empty = sqlite_utils.Database(memory=True)
    sets = [room[store] for room in _registered() if store in room]
    return {(steps.name, step.name) for steps in sets for step in steps.pending(empty)}
