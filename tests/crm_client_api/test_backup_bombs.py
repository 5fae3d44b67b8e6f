"""What a made-up backup claims to be takes neither all memory nor all of the disk; logs are safe before they count."""

from __future__ import annotations

import io
import shutil
import tarfile

import backup_office
import pytest
from backup_office import PASSPHRASE, back_up, bring_back, file_of

from crm_client_api.backup import restoring, taking_over, trial
from crm_client_api.backup.contents import ABOUT, KeptList, unpack
from crm_client_api.backup.sealing import Unlocker
from firmware.errors import BadInput, StoreFull

office, disk, blank = backup_office.office, backup_office.disk, backup_office.blank

TOO_MUCH = 32 << 20


def entry(name, size=0, **more):
    one = tarfile.TarInfo(name)
    one.size = size
    for key, value in more.items():
        setattr(one, key, value)
    return one


@pytest.mark.parametrize(
    "bomb",
    [
        entry(ABOUT, TOO_MUCH),
        entry("cards.json", pax_headers={"comment": "x" * TOO_MUCH}),
        entry("x" * TOO_MUCH),
        entry("cards.json", 512, pax_headers={"GNU.sparse.map": "0,512", "GNU.sparse.size": str(1 << 40)}),
    ],
    ids=["about", "header", "name", "sparse"],
)
def test_a_tar_that_swells_is_refused(bomb):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(bomb, io.BytesIO(bytes(bomb.size)))
    stream.seek(0)
    with pytest.raises(BadInput, match=r"larger than|no place in a backup"):
        unpack(stream, lambda name, size: None)
    assert stream.tell() < TOO_MUCH


def test_a_list_without_lines_is_refused(tmp_path):
    listed = tmp_path / "recordings.jsonl"
    listed.write_bytes(b" " * (1 << 20))
    with pytest.raises(BadInput, match="list of recordings"):
        list(KeptList(listed, 1).read())


def test_a_recording_is_written_no_further_than_it_is_long(office, home, disk, blank, monkeypatch):
    office.recorded("13812345678")
    file = file_of(disk, back_up(home, f"file://{disk}", recordings=True))
    kept = restoring.KeptList.read
    monkeypatch.setattr(
        restoring.KeptList, "read", lambda self: (restoring.Kept(o.path, o.object, 7, o.sha256) for o in kept(self))
    )
    monkeypatch.setattr(restoring, "_PIECE_BYTES", 16)
    sizes = []
    unlink = restoring.Path.unlink

    def note(self, missing_ok=False):
        if self.suffix == ".flac":
            sizes.append(self.stat().st_size)
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(restoring.Path, "unlink", note)
    assert len(bring_back(blank, file).absent) == 1
    assert sizes == [16]


def test_a_trial_without_room_says_so(office, home, disk, tmp_path, monkeypatch):
    file = file_of(disk, back_up(home, f"file://{disk}"))
    full = shutil.disk_usage(tmp_path)._replace(free=1 << 20)
    monkeypatch.setattr(trial.shutil, "disk_usage", lambda folder: full)
    with pytest.raises(StoreFull, match="room"):
        trial.try_out(file, Unlocker(PASSPHRASE).file_key, tmp_path, lambda done: None)


def test_logs_that_go_on_are_on_the_disk_before_anything_is_put_in_place(office, home, disk, monkeypatch):
    office.recorded("13812345678")
    file = file_of(disk, back_up(home, f"file://{disk}", recordings=True))
    logs = sorted(home.evidence.glob("*/*.log"))
    assert logs
    for log in logs:
        log.write_bytes(log.read_bytes() + b"later\n")
    synced = {}

    def sync(root, also, real=taking_over.sync_file_system):
        synced.update({one.name: one.read_bytes() for one in root.rglob("*.log")})
        real(root, also)

    monkeypatch.setattr(taking_over, "sync_file_system", sync)
    longer = {log.name: log.read_bytes() for log in logs}
    bring_back(home, file, replace=True)
    assert {log.name: log.read_bytes() for log in home.evidence.glob("*/*.log")} == longer
    assert synced == longer
