"""The keeper's threads for the later life of recordings. The keeper itself never waits for them.

What archives need has a thread of its own: one that hangs must not keep the others from making room.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from firmware.config import Home
from firmware.errors import BoxError, StoreError

if TYPE_CHECKING:  # the keeper's own start does not wait for what only the thread needs
    from recorder.library.keeping.task import Library, LibraryTask, Stores

log = logging.getLogger("library")

RETRY_S = 5.0
STOP_TIMEOUT_S = 4.0
SLICE_S = 20.0
"""So long a task may keep the others waiting; then its ``stopping`` says so, and it goes on after them."""
MORE_AFTER_S = 1.0
FAILURES_TO_ALARM = 3
ALARM = "library_task_failed"


_Works = TypeVar("_Works", bound="Stores")


class TaskThread(Generic[_Works]):
    """Runs tasks, each at its pace and one at a time; ``stop`` lets the step in hand be finished.

    What fails is tried again: a task alone after its pace, the stores and logs after some seconds.
    """

    def __init__(
        self,
        home: Home,
        name: str,
        opened: Callable[[Home], AbstractContextManager[_Works]],
        tasks: Callable[[], Sequence[Callable[[], LibraryTask[_Works]]]],
    ) -> None:
        self._home, self._opened, self._tasks = home, opened, tasks
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        """Start; stores and logs are opened on the thread, so this never fails."""
        self._thread.start()

    def stop(self, *others: TaskThread[Any]) -> None:
        """Finish the steps in hand and end; what takes too long is left behind, as after a power cut.

        ``others`` are to end meanwhile: this takes no longer than one alone.
        """
        end_s = time.monotonic() + STOP_TIMEOUT_S
        for one in (self, *others):
            one._stopping.set()
        for one in (self, *others):
            one._thread.join(max(0.0, end_s - time.monotonic()))
            if one._thread.is_alive():
                log.warning("%s: the task in hand does not end: it is left behind", one._thread.name)

    def _work(self) -> None:
        # The lowest priority that is still served; the disk's follows from it (ioprio_set(2)). The idle classes are
        # never served on a busy box, and would hold up the recorder with the store's write lock in their hand.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        tasks: list[_Scheduled[_Works]] = []
        while not self._stopping.is_set():
            try:
                tasks = tasks or [_Scheduled(task()) for task in self._tasks()]
                with self._opened(self._home) as works:
                    while not self._stopping.is_set():
                        self._run_next(works, tasks)
            except Exception as error:  # whatever it is: recordings go on, and so does the library
                log.error("%s waits: %s", self._thread.name, error, exc_info=not isinstance(error, BoxError))
                self._stopping.wait(RETRY_S)

    def _run_next(self, works: _Works, tasks: Sequence[_Scheduled[_Works]]) -> None:
        """Run the task that is due first, when it is due."""
        first = min(tasks, key=lambda one: one.due_s)
        if not self._stopping.wait(max(0.0, first.due_s - time.monotonic())):
            first.run(works, self._stopping.is_set)


class LibraryThread(TaskThread["Library"]):
    """Works on recordings and evidence logs, which are its alone."""

    def __init__(self, home: Home, tasks: Sequence[Callable[[], LibraryTask[Library]]] | None = None) -> None:
        """``tasks`` None: all tasks of the box."""
        super().__init__(home, "library", open_library, lambda: tasks or _all_tasks())


class ArchiveThread(TaskThread["Stores"]):
    """Copies recordings to archives."""

    def __init__(self, home: Home) -> None:
        super().__init__(home, "archive", open_stores, _archive_tasks)


def _all_tasks() -> Sequence[Callable[[], LibraryTask[Library]]]:
    from recorder.library.keeping.tasks import TASKS

    return TASKS


def _archive_tasks() -> Sequence[Callable[[], LibraryTask[Stores]]]:
    from recorder.library.keeping.tasks import ARCHIVE_TASKS

    return ARCHIVE_TASKS


@dataclass(slots=True)
class _Scheduled(Generic[_Works]):
    """A task and when it is due (monotonic seconds). ``failures``: how often it failed in a row."""

    task: LibraryTask[_Works]
    due_s: float = 0.0
    failures: int = 0

    def run(self, works: _Works, stopping: Callable[[], bool]) -> None:
        """Run it, and note what became of it. Raises StoreError: the stores must be opened anew."""
        from recorder.library.keeping.alarms import clear_alarm, raise_alarm

        first_time = not self.due_s
        turn = _Turn(stopping, time.monotonic() + SLICE_S)
        try:
            self.task.run(works, turn.over)
        except Exception as error:  # one task that cannot do its work must not keep the others from theirs
            self.failures += 1
            expected = isinstance(error, BoxError | OSError | sqlite3.Error)
            log.warning("%s failed: %s", self.task.name, error, exc_info=not expected)
            if self.failures >= FAILURES_TO_ALARM:
                raise_alarm(works.calls, ALARM, self.task.name, {"error": str(error)})
            if isinstance(error, StoreError | sqlite3.Error):
                raise StoreError(f"{self.task.name}: {error}") from error
        else:
            if first_time or self.failures:  # an alarm may stand since before a restart
                clear_alarm(works.calls, ALARM, self.task.name)
            self.failures = 0
        finally:
            self.due_s = time.monotonic() + (MORE_AFTER_S if turn.cut_short else self.task.every_s)


@dataclass(slots=True)
class _Turn:
    """One run of a task, until ``end_s`` (monotonic). ``cut_short``: it was told so."""

    stopping: Callable[[], bool]
    end_s: float
    cut_short: bool = False

    def over(self) -> bool:
        """Whether the task must return."""
        self.cut_short = self.stopping() or time.monotonic() > self.end_s
        return self.cut_short


@contextmanager
def open_stores(home: Home) -> Iterator[Stores]:
    """The stores alone. Raises StoreError."""
    from firmware.store.connection import open_store
    from firmware.store.migrations import require_current_schema
    from recorder.library.keeping.task import Stores

    require_current_schema(home)
    with ExitStack() as opened:
        calls = open_store(home.calls_db)
        opened.enter_context(closing(calls.conn))
        crm = open_store(home.crm_db, readonly=True)
        opened.enter_context(closing(crm.conn))
        yield Stores(home, calls, crm)


@contextmanager
def open_library(home: Home) -> Iterator[Library]:
    """Stores and evidence logs of the library, ours alone. Raises StoreBusy: another process has them; StoreError."""
    from recorder.library.evidence.log import EvidenceLog
    from recorder.library.keeping.lock import library_lock
    from recorder.library.keeping.task import Library

    with library_lock(home), open_stores(home) as stores, ExitStack() as opened:
        logs = []
        for simulated in (False, True):
            logs.append(EvidenceLog(home, "library", simulated))
            opened.callback(logs[-1].close)
        yield Library(home, stores.calls, stores.crm, *logs)
