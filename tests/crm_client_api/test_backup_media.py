"""Disks that take turns at one place, boxes that share one, and lists that say what is there."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import closing

import backup_office
from backup_office import back_up, bring_back, file_of, office_in

from crm_client_api.backup import job as making
from crm_client_api.backup.records import list_made
from crm_client_api.courier.daemon import Courier
from crm_client_api.courier.kinds import BACKUPS
from firmware.clock import now_ms
from firmware.config import Home
from firmware.parameters import set_value
from firmware.store.connection import open_store, write
from firmware.store.migrations import migrate

office, disk, blank = backup_office.office, backup_office.disk, backup_office.blank

DAY_MS = 86_400_000


def listed(home):
    crm = open_store(home.crm_db, readonly=True)
    with closing(crm.conn):
        return list_made(crm)


def keep(home, days):
    crm = open_store(home.crm_db)
    with closing(crm.conn):
        for name, count in (("daily", days), ("weekly", 0), ("monthly", 0)):
            set_value(crm, "system", f"backup_{name}", count, changed_by="1")


def on_day(monkeypatch, day):
    monkeypatch.setattr(making, "now_ms", lambda: now_ms() - (100 - day) * DAY_MS)


def sealed(disk):
    return {one: one.stat().st_mtime_ns for one in (disk / "tapdeck-backup" / "recordings").rglob("*.tapdeck")}


def go_on(home):
    """The job that was open when the backup was made is given up."""
    Courier(home, BACKUPS).turn()
    assert not Courier(home, BACKUPS).turn()


def swap(disk):
    """Pull one disk out, plug the other one in."""
    away, third = disk.with_name("away"), disk.with_name("third")
    away.mkdir(exist_ok=True)
    disk.rename(third)
    away.rename(disk)
    third.rename(away)


def test_disks_that_take_turns_keep_their_own_backups(office, home, disk, blank, monkeypatch):
    address = f"file://{disk}"
    keep(home, 1)
    office.recorded("13812345678")
    on_day(monkeypatch, 0)
    first = file_of(disk, back_up(home, address, recordings=True))
    before = sealed(disk)
    swap(disk)
    on_day(monkeypatch, 7)
    second = file_of(disk, back_up(home, address, recordings=True))
    assert (disk.with_name("away") / "tapdeck-backup" / first.name).exists()
    assert len({one.medium for one in listed(home)}) == len(listed(home)) == 2
    swap(disk)
    office.recorded("01062345678")
    on_day(monkeypatch, 14)
    third = file_of(disk, back_up(home, address, recordings=True))
    assert before.items() < sealed(disk).items()  # what this disk had is not written again
    assert not first.exists()
    assert {one.name for one in listed(home)} == {second.name, third.name}
    assert bring_back(blank, third).recordings == 2
    shutil.rmtree(blank.root)
    swap(disk)
    assert bring_back(blank, second).recordings == 1


def test_boxes_that_share_a_place_leave_each_other_alone(office, home, disk, tmp_path):
    address = f"file://{disk}"
    office.recorded("13812345678")
    back_up(home, address, recordings=True)
    before = sealed(disk)
    other = Home(tmp_path / "other")
    other.create()
    migrate(other)
    with office_in(other) as theirs:
        theirs.recorded("02155556666")
        file_of(disk, back_up(other, address, recordings=True))
    back_up(home, address, recordings=True)
    assert before.items() < sealed(disk).items()
    assert {one.medium for one in listed(home)} == {one.medium for one in listed(other)}
    assert len(listed(home)) == len(listed(other)) == 1


def test_the_list_says_what_is_there_after_an_older_backup_was_restored(office, home, disk, blank, monkeypatch):
    address = f"file://{disk}"
    files = []
    for day, number in ((90, "13812345678"), (91, "01062345678"), (92, "02155556666")):
        on_day(monkeypatch, day)
        office.recorded(number)
        files.append(file_of(disk, back_up(home, address, recordings=True)))
    before = sealed(disk)
    bring_back(blank, files[1])
    assert {(one.name, one.recordings) for one in listed(blank)} == {
        (one.name, count) for count, one in enumerate(files, 1)
    }
    go_on(blank)
    files[2].unlink()
    on_day(monkeypatch, 93)
    new = file_of(disk, back_up(blank, address, recordings=True))
    assert {one.name for one in listed(blank)} == {files[0].name, files[1].name, new.name}
    assert before.keys() <= sealed(disk).keys()


def test_a_backup_that_the_list_lacked_keeps_its_recordings(office, home, disk, blank, monkeypatch):
    """The older one goes; what only the newer ones name must not go with it."""
    address = f"file://{disk}"
    content = office.recorded("13812345678")[2]
    office.recorded("01062345678")
    files = []
    for day in (89, 90, 91):
        on_day(monkeypatch, day)
        files.append(file_of(disk, back_up(home, address, recordings=True)))
    bring_back(blank, files[1])
    go_on(blank)
    calls = open_store(blank.calls_db)
    with closing(calls.conn), write(calls) as connection:  # so the next backup does not name it
        gone = hashlib.sha256(content).hexdigest()
        assert connection.execute("UPDATE recordings SET state = 'lost' WHERE sha256 = ?", (gone,)).rowcount == 1
    keep(blank, 2)
    on_day(monkeypatch, 92)
    assert back_up(blank, address, recordings=True).result["recordings"] == 1
    assert [one.exists() for one in files] == [False, False, True]
    shutil.rmtree(blank.root)
    assert bring_back(blank, files[2]).recordings == 2


def test_what_others_put_there_is_not_listed(office, home, disk):
    address = f"file://{disk}"
    file = file_of(disk, back_up(home, address))
    forged = bytearray(file.read_bytes())
    forged[-70] ^= 1
    head_end = 14 + int.from_bytes(forged[10:14], "big")
    forged[head_end] ^= 1  # the signature
    file.with_name("tapdeck-20991231T000000Z-ffffffff-1.tapdeck").write_bytes(forged)
    again = file_of(disk, back_up(home, address))
    assert [one.name for one in listed(home)] == [again.name]
