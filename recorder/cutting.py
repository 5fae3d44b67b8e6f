"""Runs the cutter on a thread of its own, at low priority behind everything else."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from functools import partial

from firmware.config import Home
from firmware.errors import StoreError
from recorder.cutter import Cutter
from recorder.tape import TapeReader

log = logging.getLogger("recorder")


class CuttingThread:
    """``wake`` after every news; ``stop`` lets the recording in hand be finished."""

    def __init__(
        self,
        home: Home,
        card_id: str,
        tape: TapeReader,
        simulated: bool,
        guard: Callable[[Callable[[], None]], None],
    ) -> None:
        self._make: Callable[[], Cutter] = partial(Cutter, home, card_id, tape, simulated)
        self._wanted = threading.Event()
        self._stopping = False
        self.oldest_pending: int | None = None
        self._thread = threading.Thread(target=guard, args=(self._work,), name="cutting", daemon=True)

    def start(self) -> None:
        """Start; orders that wait since before are carried out first."""
        self._thread.start()

    def wake(self) -> None:
        """There may be new orders."""
        self._wanted.set()

    def stop(self) -> None:
        """Finish the recording in hand and end."""
        self._stopping = True
        self._wanted.set()
        self._thread.join()

    def _work(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
        cutter = self._make()
        try:
            while True:
                try:
                    self.oldest_pending = cutter.oldest_pending_sample()
                    if cutter.work():
                        continue
                except StoreError as error:
                    log.warning("cutting waits: %s", error)
                    self._wanted.clear()
                if self._stopping:
                    return
                self._wanted.wait(1.0)
                self._wanted.clear()
        finally:
            cutter.close()
