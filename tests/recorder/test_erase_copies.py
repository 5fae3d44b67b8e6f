"""Erasing reaches the copies in archives, or names what it could not reach."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from archive_box import ArchiveBox
from erased_number import erase_it, traces

from firmware.config import Home
from firmware.store.connection import write
from recorder.library.archive import removing
from recorder.library.archive.copying import ArchiveTask
from recorder.library.archive.folder import FolderTarget
from recorder.library.archive.marks import MARK
from recorder.library.archive.office import add_place, remove_place
from recorder.library.archive.target import TargetError
from recorder.library.erasure import erasers
from recorder.library.keeping.library import open_stores
from recorder.library.rebuilding.rebuild import rebuild
from recorder.library.storage import removal
from recorder.library.storage.deletion import Outcome, delete_recordings
from recorder.library.storage.deletion_tasks import FinishTask


@pytest.fixture
def box(home: Home) -> Iterator[ArchiveBox]:
    one = ArchiveBox(home)
    yield one
    one.close()


def test_copies_that_cannot_be_reached_are_named_and_removed_later(box: ArchiveBox, tmp_path: Path) -> None:
    disk, away = tmp_path / "second", tmp_path / "away"
    disk.mkdir()
    add_place(box.calls, box.crm, "disk", f"file://{disk}", required=True, by="1000")
    box.recording(encrypted=True)
    with box.library() as library:
        ArchiveTask().run(library, lambda: False)
    disk.rename(away)
    certificate = erase_it(box)
    (kept,) = certificate.kept
    assert (kept["kind"], kept["count"]) == ("archive copy", 1)
    assert "is not a folder" in kept["reason"]
    assert certificate.erased == {"call": 1, "recording": 1}
    assert traces(box, away)
    away.rename(disk)
    with box.library() as library:
        ArchiveTask().run(library, lambda: False)
    assert traces(box, disk) == []
    assert list(disk.rglob("*.*")) == []


def test_an_erasure_that_was_cut_short_at_the_copies_is_not_called_clean(
    box: ArchiveBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number is gone from the calls already: the second time nobody can tell whose copies they were."""
    disk = tmp_path / "second"
    disk.mkdir()
    add_place(box.calls, box.crm, "disk", f"file://{disk}", required=True, by="1000")
    box.recording()
    with box.library() as library:
        ArchiveTask().run(library, lambda: False)

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(erasers, "remove_copies", cut)
    with pytest.raises(KeyboardInterrupt):
        erase_it(box)
    monkeypatch.undo()
    disk.rename(tmp_path / "away")
    (kept,) = erase_it(box).kept
    assert (kept["kind"], kept["count"]) == ("archive copy of an earlier erasure", 1)
    (tmp_path / "away").rename(disk)
    assert erase_it(box).kept == []
    assert traces(box, disk) == []


@pytest.mark.parametrize("written", ["a+01_CH001_in_%2B49_x", "a%2B01_CH001_in_%252B49_x"])
def test_no_words_of_a_server_keep_the_name_of_a_file(written: str) -> None:
    """Addresses have it percent-encoded; what is quoted here once is the number as a caller might be named."""
    going = removing.Going("ID", "far", "2026/09/21/CH001/a+01_CH001_in_%2B49_x.flac", None)
    told = str(removing._nameless(TargetError(f"gone with url: /bucket/{written}.key.json"), going))
    assert told == "gone with url: /bucket/ID.key.json"


