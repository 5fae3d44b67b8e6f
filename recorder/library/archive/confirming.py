"""Before the last audio on the box goes because an archive has it: whether the archive has it, by reading it there.

Targets are asked on threads of their own. One that hangs confirms nothing, and the caller waits some seconds at most;
what is found later counts at the next attempt.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

from firmware.config import Home
from firmware.errors import BoxError
from recorder.library.archive import copies
from recorder.library.archive.looking import tell_of_doubts
from recorder.library.archive.marks import MARK, known_mark
from recorder.library.archive.places import open_place, read_places
from recorder.library.archive.target import Target, TargetError
from recorder.library.keeping.task import Stores

log = logging.getLogger("library")

WAIT_S = 10.0
FRESH_S = 7200.0
"""So long it counts that a copy was read and was right."""
_MOST_WAITING = 200
Found = Literal["there", "gone", "changed"]
Unconfirmed = Literal["unarchived", "unchecked"]


class _Copy(NamedTuple):
    recording_id: str
    path: str
    sha256: str


class _Reader:
    """Reads copies at one target, on a thread that lives while there are some to be read. Thread: safe."""

    def __init__(self, home: Home, name: str, url: str, mark: str) -> None:
        self._home, self._name, self._url, self._mark = home, name, url, mark
        self._changed = threading.Condition()
        self._waiting: dict[_Copy, None] = {}
        self._found: dict[_Copy, tuple[Found, float]] = {}
        self._thread: threading.Thread | None = None

    def ask(self, wanted: Collection[_Copy], until_s: float) -> dict[_Copy, Found]:
        """What is known of these copies at ``until_s`` (monotonic) at the latest."""
        with self._changed:
            fresh_s = time.monotonic() - FRESH_S
            self._found = {
                one: found for one, found in self._found.items() if found[0] == "there" and found[1] > fresh_s
            }
            for one in wanted:
                if one not in self._found and len(self._waiting) < _MOST_WAITING:
                    self._waiting[one] = None
            if self._waiting and self._thread is None:
                self._thread = threading.Thread(target=self._read, name=f"archive {self._name}", daemon=True)
                self._thread.start()
            self._changed.wait_for(
                lambda: self._thread is None or not any(one in self._waiting for one in wanted),
                until_s - time.monotonic(),
            )
            return {one: self._found[one][0] for one in wanted if one in self._found}

    def _read(self) -> None:
        try:
            with open_place(self._home, self._name, self._url) as target:
                while True:
                    with self._changed:
                        if not self._waiting:
                            return
                        one = next(iter(self._waiting))
                    found: Found | None = "changed"
                    if target.sha256(MARK) == self._mark:
                        found = _look(target, one)
                    with self._changed:
                        self._waiting.pop(one, None)
                        if found is not None:
                            self._found[one] = found, time.monotonic()
                        self._changed.notify_all()
        except BoxError as error:
            log.warning("archive %s: %s", self._name, error)
        finally:
            with self._changed:
                self._waiting.clear()
                self._thread = None
                self._changed.notify_all()


def _look(target: Target, one: _Copy) -> Found | None:
    """None: this copy cannot be read, which says nothing about the next."""
    try:
        return "there" if target.sha256(one.path) == one.sha256 else "gone"
    except TargetError as error:
        log.warning("%s", error)
        return None


_readers: dict[tuple[str, str, str, str], _Reader] = {}


def unconfirmed(stores: Stores, targets: Sequence[str], recording_ids: Collection[str]) -> Mapping[str, Unconfirmed]:
    """Of these recordings, those of which not every target was seen to hold the audio, and why.

    ``unarchived``: it is not there (any more), and is copied again; ``unchecked``: nobody knows. Raises StoreError.
    """
    until_s = time.monotonic() + WAIT_S
    places = {place.name: place for place in read_places(stores.crm)}
    refused: dict[str, Unconfirmed] = {}
    for name in targets:
        wanted = {one.recording_id: _Copy(*one) for one in copies.verified_copies(stores.calls, name, recording_ids)}
        mark = known_mark(stores.calls, name)
        found: Mapping[_Copy, Found] = {}
        if name in places and mark is not None:
            key = (str(stores.home.root), name, places[name].url, mark)
            reader = _readers.setdefault(key, _Reader(stores.home, name, places[name].url, mark))
            found = reader.ask(wanted.values(), until_s)
        for recording_id in recording_ids:
            seen = found.get(wanted[recording_id]) if recording_id in wanted else "gone"
            if seen == "gone":
                refused[recording_id] = "unarchived"
                if recording_id in wanted:
                    copies.note_look(stores.calls, name, recording_id, is_there=False)
            elif seen != "there":
                refused.setdefault(recording_id, "unchecked")
        if "changed" in found.values():
            copies.doubt_next(stores.calls, name)  # the alarm's beginning; the archive's own thread goes on
        if set(found.values()) - {"there"}:
            tell_of_doubts(stores.calls, name)
    return refused
