"""Quota and reserve: the oldest that nothing protects goes, or recording stops; never anything else."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from library_box import Box, never, open_box

from firmware.config import Home
from recorder.library.rebuilding.reconciliation import Pass, save_pass
from recorder.library.storage import quota_task
from recorder.library.storage.holds import Hold
from recorder.library.storage.judge import Judged
from recorder.library.storage.quota import (
    GIB,
    FullAction,
    Limits,
    Usage,
    excess_bytes,
    full_flag,
    may_go,
    measure,
    room_bytes,
    surplus,
)
from recorder.library.storage.quota_task import QuotaTask
from recorder.library.storage.retention import Kept
from recorder.library.storage.stock import StoredRecording

PLENTY = 1 << 50
KEPT = Kept(0, "system")


@pytest.fixture
def box(home: Home) -> Iterator[Box]:
    with open_box(home) as made:
        made.set("storage_reserve_gib", 0)
        yield made


@pytest.mark.parametrize(
    ("used", "free", "excess", "room"),
    [
        (900, PLENTY, 0, 100),
        (1000, PLENTY, 0, 0),
        (1001, PLENTY, 21, -1),
        (0, 2000, 0, 0),
        (0, 1999, 41, -1),
        (1001, 1900, 140, -100),
        (5000, 1999, 4020, -4000),
    ],
)
def test_two_limits(used: int, free: int, excess: int, room: int) -> None:
    limits = Limits(1000, 2000, "overwrite_oldest")
    usage = Usage(used, free)
    assert (excess_bytes(limits, usage), room_bytes(limits, usage)) == (excess, room)
    after = usage.after(excess)
    assert excess_bytes(limits, after) == 0
    assert not excess or excess_bytes(limits, after, was_full=True) == 0, "what goes leaves room to spare"


def test_no_quota_is_no_limit() -> None:
    assert excess_bytes(Limits(0, 2000, "overwrite_oldest"), Usage(PLENTY, 2000)) == 0


def test_full_ends_only_with_room_to_spare() -> None:
    limits = Limits(1000, 0, "stop_and_alarm")
    states, full = [], False
    for used in (990, 1000, 1001, 1000, 990, 981, 980, 990, 1000):
        full = excess_bytes(limits, Usage(used, PLENTY), full) > 0
        states.append(full)
    assert states == [False, False, True, True, True, True, False, False, False]


def judged(number: int, *, held: bool = False, archived: bool | None = None) -> Judged:
    stored = StoredRecording(f"r{number}", "call", None, 1, number, number + 1, 100, "p", "flac", False, False)
    return Judged(stored, KEPT, Hold("h", "period") if held else None, archived)


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("archived", [None, False, True])
def test_which_may_go(held: bool, archived: bool | None) -> None:
    one = judged(1, held=held, archived=archived)
    assert may_go(one, "overwrite_oldest") is (not held and archived is not False)
    assert may_go(one, "move_to_archive") is (not held and archived is True)
    assert may_go(one, "stop_and_alarm") is False


def test_the_oldest_go_until_there_is_room() -> None:
    stock = [judged(1), judged(2, held=True), judged(3), judged(4), judged(5)]
    assert [one.recording.id for one in surplus(stock, 150, "overwrite_oldest")] == ["r1", "r3"]
    assert [one.recording.id for one in surplus(stock, 200, "overwrite_oldest")] == ["r1", "r3"]
    assert [one.recording.id for one in surplus(stock, 9999, "overwrite_oldest")] == ["r1", "r3", "r4", "r5"]
    assert list(surplus(stock, 0, "overwrite_oldest")) == []


def fill(box: Box, quota_bytes: int) -> None:
    """Ten recordings of 1,000 bytes, r1 the oldest."""
    for number in range(10):
        box.recording(box.call(f"c{number}"), age_days=10 - number)
    box.set("storage_quota_gib", quota_bytes / GIB)


def alarms(box: Box) -> list[str]:
    return [row["data"] for row in box.rows("SELECT * FROM alarms WHERE code = 'storage_full' AND cleared_ms IS NULL")]


def test_the_oldest_are_overwritten(box: Box) -> None:
    fill(box, 6500)
    box.hold("call", "c1")
    task = QuotaTask()
    task.run(box.library, never)
    assert box.ready() == ["r2", "r6", "r7", "r8", "r9", "r10"]
    assert (box.tombstone("r1")["rule"], box.tombstone("r1")["reason"]) == ("quota", "overwrite_oldest")
    assert not full_flag(box.home).exists()
    task.run(box.library, never)
    assert len(box.ready()) == 6
    assert alarms(box) == []


def test_where_nothing_may_go_recording_stops_until_it_may(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota_task, "REST_S", 0.0)
    fill(box, 6500)
    box.archive("far")
    task = QuotaTask()
    task.run(box.library, never)
    assert len(box.ready()) == 10
    assert full_flag(box.home).exists()
    assert alarms(box) == ['{"action":"overwrite_oldest"}']
    for name in ("r2", "r3", "r4", "r5"):
        box.archived(name, "far")
    task.run(box.library, never)
    assert box.ready() == ["r1", "r6", "r7", "r8", "r9", "r10"]
    assert not full_flag(box.home).exists()
    assert alarms(box) == []


def test_stop_and_alarm_deletes_nothing(box: Box) -> None:
    fill(box, 6500)
    box.set("storage_full_action", "stop_and_alarm")
    QuotaTask().run(box.library, never)
    assert len(box.ready()) == 10
    assert full_flag(box.home).exists()
    assert alarms(box) == ['{"action":"stop_and_alarm"}']
    box.set("storage_quota_gib", 1)
    QuotaTask().run(box.library, never)
    assert not full_flag(box.home).exists()
    assert alarms(box) == []


@pytest.mark.parametrize("targets", [(), ("far",)])
def test_move_to_archive_deletes_only_what_is_there(box: Box, targets: tuple[str, ...]) -> None:
    fill(box, 6500)
    box.set("storage_full_action", "move_to_archive")
    for target in targets:
        box.archive(target)
        box.archived("r4", target)
        box.archived("r5", target, "failed")
    QuotaTask().run(box.library, never)
    assert sorted({f"r{n}" for n in range(1, 11)} - set(box.ready())) == (["r4"] if targets else [])
    assert full_flag(box.home).exists()


def test_a_long_search_in_vain_is_not_repeated_at_once(box: Box) -> None:
    fill(box, 6500)
    hold = box.hold("period", from_ms=0)
    task = QuotaTask()
    task.run(box.library, never)
    box.in_crm("UPDATE holds SET released_ms = 1 WHERE id = ?", hold)
    task.run(box.library, never)
    assert len(box.ready()) == 10
    QuotaTask().run(box.library, never)
    assert len(box.ready()) == 6


def test_it_stops_between_two_batches(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota_task, "AT_ONCE", 2)
    fill(box, 1)
    asked = iter([False, False, True])
    QuotaTask().run(box.library, lambda: next(asked))
    assert len(box.ready()) == 6


def test_the_disk_is_measured(box: Box) -> None:
    fill(box, 0)
    usage = measure(box.home, box.library.calls)
    assert usage.used_bytes == 10_000
    disk = os.statvfs(box.home.recordings)
    assert 0 < usage.free_bytes <= disk.f_blocks * disk.f_frsize


def test_the_reserve_of_the_disk_is_kept(box: Box) -> None:
    fill(box, 0)
    reserve_just_missed(box)
    QuotaTask().run(box.library, never)
    assert 0 < len(box.ready()) < 10
    assert "r1" not in box.ready()


def reserve_just_missed(box: Box) -> None:
    """A reserve that is a little larger than what is free now; the disk is used by others, too."""
    free_bytes = measure(box.home, box.library.calls).free_bytes
    box.in_calls("UPDATE recordings SET bytes = ?", free_bytes // 40)
    box.set("storage_reserve_gib", free_bytes * 1.02 / GIB)


@pytest.mark.parametrize("quota", [0, 6500])
def test_where_deleting_everything_would_not_help_nothing_is_deleted(box: Box, quota: int) -> None:
    fill(box, quota)
    box.set("storage_reserve_gib", 10_000)
    QuotaTask().run(box.library, never)
    assert len(box.ready()) == 10
    assert full_flag(box.home).exists()
    assert alarms(box)


def test_recordings_whose_disk_is_not_mounted_are_not_called_deleted(box: Box) -> None:
    fill(box, 6500)
    box.home.recordings.rename(box.home.root / "disk")
    box.home.recordings.mkdir()
    QuotaTask().run(box.library, never)
    assert len(box.ready()) == 10
    assert full_flag(box.home).exists()
    assert [file for file in box.home.recordings.rglob("*") if file.is_file()] == []


def test_while_a_rebuild_reads_back_the_past_nothing_goes(box: Box) -> None:
    """It reads the newest first: the oldest that it knows is not the oldest."""
    fill(box, 6500)
    save_pass(box.library.calls, Pass(1, rebuilding=True))
    task = QuotaTask()
    task.run(box.library, never)
    assert len(box.ready()) == 10
    save_pass(box.library.calls, Pass(1, rebuilding=True, phase="store"))
    task.run(box.library, never)
    assert len(box.ready()) == 6


def test_what_a_clock_before_2026_labelled_goes_last(box: Box) -> None:
    fill(box, 6500)
    newest = box.recording(box.call("new"), age_days=20_000)
    QuotaTask().run(box.library, never)
    assert newest in box.ready()
    assert len(box.ready()) == 6


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MiB. Mounting needs root."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a disk cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill_up(path: Path) -> None:
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(bytes(1 << 12)):
            pass


def test_a_disk_full_to_the_last_byte_frees_itself(small_disk: Path) -> None:
    from firmware.store.migrations import migrate

    home = Home(small_disk / "home")
    home.create()
    migrate(home)
    with open_box(home) as box:
        box.set("storage_reserve_gib", 6 * (1 << 20) / GIB)
        task = QuotaTask()
        task.run(box.library, never)
        box.recording(box.call("c"), audio=os.urandom(9 << 20), age_days=2)
        box.recording(box.call("d"), audio=bytes(1000), age_days=1)
        assert (home.root / "ballast").stat().st_size == quota_task.BALLAST_BYTES
        fill_up(small_disk / "somebody else")
        assert os.statvfs(home.root).f_bavail == 0
        task.run(box.library, never)
        assert box.row("r1")["state"] == "deleted"
        assert not full_flag(home).exists()


@pytest.mark.parametrize("action", ["overwrite_oldest", "move_to_archive", "stop_and_alarm"])
def test_whatever_the_action_a_held_recording_stays(box: Box, action: FullAction) -> None:
    fill(box, 1)
    box.archive("far")
    for number in range(1, 11):
        box.archived(f"r{number}", "far")
    box.set("storage_full_action", action)
    box.hold("call", "c4")
    QuotaTask().run(box.library, never)
    assert box.ready() == ([f"r{n}" for n in range(1, 11)] if action == "stop_and_alarm" else ["r5"])


def test_a_disk_that_shows_free_room_late_costs_nothing_more(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """As btrfs, until its next commit."""
    fill(box, 0)
    box.set("storage_reserve_gib", 100_000 / GIB)
    monkeypatch.setattr(quota_task, "measure", lambda *_: Usage(1000 * len(box.ready()), 99_000))
    task = QuotaTask()
    for _ in range(3):
        task.run(box.library, never)
        assert box.ready() == [f"r{n}" for n in range(4, 11)]
    assert not full_flag(box.home).exists()
    monkeypatch.setattr(quota_task, "SETTLE_S", 0.0)
    monkeypatch.setattr(quota_task, "measure", lambda *_: Usage(1000 * len(box.ready()), 102_000))
    QuotaTask().run(box.library, never)
    assert len(box.ready()) == 7
