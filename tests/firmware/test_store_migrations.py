"""Migrations: every room's steps, once, and daemons that refuse what they do not know."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.config import Home
from firmware.errors import StoreError
from firmware.store.connection import open_store, write
from firmware.store.migrations import migrate, require_current_schema


def test_a_fresh_home_gets_both_stores(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create()
    taken = migrate(home)
    assert taken[0] == "calls:firmware:0001_event_log"
    assert {step.split(":")[1] for step in taken} == {"firmware", "recorder", "crm_client_api"}
    assert migrate(home) == []
    require_current_schema(home)
    calls = open_store(home.calls_db, readonly=True)
    assert {"events", "alarms", "meta", "calls", "recordings"} <= set(calls.table_names())
    calls.conn.close()


def test_what_is_stored_outlives_a_second_migration(home: Home) -> None:
    db = open_store(home.calls_db)
    with write(db) as connection:
        connection.execute("INSERT INTO meta VALUES ('kept', 'yes')")
    db.conn.close()
    migrate(home)
    db = open_store(home.calls_db, readonly=True)
    assert db.conn.execute("SELECT value FROM meta WHERE key = 'kept'").fetchone()[0] == "yes"
    db.conn.close()


def test_absent_stores_are_refused(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create()
    with pytest.raises(StoreError, match="tapdeck migrate"):
        require_current_schema(home)


@pytest.mark.parametrize("store", ["calls", "crm"])
def test_a_newer_store_is_refused(home: Home, store: str) -> None:
    db = open_store(home.calls_db if store == "calls" else home.crm_db)
    with write(db) as connection:
        connection.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('firmware', '9999_future', '')"
        )
    db.conn.close()
    with pytest.raises(StoreError, match="9999_future"):
        require_current_schema(home)


def test_an_older_store_is_refused(home: Home) -> None:
    db = open_store(home.crm_db)
    with write(db) as connection:
        connection.execute("DELETE FROM _sqlite_migrations WHERE migration_set = 'firmware'")
    db.conn.close()
    with pytest.raises(StoreError, match="tapdeck migrate"):
        require_current_schema(home)
