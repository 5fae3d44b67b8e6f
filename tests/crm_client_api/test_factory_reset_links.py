"""A reset removes what is the box's own, whatever hangs in its home, and is finished after a power cut."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager

import pytest
from backup_office import back_up, bring_back, file_of, office_in
from click.testing import CliRunner
from crm_office import hire

from crm_client_api.backup import factory_reset as resetting
from crm_client_api.backup.factory_reset import confirmation, factory_reset, require_box
from firmware.cli import root
from firmware.errors import Refused
from recorder.library.evidence.signing import is_signed, signer


@pytest.fixture
def stopped(home):
    with office_in(home) as office:
        office.recorded("13812345678")
    return home


def reset(home, mode):
    return factory_reset(home, mode, overwrite=True, told=lambda *_: None)


def put(file):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("资料")
    return file


@pytest.mark.parametrize("mode", ["wipe", "keep_recordings"])
def test_a_linked_share_is_not_entered(stopped, tmp_path, mode):
    mine = put(tmp_path / "nas" / "照片" / "mine.jpg")
    (stopped.root / "nas").symlink_to(tmp_path / "nas")
    reset(stopped, mode)
    assert mine.read_text() == "资料"
    assert not (stopped.root / "nas").is_symlink()


def test_of_a_disk_in_the_place_of_recordings_only_ours_goes(stopped, tmp_path):
    disk = tmp_path / "disk"
    stopped.recordings.rename(disk)
    stopped.recordings.symlink_to(disk)
    ours = [put(disk / "2026/11/22/CH001/a.flac"), put(disk / "before-restore-20260101T000000Z/2026/a.flac")]
    theirs = [
        put(disk / one)
        for one in ("tapdeck-backup/tapdeck-1.tapdeck", "2026/11/22/tapdeck-backup/x", "照片/a.jpg", "thesis.txt")
    ]
    (disk / "empty").mkdir()
    linked = tmp_path / "elsewhere"
    theirs.append(put(linked / "b.flac"))
    (disk / "2026/11/22/CH001/link").symlink_to(linked)
    reset(stopped, "wipe")
    assert [one for one in ours if one.exists()] == []
    assert not (disk / "2026/11/22/CH001").exists()
    assert [one for one in theirs if not one.exists()] == []
    assert (disk / "empty").is_dir()


def test_of_a_disk_in_the_place_of_tapes_only_tapes_go(stopped, tmp_path):
    disk = tmp_path / "disk"
    stopped.tapes.rename(disk)
    stopped.tapes.symlink_to(disk)
    tape, theirs = put(disk / "card.tape"), put(disk / "照片/a.jpg")
    reset(stopped, "wipe")
    assert (tape.exists(), theirs.exists()) == (False, True)


def test_backups_in_the_home_outlive_it(stopped):
    backup = put(stopped.root / "disk" / "tapdeck-backup" / "tapdeck-1.tapdeck")
    reset(stopped, "wipe")
    assert backup.exists()


def test_keys_behind_a_link_are_not_left_in_silence(stopped, tmp_path):
    stopped.vault.rename(tmp_path / "vault")
    stopped.vault.symlink_to(tmp_path / "vault")
    with pytest.raises(Refused, match="link"):
        reset(stopped, "wipe")
    assert stopped.crm_db.exists()


def test_no_backup_goes_into_the_home(home, tmp_path):
    with office_in(home):
        (home.root / "disk").mkdir()
        (tmp_path / "alias").symlink_to(home.root / "disk")
        for place in (home.root / "disk", tmp_path / "alias", home.root):
            job = back_up(home, f"file://{place}")
            assert (job.state, "own folder" in job.error) == ("failed", True)


def test_a_place_in_the_home_is_refused_when_it_is_set(home, crm, browse):
    hire(crm, "1", "super")
    for place in (home.root, home.root / "disk", home.root / "x" / ".." / "disk"):
        answer = browse("1").ask("PATCH", "/system-parameters", {"values": {"backup_place": f"file://{place}"}})
        assert (answer.status, "own folder" in answer.json["error"]["message"]) == (400, True)
        done = CliRunner().invoke(root, ["--home", str(home.root), "backup", "place", f"file://{place}"])
        assert (done.exit_code != 0, "own folder" in str(done.output) + str(done.exception)) == (True, True)
    outside = f"file://{home.root}-2"
    assert browse("1").ask("PATCH", "/system-parameters", {"values": {"backup_place": outside}}).status == 200


def test_removals_that_are_owed_stay_with_the_recordings(stopped):
    owed = [put(stopped.root / "copies-to-remove" / "nas" / "1"), put(stopped.root / "removals" / "1.json")]
    reset(stopped, "keep_recordings")
    assert [one for one in owed if not one.exists()] == []


def cut_off(home, mode, after):
    """The power goes after so many files."""
    seen = []

    def told(done, _all):
        seen.append(done)
        if done == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        factory_reset(home, mode, overwrite=False, told=told)


@pytest.mark.parametrize("after", [0, 1, 4, 8])
def test_a_wipe_that_was_cut_off_is_finished(stopped, after):
    public = signer(stopped, True).public_key
    words = confirmation(stopped, "wipe")
    cut_off(stopped, "wipe", after)
    require_box(stopped)
    with pytest.raises(Refused, match="--wipe"):
        reset(stopped, "keep_recordings")
    assert confirmation(stopped, "wipe") == words
    statement = reset(stopped, "wipe")
    assert [one for one in stopped.root.rglob("*") if not one.is_dir()] == []
    assert statement.public_key == public
    assert is_signed(statement.said, public, statement.signature)
    assert statement.said["removed"]["keys"]["files"] >= 2
    with pytest.raises(Refused, match="not the home"):
        require_box(stopped)


def test_a_wipe_that_was_cut_off_while_it_wrote_over_a_key_is_finished(stopped):
    public = signer(stopped, True).public_key
    cut_off(stopped, "wipe", 0)
    (stopped.keys / "practice.pem").write_bytes(b"\x93\x00 half written over")
    statement = reset(stopped, "wipe")
    assert is_signed(statement.said, public, statement.signature)
    assert "left" not in statement.said
    assert [one for one in stopped.root.rglob("*") if not one.is_dir()] == []


def test_a_wipe_without_its_stores_is_finished_by_the_command(stopped):
    words = confirmation(stopped, "wipe")
    files = list(resetting._going(stopped, "wipe"))
    cut_off(stopped, "wipe", len(files) - 1)
    assert not stopped.crm_db.exists()
    done = CliRunner().invoke(
        root, ["--home", str(stopped.root), "factory-reset", "--wipe", "--confirm", words], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    assert [one for one in stopped.root.rglob("*") if not one.is_dir()] == []


def test_after_a_restore_no_reset_is_unfinished(home, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    with office_in(home) as office:
        office.recorded("13812345678")
        file = file_of(disk, back_up(home, f"file://{disk}", recordings=True))
    cut_off(home, "wipe", 8)
    bring_back(home, file, replace=True)
    statement = reset(home, "keep_recordings")
    assert statement.said["mode"] == "keep_recordings"


def test_a_reset_that_was_cut_off_is_finished_and_recordings_stay(stopped):
    kept = sorted(stopped.recordings.rglob("*.flac"))
    files = list(resetting._going(stopped, "keep_recordings"))
    cut_off(stopped, "keep_recordings", len(files) - 1)
    statement = reset(stopped, "keep_recordings")
    assert statement.said["left"] == 0
    assert sorted(stopped.recordings.rglob("*.flac")) == kept != []
    assert not (stopped.root / resetting.RESET_MARK).exists()


@contextmanager
def mounted(place):
    place.mkdir(parents=True, exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "none", place], capture_output=True, check=False).returncode:
        pytest.skip("mounting needs root")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("mode", ["wipe", "keep_recordings"])
@pytest.mark.parametrize("place", ["第二块 盘", "jobs/7/share", "run/share"])
def test_what_is_mounted_in_the_home_is_not_entered(stopped, mode, place):
    with mounted(stopped.root / place) as share:
        mine = put(share / "照片" / "mine.jpg")
        reset(stopped, mode)
        assert mine.read_text() == "资料"
    assert not stopped.crm_db.exists()


def test_a_folder_that_is_shown_again_in_the_home_is_not_entered(stopped, tmp_path):
    mine = put(tmp_path / "nas" / "mine.jpg")
    shown = stopped.root / "nas"
    with mounted(shown):
        subprocess.run(["umount", shown], check=True)
        subprocess.run(["mount", "--bind", mine.parent, shown], check=True)
        reset(stopped, "wipe")
        assert mine.read_text() == "资料"


def test_of_a_disk_mounted_in_the_place_of_recordings_only_ours_goes(stopped):
    stopped.recordings.rename(stopped.root / "before")
    with mounted(stopped.recordings) as disk:
        ours, theirs = put(disk / "2026/11/22/CH001/a.flac"), put(disk / "照片/a.jpg")
        reset(stopped, "wipe")
        assert (ours.exists(), theirs.exists()) == (False, True)


def test_keys_on_a_disk_of_their_own_go(stopped):
    stopped.vault.rename(stopped.root / "before")
    with mounted(stopped.vault) as disk:
        key = put(disk / "vault.pem")
        reset(stopped, "wipe")
        assert not key.exists()
