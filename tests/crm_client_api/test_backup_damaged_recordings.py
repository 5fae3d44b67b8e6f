"""A damaged recording is neither kept as good in a backup nor left in the way of the good one."""

from __future__ import annotations

import backup_office
import pytest
from backup_office import back_up, bring_back, file_of

from crm_client_api.backup.sealing import opening_of
from firmware.config import Home

office, disk = backup_office.office, backup_office.disk


@pytest.mark.parametrize("damage", ["empty", "other", "cut"])
def test_a_damaged_recording_makes_room_for_the_good_one(office, home, disk, tmp_path, damage):
    content = office.recorded("13812345678")[2]
    office.recorded("01062345678")
    file = file_of(disk, back_up(home, f"file://{disk}", recordings=True))
    blank = Home(tmp_path / "blank")
    bring_back(blank, file)
    (here,) = [one for one in blank.recordings.rglob("*.flac") if one.read_bytes() == content]
    bad = {"empty": b"", "other": content[:-1] + bytes([content[-1] ^ 1]), "cut": content[:-9]}[damage]
    here.write_bytes(bad)
    done = bring_back(blank, file, replace=True)
    assert here.read_bytes() == content
    assert (done.recordings, done.absent) == (1, [])
    aside = blank.recordings / done.aside / here.relative_to(blank.recordings)
    assert aside.read_bytes() == bad


def test_a_damaged_recording_stays_where_the_backup_has_no_good_one(office, home, disk, tmp_path):
    office.recorded("13812345678")
    file = file_of(disk, back_up(home, f"file://{disk}", recordings=True))
    blank = Home(tmp_path / "blank")
    bring_back(blank, file)
    (here,) = blank.recordings.rglob("*.flac")
    here.write_bytes(b"half")
    for sealed in (disk / "tapdeck-backup" / "recordings").rglob("*.tapdeck"):
        sealed.unlink()
    assert len(bring_back(blank, file, replace=True).absent) == 1
    assert here.read_bytes() == b"half"


def test_a_damaged_recording_is_not_sealed_as_good(office, home, disk):
    content = office.recorded("13812345678")[2]
    office.recorded("01062345678")
    (bad,) = [one for one in home.recordings.rglob("*.flac") if one.read_bytes() == content]
    bad.write_bytes(content[:-1] + b"?")
    sealed = disk / "tapdeck-backup" / "recordings"
    assert back_up(home, f"file://{disk}", recordings=True).result["recordings"] == 1
    assert len(list(sealed.rglob("*.tapdeck"))) == 1
    bad.write_bytes(content)
    assert back_up(home, f"file://{disk}", recordings=True).result["recordings"] == 2


def test_what_a_cut_left_half_written_is_tidied_away(office, home, disk):
    """And nothing that another box is writing beside it."""
    file = file_of(disk, back_up(home, f"file://{disk}"))
    folder, own = disk / "tapdeck-backup", opening_of(file).head
    parts = [
        folder / f"tapdeck-x-{own.device[:8] or 'new'}-7.tapdeck.0a1b2c3d.part",
        folder / "recordings" / own.key.id / "aa.tapdeck.ffffffff.part",
        folder / f"tapdeck-y-{own.device[:8] or 'new'}-8.tapdeck.part",
    ]
    theirs = [
        folder / "draft.part",
        folder / "tapdeck-x-ffff0000-7.tapdeck.0a1b2c3d.part",
        folder / "recordings" / "k" / "aa.tapdeck.ffffffff.part",
    ]
    for one in (*parts, *theirs):
        one.parent.mkdir(parents=True, exist_ok=True)
        one.write_bytes(b"half")
    file_of(disk, back_up(home, f"file://{disk}"))
    assert [one for one in parts if one.exists()] == []
    assert [one for one in theirs if not one.exists()] == []
