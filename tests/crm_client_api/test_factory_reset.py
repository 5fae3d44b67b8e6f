"""A box becomes a new one, with or without its recordings; what went is counted, signed, and gone."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from backup_office import PASSPHRASE, Office, back_up, bring_back, file_of, files_below, office_in
from click.testing import CliRunner
from crm_office import hire

from crm_client_api.backup.factory_reset import confirmation, factory_reset
from firmware.cli import root
from firmware.config import Home
from firmware.errors import Refused
from firmware.store.connection import open_store
from firmware.store.migrations import migrate
from recorder.library.evidence.signing import is_signed, signer


@pytest.fixture
def office(home):
    with office_in(home) as one:
        one.recorded("13812345678")
        yield one


@pytest.fixture
def stopped(home):
    """A home whose box is stopped: nobody has its stores open."""
    with office_in(home) as office:
        office.recorded("13812345678")
        office.recorded("01062345678")
    return home


def reset(home, mode, **options):
    return factory_reset(home, mode, overwrite=False, told=lambda *_: None, **options)


def test_wipe_leaves_no_file_and_says_so_under_the_devices_signature(stopped):
    (stopped.root / "tapes" / "card.tape").write_bytes(b"voices")
    (stopped.root / "jobs" / "7").mkdir(parents=True)
    (stopped.root / "jobs" / "7" / "客户.xlsx").write_bytes(b"customers")
    public = signer(stopped, True).public_key
    files = files_below(stopped.root)
    statement = reset(stopped, "wipe")
    assert [one for one in stopped.root.rglob("*") if one.is_file() or one.is_symlink()] == []
    assert sum(kind["files"] for kind in statement.said["removed"].values()) == len(files)
    assert statement.said["removed"]["keys"]["files"] >= 2
    assert statement.public_key == public
    assert is_signed(statement.said, public, statement.signature)
    assert not is_signed(statement.said | {"mode": "keep_recordings"}, public, statement.signature)
    assert "practice/test-1" in statement.said["heads"]


def test_keys_are_written_over_before_they_go(stopped):
    """Somebody holds the file open, as an undelete tool would find it."""
    with (stopped.vault / "vault.pem").open("rb") as key, stopped.crm_db.open("rb") as store:
        before = key.read()
        reset(stopped, "wipe")
        key.seek(0)
        assert len(key.read()) == len(before)
        key.seek(0)
        assert b"PRIVATE" not in key.read()
        assert "张三".encode() not in store.read()


def test_recordings_and_what_proves_them_stay_and_the_office_is_new(home):
    office = Office(home, law=True)
    office.order()
    office.cutter.work()
    office.cutter.close()
    recording = office.recording()["id"]
    crm = open_store(home.crm_db)
    hire(crm, "1", "super")
    crm.conn.close()
    kept = {one: (home.root / one).read_bytes() for one in files_below(home.root) if one.startswith("rec")}
    assert any(name.endswith(".flac") for name in kept)
    statement = reset(home, "keep_recordings")
    assert {one: (home.root / one).read_bytes() for one in kept} == kept
    assert not home.crm_db.exists()
    assert "recordings" not in statement.said["removed"]
    home.create()
    migrate(home)
    calls, crm = open_store(home.calls_db, readonly=True), open_store(home.crm_db, readonly=True)
    assert [row[0] for row in calls.conn.execute("SELECT id FROM recordings WHERE state = 'ready'")] == [recording]
    assert crm.conn.execute("SELECT count(*) FROM operators").fetchone()[0] == 0
    calls.conn.close()
    crm.conn.close()


def test_a_link_is_removed_and_what_it_leads_to_stays(stopped, tmp_path):
    outside = tmp_path / "其他资料"
    outside.mkdir()
    (outside / "mine.txt").write_text("not the box's")
    (stopped.root / "jobs").mkdir(exist_ok=True)
    (stopped.root / "jobs" / "link").symlink_to(outside)
    (stopped.root / "file-link").symlink_to(outside / "mine.txt")
    reset(stopped, "wipe")
    assert (outside / "mine.txt").read_text() == "not the box's"
    assert [one for one in stopped.root.rglob("*") if not one.is_dir() or one.is_symlink()] == []


def test_what_is_on_the_tape_only_is_not_thrown_away(stopped):
    calls = open_store(stopped.calls_db)
    with calls.conn:
        calls.conn.execute("UPDATE recordings SET state = 'pending' WHERE rowid = 1")
    calls.conn.close()
    with pytest.raises(Refused, match="on the tape"):
        reset(stopped, "keep_recordings")
    assert stopped.crm_db.exists()


def test_it_needs_a_box_that_is_stopped_and_the_very_words(office, home, tmp_path):
    run, words = CliRunner(), confirmation(home, "wipe")
    command = [
        sys.executable,
        "-m",
        "firmware",
        "--home",
        str(home.root),
        "factory-reset",
        "--wipe",
        "--confirm",
        words,
    ]
    held = subprocess.run(command, capture_output=True, text=True, check=False)  # this process has its stores open
    assert (held.returncode, "in use" in held.stderr) == (5, True), held.stderr
    for typed in ("wipe", "yes", confirmation(home, "keep_recordings")):
        done = run.invoke(root, ["--home", str(home.root), "factory-reset", "--wipe"], input=f"{typed}\n")
        assert isinstance(done.exception, Refused), done.output
    strange = tmp_path / "no box"
    strange.mkdir()
    (strange / "thesis.txt").write_text("years of work")
    done = run.invoke(root, ["--home", str(strange), "factory-reset", "--wipe", "--confirm", "wipe"])
    assert "not the home" in str(done.exception)
    assert (strange / "thesis.txt").exists()
    assert home.crm_db.exists()


def test_the_statement_is_printed_and_written_outside(stopped, tmp_path):
    paper = tmp_path / "statement.json"
    words = confirmation(stopped, "wipe")
    done = CliRunner().invoke(
        root,
        ["--home", str(stopped.root), "factory-reset", "--wipe", "--statement", str(paper)],
        input=f"{words}\n",
        catch_exceptions=False,
    )
    said = json.loads(paper.read_text())
    assert said["signature"] in done.output
    assert is_signed(said["said"], said["public_key"], said["signature"])


def test_a_wiped_box_comes_back_from_its_backup(home, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    with office_in(home) as office:
        office.recorded("13812345678")
        file = file_of(disk, back_up(home, f"file://{disk}", recordings=True))
    reset(home, "wipe")
    assert bring_back(Home(home.root), file, PASSPHRASE).recordings == 1
