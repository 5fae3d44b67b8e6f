"""An archive that is no longer what it was: told, copied again, and never the reason to delete the last copy."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from archive_box import ArchiveBox
from click.testing import CliRunner
from erased_number import NUMBER, OTHER, erase_it, traces
from library_box import Box, open_box

from firmware.cli import root as tapdeck
from firmware.config import Home
from firmware.store.connection import write
from recorder.library.archive import confirming, copies, copying, looking
from recorder.library.archive.copying import ArchiveTask
from recorder.library.archive.folder import FolderTarget
from recorder.library.archive.looking import CHANGED_ALARM
from recorder.library.archive.office import add_place
from recorder.library.archive.owed import owed
from recorder.library.archive.removing import to_remove
from recorder.library.archive.target import TargetError
from recorder.library.storage import quota_task, retention_task
from recorder.library.storage.deletion import delete_recordings
from recorder.library.storage.quota_task import QuotaTask
from recorder.library.storage.retention_task import RetentionTask


def never() -> bool:
    return False


@pytest.fixture
def box(home: Home) -> Iterator[ArchiveBox]:
    one = ArchiveBox(home)
    yield one
    one.close()


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    root = tmp_path / "second"
    root.mkdir()
    return root


def run(box: ArchiveBox, task: ArchiveTask | None = None) -> None:
    with box.library() as library:
        (task or ArchiveTask()).run(library, never)


def alarm(box: ArchiveBox) -> list[dict[str, Any]]:
    return list(box.calls.query("SELECT * FROM alarms WHERE code = ? AND cleared_ms IS NULL", [CHANGED_ALARM]))


def states(box: ArchiveBox) -> list[str]:
    rows = box.calls.query("SELECT state FROM archive_copies WHERE recording_id NOT LIKE 'tomb%' ORDER BY recording_id")
    return [row["state"] for row in rows]


def replace_medium(disk: Path, keep: Path) -> None:
    """Somebody mounts a blank disk at the same place."""
    disk.rename(keep)
    disk.mkdir()


@pytest.mark.parametrize("other", ["blank", "marked"])
def test_another_medium_is_told_and_gets_the_copies_again(
    box: ArchiveBox, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    add_place(box.calls, box.crm, "disk", f"file://{disk}", required=True, by="1000")
    for _ in range(3):
        box.recording()
    run(box)
    replace_medium(disk, tmp_path / "keep")
    if other == "marked":
        (disk / "tapdeck-archive").write_text("of another box")
    told: list[int] = []
    copy_all = copying.copy_all

    def copied(stores: Any, name: str, *more: Any) -> None:
        told.append(copies.doubted(stores.calls, name)[0])
        copy_all(stores, name, *more)

    monkeypatch.setattr(copying, "copy_all", copied)
    run(box)
    assert told == [3]
    assert states(box) == ["verified"] * 3
    assert len(list(disk.rglob("*.flac"))) == 3
    assert alarm(box) == []
    (over,) = box.calls.query("SELECT subject, cleared_ms FROM alarms WHERE code = ?", [CHANGED_ALARM])
    assert over["subject"] == "disk"
    run(box)
    assert told == [3, 0], "it is known now"


def test_doubting_many_copies_ends_when_told_and_goes_on_after_a_kill(
    box: ArchiveBox, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_place(box.calls, box.crm, "disk", f"file://{disk}", required=True, by="1000")
    rows = [box.recording() for _ in range(7)]
    run(box)
    with box.library() as library:  # its copy is the last there is
        assert delete_recordings(library, [rows[2]["id"]], "retention", "box", "").deleted
    run(box)
    replace_medium(disk, tmp_path / "keep")
    monkeypatch.setattr(copies, "PAGE", 2)
    sizes: list[int] = []
    for pages, doubted in ((1, 2), (1, 3), (2, 6)):  # each by a new task, which knows nothing of the last
        steps = iter([False] * (1 + pages))
        with box.library() as library:
            library.calls.conn.set_trace_callback(
                lambda text: sizes.append(0) if text.startswith("BEGIN") else note_update(text, sizes)
            )
            ArchiveTask().run(library, lambda steps=steps: next(steps, True))  # type: ignore[misc]
        assert states(box).count("failed") == doubted
        assert list(disk.iterdir()) == [], "marked or copied to before everything was doubted"
    assert max(sizes) <= 2, "a long transaction"
    (standing,) = alarm(box)
    assert standing["data"] == '{"recordings":6,"problem":"another medium is there"}'
    monkeypatch.undo()
    run(box)
    assert states(box) == ["verified"] * 7
    assert len(list(disk.rglob("*.flac"))) == 6
    assert alarm(box) == []


def note_update(text: str, sizes: list[int]) -> None:
    """Count the updates of copies in the last transaction."""
    if text.startswith("UPDATE archive_copies"):
        sizes[-1] += 1


def test_copies_to_be_doubted_are_found_by_an_index(box: ArchiveBox) -> None:
    plan = box.calls.query(f"EXPLAIN QUERY PLAN {copies.VERIFIED_BEHIND}", ["disk", "", 200])
    (step,) = (row["detail"] for row in plan)
    assert "COVERING INDEX copies_by_target (target=? AND state=? AND recording_id>?)" in step


def test_the_alarm_stands_until_they_are_there_again(
    box: ArchiveBox, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_place(box.calls, box.crm, "disk", f"file://{disk}", required=True, by="1000")
    box.recording()
    run(box)
    replace_medium(disk, tmp_path / "keep")
    with monkeypatch.context() as patched:
        patched.setattr(copying, "copy_all", lambda *_: None)
        run(box)
    (standing,) = alarm(box)
    assert (standing["subject"], standing["data"]) == (
        "disk", '{"recordings":1,"problem":"another medium is there"}'
    )  # fmt: skip
    run(box)
    assert alarm(box) == []


@pytest.mark.parametrize("damage", ["gone", "flipped"])
def test_a_copy_that_was_verified_is_looked_at_again(box: ArchiveBox, disk: Path, damage: str) -> None:
    add_place(box.calls, box.crm, "disk", f"file://{disk}", required=True, by="1000")
    recording, gone_here = box.recording(), box.recording()
    task = ArchiveTask()
    run(box, task)
    with box.library() as library:
        assert delete_recordings(library, [gone_here["id"]], "retention", "box", "").deleted
    with box.calls.conn:
        box.calls.conn.execute("UPDATE archive_copies SET verified_ms = 1")
    for row in (recording, gone_here):
        copy = disk / row["path"]
        if damage == "gone":
            copy.rename(copy.with_suffix(".kept"))
        else:
            content = copy.read_bytes()
            copy.with_suffix(".kept").write_bytes(content)
            copy.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    run(box, task)
    assert states(box) == ["verified"] * 2, "once a day is enough"
    run(box)
    assert states(box) == ["failed"] * 2
    (standing,) = alarm(box)
    assert standing["data"] == '{"recordings":2,"problem":"the copy is gone or damaged"}'
    run(box)
    assert states(box) == ["verified", "failed"], "the other is nowhere any more"
    (standing,) = alarm(box)
    copy = disk / gone_here["path"]
    copy.with_suffix(".kept").replace(copy)
    with box.calls.conn:
        box.calls.conn.execute("UPDATE archive_copies SET verified_ms = 1")
    run(box)
    assert states(box) == ["verified"] * 2
    assert alarm(box) == []


def test_an_erasure_is_not_done_at_another_medium(box: ArchiveBox, disk: Path, tmp_path: Path) -> None:
    add_place(box.calls, box.crm, "disk", f"file://{disk}", required=True, by="1000")
    box.recording()
    run(box)
    replace_medium(disk, tmp_path / "keep")
    assert [one["reason"] for one in erase_it(box).kept] == ["another medium is there"]
    disk.rmdir()
    (tmp_path / "keep").rename(disk)
    run(box)
    assert list(disk.rglob("*.flac")) == []


def swap(disk: Path, keep: Path) -> None:
    """Two disks take turns at one place."""
    away = keep.with_name("away")
    disk.rename(away)
    keep.rename(disk) if keep.exists() else disk.mkdir()
    away.rename(keep)


def test_an_erasure_reaches_every_medium_that_took_its_turn(box: ArchiveBox, disk: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    add_place(box.calls, box.crm, "disk", f"file://{disk}", required=True, by="1000")
    row = box.recording()
    run(box)
    swap(disk, other)
    run(box)
    assert states(box) == ["verified"]
    assert [list(one.rglob("*.flac")) == [] for one in (disk, other)] == [False, False]
    assert [one["reason"] for one in erase_it(box).kept] == ["on a medium that is not there now"]
    assert list(disk.rglob("*.flac")) == []
    assert list(other.rglob("*.flac"))
    run(box)
    assert NUMBER in {one.path.split("_")[-2] for one in to_remove(box.home, box.calls, "disk")}
    swap(disk, other)
    run(box)
    assert traces(box, disk) == []
    assert states(box) == ["removed"]
    assert list(box.calls.query("SELECT * FROM archive_elsewhere")) == []
    assert row["id"] not in {one.recording_id for one in owed(box.home)}


def test_a_medium_that_is_gone_for_good_is_forgotten(box: ArchiveBox, disk: Path, tmp_path: Path) -> None:
    def tap(*words: str, ends: int = 0) -> str:
        done = CliRunner().invoke(tapdeck, ["--home", str(box.home.root), "archive", *words])
        assert done.exit_code == ends, done.output
        return done.output

    add_place(box.calls, box.crm, "disk", f"file://{disk}", required=True, by="1000")
    box.recording()
    run(box)
    swap(disk, tmp_path / "broken")
    run(box)
    disk.rename(tmp_path / "unplugged")
    assert [one["count"] for one in erase_it(box).kept] == [2]
    lines = [line.split("\t") for line in tap("media", "disk").splitlines()]
    assert sorted(line[1:] for line in lines) == [["elsewhere", "1 to remove"], ["here", "1 to remove"]]
    marks = {place: mark for mark, place, _ in lines}
    tap("forget", "disk", marks["here"], "--yes", ends=1)
    tap("forget", "disk", "none", "--yes", ends=1)
    tap("forget", "disk", marks["elsewhere"][:8], "--yes")
    assert len(list(owed(box.home))) == 1
    tap("forget", "disk", "--yes", ends=1)
    tap("remove", "disk")
    tap("forget", "disk", "--yes")
    assert states(box) == ["removed"]
    assert list(owed(box.home)) == []


def test_a_medium_that_never_had_the_copy_is_not_asked_for(box: ArchiveBox, disk: Path, tmp_path: Path) -> None:
    add_place(box.calls, box.crm, "disk", f"file://{disk}", required=True, by="1000")
    box.recording(OTHER)
    run(box)
    swap(disk, tmp_path / "old")
    run(box)
    box.recording()
    run(box)
    assert erase_it(box).kept == []
    assert traces(box, disk) == []


def test_a_tombstone_on_another_medium_than_its_copy_goes_too(box: ArchiveBox, disk: Path, tmp_path: Path) -> None:
    add_place(box.calls, box.crm, "disk", f"file://{disk}", required=True, by="1000")
    row = box.recording()
    run(box)
    with box.library() as library:
        delete_recordings(library, [row["id"]], "retention", "box", "")
    swap(disk, tmp_path / "other")
    run(box)
    assert [path.name.endswith("tombstone.json") for path in disk.rglob("*.json")] == [True]
    erase_it(box)
    assert list(disk.rglob("*.json")) == []
    swap(disk, tmp_path / "other")
    run(box)
    assert traces(box, disk, tmp_path / "other") == []


def test_a_disk_that_is_full_when_it_comes_back_has_its_copies_removed(
    box: ArchiveBox, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_place(box.calls, box.crm, "disk", f"file://{disk}", required=True, by="1000")
    box.recording()
    run(box)
    swap(disk, tmp_path / "other")
    run(box)
    erase_it(box)
    swap(disk, tmp_path / "other")
    box.recording(OTHER)

    def full(*_: object) -> None:
        raise TargetError("No space left on device")

    monkeypatch.setattr(FolderTarget, "put", full)
    run(box)
    assert list(disk.rglob("*.flac")) == []


def test_what_waits_to_be_removed_elsewhere_is_not_looked_for_here(box: ArchiveBox, disk: Path, tmp_path: Path) -> None:
    add_place(box.calls, box.crm, "disk", f"file://{disk}", required=True, by="1000")
    box.recording()
    run(box)
    swap(disk, tmp_path / "other")
    erase_it(box)
    with write(box.calls):
        box.calls.conn.execute("UPDATE archive_copies SET verified_ms = 1")
    run(box)
    assert alarm(box) == []


def test_no_certificate_keeps_the_name_of_a_file(box: ArchiveBox, disk: Path) -> None:
    """A medium that can only be read says so with the file's name, which tells the number."""
    add_place(box.calls, box.crm, "disk", f"file://{disk}", required=True, by="1000")
    row = box.recording()
    run(box)
    in_the_way = disk / f"{box.row(row['id'])['path']}.0a1b.part"
    in_the_way.mkdir()
    (kept,) = erase_it(box).kept
    assert row["id"] in kept["reason"]
    assert NUMBER not in str(kept)


