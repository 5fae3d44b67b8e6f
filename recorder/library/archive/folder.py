"""Copies in a folder: a second disk, or an NFS or SMB share that the system has mounted."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from firmware.durable import sync_folder
from recorder.library.archive.target import COPY_BYTES, TargetError, digest


class FolderTarget:
    """See ``Target``. ``must_be_mounted``: refuse while nothing is mounted there, so no copy lands below it."""

    def __init__(self, root: Path, *, must_be_mounted: bool) -> None:
        """Raises TargetError."""
        self._root, self._must_be_mounted = root, must_be_mounted
        self._check()

    def _check(self) -> None:
        try:
            is_folder, is_mounted = self._root.is_dir(), not self._must_be_mounted or self._root.is_mount()
        except OSError as error:  # a share whose server is away
            raise TargetError(f"{self._root}: {error.strerror}") from error
        if not is_folder:
            raise TargetError(f"{self._root} is not a folder")
        if not is_mounted:
            raise TargetError(f"nothing is mounted at {self._root}")

    def is_same_as(self, folder: Path) -> bool:
        """Whether both are one folder, by whatever names. Raises TargetError."""
        try:
            return folder.exists() and self._root.samefile(folder)
        except OSError as error:
            raise TargetError(f"{self._root}: {error.strerror}") from error

    def put(self, name: str, source: Path) -> None:
        """See ``Target``."""
        self._check()
        place = self._root / name
        part = place.with_name(f"{place.name}.{secrets.token_hex(4)}.part")
        with source.open("rb") as plain:
            try:
                self._make_folders(place.parent)
                with suppress(OSError):  # one that cannot be removed now is in nobody's way
                    _remove_parts_of(place)
                with part.open("xb") as copy:
                    self._copy(plain, copy)
                part.replace(place)
                sync_folder(place.parent)
            except OSError as error:
                with suppress(OSError):
                    part.unlink(missing_ok=True)
                raise TargetError(f"{place}: {error.strerror}") from error

    def _copy(self, plain: BinaryIO, copy: BinaryIO) -> None:
        while part := plain.read(COPY_BYTES):
            copy.write(part)
        copy.flush()
        os.fsync(copy.fileno())

    def _make_folders(self, folder: Path) -> None:
        if not folder.is_dir():
            self._make_folders(folder.parent)
            folder.mkdir(exist_ok=True)
            sync_folder(folder.parent)

    def sha256(self, name: str) -> str | None:
        """See ``Target``. Asks for the bytes on the medium, not those that memory still holds."""
        self._check()
        place = self._root / name
        try:
            with place.open("rb") as copy:
                os.posix_fadvise(copy.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                return digest(_parts(copy))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TargetError(f"{place}: {error.strerror}") from error

    def remove(self, name: str) -> None:
        """See ``Target``."""
        self._check()
        place = self._root / name
        try:
            place.unlink(missing_ok=True)
            if place.parent.is_dir():
                _remove_parts_of(place)
                sync_folder(place.parent)
        except OSError as error:
            raise TargetError(f"{place}: {error.strerror}") from error


def _remove_parts_of(place: Path) -> None:
    """Remove what earlier attempts left. Each has a name of its own, as an SMB share whose server fell silent keeps the
    lease of the file that was open then, and refuses to open that file (EINVAL) by any name that it is given later.
    """
    for one in place.parent.iterdir():
        if one.name.startswith(f"{place.name}.") and one.suffix == ".part":
            one.unlink(missing_ok=True)


def _parts(file: BinaryIO) -> Iterator[bytes]:
    while part := file.read(COPY_BYTES):
        yield part
