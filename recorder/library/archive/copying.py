"""The task that brings recordings to every archive target: one file at a time, each read back and compared."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import sqlite_utils

from firmware.clock import now_ms
from firmware.config import Home
from firmware.errors import BadInput, StoreError
from firmware.parameters import get_all
from recorder.library.archive import copies
from recorder.library.archive.copies import Waiting
from recorder.library.archive.looking import CHANGED_ALARM, Look, look_at_copies, tell_of_doubts
from recorder.library.archive.marks import MARK, is_another, settle_mark
from recorder.library.archive.places import Place, open_place, read_places
from recorder.library.archive.removing import remove_erased, spread, to_remove
from recorder.library.archive.target import Target, TargetError
from recorder.library.audio import names
from recorder.library.audio.vault import key_path
from recorder.library.keeping.alarms import clear_alarm, raise_alarm
from recorder.library.keeping.lock import archive_lock
from recorder.library.keeping.task import Stopping, Stores

log = logging.getLogger("library")

LAG_ALARM = "archive_lag"
SHORTEST_REST_S, LONGEST_REST_S = 60.0, 3600.0
WHOLE_PASS_S = 3600.0
_RECENT_MS = 2 * 86_400_000
_H_MS = 3_600_000
ERASURE_S = 600.0
"""So long a copy waits while others are removed."""


@dataclass(slots=True)
class _Course:
    """How it goes with one target. Times are monotonic seconds; ``error`` is its last one, "" for none."""

    rests_until_s: float = 0.0
    rest_s: float = SHORTEST_REST_S
    whole_pass_s: float = 0.0
    look: Look = field(default_factory=Look)
    error: str = ""

    def failed(self, error: Exception) -> None:
        self.error = str(error)
        self.whole_pass_s = 0.0
        self.rests_until_s = time.monotonic() + self.rest_s
        self.rest_s = min(2 * self.rest_s, LONGEST_REST_S)

    def served(self, whole: bool) -> None:
        self.error, self.rest_s = "", SHORTEST_REST_S
        if whole:
            self.whole_pass_s = time.monotonic() + WHOLE_PASS_S


class ArchiveTask:
    """See ``LibraryTask``. A target that fails rests, longer each time; the others go on."""

    name = "archive"
    every_s = 30.0

    def __init__(self) -> None:
        self._courses: dict[str, _Course] = {}
        self._spread_s = 0.0
        self._begin_with = ""

    def run(self, stores: Stores, stopping: Stopping) -> None:
        """Copy what waits. Looks at recent recordings every time; at all, and at what failed, once an hour.

        A run that is cut short is followed by one that begins with the next target.
        """
        every_place = read_places(stores.crm)
        places = [place for place in every_place if place.enabled]
        if time.monotonic() >= self._spread_s:
            spread(stores.calls, [place.name for place in every_place])
            self._spread_s = time.monotonic() + WHOLE_PASS_S
        first = next((at for at, place in enumerate(places) if place.name == self._begin_with), 0)
        for place in places[first:] + places[:first]:
            self._begin_with = place.name
            course = self._courses.setdefault(place.name, _Course())
            if stopping():
                return
            if time.monotonic() >= course.rests_until_s:
                self._serve(stores, place, course, stopping)
        self._begin_with = places[first].name if places else ""
        _clear_alarms_of_others(stores.calls, {place.name for place in places})

    def _serve(self, stores: Stores, place: Place, course: _Course, stopping: Stopping) -> None:
        whole = time.monotonic() >= course.whole_pass_s
        look = course.look if course.look.is_due() else None
        try:
            serve(stores, place, 0 if whole else now_ms() - _RECENT_MS, stopping, look)
            course.served(whole and not stopping())
        except (TargetError, BadInput) as error:
            log.warning("archive %s rests: %s", place.name, error)
            course.failed(error)
        except (StoreError, sqlite3.Error):
            raise
        except Exception as error:  # what a server's or a disk's library may throw, the other archives do not wait for
            log.exception("archive %s rests", place.name)
            course.failed(error)
        if whole or look:
            tell_of_doubts(stores.calls, place.name)
        if whole and _lags(stores, place, course.error):
            course.whole_pass_s = 0.0  # the alarm ends as soon as it may


def serve(stores: Stores, place: Place, since_ms: int, stopping: Stopping, look: Look | None = None) -> None:
    """Do what is to do at one target; it is not even asked when that is nothing. Removes only with ``since_ms`` 0.

    ``look``: read some of the copies there again, too.
    Raises TargetError: the target itself is out of order; BadInput: its address; StoreError.
    """
    removing = not since_ms and bool(to_remove(stores.home, stores.calls, place.name))
    if not removing and not look and not copies.lacking(stores.calls, place.name, since_ms):
        return
    with open_place(stores.home, place.name, place.url) as target:
        if is_another(stores.calls, place.name, target):
            all_doubted = copies.doubt_all(stores.calls, place.name, stopping)
            tell_of_doubts(stores.calls, place.name)
            if not all_doubted:  # without its mark it is another the next time, too
                return
        mark = settle_mark(stores.calls, place.name, target)
        refused = None
        try:
            if removing:  # first: it makes room, and what waits to be copied may take days
                remove_erased(stores.home, stores.calls, place.name, target, mark, stopping)
        except TargetError as error:  # a target that refuses to remove still archives
            refused = error
        copy_all(stores, place.name, target, mark, since_ms, stopping)
        if look:
            look_at_copies(stores, place.name, target, look, stopping)
        if refused:
            raise refused


def _lags(stores: Stores, place: Place, error: str) -> bool:
    """Whether a recording waits longer than it may; the alarm stands as long."""
    left = copies.backlog(stores.calls, place.name, place.set_ms)
    if left.oldest_ms is None or now_ms() - left.oldest_ms <= _lag_ms(stores.crm):
        clear_alarm(stores.calls, LAG_ALARM, place.name)
        return False
    data = {"recordings": left.recordings, "oldest_ms": left.oldest_ms, "error": error or left.error}
    raise_alarm(stores.calls, LAG_ALARM, place.name, data)
    return True


def _lag_ms(crm: sqlite_utils.Database) -> int:
    hours = get_all(crm, "system")["archive_lag_alarm_h"]
    return int(hours or 0) * _H_MS


def _clear_alarms_of_others(calls: sqlite_utils.Database, served: set[str]) -> None:
    for code in (LAG_ALARM, CHANGED_ALARM):
        rows = calls.conn.execute(
            "SELECT subject FROM alarms WHERE code = ? AND cleared_ms IS NULL", (code,)
        ).fetchall()
        for subject in {str(row[0]) for row in rows} - served:
            clear_alarm(calls, code, subject)


def copy_all(stores: Stores, name: str, target: Target, mark: str, since_ms: int, stopping: Stopping) -> None:
    """Bring everything to a target that it lacks; what cannot be copied is noted and tried again another time.

    ``mark``: of the medium that is there.

    Raises TargetError: the target itself is out of order; StoreError.
    """
    tried: set[str] = set()
    while not stopping():
        fresh = [one for one in copies.lacking(stores.calls, name, since_ms) if one.copy_id not in tried]
        if not fresh:
            return
        for one in fresh:
            if stopping():
                return
            tried.add(one.copy_id)
            with archive_lock(stores.home, ERASURE_S):
                if copies.is_wanted(stores.calls, one):
                    _copy(stores, name, target, mark, one)


def _copy(stores: Stores, name: str, target: Target, mark: str, one: Waiting) -> None:
    if target.sha256(MARK) != mark:
        raise TargetError(copies.CHANGED)
    copies.note_begun(stores.calls, name, one, mark)
    try:
        if one.copy_id.startswith(copies.TOMBSTONE):
            sha256 = _bring(target, stores.home, names.tombstone_file(one.path))
        else:
            sha256 = copy_recording(stores.home, target, one.path)
    except TargetError as error:
        copies.note_failed(stores.calls, name, one, str(error))
        raise
    except (OSError, BadInput) as error:  # this recording's own fault: the others do not wait for it
        log.warning("not archived at %s: %s", name, error)
        copies.note_failed(stores.calls, name, one, str(error))
    else:
        copies.note_verified(stores.calls, name, one, sha256)


def copy_recording(home: Home, target: Target, path: str) -> str:
    """Bring key, manifests and audio of a recording to a target, the audio last; its hash.

    Raises TargetError; BadInput: the recording is not what its manifest says; OSError: it cannot be read.
    """
    stated = _stated_sha256(home.recordings / names.manifest_file(path))
    found = _file_sha256(home.recordings / path)
    if found != stated:
        raise BadInput(f"{path} is not what its manifest says")
    for beside in (key_path(Path(path)).as_posix(), *names.papers(path)):
        if (home.recordings / beside).exists():
            _bring(target, home, beside)
    return _bring(target, home, path)


def _bring(target: Target, home: Home, name: str) -> str:
    """Copy one file unless the target holds it already; its hash, as read back."""
    source = home.recordings / name
    wanted = _file_sha256(source)
    if target.sha256(name) != wanted:
        target.put(name, source)
        if target.sha256(name) != wanted:
            raise TargetError(f"{name}: what was read back is not what was written")
    return wanted


def _stated_sha256(manifest: Path) -> str:
    """The hash of the file on the disk, as the manifest says. Raises BadInput, OSError."""
    try:
        said = msgspec.json.decode(manifest.read_bytes())["manifest"]
        return str((said.get("stored") or said["audio"])["sha256"])
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"manifest {manifest.name} is damaged") from error


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
