"""Where backups go: a folder (second disk, mounted share), a USB stick, an SFTP server, S3-compatible storage.

Addresses are those of archives, with keys of their own, or ``usb:`` and the id of a stick::

    file:///mnt/second?mount=1
    sftp://user@host:22/path
    s3://bucket/prefix?endpoint=https://host:port&region=name
    usb:8c6f…

Everything of ours lies in the folder ``tapdeck-backup`` there.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.parse import unquote

from crm_client_api.backup.addresses import medium_of, require_outside
from crm_client_api.backup.far import Far, Lying
from crm_client_api.take_home.landing import make_folder
from crm_client_api.take_home.media import medium_now, writable
from firmware.config import Home
from firmware.media.asking import Wanted as Stick
from recorder.library.archive.folder import FolderTarget
from recorder.library.archive.places import open_place, split_url
from recorder.library.archive.target import Target, TargetError

FOLDER = "tapdeck-backup"
ACCESS_NAME = "_backup"
"""Under this name the keys for an SFTP or S3 target lie; no archive can be called so."""
ENDING = ".tapdeck"
_log = logging.getLogger(__name__)
_FAT_BYTES = (1 << 32) - 1
_KEPT_FREE_BYTES = 32 << 20
_PART = ".part"
_UNFINISHED = re.compile(rf"{re.escape(ENDING)}(\.[0-9a-f]+)?{re.escape(_PART)}$")


class Place(Protocol):
    """A place for backups, open. Names are as in ``FOLDER``. Raises TargetError, BoxError; OSError of ``source``."""

    def put(self, name: str, source: Path) -> None:
        """Write a file there durably, under its name whole or not at all, and compare what can be read back."""

    def holds(self, name: str, size: int) -> bool | None:
        """Whether a file of this size is there; None: nobody can tell without reading it."""

    def sha256(self, name: str) -> str | None:
        """Read a file back and hash it; None when it is not there."""

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is removed already."""

    def tidy(self, is_own: Callable[[str], bool]) -> None:
        """Remove what a cut left half written, of the files with such names."""

    def look(self, at: Callable[[Lying], None]) -> None:
        """Let somebody see what lies in ``FOLDER``; a server that lists nothing is left alone."""

    def done(self) -> None:
        """All is written: let the medium be safe."""


@contextmanager
def open_for_backup(home: Home, address: str, who: str) -> Iterator[Place]:
    """The place, open for the length of a block. Raises BadInput, TargetError; SetAside: the stick is not there now."""
    medium = medium_of(address)
    if medium is not None:
        with writable(home, medium, who) as stick:
            yield _OnStick(stick, medium_now(home, medium).file_system)
        return
    parts, _ = split_url(address)
    with open_place(home, ACCESS_NAME, address) as target:
        if parts.scheme == "file":
            require_outside(home, address, follow=True)
            yield _InFolder(target, Path(unquote(parts.path)))
        else:
            yield _FarAway(target)


class _FarAway:
    """On a server: it is asked for nothing but what the archive's targets can do."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def put(self, name: str, source: Path) -> None:
        self._target.put(f"{FOLDER}/{name}", source)

    def holds(self, name: str, size: int) -> bool | None:
        return None

    def sha256(self, name: str) -> str | None:
        return self._target.sha256(f"{FOLDER}/{name}")

    def remove(self, name: str) -> None:
        self._target.remove(f"{FOLDER}/{name}")

    def tidy(self, is_own: Callable[[str], bool]) -> None:
        pass

    def look(self, at: Callable[[Lying], None]) -> None:
        try:
            at(Far(self._target, PurePosixPath(FOLDER)))
        except TargetError as error:
            _log.warning("the list of backups is as it was: %s", error)

    def done(self) -> None:
        pass


class _InFolder(_FarAway):
    """On a disk of the box, or a share that is mounted."""

    def __init__(self, target: Target, root: Path) -> None:
        super().__init__(target)
        self._root = root

    def put(self, name: str, source: Path) -> None:
        self._require_room(source.stat().st_size)
        super().put(name, source)

    def _require_room(self, size: int) -> None:
        try:
            system = os.statvfs(self._root)
        except OSError as error:
            raise TargetError(f"{self._root}: {error.strerror}") from error
        if system.f_bavail * system.f_frsize < size + _KEPT_FREE_BYTES:
            raise TargetError(f"{self._root} has no room for {size >> 20} MiB more")

    def holds(self, name: str, size: int) -> bool | None:
        try:
            found = (self._root / FOLDER / name).lstat()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise TargetError(f"{self._root}: {error.strerror}") from error
        return found.st_size == size

    def tidy(self, is_own: Callable[[str], bool]) -> None:
        top = self._root / FOLDER
        for folder, _, names in os.walk(top):
            for name in names:
                file = Path(folder) / name
                if _UNFINISHED.search(name) and is_own(file.relative_to(top).as_posix()):
                    with suppress(OSError):
                        file.unlink()

    def look(self, at: Callable[[Lying], None]) -> None:
        try:
            at(self._root / FOLDER)
        except OSError as error:
            raise TargetError(f"{self._root}: {error.strerror}") from error


class _OnStick(_InFolder):
    """On a USB stick, on which nothing is trusted: no link of it is followed."""

    def __init__(self, stick: Stick, file_system: str) -> None:
        with self._explained(stick):
            super().__init__(FolderTarget(stick.path, must_be_mounted=False), stick.path)
        self._stick, self._file_system = stick, file_system

    @staticmethod
    @contextmanager
    def _explained(stick: Stick) -> Iterator[None]:
        try:
            yield
        except TargetError as error:
            stick.check()
            if isinstance(error.__cause__, OSError):
                raise stick.explain(error.__cause__) from error
            raise
        except OSError as error:
            raise stick.explain(error) from error

    def put(self, name: str, source: Path) -> None:
        if self._file_system == "vfat" and source.stat().st_size > _FAT_BYTES:
            raise TargetError("the backup is larger than 4 GiB, which FAT cannot hold: format the stick as exFAT")
        with self._explained(self._stick):
            self._make_way(name)
        with self._explained(self._stick):
            super().put(name, source)

    def _make_way(self, name: str) -> None:
        """Raises TargetError: a link or a file stands in the way; OSError."""
        way = self._root
        for part in (FOLDER, *Path(name).parts[:-1]):
            way /= part
            if way.is_symlink() or (way.exists() and not way.is_dir()):
                raise TargetError(f"{part} on the stick is no folder: rename it")
            make_folder(way)
        for one in (way / Path(name).name, way / f"{Path(name).name}{_PART}"):
            if one.is_symlink():
                one.unlink()

    def sha256(self, name: str) -> str | None:
        with self._explained(self._stick):
            return super().sha256(name)

    def remove(self, name: str) -> None:
        with self._explained(self._stick):
            super().remove(name)

    def look(self, at: Callable[[Lying], None]) -> None:
        with self._explained(self._stick):
            super().look(at)

    def done(self) -> None:
        self._stick.done()
