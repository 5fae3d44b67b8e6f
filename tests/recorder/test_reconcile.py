"""Store and disk heal each other, and nothing is taken for lost that is only in hand."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlite_utils
from archived_office import ArchivedOffice
from click.testing import CliRunner
from recorded_lines import rows

from firmware.cli import root as tapdeck
from firmware.config import Home
from firmware.errors import StoreError
from firmware.store.connection import open_store, write
from firmware.store.health import marked_damage
from recorder.library.keeping.library import open_library
from recorder.library.keeping.task import Library
from recorder.library.rebuilding import reconciliation
from recorder.library.rebuilding.examination import ExaminationTask
from recorder.library.rebuilding.rebuild import rebuild
from recorder.library.rebuilding.reconcile import EVERY_MS, ReconcileTask
from recorder.library.rebuilding.reconciliation import Pass, advance, begin_pass, load_pass, save_pass
from recorder.library.rebuilding.shelf import OLD_S

LONG_AGO = time.time() - OLD_S - 60


@pytest.fixture
def office(home: Home) -> ArchivedOffice:
    made = ArchivedOffice(home)
    made.day()
    return made


@pytest.fixture
def calls(home: Home) -> Iterator[sqlite_utils.Database]:
    db = open_store(home.calls_db)
    yield db
    db.conn.close()


def compared(home: Home, calls: sqlite_utils.Database) -> Pass:
    now = begin_pass(calls)
    assert advance(home, calls, now, lambda: False)
    return now


def recording(home: Home, name: str) -> dict[str, Any]:
    (row,) = rows(home, "SELECT * FROM recordings WHERE id = ?", f"rec-{name}")
    return row


def alarms(home: Home) -> dict[str, Any]:
    standing = rows(home, "SELECT code, data FROM alarms WHERE cleared_ms IS NULL")
    return {row["code"]: json.loads(row["data"]) for row in standing}


def forget(calls: sqlite_utils.Database, name: str) -> None:
    with write(calls) as connection:
        connection.execute("DELETE FROM recordings WHERE id = ?", (f"rec-{name}",))


def test_where_all_is_well_nothing_changes(office: ArchivedOffice, calls: sqlite_utils.Database) -> None:
    before = office.calls(), office.recordings(), sorted(office.home.recordings.rglob("*"))
    done = compared(office.home, calls)
    assert (done.new_calls, done.new_recordings, done.counts, done.cleared) == (0, 0, {}, 0)
    assert (office.calls(), office.recordings(), sorted(office.home.recordings.rglob("*"))) == before
    assert alarms(office.home) == {}


@pytest.mark.parametrize("way", ["gone", "cut off"])
def test_audio_that_is_not_there_is_lost_until_it_is_back(
    office: ArchivedOffice, calls: sqlite_utils.Database, way: str
) -> None:
    audio = office.audio("by-hand")
    content = audio.read_bytes()
    if way == "gone":
        audio.unlink()
    else:
        os.truncate(audio, 1000)
    path = audio.relative_to(office.home.recordings).as_posix()
    before = recording(office.home, "by-hand")
    done = compared(office.home, calls)
    assert done.counts == {"missing" if way == "gone" else "wrong_size": 1}
    assert recording(office.home, "by-hand") == {**before, "state": "lost"}
    assert alarms(office.home) == {"recording_missing": {"count": 1, "examples": [path]}}
    assert compared(office.home, calls).counts == done.counts  # said again, told once
    audio.write_bytes(content)
    assert compared(office.home, calls).found_again == 1
    assert recording(office.home, "by-hand") == before
    assert alarms(office.home) == {}
    events = rows(office.home, "SELECT kind FROM events WHERE data LIKE '%rec-by-hand%' ORDER BY id")
    assert [row["kind"] for row in events] == ["recording_ready", "recording_lost", "recording_ready"]


def test_other_audio_of_the_same_length_is_not_the_lost_one(
    office: ArchivedOffice, calls: sqlite_utils.Database
) -> None:
    audio = office.audio("by-hand")
    content = bytearray(audio.read_bytes())
    audio.unlink()
    compared(office.home, calls)
    content[len(content) // 2] ^= 1
    audio.write_bytes(content)
    assert compared(office.home, calls).found_again == 0
    assert recording(office.home, "by-hand")["state"] == "lost"


def test_a_disk_that_is_not_mounted_loses_nothing(office: ArchivedOffice, calls: sqlite_utils.Database) -> None:
    office.home.recordings.rename(office.home.root / "elsewhere")
    office.home.recordings.mkdir()
    with pytest.raises(StoreError, match="mounted"):
        compared(office.home, calls)
    assert {row["state"] for row in office.recordings()} == {"ready"}


def test_recordings_that_the_store_does_not_know_are_entered(
    office: ArchivedOffice, calls: sqlite_utils.Database
) -> None:
    before = office.calls(), office.recordings()
    for row in office.recordings():
        forget(calls, row["id"].removeprefix("rec-"))
    with write(calls) as connection:
        connection.execute("DELETE FROM calls")
    done = compared(office.home, calls)
    assert (done.new_calls, done.new_recordings, done.counts) == (3, 5, {})
    after = office.recordings()
    for row in (*before[1], *after):
        row["wanted_format"] = "flac"
    assert (office.calls(), after) == before


def test_what_the_cutter_has_in_hand_is_left_to_it(office: ArchivedOffice, calls: sqlite_utils.Database) -> None:
    """Killed between the audio and the store: the order still waits."""
    call = office.call("cut")
    office.recording("cut", call)
    office.cut()
    with write(calls) as connection:
        connection.execute("UPDATE recordings SET state = 'pending', path = NULL WHERE id = 'rec-cut'")
        connection.execute("UPDATE calls SET manifest = NULL WHERE id = 'call-cut'")
    done = compared(office.home, calls)
    assert (done.new_recordings, done.counts) == (0, {})
    assert recording(office.home, "cut")["state"] == "pending"


def test_audio_without_a_manifest_is_told_as_long_as_it_is_so(
    office: ArchivedOffice, calls: sqlite_utils.Database
) -> None:
    audio = office.audio("by-hand")
    paper = audio.with_suffix(".json")
    content = paper.read_bytes()
    paper.unlink()
    path = audio.relative_to(office.home.recordings).as_posix()
    for _ in range(2):
        assert compared(office.home, calls).counts == {"without_manifest": 1}
        assert alarms(office.home) == {"manifest_missing": {"count": 1, "examples": [path]}}
    paper.write_bytes(content)
    assert compared(office.home, calls).counts == {}
    assert alarms(office.home) == {}


def test_only_old_leftovers_are_cleared_away(office: ArchivedOffice, calls: sqlite_utils.Database) -> None:
    folder = office.audio("by-hand").parent
    old, young = folder / "a.flac.part", folder / "b.json.part"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (LONG_AGO, LONG_AGO))
    written_down = office.home.root / "removals" / "1.json"
    written_down.parent.mkdir()
    written_down.write_text("[]")
    assert compared(office.home, calls).cleared == 0  # a conversion may still want it
    written_down.unlink()
    assert compared(office.home, calls).cleared == 1
    assert (old.exists(), young.exists()) == (False, True)


def attempt(office: ArchivedOffice, calls: sqlite_utils.Database, *, logged: bool, old: bool) -> Path:
    """A manifest without audio and without a row; the logs began before it."""
    for log in office.home.evidence.glob("*/*.log"):
        text = log.read_text()
        first, rest = text.split("\n", 1)
        log.write_text(json.dumps({**json.loads(first), "at_ms": 1}) + "\n" + rest)
        if not logged:
            log.write_text(log.read_text().replace("rec-long-1", "rec-other"))
    audio = office.audio("long-1")
    audio.unlink()
    forget(calls, "long-1")
    paper = audio.with_suffix(".json")
    if old:
        os.utime(paper, (LONG_AGO, LONG_AGO))
    return paper


def test_a_logged_recording_without_audio_is_lost(office: ArchivedOffice, calls: sqlite_utils.Database) -> None:
    paper = attempt(office, calls, logged=True, old=True)
    compared(office.home, calls)
    assert recording(office.home, "long-1")["state"] == "lost"
    assert paper.exists()


@pytest.mark.parametrize("old", [True, False])
def test_an_attempt_is_cleared_away_when_it_is_old(
    office: ArchivedOffice, calls: sqlite_utils.Database, old: bool
) -> None:
    paper = attempt(office, calls, logged=False, old=old)
    compared(office.home, calls)
    assert rows(office.home, "SELECT 1 FROM recordings WHERE id = 'rec-long-1'") == []
    assert paper.exists() is not old


def test_an_attempt_that_alone_knows_its_call_is_kept(office: ArchivedOffice, calls: sqlite_utils.Database) -> None:
    paper = attempt(office, calls, logged=False, old=True)
    office.audio("long-0").with_suffix(".json").unlink()
    office.audio("long-0").unlink()
    forget(calls, "long-0")
    with write(calls) as connection:
        connection.execute("DELETE FROM calls WHERE id = 'call-long'")
    compared(office.home, calls)
    assert paper.exists()
    assert rows(office.home, "SELECT id FROM calls WHERE id = 'call-long'") == [{"id": "call-long"}]


def test_an_outline_is_made_again(office: ArchivedOffice, calls: sqlite_utils.Database) -> None:
    outline = office.audio("long-0").with_suffix(".peaks")
    content = outline.read_bytes()
    outline.unlink()
    compared(office.home, calls)
    assert outline.read_bytes() == content


def test_a_pass_goes_on_where_it_was_cut_off(
    office: ArchivedOffice, calls: sqlite_utils.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One folder or one batch of rows at a time, each time read anew from the store."""
    monkeypatch.setattr("recorder.library.rebuilding.lost.ROWS", 2)
    for number in range(3):
        shutil.copytree(office.audio("by-hand").parent, office.home.recordings / f"2027/01/1{number}" / "CH002")
    office.audio("long-1").unlink()
    forget(calls, "by-hand")
    begin_pass(calls)
    turns = 0
    while True:
        turns += 1
        now = load_pass(calls)
        assert now is not None
        if now.phase == "done":
            break
        once = iter([False])
        advance(office.home, calls, now, lambda once=once: next(once, True))  # type: ignore[misc]
    assert turns > 7
    assert (now.folders, now.new_recordings, now.counts) == (5, 1, {"missing": 1})