@contextmanager
def copying(box: ArchiveBox, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The archive's thread is in the middle of a copy, and stays there until the event is set."""
    begun, go_on = threading.Event(), threading.Event()
    put = FolderTarget.put

    def slow(target: FolderTarget, name: str, source: Path) -> None:
        if name != MARK:
            begun.set()
            assert go_on.wait(30)
        put(target, name, source)

    def copy() -> None:
        with open_stores(box.home) as stores:
            ArchiveTask().run(stores, lambda: False)

    monkeypatch.setattr(FolderTarget, "put", slow)
    thread = threading.Thread(target=copy)
    thread.start()
    assert begun.wait(30)
    try:
        yield go_on
    finally:
        go_on.set()
        thread.join()


def test_a_copy_that_is_being_made_is_waited_for(
    box: ArchiveBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_place(box.calls, box.crm, "disk", f"file://{tmp_path}", required=True, by="1000")
    box.recording()
    box.recording()
    with copying(box, monkeypatch) as go_on:
        threading.Timer(0.5, go_on.set).start()
        assert erase_it(box).kept == []
    assert traces(box, tmp_path) == []
    assert list(box.calls.query("SELECT 1 FROM archive_copies WHERE state <> 'removed' OR error IS NOT NULL")) == []


def test_a_copy_that_takes_too_long_is_named_and_removed_later(
    box: ArchiveBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removing, "COPY_S", 0.1)
    disk = tmp_path / "second"
    disk.mkdir()
    add_place(box.calls, box.crm, "disk", f"file://{disk}", required=True, by="1000")
    box.recording()
    with copying(box, monkeypatch):
        (kept,) = erase_it(box).kept
        assert kept == {
            "kind": "archive copy", "count": 1, "reason": "a recording is being archived at this moment"
        }  # fmt: skip
    with open_stores(box.home) as stores:
        ArchiveTask().run(stores, lambda: False)
    assert traces(box, disk) == []


def test_copies_at_a_forgotten_target_are_named(box: ArchiveBox, tmp_path: Path) -> None:
    add_place(box.calls, box.crm, "disk", f"file://{tmp_path}", required=True, by="1000")
    box.recording()
    with box.library() as library:
        ArchiveTask().run(library, lambda: False)
    remove_place(box.home, box.crm, "disk")
    assert erase_it(box).kept == [
        {"kind": "archive copy", "count": 1, "reason": "no longer a target of this box"}
    ]  # fmt: skip


def test_copies_that_a_rebuilt_store_does_not_know_go_too(box: ArchiveBox, tmp_path: Path) -> None:
    disk = tmp_path / "second"
    disk.mkdir()
    add_place(box.calls, box.crm, "disk", f"file://{disk}", required=True, by="1000")
    box.recording()
    with box.library() as library:
        ArchiveTask().run(library, lambda: False)
    with write(box.calls) as connection:
        connection.execute("DELETE FROM archive_copies")
    erase_it(box)
    assert traces(box, disk) == []


def rebuilt(box: ArchiveBox) -> ArchiveBox:
    """The store is lost, and made anew from the recordings."""
    box.close()
    for file in box.home.root.glob("calls.db*"):
        file.unlink()
    rebuild(box.home, "asked for", lambda _: False)
    return ArchiveBox(box.home)


def test_the_keeper_goes_on_trying_after_a_rebuild(box: ArchiveBox, tmp_path: Path) -> None:
    """What is left of an erased recording on the box names it no more."""
    disk, away = tmp_path / "second", tmp_path / "away"
    disk.mkdir()
    add_place(box.calls, box.crm, "disk", f"file://{disk}", required=True, by="1000")
    box.recording()
    with box.library() as library:
        ArchiveTask().run(library, lambda: False)
    disk.rename(away)
    erase_it(box)
    box = rebuilt(box)
    with box.library() as library:
        ArchiveTask().run(library, lambda: False)
        away.rename(disk)
        ArchiveTask().run(library, lambda: False)
    assert traces(box, disk) == []
    assert list((box.home.root / "copies-to-remove").iterdir()) == []
    box.close()


@pytest.mark.parametrize("rule", ["never_list", "discarded", "order"])
def test_copies_of_what_was_withdrawn_before_a_rebuild(box: ArchiveBox, tmp_path: Path, rule: str) -> None:
    """The tombstone says by which rule; after an order the copy stays."""
    disk, away = tmp_path / "second", tmp_path / "away"
    disk.mkdir()
    add_place(box.calls, box.crm, "disk", f"file://{disk}", required=False, by="1000")
    recording = box.recording()
    with box.library() as library:
        ArchiveTask().run(library, lambda: False)
        disk.rename(away)
        delete_recordings(library, [recording["id"]], rule, "box", "")
    box = rebuilt(box)
    away.rename(disk)
    with box.library() as library:
        ArchiveTask().run(library, lambda: False)
    assert bool(list(disk.rglob("*.flac"))) is (rule == "order")
    box.close()


def test_a_hold_that_comes_between_keeps_the_copies(
    box: ArchiveBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note of what is to be removed was written, and then the recording was refused."""
    add_place(box.calls, box.crm, "disk", f"file://{tmp_path / 'second'}", required=True, by="1000")
    (tmp_path / "second").mkdir()
    recording = box.recording()
    with box.library() as library:
        ArchiveTask().run(library, lambda: False)
    monkeypatch.setattr(
        erasers, "delete_recordings", lambda library, ids, *_, **__: Outcome((), dict.fromkeys(ids, "held"))
    )
    erase_it(box)
    with box.library() as library:
        ArchiveTask().run(library, lambda: False)
    assert len(list((tmp_path / "second").rglob("*.flac"))) == 1
    assert box.row(recording["id"])["state"] == "ready"
    assert list((box.home.root / "copies-to-remove").iterdir()) == []


class Killed(BaseException):
    """What kill -9 is to the process."""


def test_a_hold_that_comes_after_a_kill_keeps_the_copies(
    box: ArchiveBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tombstone was entered, the audio is still there: the stone's own stone bears the same name."""
    add_place(box.calls, box.crm, "disk", f"file://{tmp_path / 'second'}", required=True, by="1000")
    (tmp_path / "second").mkdir()
    recording = box.recording()
    with box.library() as library:
        ArchiveTask().run(library, lambda: False)
    with monkeypatch.context() as patched:
        patched.setattr(removal, "_remove_files", lambda *_: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            erase_it(box)
    hold_call(box, recording["call_id"])
    with box.library() as library:
        FinishTask().run(library, lambda: False)
        ArchiveTask().run(library, lambda: False)
    assert box.row(recording["id"])["state"] == "ready"
    assert len(list((tmp_path / "second").rglob("*.flac"))) == 1


def test_the_copy_of_a_discarded_recording_stays_while_its_file_is_only_missing(
    box: ArchiveBox, tmp_path: Path
) -> None:
    """It may be held, and this its last copy."""
    add_place(box.calls, box.crm, "disk", f"file://{tmp_path / 'second'}", required=False, by="1000")
    (tmp_path / "second").mkdir()
    recording = box.recording()
    with box.library() as library:
        ArchiveTask().run(library, lambda: False)
        with write(box.calls) as connection:
            changed = "UPDATE recordings SET state = 'lost', deleted_rule = 'discarded' WHERE id = ?"
            connection.execute(changed, (recording["id"],))
        ArchiveTask().run(library, lambda: False)
    assert len(list((tmp_path / "second").rglob("*.flac"))) == 1


def hold_call(box: ArchiveBox, call_id: str) -> None:
    with write(box.crm) as connection:
        connection.execute(
            "INSERT INTO holds (id, kind, subject, reason, set_by, set_ms) VALUES ('h', 'call', ?, 'x', '1', 0)",
            (call_id,),
        )
