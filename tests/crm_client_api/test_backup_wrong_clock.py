"""A clock that was wrong once, and backups without recordings, cost no backup and no recording."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC

import backup_office
from backup_office import back_up, bring_back, file_of, tomorrow_ms

from crm_client_api.backup import job as making
from crm_client_api.backup.generations import Policy, thinned
from crm_client_api.backup.nightly import OVERDUE, ask_when_due, is_due, tell_overdue
from crm_client_api.backup.records import Beside, Made, list_made, note_beside, note_made, unnamed
from crm_client_api.stores import open_stores
from firmware.clock import now_ms
from firmware.config import Home
from firmware.parameters import set_value
from firmware.store.connection import open_store, write

office, disk = backup_office.office, backup_office.disk

DAY_MS = 86_400_000
YEAR_2099_MS = 4_070_908_800_000


def made(at_ms, recordings=None, name=None):
    return Made(at_ms, at_ms, at_ms, "file:///x", name or f"b{at_ms}-{recordings}", 1, "00", "k", recordings)


def alarms(home):
    calls = open_store(home.calls_db, readonly=True)
    with closing(calls.conn):
        return [row[0] for row in calls.conn.execute("SELECT code FROM alarms WHERE cleared_ms IS NULL")]


def test_a_recording_is_never_named_earlier_than_it_was(crm):
    one = Beside("recordings/k/aa/aa.tapdeck", 1, 1, "00")
    note_beside(crm, "file:///x", [one], 5000)
    note_beside(crm, "file:///x", [one], 1000)
    assert unnamed(crm, "file:///x", 4000, 9) == []
    assert unnamed(crm, "file:///x", 5001, 9) == [one.object]


def test_the_backup_made_now_is_never_thinned_out():
    now = made(1_000_000)
    later = [made(YEAR_2099_MS + day * DAY_MS) for day in range(40)]
    removed = thinned([*later, now], now, Policy(7, 4, 12), UTC)
    assert now not in removed
    assert removed  # those of the future are thinned out among themselves
    same = made(now.made_ms, name="another")
    assert thinned([now, same], now, Policy(1, 0, 0), UTC) == []


def test_backups_of_the_future_displace_none_of_today():
    today = 1_790_000_000_000
    nights = [made(today - day * DAY_MS) for day in range(7)]
    future = [made(YEAR_2099_MS + day * DAY_MS) for day in range(7)]
    assert thinned([*nights, *future], nights[0], Policy(7, 0, 0), UTC) == []


def test_backups_without_recordings_displace_none_with_them():
    today = 1_790_000_000_000
    audio = [made(today - (30 + day) * DAY_MS, 5) for day in range(3)]
    bare = [made(today - day * DAY_MS) for day in range(9)]
    lost_disk = made(today - DAY_MS, 0)
    removed = thinned([*audio, *bare, lost_disk], bare[0], Policy(2, 0, 0), UTC)
    assert [one for one in audio if one in removed] == [audio[2]]
    assert bare[0] not in removed
    assert bare[1] not in removed


def test_backups_without_recordings_leave_the_audio(office, home, disk, tmp_path, monkeypatch):
    office.recorded("13812345678")
    address = f"file://{disk}"
    good = file_of(disk, back_up(home, address, recordings=True))
    monkeypatch.setattr(making, "now_ms", lambda: now_ms() + 2000)
    back_up(home, address)
    assert good.exists()
    assert bring_back(Home(tmp_path / "blank"), good).recordings == 1


def test_a_wrong_clock_keeps_the_backup_that_was_just_made(office, home, disk, monkeypatch):
    address = f"file://{disk}"
    monkeypatch.setattr(making, "now_ms", lambda: YEAR_2099_MS)
    back_up(home, address)
    monkeypatch.setattr(making, "now_ms", lambda: YEAR_2099_MS - 1000)
    assert file_of(disk, back_up(home, address)).exists()


def test_one_backup_of_2099_silences_neither_night_nor_alarm(office, home, disk):
    address = f"file://{disk}"
    crm = open_store(home.crm_db)
    set_value(crm, "system", "backup_place", address, changed_by="1")
    with write(crm) as connection:
        note_made(connection, Made(0, YEAR_2099_MS, YEAR_2099_MS, address, "x", 1, "00", "k", None))
    crm.conn.close()
    assert is_due(1_790_000_000_000, 2, UTC, 0, YEAR_2099_MS)
    stores = open_stores(home)
    with closing(stores):
        tell_overdue(stores, tomorrow_ms(4))
        assert alarms(home) == [OVERDUE]
        assert ask_when_due(stores, tomorrow_ms())
        assert len(list_made(stores.crm)) == 1