def finished(task: ReconcileTask, library: Library) -> Pass:
    """Run slices until the pass that is due is done; a slow machine needs more of them."""
    while True:
        task.run(library, lambda: False)
        now = load_pass(library.calls)
        assert now is not None
        if now.phase == "done":
            return now


def test_the_task_finishes_a_rebuild_and_then_comes_once_a_day(office: ArchivedOffice) -> None:
    home = office.home
    before = office.calls()
    office.lose_the_store()
    done = rebuild(home, "test", lambda now: now.folders > 0)
    assert done.phase == "disk"
    assert len(office.calls()) < len(before)
    task = ReconcileTask()
    with open_library(home) as library:
        now = finished(task, library)
        assert now.rebuilding
        assert office.calls() == before
        assert "store_rebuilt" in alarms(home)
        task.run(library, lambda: False)
        assert load_pass(library.calls) == now
        now.began_ms -= EVERY_MS
        save_pass(library.calls, now)
        assert not finished(task, library).rebuilding
        assert alarms(home) == {}


def test_a_rebuild_that_is_under_way_is_not_begun_anew(home: Home, calls: sqlite_utils.Database) -> None:
    save_pass(calls, Pass(1, rebuilding=True, cursor="2027/01/15/CH002"))
    assert begin_pass(calls).cursor == "2027/01/15/CH002"


