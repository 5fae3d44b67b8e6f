"""A backup is made while the office works, tried out, and brought back with everything that was in it."""

from __future__ import annotations

import threading

import backup_office
import pytest
from backup_office import (
    CHEAP_LOG2_N,
    PASSPHRASE,
    Office,
    ask_for,
    back_up,
    bring_back,
    file_of,
    files_below,
    job_of,
    office_in,
    rows_of,
)
from crm_office import ROOT

from crm_client_api.backup.keys import make_key
from crm_client_api.backup.records import set_key
from crm_client_api.backup.sealing import opening_of
from crm_client_api.courier.daemon import Courier
from crm_client_api.courier.kinds import BACKUPS
from firmware.config import Home
from firmware.errors import BadInput, Refused
from firmware.store.connection import open_store, write
from firmware.store.migrations import migrate, require_current_schema
from recorder.library.audio.vault import open_recording
from recorder.library.verification.everything import Summary, verify_box

office, disk, blank = backup_office.office, backup_office.disk, backup_office.blank

MOVED_ON = (
    "meta",
    "sessions",
    "jobs",
    "audit",
    "backups",
    "backup_recordings",
    "sqlite_sequence",
    "_sqlite_migrations",
)
NEWS = (*MOVED_ON, "events")


def test_everything_comes_back(office, home, disk, blank):
    paths = [office.recorded(number)[2] for number in ("13812345678", "01062345678", None)]
    assert len(set(paths)) == 3
    missed = office.exchange.call(1, "13900001111")
    office.exchange.end(missed)
    job = back_up(home, f"file://{disk}", recordings=True)
    file = file_of(disk, job)
    assert job.result["recordings"] == 3
    done = bring_back(blank, file)
    assert (done.recordings, done.absent, done.aside) == (3, [], None)
    assert rows_of(blank.calls_db, MOVED_ON) == rows_of(home.calls_db, MOVED_ON)
    assert rows_of(blank.crm_db, NEWS) == rows_of(home.crm_db, NEWS)
    here = {one: (home.root / one).read_bytes() for one in files_below(home.root) if not _left_out(one)}
    there = {one: (blank.root / one).read_bytes() for one in files_below(blank.root) if not _left_out(one)}
    assert there == here
    assert any(name.endswith(".flac") for name in there)
    assert {"keys/practice.pem", "vault/vault.pem", "cards.json"} <= there.keys()
    require_current_schema(blank)


def _left_out(name):
    return name.startswith(("calls.db", "crm.db", "backup/")) or name.endswith((".peaks", ".note"))


@pytest.mark.parametrize("encrypted", [False, True])
def test_the_chain_verifies_afterwards(home, disk, blank, encrypted):
    """Of what the real cutter makes."""
    crm = open_store(home.crm_db)
    set_key(crm, make_key(PASSPHRASE, CHEAP_LOG2_N), ROOT)
    crm.conn.close()
    office = Office(home, law=True)
    if encrypted:
        office.encrypt()
    office.order()
    office.cutter.work()
    office.cutter.close()
    path = office.recording()["path"]
    bring_back(blank, file_of(disk, back_up(home, f"file://{disk}", recordings=True)))
    assert [one for one in verify_box(blank, Summary()) if one.severity in ("error", "warning")] == []
    if encrypted:
        with open_recording(blank, blank.recordings / path) as audio:
            assert audio.read(4) == b"fLaC"


def test_a_backup_while_somebody_writes_is_of_one_moment(office, home, disk, blank):
    """Each write adds an event and counts it in the same transaction: a copy of two moments would disagree."""
    calls = open_store(home.calls_db)
    with write(calls) as connection:
        connection.execute("INSERT INTO meta VALUES ('written', '0')")
        connection.executemany(
            "INSERT INTO events (at_ms, kind, data) VALUES (1, 'filler', ?)", [("x" * 4000,) for _ in range(3000)]
        )
    before = calls.conn.execute("SELECT count(*) FROM events").fetchone()[0]
    stop, written = threading.Event(), []

    def write_on():
        while not stop.is_set():
            with write(calls) as connection:
                connection.execute("INSERT INTO events (at_ms, kind, data) VALUES (2, 'written', ?)", ("y" * 500,))
                connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'written'")
            written.append(1)

    thread = threading.Thread(target=write_on)
    thread.start()
    try:
        job = back_up(home, f"file://{disk}")
    finally:
        stop.set()
        thread.join()
    bring_back(blank, file_of(disk, job))
    restored = open_store(blank.calls_db, readonly=True)
    counted = int(restored.conn.execute("SELECT value FROM meta WHERE key = 'written'").fetchone()[0])
    rows = restored.conn.execute("SELECT count(*) FROM events").fetchone()[0]
    restored.conn.close()
    calls.conn.close()
    assert rows - before == counted
    assert 0 < counted < len(written)


def test_what_a_backup_says_in_clear_names_no_person(office, home, disk):
    office.recorded("13812345678")
    file = file_of(disk, back_up(home, f"file://{disk}", recordings=True))
    secrets = (b"13812345678", "张三".encode(), PASSPHRASE.encode(), b"PRIVATE KEY", b"fLaC")
    for one in (file, *disk.rglob("*.tapdeck")):
        content = one.read_bytes()
        assert [secret for secret in secrets if secret in content] == [], one


