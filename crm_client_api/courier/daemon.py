"""The courier: does one job after the other, with what the box has left over, and resumes what was cut off."""

from __future__ import annotations

import gc
import logging
import shutil
import sqlite3
import threading

from crm_client_api.courier.context import AskerGone, Cancelled, Context, SetAside, Stopping
from crm_client_api.courier.jobs import ANSWER_WITHIN_MS, KEPT_FOR_MS, PAUSED, Job, get_job, next_job, set_job
from crm_client_api.courier.kinds import KINDS, LANES, is_fetching, kinds_of
from crm_client_api.courier.life import work_until_stopped
from crm_client_api.domain.invalid import Invalid
from crm_client_api.stores import StorePool, Stores
from crm_client_api.take_home.auto import begin_auto_exports
from crm_client_api.take_home.media import let_go_on
from firmware.clock import now_ms
from firmware.config import Home
from firmware.doorbell import Doorbell, ring
from firmware.errors import BoxError, Refused, StoreBusy, StoreError, StoreFull
from firmware.store.connection import write
from firmware.time_zone import in_zone

MOST_TRIES = 5
"""So often a job is taken up again after the courier died over it."""
_LOOK_EVERY_S = 1.0
_AFTER_FAILURE_S = 3.0
_TIDY_EVERY_MS = 3_600_000
_log = logging.getLogger(__name__)


def run_courier(home: Home) -> None:
    """Work until SIGTERM or SIGINT. Raises ConfigError when another courier works here, StoreError."""
    work_until_stopped(home, "courier", [Courier(home, lane) for lane in LANES])


