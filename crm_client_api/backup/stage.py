"""Where a restore unpacks everything: beside its place, on the same disk, so that renames put it there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from crm_client_api.take_home.landing import sync_file_system
from firmware.config import Home
from firmware.errors import StoreError, StoreFull

STAGE = ".restoring"
"""What is being unpacked, or waits to be put into its place."""
PLACING = ".restored"
"""What is being put into its place: what was there before is aside already."""
READY = ".restore-ready"
"""The mark in the home: all that lies in its stages is proved, and takes over at the next start."""
SECRET = ("keys", "vault")
OWN_DISK = (*SECRET, "evidence", "recordings")
"""Folders that may be disks or have owners of their own: what belongs there is unpacked there."""
_KEPT_FREE_BYTES = 64 << 20


def stages(home: Home, name: str = STAGE) -> Sequence[Path]:
    """The folder of this name in the home, and those in each folder that may be a disk of its own."""
    return [home.root / name, *(home.root / folder / name for folder in OWN_DISK)]


def clear_stages(home: Home) -> None:
    """Remove all that was unpacked and has not been put into its place. The mark must be gone before."""
    for folder in (*stages(home), *stages(home, PLACING)):
        shutil.rmtree(folder, ignore_errors=True)


class Stage:
    """The stages of a home, to be filled. Thread: one."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self.folder = home.root / STAGE
        self._made: set[Path] = set()

    def own(self, name: str) -> Path:
        """The stage in one of ``OWN_DISK``."""
        return self._home.root / name / STAGE

    def place(self, name: str) -> Path:
        """Where something with this name in the home is unpacked."""
        first, _, rest = name.partition("/")
        return self.own(first) / rest if first in OWN_DISK else self.folder / name

    def take(self, name: str, size: int) -> BinaryIO:
        """A new file, readable for whom its folder is. Raises StoreError, StoreFull."""
        place = self.place(name)
        try:
            self._make(place.parent)
            if shutil.disk_usage(place.parent).free < size + _KEPT_FREE_BYTES:
                raise StoreFull(f"there is no room for the backup in {self._home.root}. 磁盘空间不足。")
            first = name.partition("/")[0]
            mode = place.parent.stat().st_mode & (0o640 if first in SECRET else 0o660) | 0o600
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
            rights = folder.parent.stat().st_mode & 0o7777
            if folder.stat().st_mode & 0o7777 != rights:  # a daemon may not set the group's bit, and inherits it
                folder.chmod(rights)
        self._made.add(folder)

    def sync(self) -> None:
        """Bring everything to the medium. Raises OSError."""
        for folder in stages(self._home):
            if folder.exists():
                sync_file_system(folder, folder.rglob("*"))
