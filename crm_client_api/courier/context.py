"""What a job works with, and how it notices that it shall stop."""

from __future__ import annotations

import errno
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sqlite_utils

from crm_client_api.courier.jobs import Job, get_job, job_folder, set_job
from crm_client_api.domain.operators import Operator, get_operator
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.settings import Settings, read_settings
from crm_client_api.stores import Stores
from firmware.config import Home
from firmware.errors import BoxError, NotFound, Refused, StoreError, StoreFull
from firmware.store.connection import write

_TELL_EVERY_S = 0.5
_BATCH_S = 0.025
_SMALLEST_BATCH, _LARGEST_BATCH = 50, 2_000
_LONGEST_REST_S = 0.2
_LONG_CACHE_KIB, _USUAL_CACHE_KIB = 32_768, 2_000
_USUAL_CHECKPOINT_PAGES = 1_000


class Cancelled(BoxError):
    """Who asked for the job gave it up."""


class AskerGone(Refused):
    """Who asked for the job may not do it any more: it goes no further."""


class SetAside(BoxError):
    """The job goes on later, when it is let: ``held`` says what it waits for."""

    def __init__(self, held: str, text: str) -> None:
        super().__init__(text)
        self.held = held


class Stopping(BoxError):
    """The courier ends; the job is taken up again by the next one."""


@dataclass(slots=True)
class Context:
    """A job at work. Thread: the courier's worker."""

    stores: Stores
    job: Job
    stop: threading.Event
    cancellable: bool = True
    _told_s: float = field(default=0.0)
    _asker: Operator | None = None

    @property
    def home(self) -> Home:
        """The box's directory tree."""
        return self.stores.home

    @property
    def crm(self) -> sqlite_utils.Database:
        """The office's store."""
        return self.stores.crm

    @property
    def folder(self) -> Path:
        """The job's own folder."""
        return job_folder(self.home, self.job.id)

    def empty_folder(self) -> Path:
        """The job's own folder without what an earlier try left. Raises StoreError."""
        shutil.rmtree(self.folder, ignore_errors=True)
        try:
            self.folder.mkdir(parents=True, mode=0o770)
        except OSError as error:
            raise (StoreFull if error.errno == errno.ENOSPC else StoreError)(str(error)) from error
        return self.folder

    def operator(self, *needed: Permission) -> Operator:
        """Who asked, as appointed now, with no more than they asked by; every step asks again whether that holds.

        Raises AskerGone once they may not any more.
        """
        operator = self._operator_now()
        if not operator.permissions.issuperset(needed):
            raise AskerGone("who asked for this may not do it any more")
        self._asker = operator
        return operator

    def _operator_now(self) -> Operator:
        try:
            operator = get_operator(self.crm, self.job.staff_no)
        except NotFound as error:
            raise AskerGone("who asked for this is no operator any more") from error
        if not operator.active:
            raise AskerGone("who asked for this may not do it any more")
        return replace(operator, permissions=operator.permissions & self.job.permissions)

    def settings(self) -> Settings:
        """The parameters as they are now."""
        return read_settings(self.crm)

    def step(self, phase: str, done_rows: int, all_rows: int | None, **values: Any) -> None:
        """Note how far the job is (twice a second at most), with further columns. Raises StoreError.

        Raises Cancelled, Stopping; SetAside when somebody paused it; AskerGone while it may still be given up and who
        asked for it left, or works with other settings.
        """
        if self.stop.is_set():
            raise Stopping("the courier ends")
        if self.cancellable and self._asker is not None and self._operator_now().viewer != self._asker.viewer:
            raise AskerGone("the settings of who asked for this have changed meanwhile")
        now_s = time.monotonic()
        if now_s - self._told_s < _TELL_EVERY_S:
            return
        self._told_s = now_s
        if self.cancellable:
            now = get_job(self.crm, self.job.id)
            if now.cancel_asked:
                raise Cancelled("cancelled")
            if now.held:
                raise SetAside(now.held, "somebody paused this")
        with write(self.crm) as connection:
            set_job(connection, self.job.id, phase=phase, done_rows=done_rows, all_rows=all_rows, **values)

    def note(self, **values: Any) -> None:
        """Change columns of the job at once. Raises StoreError."""
        with write(self.crm) as connection:
            set_job(connection, self.job.id, **values)

    def ask(self, question: str, result: Mapping[str, Any], **values: Any) -> None:
        """Leave the job until somebody answers. Raises StoreError."""
        self.note(state="needs_answer", result={**result, "question": question}, **values)


@contextmanager
def long_writing(crm: sqlite_utils.Database) -> Iterator[Callable[[], None]]:
    """For batch after batch into the same tables; call what it gives after each of them.

    Every batch touches leaves all over the indexes, so more of them are kept in memory. What it wrote ahead is brought
    into the store after its transaction instead of at the end of it, while others may write.
    """
    connection = crm.conn

    def bring_home() -> None:
        with suppress(sqlite3.Error):  # then later; were the disk full, the next batch would say so
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    connection.execute(f"PRAGMA cache_size = -{_LONG_CACHE_KIB}")
    connection.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
    try:
        yield bring_home
    finally:
        connection.execute(f"PRAGMA wal_autocheckpoint = {_USUAL_CHECKPOINT_PAGES}").fetchall()
        connection.execute(f"PRAGMA cache_size = -{_USUAL_CACHE_KIB}")


class Pace:
    """How many rows one transaction takes, so that it holds the lock for some 25 ms.

    Then it rests for half that time: who waits for the lock looks again every few milliseconds, later ever more rarely.
    """

    def __init__(self) -> None:
        self.rows = 100
        self._begun_s = 0.0

    def __enter__(self) -> Pace:
        self._begun_s = time.monotonic()
        return self

    def __exit__(self, kind: object, error: object, at: object) -> None:
        took_s = max(time.monotonic() - self._begun_s, 1e-4)
        self.rows = max(_SMALLEST_BATCH, min(_LARGEST_BATCH, int(self.rows * min(2.0, _BATCH_S / took_s)) or 1))
        if kind is None:
            self._rest(min(took_s / 2, _LONGEST_REST_S))

    def _rest(self, rest_s: float) -> None:
        time.sleep(rest_s)


class SteadyPace(Pace):
    """One pace for a whole job: what it does between two transactions, without the lock, counts as rest."""

    def __init__(self) -> None:
        super().__init__()
        self._rested_s = 0.0

    def __enter__(self) -> Pace:
        time.sleep(max(0.0, self._rested_s - time.monotonic()))
        return super().__enter__()

    def _rest(self, rest_s: float) -> None:
        self._rested_s = time.monotonic() + rest_s
