"""Looks through both stores once a day, all of them, which would take too long when the box starts."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from firmware.errors import StoreError
from firmware.store.health import Health, examine, mark_damaged
from recorder.library.keeping.alarms import clear_alarm, raise_alarm
from recorder.library.keeping.task import Library, Stopping

log = logging.getLogger("library")

EVERY_S = 86_400.0
ALARM = "store_damaged"


class _Look:
    """One store being looked through, beside everything else: a large one takes minutes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.health: Health | None = None
        self._thread = threading.Thread(target=self._look, name="examining", daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def _look(self) -> None:
        try:
            self.health = examine(self.path, lambda: False)
        except StoreError as error:
            log.warning("a store could not be looked through: %s", error)


class ExaminationTask:
    """See ``LibraryTask``. A damaged ``calls.db`` is marked, and made anew when the box starts next."""

    name = "examination"
    every_s = 60.0

    def __init__(self) -> None:
        self._looks: list[_Look] = []
        self._due_s = 0.0

    def run(self, library: Library, stopping: Stopping) -> None:
        """Begin to look when it is due, tell what was seen when it is over."""
        home = library.home
        if not self._looks and time.monotonic() >= self._due_s:
            self._due_s = time.monotonic() + EVERY_S
            self._looks = [_Look(home.calls_db), _Look(home.crm_db)]
        for look in [one for one in self._looks if one.is_over]:
            self._looks.remove(look)
            self._tell(library, look)

    def _tell(self, library: Library, look: _Look) -> None:
        if look.health is None:
            return
        if look.health.damage is None:
            clear_alarm(library.calls, ALARM, look.path.name)
            return
        log.error("%s is damaged: %s", look.path, look.health.damage)
        if look.path == library.home.calls_db:
            mark_damaged(look.path, look.health.damage)
        raise_alarm(library.calls, ALARM, look.path.name, {"damage": look.health.damage})