def test_a_disk_that_is_changed_in_the_middle_gets_no_copy(
    box: ArchiveBox, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store would believe it on the disk that was there when it began."""
    add_place(box.calls, box.crm, "disk", f"file://{disk}", required=True, by="1000")
    box.recording()
    box.recording()
    note_verified = copies.note_verified

    def change(*words: Any) -> None:
        note_verified(*words)
        replace_medium(disk, tmp_path / "keep")

    monkeypatch.setattr(copies, "note_verified", change)
    run(box)
    assert list(disk.iterdir()) == []
    assert sorted(states(box)) == ["verified"]


def test_a_copy_that_a_power_cut_interrupted_goes_too(
    box: ArchiveBox, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store must know before the first byte is at the target."""
    add_place(box.calls, box.crm, "disk", f"file://{disk}", required=True, by="1000")
    row = box.recording()

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(copies, "note_verified", cut)
    with pytest.raises(KeyboardInterrupt):
        run(box)
    monkeypatch.undo()
    assert list(disk.rglob("*.flac"))
    with box.library() as library:
        delete_recordings(library, [row["id"]], "never_list", "box", "")
    run(box)
    assert list(disk.rglob("*.flac")) == []


@pytest.fixture
def desk(home: Home) -> Iterator[Box]:
    with open_box(home) as opened:
        yield opened


def lose(desk: Box, damage: str) -> None:
    folder = desk.home.root / "archives" / "far"
    if damage == "blank disk":
        shutil.rmtree(folder)
        folder.mkdir()
    elif damage == "away":
        shutil.rmtree(folder)
    else:
        for copy in folder.rglob("*.flac"):
            copy.unlink()


@pytest.mark.parametrize("damage", ["blank disk", "away", "copies gone"])
@pytest.mark.parametrize("rule", ["quota", "retention", "order"])
def test_the_last_copy_is_not_deleted_on_the_word_of_the_store(
    desk: Box, monkeypatch: pytest.MonkeyPatch, damage: str, rule: str
) -> None:
    desk.archive("far")
    ids = [desk.recording(age_days=20) for _ in range(3)]
    for one in ids:
        desk.archived(one, "far")
    lose(desk, damage)
    if rule == "quota":
        desk.set("storage_full_action", "move_to_archive")
        monkeypatch.setattr(quota_task, "to_free_bytes", lambda *_: 3000)
        QuotaTask().run(desk.library, never)
    elif rule == "retention":
        desk.set("retention_days", 10)
        monkeypatch.setattr(retention_task, "aged_now_ms", lambda _: 1_800_000_000_000)
        RetentionTask().run(desk.library, never)
    else:
        refused = delete_recordings(desk.library, ids, "order", "1001", "").refused
        assert set(refused.values()) == {"unchecked" if damage == "away" else "unarchived"}
    assert desk.ready() == ids
    kept = {row["state"] for row in desk.rows("SELECT state FROM archive_copies WHERE target = 'far'")}
    assert kept == {"verified" if damage == "away" else "failed"}
    standing = desk.rows(f"SELECT subject FROM alarms WHERE code = '{CHANGED_ALARM}' AND cleared_ms IS NULL")
    assert standing == ([] if damage == "away" else [{"subject": "far"}])


def test_a_target_that_hangs_holds_up_nothing_for_long(desk: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says later counts then."""
    desk.archive("far")
    recording = desk.recording(age_days=20)
    desk.archived(recording, "far")
    monkeypatch.setattr(confirming, "WAIT_S", 0.1)
    sha256 = FolderTarget.sha256

    def slow(target: FolderTarget, name: str) -> str | None:
        time.sleep(0.5)
        return sha256(target, name)

    monkeypatch.setattr(FolderTarget, "sha256", slow)
    assert delete_recordings(desk.library, [recording], "order", "1001", "").refused == {recording: "unchecked"}
    end = time.monotonic() + 30
    while not delete_recordings(desk.library, [recording], "order", "1001", "").deleted:
        assert time.monotonic() < end
    assert desk.row(recording)["state"] == "deleted"


def test_what_was_read_long_ago_is_read_again(desk: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.archive("far")
    recording, other = desk.recording(age_days=20), desk.recording(age_days=20)
    for one in (recording, other):
        desk.archived(one, "far")
    assert confirming.unconfirmed(desk.library, ["far"], [recording, other]) == {}
    lose(desk, "copies gone")
    assert confirming.unconfirmed(desk.library, ["far"], [recording]) == {}
    monkeypatch.setattr(confirming, "FRESH_S", 0.0)
    assert confirming.unconfirmed(desk.library, ["far"], [recording]) == {recording: "unarchived"}


def test_a_copy_that_cannot_be_read_says_nothing_of_the_others(desk: Box) -> None:
    desk.archive("far")
    ids = [desk.recording(age_days=20) for _ in range(3)]
    for one in ids:
        desk.archived(one, "far")
    bad = desk.home.root / "archives" / "far" / str(desk.row(ids[0])["path"])
    bad.unlink()
    bad.mkdir()  # reading it fails
    refused = delete_recordings(desk.library, ids, "order", "1001", "").refused
    assert refused == {ids[0]: "unchecked"}


def test_a_long_look_at_one_archive_goes_on_by_turns_and_starves_no_other(
    box: ArchiveBox, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "COPIES_A_DAY", 3)
    add_place(box.calls, box.crm, "disk", f"file://{disk}", required=True, by="1000")
    for _ in range(5):
        box.recording()
    run(box)
    with box.calls.conn:
        box.calls.conn.execute("UPDATE archive_copies SET verified_ms = 1")
    (tmp_path / "late").mkdir()
    add_place(box.calls, box.crm, "late", f"file://{tmp_path / 'late'}", required=True, by="1000")
    looked: list[int] = []
    note_look = copies.note_look
    monkeypatch.setattr(copies, "note_look", lambda *a, **k: (looked.append(1), note_look(*a, **k)))
    task = ArchiveTask()
    with box.library() as library:
        for _ in range(8):
            until = len(looked) + 1
            task.run(library, lambda until=until: len(looked) >= until)  # type: ignore[misc]
    assert len(looked) == 3, "no more than the day's"
    assert len(list((tmp_path / "late").rglob("*.flac"))) == 5


def test_a_copy_that_cannot_be_read_does_not_end_the_look(box: ArchiveBox, disk: Path) -> None:
    add_place(box.calls, box.crm, "disk", f"file://{disk}", required=True, by="1000")
    first, second = box.recording(), box.recording()
    run(box)
    for row in (first, second):
        (disk / row["path"]).unlink()
    (disk / first["path"]).mkdir()
    with box.calls.conn:
        box.calls.conn.execute("UPDATE archive_copies SET verified_ms = 1")
    run(box)
    assert states(box) == ["failed", "failed"]
