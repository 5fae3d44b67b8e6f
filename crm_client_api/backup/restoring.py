"""Bringing a backup back: all of it is unpacked and proved beside its place first, then put into its place.

Until the first rename the home is as it was. Nothing of a home that is not blank is removed: it goes into folders
called ``before-restore-TIME``. Recordings that are there already, and whole, stay as they are.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from crm_client_api.backup.contents import (
    RECORDINGS,
    STORES,
    About,
    End,
    Kept,
    KeptList,
    check_name,
    is_root_file,
    unpack,
)
from crm_client_api.backup.factory_reset import RESET_MARK
from crm_client_api.backup.sealing import Head, Opened, Unlocker, read_opening
from crm_client_api.backup.settling import require_known_steps, settle
from crm_client_api.backup.trial import require_rows
from crm_client_api.take_home.landing import sync_file_system
from firmware.clock import now_ms
from firmware.config import Home
from firmware.durable import sync_folder
from firmware.errors import BadInput, Refused, StoreError, StoreFull
from firmware.store.health import clear_mark, mark_damaged, marked_damage
from firmware.store.replace import nobody_has_it
from firmware.supervisor import only_supervisor
from recorder.library.audio.names import tombstone_file

_STAGE = ".restoring"
_SECRET = ("keys", "vault")
_OWN_DISK = (*_SECRET, "evidence", "recordings")
"""Folders that may be disks or have owners of their own: what belongs there is unpacked there."""
_CUT_OFF = "a restore was cut off: run 'tapdeck restore' again"
_KEPT_FREE_BYTES = 64 << 20
_PIECE_BYTES = 1 << 20
_COMPANIONS = ("-wal", "-shm")

Progress = Callable[[str, int, int], None]
"""Told what is being done (``unpacking``, ``recordings``), how much of it is done, and how much it is."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back. ``absent``: recordings that should lie beside the backup, and are not there or damaged.

    ``aside``: how the folders are called into which went what was there before; None: nothing was.
    """

    head: Head
    end: End
    steps: list[str]
    recordings: int
    absent: list[str]
    aside: str | None


def is_blank(home: Home) -> bool:
    """Whether no box has worked here: no store, no recording, no key; or a restore was cut off here."""
    if marked_damage(home.crm_db) == _CUT_OFF:
        return True
    stores = any((home.root / name).exists() for name in STORES)
    return not stores and not any(
        _entries(folder) for folder in (home.recordings, home.evidence, home.keys, home.vault)
    )


def restore(home: Home, file: Path, passphrase: str, *, replace: bool, told: Progress) -> Restored:
    """Put the backup ``file`` in the place of what is here.

    Raises Refused: the home is not blank and not to be replaced, another passphrase, a newer version; BadInput:
    altered, damaged, made by somebody else; ConfigError, StoreBusy: the box runs.
    """
    unlocker = Unlocker(passphrase)
    try:
        with file.open("rb") as sealed:
            opening = read_opening(sealed)
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}") from error
    head = opening.head
    if head.kind != "backup":
        raise BadInput("this is one recording out of a backup: give the file tapdeck-….tapdeck beside it")
    unlocker.file_key(opening)
    blank = is_blank(home)
    if not blank and not replace:
        raise Refused(
            f"{home.root} is not blank: with --replace what is there is set aside. 该目录已有数据,加 --replace 才会替换"
            "(原有数据另存,不会删除)。"
        )
    home.create()
    with only_supervisor(home), nobody_has_it(home.calls_db), nobody_has_it(home.crm_db), _stage(home) as stage:
        about, end = _unpack(file, unlocker, stage, told)
        kept = KeptList(stage.place(RECORDINGS), end.recordings)
        require_known_steps(about, stage.folder)
        require_rows(stage.folder, end)
        recordings, absent, damaged = _recordings(home, file.parent, kept, unlocker, stage, told)
        steps = settle(Home(stage.folder), about, head, file.parent)
        aside = datetime.fromtimestamp(now_ms() / 1000, UTC).strftime("before-restore-%Y%m%dT%H%M%SZ")
        _put_in_place(home, stage, aside, damaged)
        return Restored(head, end, steps, recordings, absent, aside if damaged or not blank else None)


class _Stage:
    """Where everything is unpacked: a folder in the home, and one in each folder that may be a disk of its own."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self.folder = home.root / _STAGE
        self._made: set[Path] = set()

    def own(self, name: str) -> Path:
        return self._home.root / name / _STAGE

    def clear(self) -> None:
        for folder in (self.folder, *(self.own(name) for name in _OWN_DISK)):
            shutil.rmtree(folder, ignore_errors=True)

    def place(self, name: str) -> Path:
        first, _, rest = name.partition("/")
        return self.own(first) / rest if first in _OWN_DISK else self.folder / name

    def take(self, name: str, size: int) -> BinaryIO:
        """A new file, readable for whom its folder is."""
        place = self.place(name)
        try:
            self._make(place.parent)
            if shutil.disk_usage(place.parent).free < size + _KEPT_FREE_BYTES:
                raise StoreFull(f"there is no room for the backup in {self._home.root}. 磁盘空间不足。")
            first = name.partition("/")[0]
            mode = place.parent.stat().st_mode & (0o640 if first in _SECRET else 0o660) | 0o600
            descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            os.fchmod(descriptor, mode)
            return os.fdopen(descriptor, "wb")
        except OSError as error:
            raise StoreError(f"{place}: {error.strerror}") from error

    def _make(self, folder: Path) -> None:
        """Folders down to one, each with the rights of that above it: every daemon is a user of its own."""
        if folder in self._made:
            return
        if not folder.exists():
            self._make(folder.parent)
            folder.mkdir()
            folder.chmod(folder.parent.stat().st_mode & 0o7777)
        self._made.add(folder)

    def sync(self) -> None:
        for folder in (self.folder, *(self.own(name) for name in _OWN_DISK)):
            if folder.exists():
                sync_file_system(folder, folder.rglob("*"))


