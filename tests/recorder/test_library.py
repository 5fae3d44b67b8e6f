"""The keeper's library thread: every task at its pace, whatever fails, and an end when asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from library_box import open_box
from recorded_lines import rows

from firmware.config import Home
from firmware.errors import BadInput, NotFound, StoreBusy, StoreError
from firmware.store.connection import open_store, write
from recorder.library.evidence.heads import last_head
from recorder.library.evidence.heartbeat import HeartbeatTask
from recorder.library.evidence.log import EvidenceLog, heads_path
from recorder.library.keeping import library as library_module
from recorder.library.keeping import tasks as tasks_module
from recorder.library.keeping.library import ArchiveThread, LibraryThread, open_library
from recorder.library.keeping.lock import library_lock
from recorder.library.keeping.task import Library, Stopping
from recorder.orders import add_order

PATIENCE_S = 30.0


def wait_until(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


class Told:
    """A task that does as it is told, and counts its runs."""

    def __init__(self, name: str = "told", every_s: float = 0.0, work: Callable[..., None] | None = None) -> None:
        self.name, self.every_s, self.runs = name, every_s, 0
        self.libraries: list[Library] = []
        self._do = work

    def run(self, library: Library, stopping: Stopping) -> None:
        self.runs += 1
        self.libraries.append(library)
        if self._do:
            self._do(self, library, stopping)


Start = Callable[..., LibraryThread]


@pytest.fixture
def start(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    monkeypatch.setattr(library_module, "RETRY_S", 0.01)
    monkeypatch.setattr(library_module, "MORE_AFTER_S", 0.0)
    started: list[LibraryThread] = []

    def run(*tasks: Told) -> LibraryThread:
        thread = LibraryThread(home, [lambda one=task: one for task in tasks])  # type: ignore[misc]
        thread.start()
        started.append(thread)
        return thread

    yield run
    for thread in started:
        thread.stop()


def standing(home: Home) -> list[tuple[str, str]]:
    found = rows(home, "SELECT subject, data FROM alarms WHERE code = 'library_task_failed' AND cleared_ms IS NULL")
    return [(row["subject"], row["data"]) for row in found]


def test_each_task_at_its_pace(start: Start) -> None:
    often, seldom = Told("often"), Told("seldom", 3600.0)
    start(seldom, often)
    wait_until(lambda: often.runs >= 20)
    assert seldom.runs == 1


def test_a_task_that_fails_holds_up_no_other_and_raises_the_alarm(home: Home, start: Start) -> None:
    healed = threading.Event()
    tries: list[int] = []

    def fail(task: Told, library: Library, stopping: Stopping) -> None:
        tries.append(1)
        if not healed.is_set():
            raise NotFound("no such thing") if len(tries) > 1 else ZeroDivisionError

    failing, other = Told("failing", work=fail), Told("other")
    start(failing, other)
    wait_until(lambda: standing(home))
    assert standing(home) == [("failing", '{"error":"no such thing"}')]
    assert failing.runs >= library_module.FAILURES_TO_ALARM
    before = other.runs
    wait_until(lambda: other.runs > before + 5)
    healed.set()
    wait_until(lambda: not standing(home))


def test_two_failures_are_no_alarm(home: Home, start: Start) -> None:
    def fail(task: Told, library: Library, stopping: Stopping) -> None:
        if task.runs < library_module.FAILURES_TO_ALARM:
            raise BadInput("x")

    failing = Told(work=fail)
    start(failing)
    wait_until(lambda: failing.runs >= 6)
    assert rows(home, "SELECT * FROM alarms") == []


def test_an_alarm_of_an_earlier_run_is_cleared(home: Home, start: Start) -> None:
    db = open_store(home.calls_db)
    with write(db) as connection:
        connection.execute("INSERT INTO alarms (code, subject, raised_ms) VALUES ('library_task_failed', 'told', 1)")
    db.conn.close()
    start(Told("told", 3600.0))
    wait_until(lambda: not standing(home))


def test_a_broken_store_is_opened_anew(start: Start) -> None:
    def break_it(task: Told, library: Library, stopping: Stopping) -> None:
        if task.runs == 1:
            library.calls.conn.close()
            raise StoreError("broken")
        library.calls.conn.execute("SELECT 1 FROM calls")

    told = Told(work=break_it)
    start(told)
    wait_until(lambda: told.runs >= 3)
    assert told.libraries[0] is not told.libraries[1] is told.libraries[2]


def test_a_store_that_is_not_there_yet_is_waited_for(home: Home, start: Start) -> None:
    away = home.root / "away.db"
    home.calls_db.rename(away)
    told = Told()
    start(told)
    time.sleep(0.05)
    assert told.runs == 0
    away.rename(home.calls_db)
    wait_until(lambda: told.runs)


def test_one_that_takes_long_lets_the_others_in_between(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_module, "SLICE_S", 0.05)
    seen: list[int] = []

    def work(task: Told, library: Library, stopping: Stopping) -> None:
        seen.append(other.runs)
        while not stopping():
            time.sleep(0.001)

    other = Told("other")
    long = Told("long", 3600.0, work)
    start(long, other)
    wait_until(lambda: long.runs >= 4)
    assert seen[0] < seen[1] < seen[2]


def test_stop_ends_what_is_at_work_and_leaves_a_last_head(home: Home, start: Start) -> None:
    begun = threading.Event()

    def work(task: Told, library: Library, stopping: Stopping) -> None:
        begun.set()
        while not stopping():
            time.sleep(0.001)

    thread = start(Told(work=work))
    assert begun.wait(PATIENCE_S)
    thread.stop()
    assert not thread._thread.is_alive()
    for folder in ("device", "practice"):
        head = last_head(heads_path(home.evidence / folder / "library.log"))
        assert head is not None
        assert head.head.reason == "stop"


def test_one_that_never_ends_is_left_behind(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_module, "STOP_TIMEOUT_S", 0.05)
    begun, end = threading.Event(), threading.Event()

    def work(task: Told, library: Library, stopping: Stopping) -> None:
        begun.set()
        end.wait(PATIENCE_S)

    thread = start(Told(work=work))
    assert begun.wait(PATIENCE_S)
    thread.stop()
    assert thread._thread.is_alive()
    monkeypatch.undo()
    end.set()


def test_only_one_process_has_the_library(home: Home, start: Start) -> None:
    told = Told()
    with library_lock(home):
        start(told)
        time.sleep(0.05)
        assert told.runs == 0
    wait_until(lambda: told.runs)
    with pytest.raises(StoreBusy), open_library(home):
        pass


def test_heartbeats_are_written(home: Home) -> None:
    with open_box(home) as box:
        logs = (box.library.device_log, box.library.practice_log)
        before = [log.path.with_suffix(".heads").read_bytes() for log in logs]
        for log in logs:
            log._heads.written_ms -= 60_000
        HeartbeatTask().run(box.library, lambda: False)
        for log, then in zip(logs, before, strict=True):
            assert isinstance(log, EvidenceLog)
            assert log.path.with_suffix(".heads").read_bytes().count(b"\n") == then.count(b"\n") + 1


def test_a_damaged_log_of_the_library_is_told(home: Home) -> None:
    with open_library(home) as library:
        path = library.device_log.path
    path.write_bytes(path.read_bytes().replace(b'"index":0', b'"index":7'))
    with open_library(home) as library:
        HeartbeatTask().run(library, lambda: False)
    (alarm,) = rows(home, "SELECT code, subject FROM alarms")
    assert alarm == {"code": "evidence_damaged", "subject": "device/library"}


@pytest.mark.parametrize("damage", ["log", "key"])
def test_what_was_wrong_with_a_log_is_told_by_whoever_opens_it_next(home: Home, damage: str) -> None:
    """The store was locked, or the power went, when the log had been set aside already."""
    with open_library(home) as library:
        path = library.device_log.path
    if damage == "log":
        path.write_bytes(path.read_bytes().replace(b'"index":0', b'"index":7'))
    else:
        (path.parent / "key.pub").write_bytes(b"another")
    with open_library(home) as library:
        assert library.device_log.problems
    with open_library(home) as library:
        HeartbeatTask().run(library, lambda: False)
    (alarm,) = rows(home, "SELECT code, subject FROM alarms")
    assert alarm == {"code": "evidence_damaged", "subject": "device/library"}
    with open_library(home) as library:
        assert library.device_log.untold == []


def start_keeper(home: Home) -> subprocess.Popen[bytes]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("TAPDECK_")}
    command = [sys.executable, "-m", "firmware", "--home", str(home.root), "keeper", "--no-exchange"]
    return subprocess.Popen(command, env=clean, stderr=subprocess.PIPE)


def threads(pid: int) -> dict[str, int]:
    """Nice values of a process's threads by id."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        found[task.name] = os.getpriority(os.PRIO_PROCESS, int(task.name))
    return found


