"""What is ready takes over at the next start, and a start that is killed anywhere in it is gone on with by the next."""

from __future__ import annotations

import hashlib
import os
import shutil

import backup_office
import pytest
from backup_office import PASSPHRASE, back_up, bring_back, file_of, files_below, office_in

from crm_client_api.backup import taking_over
from crm_client_api.backup.restore_state import RestoreState, read_state, write_state
from crm_client_api.backup.restoring import prepare
from crm_client_api.backup.sealing import Unlocker
from crm_client_api.backup.stage import READY
from firmware.config import Home
from firmware.errors import StoreError
from firmware.start import make_ready
from firmware.store.migrations import migrate, require_current_schema

office, disk = backup_office.office, backup_office.disk

KILLED = 9
STEPS = ("rename", "mkdir", "unlink", "rmdir")


@pytest.fixture
def ready(office, home, disk, tmp_path):
    """A box that has calls, keys, evidence and a damaged recording of its own, with a backup of ``home`` proved."""
    office.recorded("13812345678")
    _, _, content = office.recorded("01062345678")
    file = file_of(disk, back_up(home, f"file://{disk}", recordings=True))
    new = Home(tmp_path / "new")
    new.create()
    migrate(new)
    with office_in(new) as theirs:
        theirs.recorded("02155556666")
    (there,) = [one for one in home.recordings.rglob("*.flac") if one.read_bytes() == content]
    (new.recordings / there.relative_to(home.recordings)).write_bytes(b"damaged")
    shutil.rmtree(new.root / "run")
    new.create()
    prepare(new, file, Unlocker(PASSPHRASE), told=lambda *_: None)
    return new


def contents(home):
    """Every file with its hash, but locks and sockets; stores that were opened since have other bytes."""
    return {
        name: ""
        if name.startswith(("crm.db", "calls.db"))
        else hashlib.sha256((home.root / name).read_bytes()).digest()
        for name in files_below(home.root)
        if not name.endswith(("-wal", "-shm"))
    }


def start_killed_at(home, step):
    """Start in a process that is killed before its so many-th change of a name; whether it was."""
    child = os.fork()
    if child == 0:
        left = [step]

        def counted(real):
            def change(*given, **named):
                left[0] -= 1
                if left[0] < 0:
                    os._exit(KILLED)
                return real(*given, **named)

            return change

        for name in STEPS:
            setattr(os, name, counted(getattr(os, name)))
        try:
            make_ready(home)
        except BaseException:
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, KILLED), step
    return code == KILLED


def test_a_start_killed_at_any_step_is_gone_on_with(ready, tmp_path):
    whole = Home(tmp_path / "whole")
    shutil.copytree(ready.root, whole.root)
    assert not start_killed_at(whole, 10_000)
    wanted = contents(whole)
    assert sum(1 for name in wanted if "before-restore-" in name) >= 5
    assert not any(".rest" in name or "damaged" in name for name in wanted)
    steps = 0
    while True:
        one = Home(tmp_path / "one")
        shutil.copytree(ready.root, one.root)
        if not start_killed_at(one, steps):
            break
        if steps % 5 == 2:  # and once more as it goes on
            start_killed_at(one, 3)
        make_ready(one)
        assert contents(one) == wanted, steps
        shutil.rmtree(one.root)
        steps += 1
    assert steps > 30
    require_current_schema(one)


def test_until_it_is_gone_on_with_no_daemon_works_with_half_of_it(ready, monkeypatch):
    def cut(folder):
        raise OSError(5, "power cut")

    monkeypatch.setattr(taking_over, "_fill", cut)
    with pytest.raises(StoreError):
        make_ready(ready)
    monkeypatch.undo()
    with pytest.raises(StoreError, match="restore was cut off"):
        migrate(ready)
    make_ready(ready)
    migrate(ready)


def test_the_command_goes_on_with_what_was_cut_off(ready, disk, monkeypatch):
    def cut(folder):
        raise OSError(5, "power cut")

    monkeypatch.setattr(taking_over, "_fill", cut)
    with pytest.raises(StoreError):
        make_ready(ready)
    monkeypatch.undo()
    (file,) = (disk / "tapdeck-backup").glob("*.tapdeck")
    done = bring_back(ready, file)
    assert done.aside is not None
    assert len(list(ready.root.glob("before-restore-*"))) == 1
    make_ready(ready)


def test_what_cannot_be_begun_leaves_the_box_as_it_was(ready, monkeypatch):
    before = {name: digest for name, digest in contents(ready).items() if ".rest" not in name}
    write_state(ready, RestoreState("restarting", "x", 1, "d"))

    def fail(home):
        raise OSError(13, "no right")

    monkeypatch.setattr(taking_over, "_keep_longer_logs", fail)
    assert any("given up" in line for line in make_ready(ready))
    assert contents(ready) == before
    assert read_state(ready).error_code == "restore_failed"
    assert make_ready(ready) == []


def test_what_was_not_proved_to_its_end_is_cleared(ready):
    (ready.root / READY).unlink()
    write_state(ready, RestoreState("preparing", "x", 1, "d"))
    before = {name: digest for name, digest in contents(ready).items() if ".rest" not in name}
    make_ready(ready)
    assert contents(ready) == before
    assert not any(ready.root.rglob(".rest*"))
    assert read_state(ready).error_code == "restore_cut_off"


def test_a_mark_that_cannot_be_read_clears_all_before_it_begins(ready):
    (ready.root / READY).write_text("{")
    make_ready(ready)
    assert not any(ready.root.rglob(".rest*"))