@contextmanager
def _stage(home: Home) -> Iterator[_Stage]:
    stage = _Stage(home)
    stage.clear()
    try:
        yield stage
    finally:
        stage.clear()


def _unpack(file: Path, unlocker: Unlocker, stage: _Stage, told: Progress) -> tuple[About, End]:
    try:
        with file.open("rb") as sealed:
            size = file.stat().st_size
            return unpack(Opened(sealed, unlocker.file_key, lambda done: told("unpacking", done, size)), stage.take)
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror}") from error


def _recordings(
    home: Home, folder: Path, kept: KeptList, unlocker: Unlocker, stage: _Stage, told: Progress
) -> tuple[int, list[str], list[str]]:
    """Unpack the recordings beside a backup that the home lacks, or has damaged; how many, which cannot be brought
    back, and which are damaged here.
    """
    count, absent, damaged = 0, [], []
    for done, one in enumerate(kept.read()):
        told("recordings", done, kept.count)
        check_name(f"recordings/{one.path}")
        here = home.recordings / one.path
        if (home.recordings / tombstone_file(one.path)).exists() or _is_whole(here, one):
            continue  # what was deleted stays deleted
        try:
            _recording(folder, one, unlocker, stage)
            count += 1
            if here.is_file():
                damaged.append(one.path)
        except (BadInput, Refused, FileNotFoundError):
            stage.place(f"recordings/{one.path}").unlink(missing_ok=True)
            absent.append(one.path)
    kept.file.unlink(missing_ok=True)
    with suppress(OSError):
        kept.file.parent.rmdir()
    return count, absent, damaged


def _is_whole(here: Path, one: Kept) -> bool:
    """Whether a recording of the box is what the backup has of it; one that cannot be read is not."""
    try:
        with here.open("rb") as audio:
            return (
                os.fstat(audio.fileno()).st_size == one.bytes
                and hashlib.file_digest(audio, "sha256").hexdigest() == one.sha256
            )
    except OSError:
        return False