class Courier:
    """The work itself, one job after the other; with ``lane`` only jobs of that one.

    ``stop``: set it to end after the next step. Thread: ``run`` in one.
    """

    def __init__(self, home: Home, lane: str = "") -> None:
        self._home = home
        self.lane = lane
        self._pool = StorePool(home)
        self.stop = threading.Event()
        self._tidied_ms = 0

    def run(self) -> None:
        """Do jobs until ``stop``."""
        with Doorbell(self._home.doorbells, f"courier-{self.lane}".rstrip("-")) as bell:
            while not self.stop.is_set():
                try:
                    busy = self.turn()
                except (BoxError, OSError, sqlite3.Error) as error:  # not even the failure can be written down
                    _log.error("the job waits: %s", error)
                    self.stop.wait(_AFTER_FAILURE_S)
                    continue
                if not busy:
                    bell.wait(_LOOK_EVERY_S)
        self.close()

    def close(self) -> None:
        """Let go of the stores."""
        self._pool.close()

    def turn(self) -> bool:
        """Do the next job; False when there was none. Raises StoreError, OSError."""
        with self._pool.use() as stores:
            if self.lane in ("", LANES[0]) and now_ms() - self._tidied_ms > _TIDY_EVERY_MS:
                self._tidy(stores)
                self._tidied_ms = now_ms()
            if self.lane in ("", LANES[1]):
                let_go_on(stores)
                begin_auto_exports(stores)
            kinds, only = kinds_of(self.lane)
            job = next_job(stores.crm, kinds, only=only, fetching=is_fetching(self.lane))
            if job is None:
                return False
            try:
                self._do(stores, job)
            finally:
                ring(self._home.doorbells)  # also our own, so only after work
                gc.collect()  # what the job leaves behind, of which ``collect_rarely`` hears nothing for long
            return True

    def _do(self, stores: Stores, job: Job) -> None:
        context = Context(stores, job, self.stop, cancellable=job.phase != "applying")
        work = KINDS.get(job.kind)
        if work is None:
            context.note(state="failed", error_code="job_unknown", error="this version does not know such jobs")
            return
        if job.cancel_asked and context.cancellable:
            self._end(context, state="cancelled")
            return
        if job.tries >= MOST_TRIES and context.cancellable:
            self._end(context, state="failed", error_code="job_killed", error="the box fails over this job")
            return
        context.note(state="running", tries=job.tries + 1)
        try:
            with in_zone(context.settings().zone):
                work.run(context)
        except SetAside as error:
            with write(stores.crm) as connection:  # no failed try: it went as far as it could
                held = {} if error.held == PAUSED else {"held": error.held}  # and who paused it may have let it go on
                set_job(connection, job.id, state="waiting", tries=job.tries, error=str(error), **held)
        except Stopping:
            with write(stores.crm) as connection:  # an orderly end is no failed try
                set_job(connection, job.id, tries=job.tries)
        except Cancelled:
            self._end(context, state="cancelled")
        except Exception as error:
            self._failed(context, error)

    def _failed(self, context: Context, error: Exception) -> None:
        if isinstance(error, OSError) and error.errno == 28:
            error = StoreFull(str(error))
        if not isinstance(error, Invalid | Refused):
            _log.error("job %s failed", context.job.id, exc_info=error)
        code, text = _told(error)
        again = isinstance(error, StoreError) and context.job.wanted.get("confirmed")
        if again:  # the person confirms once more when there is room, or less to do
            self._end(context, state="needs_answer", error_code=code, error=text, wanted_confirmed=False)
            return
        self._end(context, state="failed", error_code=code, error=text)

    def _end(self, context: Context, *, wanted_confirmed: bool | None = None, **values: object) -> None:
        """Take back what nobody saw, then say how the job ended. What was published is never taken back."""
        work = KINDS[context.job.kind]
        if not work.take_back(context):
            _log.warning("job %s has taken effect and goes on", context.job.id)
            self.stop.wait(_AFTER_FAILURE_S)
            return
        with write(context.crm) as connection:
            if wanted_confirmed is not None:
                connection.execute(
                    "UPDATE jobs SET wanted = json_set(wanted, '$.confirmed', json('false')) WHERE id = ?",
                    (context.job.id,),
                )
            set_job(connection, context.job.id, phase="", cancel_asked=0, held="", **values)
        if values["state"] == "cancelled" and context.job.phase != "clearing":  # its backup stays
            shutil.rmtree(context.folder, ignore_errors=True)

    def _tidy(self, stores: Stores) -> None:
        """Cancel what nobody answered, remove files that nobody fetches any more."""
        at_ms = now_ms()
        with write(stores.crm) as connection:
            connection.execute(
                "UPDATE jobs SET state = 'waiting', cancel_asked = 1 WHERE state = 'needs_answer' AND changed_ms < ?",
                (at_ms - ANSWER_WITHIN_MS,),
            )
            connection.execute(
                "UPDATE jobs SET cancel_asked = 1 WHERE state = 'waiting' AND held <> '' AND changed_ms < ?",
                (at_ms - KEPT_FOR_MS,),
            )
        folders = self._home.root / "jobs"
        for folder in folders.iterdir() if folders.exists() else ():
            try:
                job = get_job(stores.crm, int(folder.name))
                old = job.state in ("done", "failed", "cancelled") and job.changed_ms < at_ms - KEPT_FOR_MS
            except (ValueError, BoxError):  # an upload whose request broke off, or of a store that was put back
                old = folder.stat().st_mtime * 1000 < at_ms - ANSWER_WITHIN_MS
            if old:
                shutil.rmtree(folder, ignore_errors=True)


def _told(error: Exception) -> tuple[str, str]:
    """Code and text that the person reads."""
    if isinstance(error, Invalid):
        return error.code, str(error)
    if isinstance(error, AskerGone):
        return "asker_gone", str(error)
    if isinstance(error, Refused):
        return "refused", str(error)
    if isinstance(error, StoreFull):
        return "disk_full", "the disk is full: nothing was changed; make room and confirm again"
    if isinstance(error, StoreBusy):
        return "store_busy", "the store was busy for too long: nothing was changed; confirm again"
    if isinstance(error, BoxError):
        return "job_failed", str(error)
    return "internal", "an error inside the box"