def test_the_command_shows_the_last_pass(office: ArchivedOffice, calls: sqlite_utils.Database) -> None:
    run = CliRunner()
    arguments = ["--home", str(office.home.root), "reconcile"]
    assert "not been compared" in run.invoke(tapdeck, arguments).output
    office.audio("by-hand").unlink()
    compared(office.home, calls)
    assert "audio is missing: 1" in run.invoke(tapdeck, arguments).output
    told = json.loads(run.invoke(tapdeck, [*arguments, "--json"]).output)
    assert (told["phase"], told["counts"]) == ("done", {"missing": 1})
    assert "under way" in run.invoke(tapdeck, [*arguments, "--now"]).output


def test_findings_are_counted_but_not_all_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    now = Pass(0)
    for number in range(reconciliation.MOST_FINDINGS + 5):
        now.note(reconciliation.Finding("missing", str(number)))
    assert now.counts == {"missing": reconciliation.MOST_FINDINGS + 5}
    assert len(now.findings) == reconciliation.MOST_FINDINGS


@pytest.mark.parametrize("store", ["calls.db", "crm.db"])
def test_a_store_that_became_damaged_is_told(home: Home, store: str) -> None:
    task = ExaminationTask()
    with open_library(home) as library:
        path = home.root / store
        for db in (library.calls, library.crm):
            with closing(sqlite_utils.Database(path).conn) as other:
                other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            assert db.conn.execute("SELECT 1").fetchone()
        with closing(open_store(path).conn) as db:
            table = "orders" if store == "crm.db" else "archive_copies"
            page = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0]
        with path.open("r+b") as file:
            file.seek((page - 1) * 4096)
            file.write(b"\xff" * 4096)
        end = time.monotonic() + 30
        while "store_damaged" not in alarms(home):
            assert time.monotonic() < end
            task.run(library, lambda: False)
    assert (marked_damage(path) is not None) is (store == "calls.db")


def test_what_a_recorder_found_twice_is_entered_once(office: ArchivedOffice, calls: sqlite_utils.Database) -> None:
    """Power went after the cutter's sync and before the store's: the tape is played again, ids are new."""
    with write(calls) as connection:
        connection.execute("UPDATE calls SET id = id || '-again' WHERE id IN ('call-long', 'call-missed')")
        connection.execute("UPDATE recordings SET id = id || '-again', call_id = call_id || '-again'")
    before = office.calls(), office.recordings()
    assert compared(office.home, calls).counts == {"duplicate": 6}
    assert (office.calls(), office.recordings()) == before


def test_a_clock_that_was_in_another_year_does_not_put_it_off(office: ArchivedOffice) -> None:
    with open_library(office.home) as library:
        save_pass(library.calls, Pass(int(time.time() * 1000) + 400 * EVERY_MS, phase="done"))
        ReconcileTask().run(library, lambda: False)
        now = load_pass(library.calls)
        assert now is not None
        assert now.began_ms < (time.time() + 60) * 1000
