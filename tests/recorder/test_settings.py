"""Channel parameters: read when they change, and left as they are when the store cannot be read."""

from __future__ import annotations

import pytest

from firmware.config import Home
from firmware.parameters import set_value
from firmware.store.connection import open_store, write
from recorder.orders import add_order
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


@pytest.mark.parametrize(
    ("scope", "key", "text"),
    [
        ("channel", "record_percent", '"many"'),
        ("channel", "record_percent", "{"),
        ("channel", "longest_segment_s", "0"),
        ("channel", "start_trigger", '"magic"'),
        ("channel", "pre_roll_ms", "null"),
        ("channel", "pre_roll_ms", "1e400"),
        ("channel", "pause_code", "12"),
        ("channel", "record_schedule", '"whenever"'),
        ("system", "site_area_code", "10"),
        ("system", "holidays", "[]"),
    ],
)
def test_a_value_that_cannot_be_used_leaves_the_others_in_force(home: Home, scope: str, key: str, text: str) -> None:
    db = open_store(home.crm_db)
    set_value(db, "channel", "never_record_numbers", "138*", subject="3")
    with write(db) as connection:
        subject = "3" if scope == "channel" else ""
        connection.execute("INSERT INTO parameters VALUES (?,?,?,?,0,'')", (scope, subject, key, text))
    db.conn.close()
    reader = SettingsReader(home)
    assert reader.of_channel(3) == TrackerSettings(never_record_numbers="138*")
    assert not reader.read_parameters()
    reader.close()


def test_orders_for_others_are_looked_through_once_and_none_is_missed(home: Home) -> None:
    db, reader = open_store(home.crm_db), SettingsReader(home)

    def ask(*channels: int) -> list[int]:
        with write(db) as connection:
            return [add_order(connection, at_ms=1, asked_by="8001", verb="pause", channel=one) for one in channels]

    def read(after_id: int, *channels: int) -> list[int]:
        return [order.id for order in reader.orders(after_id, channels)]

    ask(9, 9, 9)
    assert read(0, 1, 2) == read(0, 1, 2) == []
    (first,) = ask(1)
    assert read(0, 1, 2) == read(0, 1, 2) == [first]
    (second,) = ask(2)
    assert read(first, 1, 2) == [second]
    assert read(second, 1, 2) == []
    ask(9)
    assert read(second, 1, 2) == read(second + 1, 1, 2) == []
    (third,) = ask(1)
    assert read(second, 1, 2) == read(second + 1, 1, 2) == [third]
    assert read(0, 1, 2) == [first, second, third]
    assert read(0, 9) == [1, 2, 3, third - 1]
    steps: list[None] = []
    assert reader._db is not None
    reader._db.conn.set_progress_handler(lambda: steps.append(None), 1)
    ask(*[9] * 500)
    assert read(third, 1) == []
    looked_through = len(steps)
    assert read(third, 1) == []
    assert len(steps) - looked_through < looked_through / 5
    reader.close()
