"""Brings both store files to the schema that this version knows, floor by floor."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path

import sqlite_utils
from sqlite_utils import Migrations

from firmware.config import Home
from firmware.errors import StoreError
from firmware.store.connection import open_store

StoreMigrations = Mapping[str, Migrations]
"""What a room contributes: one set of steps for each store file, by name (``calls``, ``crm``)."""


_APPLIED = "SELECT migration_set, name FROM _sqlite_migrations"


def _registered() -> list[StoreMigrations]:
    found = sorted(entry_points(group="tapdeck.migrations"), key=lambda point: point.name)
    return [point.load() for point in found]


def _file(home: Home, store: str) -> Path:
    return {"calls": home.calls_db, "crm": home.crm_db}[store]


def migrate(home: Home) -> list[str]:
    """Apply what is pending; returns the names of the steps taken. Run before the daemons start."""
    taken: list[str] = []
    for store in ("calls", "crm"):
        db = open_store(_file(home, store))
        try:
            for room in _registered():
                if store in room:
                    steps = room[store]
                    taken += [f"{store}:{steps.name}:{step.name}" for step in steps.pending(db)]
                    steps.apply(db)
        finally:
            db.conn.close()
    return taken


def require_current_schema(home: Home) -> None:
    """Refuse stores that lack a step of ours or hold a step that we do not know. Raises StoreError."""
    for store in ("calls", "crm"):
        path = _file(home, store)
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
