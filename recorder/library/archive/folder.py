"""Copies in a folder: a second disk, or an NFS or SMB share that the system has mounted."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from firmware.durable import sync_folder
from recorder.library.archive.target import COPY_BYTES, Reading, TargetError, digest


class FolderTarget:
    """See ``Target``. ``must_be_mounted``: refuse while nothing is mounted there, so no copy lands below it."""

    def __init__(self, root: Path, *, must_be_mounted: bool) -> None:
        """Raises TargetError."""
        self._root, self._must_be_mounted = root, must_be_mounted
        with self._opened():
            pass

    @contextmanager
    def _opened(self, name: str = "") -> Iterator[Path]:
        """The folder by a name that stays its own: when its disk is unmounted meanwhile, no copy lands below it.

        Raises TargetError, also for what the system says of ``name`` there.
        """
        try:
            fd = self._open_root()
            try:
                if self._must_be_mounted and not _is_mount(fd):
                    raise TargetError(f"nothing is mounted at {self._root}")
                yield Path(f"/proc/self/fd/{fd}")
            finally:
                os.close(fd)
        except OSError as error:  # also a share whose server is away
            raise TargetError(f"{self._root / name}: {error.strerror}") from error

    def _open_root(self) -> int:
        try:
            return os.open(self._root, os.O_PATH | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise TargetError(f"{self._root} is not a folder") from error

    def is_same_as(self, folder: Path) -> bool:
        """Whether both are one folder, by whatever names. Raises TargetError."""
        with self._opened() as root:
            return folder.exists() and root.samefile(folder)

    def put(self, name: str, source: Path) -> None:
        """See ``Target``."""
        with source.open("rb") as plain, self._opened(name) as root:
            place = root / name
            part = place.with_name(f"{place.name}.{secrets.token_hex(4)}.part")
            try:
                _make_folders(place.parent)
                with suppress(OSError):  # one that cannot be removed now is in nobody's way
                    _remove_parts_of(place)
                with part.open("xb") as copy:
                    _copy(plain, copy)
                part.replace(place)
                sync_folder(place.parent)
            except OSError:
                with suppress(OSError):
                    part.unlink(missing_ok=True)
                raise

    def sha256(self, name: str) -> str | None:
        """See ``Target``. Asks for the bytes on the medium, not those that memory still holds."""
        with self._opened(name) as root, suppress(FileNotFoundError), (root / name).open("rb") as copy:
            os.posix_fadvise(copy.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            return digest(_parts(copy))
        return None

    def remove(self, name: str) -> None:
        """See ``Target``."""
        with self._opened(name) as root:
            place = root / name
            place.unlink(missing_ok=True)
            if place.parent.is_dir():
                _remove_parts_of(place)
                sync_folder(place.parent)

    def sizes(self, folder: str) -> dict[str, int]:
        """See ``Target``."""
        with self._opened(folder) as root, suppress(FileNotFoundError), os.scandir(root / folder) as entries:
            return {one.name: one.stat().st_size for one in entries if one.is_file(follow_symlinks=False)}
        return {}

    @contextmanager
    def reading(self, name: str) -> Iterator[Reading | None]:
        """See ``Target``."""
        file = None
        with self._opened(name) as root, suppress(FileNotFoundError):
            file = (root / name).open("rb")
        if file is None:
            yield None
            return

        def more(size: int) -> bytes:
            try:
                return file.read(size)
            except OSError as error:
                raise TargetError(f"{self._root / name}: {error.strerror}") from error

        with file:
            yield Reading(more)


def _is_mount(fd: int) -> bool:
    """As os.path.ismount, of a folder that is open."""
    here, above = os.fstat(fd), os.stat("..", dir_fd=fd)
    return here.st_dev != above.st_dev or here.st_ino == above.st_ino


def _copy(plain: BinaryIO, copy: BinaryIO) -> None:
    while part := plain.read(COPY_BYTES):
        copy.write(part)
    copy.flush()
    os.fsync(copy.fileno())


def _make_folders(folder: Path) -> None:
    if not folder.is_dir():
        _make_folders(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


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
