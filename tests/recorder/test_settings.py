"""Channel parameters: read when they change, and left as they are when the store cannot be read."""

from __future__ import annotations

from firmware.config import Home
from firmware.parameters import set_value
from firmware.store.connection import open_store
from recorder.settings import SettingsReader
from recorder.tracking.tracker import TrackerSettings


def test_changed_parameters_are_read(home: Home) -> None:
    reader = SettingsReader(home)
    assert not reader.changed()
    assert reader.of_channel(3) == TrackerSettings()
    db = open_store(home.crm_db)
    set_value(db, "channel", "pre_roll_ms", 2500, subject="3")
    db.conn.close()
    assert reader.changed()
    assert not reader.changed()
    assert reader.read_parameters()
    assert not reader.read_parameters()
    assert reader.of_channel(3).pre_roll_ms == 2500
    assert reader.of_channel(4).pre_roll_ms == 1000
    reader.close()


def test_an_unreadable_store_leaves_the_factory_settings_until_it_is_mended(home: Home) -> None:
    whole = home.crm_db.read_bytes()
    home.crm_db.write_bytes(b"\xff" * 8192)
    for name in ("crm.db-wal", "crm.db-shm"):
        (home.root / name).unlink(missing_ok=True)
    reader = SettingsReader(home)
    assert reader.of_channel(1) == TrackerSettings()
    home.crm_db.write_bytes(whole)
    assert reader.changed()
    assert reader.of_channel(1) == TrackerSettings()
    reader.close()


def test_a_missing_store_is_waited_for(home: Home) -> None:
    away = home.root / "away.db"
    home.crm_db.rename(away)
    reader = SettingsReader(home)
    assert reader.of_channel(1) == TrackerSettings()
    assert not reader.changed()
    away.rename(home.crm_db)
    assert reader.changed()
    reader.close()