def test_another_passphrase_opens_nothing(office, home, disk, blank):
    file = file_of(disk, back_up(home, f"file://{disk}"))
    with pytest.raises(Refused, match="passphrase"):
        bring_back(blank, file, "another passphrase")
    assert not blank.root.exists()


def test_an_altered_byte_anywhere_is_refused_and_nothing_touched(office, home, disk, blank):
    file = file_of(disk, back_up(home, f"file://{disk}"))
    whole = file.read_bytes()
    step = max(1, len(whole) // 40)
    for place in (*range(0, len(whole), step), 8, 9, 12, len(whole) - 1):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x20]) + whole[place + 1 :])
        with pytest.raises((BadInput, Refused)):
            bring_back(blank, file)
        assert files_below(blank.root) == []
    for cut in (whole[:-1], whole[: len(whole) // 2], whole + b"\0", b"", whole[:10]):
        file.write_bytes(cut)
        with pytest.raises(BadInput):
            bring_back(blank, file)
        assert files_below(blank.root) == []
    file.write_bytes(whole)
    bring_back(blank, file)


def test_a_recording_beside_it_that_was_altered_is_named_and_the_rest_comes_back(office, home, disk, blank):
    office.recorded("13812345678")
    office.recorded("01062345678")
    file = file_of(disk, back_up(home, f"file://{disk}", recordings=True))
    sealed = min((disk / "tapdeck-backup" / "recordings").rglob("*.tapdeck"))
    content = sealed.read_bytes()
    sealed.write_bytes(content[:-3] + b"\0" + content[-2:])
    done = bring_back(blank, file)
    assert (done.recordings, len(done.absent)) == (1, 1)
    assert len(list(blank.recordings.rglob("*.flac"))) == 1


def test_recordings_are_written_once(office, home, disk):
    office.recorded("13812345678")
    back_up(home, f"file://{disk}", recordings=True)
    first = {one: one.stat().st_mtime_ns for one in (disk / "tapdeck-backup/recordings").rglob("*.tapdeck")}
    office.recorded("01062345678")
    job = back_up(home, f"file://{disk}", recordings=True)
    now = {one: one.stat().st_mtime_ns for one in (disk / "tapdeck-backup/recordings").rglob("*.tapdeck")}
    assert first.items() < now.items()
    assert (len(now), job.result["recordings"]) == (2, 2)


def test_another_disk_at_the_same_place_gets_all_recordings(office, home, disk, blank):
    office.recorded("13812345678")
    back_up(home, f"file://{disk}", recordings=True)
    disk.rename(disk.with_name("old"))
    disk.mkdir()
    job = back_up(home, f"file://{disk}", recordings=True)
    assert bring_back(blank, file_of(disk, job)).recordings == 1


def test_a_home_that_is_not_blank_is_kept_unless_told_otherwise(office, home, disk, tmp_path):
    office.recorded("13812345678")
    file = file_of(disk, back_up(home, f"file://{disk}"))
    other = Home(tmp_path / "other")
    other.create()
    migrate(other)
    with office_in(other) as theirs:
        theirs.recorded("02155556666")
    before = {one: (other.root / one).read_bytes() for one in files_below(other.root)}
    with pytest.raises(Refused, match="not blank"):
        bring_back(other, file)
    assert {one: (other.root / one).read_bytes() for one in files_below(other.root)} == before
    done = bring_back(other, file, replace=True)
    assert done.aside is not None
    kept = {(other.root / one).read_bytes() for one in files_below(other.root)}
    assert set(before.values()) <= kept
    assert rows_of(other.crm_db, NEWS) == rows_of(home.crm_db, NEWS)


def test_without_a_passphrase_nothing_is_made(home, disk):
    job = back_up(home, f"file://{disk}")
    assert (job.state, job.error_code) == ("failed", "backup_no_passphrase")
    assert files_below(disk) == []


def test_a_place_that_is_away_fails_clearly_and_leaves_nothing_on_the_box(office, home, disk):
    job = back_up(home, f"file://{disk}/nowhere?mount=1")
    assert job.state == "failed"
    assert "not a folder" in job.error
    assert not any((home.root / "backup").glob("*"))


def test_two_boxes_may_share_one_place(office, home, disk, tmp_path):
    back_up(home, f"file://{disk}")
    other = Home(tmp_path / "other")
    other.create()
    migrate(other)
    with office_in(other):
        back_up(other, f"file://{disk}")
    openings = [opening_of(one) for one in (disk / "tapdeck-backup").glob("*.tapdeck")]
    assert len({one.head.key.id for one in openings}) == 2


def test_the_courier_leaves_backups_to_their_daemon(office, home, disk):
    job_id = ask_for(home, f"file://{disk}")
    for lane in ("office", "sticks"):
        assert not Courier(home, lane).turn()
    assert job_of(home, job_id).state == "waiting"
    assert Courier(home, BACKUPS).turn()
    assert job_of(home, job_id).state == "done"