def test_the_real_keeper_carries_out_an_order_at_low_priority(home: Home) -> None:
    with open_box(home) as box:
        recording = box.recording(box.call("c"))
    keeper = start_keeper(home)
    try:
        crm = open_store(home.crm_db)
        with write(crm) as connection:
            add_order(connection, at_ms=1, asked_by="8001", verb="delete", recording_id=recording)
        crm.conn.close()
        wait_until(lambda: rows(home, "SELECT * FROM order_results"))
        (result,) = rows(home, "SELECT ok, message FROM order_results")
        assert result == {"ok": 1, "message": "1 deleted"}
        assert rows(home, "SELECT state FROM recordings") == [{"state": "deleted"}]
        nice = threads(keeper.pid)
        assert nice.pop(str(keeper.pid)) == os.getpriority(os.PRIO_PROCESS, 0)
        assert 19 in nice.values()
    finally:
        keeper.send_signal(signal.SIGTERM)
        _, errors = keeper.communicate(timeout=PATIENCE_S)
    assert keeper.returncode == 0, errors
    assert b"Traceback" not in errors, errors.decode()


def test_a_killed_keeper_is_followed_by_the_next(home: Home) -> None:
    for _ in range(2):
        keeper = start_keeper(home)
        lock = home.run / "library.lock"
        wait_until(lambda lock=lock: lock.exists() and _held(home))  # type: ignore[misc]
        keeper.kill()
        keeper.communicate(timeout=PATIENCE_S)
    with open_library(home):
        pass


def _held(home: Home) -> Any:
    try:
        with library_lock(home):
            return False
    except StoreBusy:
        return True


def test_an_archive_that_hangs_holds_up_nothing_else(home: Home, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_module, "STOP_TIMEOUT_S", 0.5)
    end = threading.Event()
    hanging = Told("archive", work=lambda task, stores, stopping: end.wait(60))
    monkeypatch.setattr(tasks_module, "ARCHIVE_TASKS", [lambda: hanging])
    archive = ArchiveThread(home)
    archive.start()
    wait_until(lambda: hanging.runs)
    told = Told()
    library = start(told)
    wait_until(lambda: told.runs >= 20)
    began = time.monotonic()
    library.stop(archive)
    assert time.monotonic() - began < 3
    assert hanging.runs == 1
    end.set()
    archive.stop()