def _recording(folder: Path, one: Kept, unlocker: Unlocker, stage: _Stage) -> None:
    """Raises BadInput, Refused, FileNotFoundError; StoreError."""
    check_object(one.object)
    with (folder / one.object).open("rb") as sealed:
        content, hashed = Opened(sealed, unlocker.file_key), hashlib.sha256()
        if content.head.kind != "recording":
            raise BadInput("not a recording")
        with stage.take(f"recordings/{one.path}", one.bytes) as audio:
            while (piece := content.read(_PIECE_BYTES)) and audio.tell() <= one.bytes:
                hashed.update(piece)
                audio.write(piece)
    if hashed.hexdigest() != one.sha256:
        raise BadInput("another recording lies there")


def check_object(name: str) -> None:
    """Raises BadInput: it leads out of the backup's folder."""
    parts = name.split("/")
    if parts[0] != "recordings" or any(part in ("", ".", "..") for part in parts):
        raise BadInput(f"{name[:100]!r} is no recording beside a backup")


def _put_in_place(home: Home, stage: _Stage, aside: str, damaged: list[str]) -> None:
    """Everything by renames within its disk, the stores last; until then the box refuses to start."""
    try:
        _keep_longer_logs(home, stage)
        stage.sync()
        mark_damaged(home.crm_db, _CUT_OFF)
        for path in damaged:
            place = home.recordings / aside / path
            (home.recordings / aside).mkdir(exist_ok=True, mode=0o700)
            place.parent.mkdir(parents=True, exist_ok=True)
            (home.recordings / path).rename(place)
        for name in _OWN_DISK:
            folder = home.root / name
            if name != "recordings":
                _set_aside(folder, aside, lambda _: True)
            _merge(stage.own(name), folder)
            sync_folder(folder)
        _set_aside(home.root, aside, _is_ours)
        _merge(stage.folder, home.root)
        sync_folder(home.root)
        (home.root / RESET_MARK).unlink(missing_ok=True)
        clear_mark(home.calls_db)
        clear_mark(home.crm_db)
    except OSError as error:
        raise StoreError(f"{home.root}: {error.strerror}") from error


def _is_ours(entry: Path) -> bool:
    stores = tuple(f"{store}{ending}" for store in STORES for ending in ("", *_COMPANIONS))
    if not entry.is_file():
        return entry.name == "jobs"
    return entry.name in stores or entry.name.startswith("figures.db") or is_root_file(entry.name)


def _set_aside(folder: Path, aside: str, wanted: Callable[[Path], bool]) -> None:
    target = folder / aside
    for entry in _entries(folder):
        if wanted(entry):
            target.mkdir(exist_ok=True, mode=0o700)
            entry.rename(target / entry.name)


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder, but for what restores themselves, or a file system, put there."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return [one for one in sorted(folder.iterdir()) if not one.name.startswith(("before-restore-", ".", "lost+"))]
    return []


def _merge(source: Path, target: Path) -> None:
    """Move what the target lacks; what it has stays."""
    if not source.exists():
        return
    for entry in sorted(source.iterdir()):
        place = target / entry.name
        if not place.exists() and not place.is_symlink():
            entry.rename(place)
        elif entry.is_dir() and place.is_dir():
            _merge(entry, place)


def _keep_longer_logs(home: Home, stage: _Stage) -> None:
    """Evidence logs of the same box that go on where those of the backup end: nothing that was signed is lost."""
    for log in sorted(stage.own("evidence").glob("*/*.log")):
        here = home.evidence / log.parent.name
        if not (here / log.name).is_file() or not _begins_as(here / log.name, log):
            continue
        for ending in (".log", ".heads", ".begun.json"):
            kept = here / f"{log.name.removesuffix('.log')}{ending}"
            if kept.is_file():
                shutil.copyfile(kept, log.with_name(kept.name))
        for kept in (*here.glob("anchors/*.json"), *here.glob("erasures/*.json")):
            place = log.parent / kept.parent.name / kept.name
            place.parent.mkdir(exist_ok=True)
            if not place.exists():
                shutil.copyfile(kept, place)


def _begins_as(longer: Path, shorter: Path) -> bool:
    with longer.open("rb") as one, shorter.open("rb") as other:
        while piece := other.read(_PIECE_BYTES):
            if one.read(len(piece)) != piece:
                return False
    return True
