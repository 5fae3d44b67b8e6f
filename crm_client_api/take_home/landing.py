"""Brings files onto a medium so that one has its name only when it is there: written, synced, read back, compared.

A file is written as ``NAME.part`` and hashed on the way. A batch of them is synced at once, read back from the medium
itself (not from memory), compared, and renamed; then it is noted in the ledger, which stays on the box and is never
believed without looking. The new names come to the medium with the next batch's data, so what that batch says of them
has its own name only afterwards. While one batch is read back the next one is written. Whatever is pulled out when: a
name without ``.part`` is a file that was whole. What is replaced gets another name first, and is removed once that name
is on the medium: FAT frees at once what is removed, and a name that is still there leads to what lies there next.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import itertools
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import BinaryIO, Protocol

import msgspec

from firmware.durable import sync_folder
from firmware.errors import BoxError, StoreError

BLOCK_BYTES = 1 << 20
BATCH_BYTES = 64 << 20
BATCH_FILES = 400
PART = ".part"
_RETIRED = f".old{PART}"
_SET_ASIDE = ".set-aside"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_libc = ctypes.CDLL(None, use_errno=True)


class MediumDamaged(BoxError):
    """What was read back is not what was written: the medium is dying, or lies about its size."""


class Place(Protocol):
    """A folder that may be written to for a while; see ``firmware.media.asking.Wanted``."""

    path: Path

    def check(self) -> None:
        """Raises BoxError once it is gone."""

    def explain(self, error: OSError) -> BoxError:
        """What an error below it means."""


class Landed(msgspec.Struct, frozen=True):
    """A file that is there: ``place`` below the landing's folder, with slashes; ``key``: what it is, for its maker.

    ``inside``: the file that it is part of, "" when it lies there itself.
    """

    place: str
    bytes: int
    sha256: str
    key: str = ""
    inside: str = ""


class Ledger:
    """What has landed, noted on the box: what stands on a stick is never taken for true. Thread: one at a time."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self) -> list[Landed]:
        """All that was noted; a torn last line is left out. Raises StoreError."""
        try:
            lines = self._file.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"{self._file.name}: {error.strerror}") from error
        found = []
        for line in lines:
            with suppress(msgspec.DecodeError):
                found.append(msgspec.json.decode(line, type=Landed))
        return found

    def note(self, landed: Sequence[Landed]) -> None:
        """Note files durably. Raises StoreError."""
        try:
            new = not self._file.exists()
            with self._file.open("ab") as file:
                file.write(b"\n" + b"\n".join(msgspec.json.encode(one) for one in landed))
                file.flush()
                os.fsync(file.fileno())
            if new:
                sync_folder(self._file.parent)
        except OSError as error:
            raise StoreError(f"{self._file.name}: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class _Written:
    part: Path
    landed: Landed
    size: int


class Landing:
    """Files on their way into ``folder`` of a place. Use as a context manager; after the block all have landed.

    ``landed`` is called, in the thread of the medium, with each batch that is there. Every method raises what the
    place makes of an OSError, and MediumDamaged.
    """

    def __init__(
        self,
        place: Place,
        folder: str,
        landed: Callable[[Sequence[Landed]], None],
        naming: Callable[[Sequence[Landed]], None] = lambda batch: None,
        ours: Iterable[str] = (),
    ) -> None:
        """``naming``: called with each batch before it gets its names; ``ours``: places that had one from us before."""
        self._place, self._told, self._naming, self._ours = place, landed, naming, set(ours)
        self.root = place.path / folder
        self._batch: list[_Written] = []
        self._batch_bytes = 0
        self._thread = ThreadPoolExecutor(1, "landing")
        self._commit: Future[None] | None = None
        self._folders: set[PurePosixPath] = set()
        self._renamed: set[Path] = set()
        self._retired: list[Path] = []

    def __enter__(self) -> Landing:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if kind is None:
                self.settle()
            elif self._commit is not None:
                with suppress(BoxError, OSError):
                    self._commit.result()
        finally:
            self._thread.shutdown(wait=True)
            for one in self._batch:
                with suppress(OSError):
                    one.part.unlink(missing_ok=True)

    def put(self, place: str, pieces: Iterable[bytes | memoryview], key: str = "") -> Landed:
        """Write a file; it lands with its batch. Returns what it will be. What ``pieces`` raises is the caller's."""
        target = self.root / PurePosixPath(place)
        part = target.with_name(target.name + PART)
        digest, size = hashlib.sha256(), 0
        try:
            self._make_folders(PurePosixPath(place).parent)
            with open(_new_file(part), "wb", buffering=0) as file:
                for piece in pieces:
                    size += _write(file, piece)
                    digest.update(piece)
        except BaseException as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise self._place.explain(error) from error
            raise
        landed = Landed(place, size, digest.hexdigest(), key)
        self._batch.append(_Written(part, landed, size))
        self._batch_bytes += size
        if self._batch_bytes >= BATCH_BYTES or len(self._batch) >= BATCH_FILES:
            self.flush()
        return landed

    def _make_folders(self, inner: PurePosixPath) -> None:
        """The folders down to one, none of which leads elsewhere: a stick may hold links, ours must not follow them."""
        if inner in self._folders:
            return
        make_folder(self.root)
        for depth in range(1, len(inner.parts) + 1):
            make_folder(self.root.joinpath(*inner.parts[:depth]))
        self._folders.add(inner)

    def flush(self) -> None:
        """Let the batch land behind the one that is landing, which is waited for."""
        self._place.check()
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        if self._commit is not None:
            try:
                self._commit.result()
            except BaseException:
                self._batch = batch
                raise
        self._commit = self._thread.submit(self._land, batch) if batch else None

    def barrier(self) -> None:
        """What was put before is there before what is put afterwards."""
        self.settle()

    def settle(self) -> None:
        """Let everything land, and wait for it."""
        self.flush()
        if self._commit is not None:
            self._commit.result()
            self._commit = None
        if self._renamed:
            try:
                self._sync([])
                self._remove_retired()
            except OSError as error:
                raise self._place.explain(error) from error
            self._place.check()

    def _land(self, batch: Sequence[_Written]) -> None:
        try:
            self._sync([one.part for one in batch])
            self._remove_retired()
            for one in batch:
                self._place.check()
                if read_back(one.part) != (one.size, one.landed.sha256):
                    raise MediumDamaged(f"{one.landed.place}: what is on the stick is not what was written")
            self._naming([one.landed for one in batch])
            for one in batch:
                self._give_name(one.part, one.landed.place)
            self._renamed |= {one.part.parent for one in batch}
        except OSError as error:
            raise self._place.explain(error) from error
        self._place.check()
        self._told([one.landed for one in batch])

    def _sync(self, parts: Sequence[Path]) -> None:
        """Bring these files and the names given before to the medium. Raises OSError."""
        sync_file_system(self.root, [*parts, *sorted(self._renamed)])
        self._renamed = set()

    def _give_name(self, part: Path, place: str) -> None:
        """Raises OSError."""
        name = part.with_name(part.name.removesuffix(PART))
        if place not in self._ours:
            set_aside(name)
            self._ours.add(place)
        elif os.path.lexists(name):
            retired = name.with_name(name.name + _RETIRED)
            name.replace(retired)
            self._retired.append(retired)
        part.replace(name)

    def _remove_retired(self) -> None:
        """What was replaced, once the medium knows it under its other name. Raises OSError."""
        retired, self._retired = self._retired, []
        for one in retired:
            one.unlink(missing_ok=True)


def _new_file(part: Path) -> int:
    """A file that is new, and no link that stood there. Raises OSError."""
    try:
        return os.open(part, _NEW, 0o666)
    except FileExistsError:  # from a try that was cut off
        part.unlink()
        return os.open(part, _NEW, 0o666)


def set_aside(name: Path) -> None:
    """Let what stands there, of somebody else for all that we know, make room under another name. Raises OSError."""
    if not os.path.lexists(name):
        return
    for number in itertools.count(1):
        aside = name.with_name(f"{name.name}{_SET_ASIDE}{f'-{number}' if number > 1 else ''}")
        if not os.path.lexists(aside):
            name.rename(aside)
            return


def _write(file: BinaryIO, piece: bytes | memoryview) -> int:
    view = memoryview(piece)
    done = 0
    while done < len(view):
        done += file.write(view[done:])
    return done


def sync_file_system(root: Path, also: Iterable[Path]) -> None:
    """Bring all that was written to the file system of ``root`` to the medium (syncfs(2)), else each of ``also``.

    Raises OSError.
    """
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _libc.syncfs(fd) == 0:
            return
        failed = ctypes.get_errno()
        if failed != errno.ENOSYS:
            raise OSError(failed, os.strerror(failed), str(root))
    finally:
        os.close(fd)
    for one in also:
        fd = os.open(one, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def read_back(file: Path) -> tuple[int, str]:
    """Size and SHA-256 of a file as it is on the medium, not as memory has it. Raises OSError."""
    digest, size = hashlib.sha256(), 0
    with open(os.open(file, os.O_RDONLY | os.O_NOFOLLOW), "rb", buffering=0) as source:  # noqa: PTH123  no link
        os.posix_fadvise(source.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        os.posix_fadvise(source.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        for piece in blocks(source):
            digest.update(piece)
            size += len(piece)
        os.posix_fadvise(source.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return size, digest.hexdigest()


def blocks(source: BinaryIO) -> Iterator[memoryview]:
    """What a file holds, in large blocks; each is overwritten by the next. Raises OSError."""
    block = memoryview(bytearray(BLOCK_BYTES))
    while count := source.readinto(block):  # type: ignore[attr-defined]
        yield block[:count]


def make_folder(folder: Path) -> None:
    """A folder that is one, and no link to one. Raises OSError."""
    with suppress(FileExistsError):
        folder.mkdir()
    if not stat.S_ISDIR(folder.lstat().st_mode):
        raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


def lies_inside(root: Path, place: str) -> bool:
    """Whether the way to a file leads through folders only, and through no link."""
    inner = PurePosixPath(place).parent
    try:
        return all(
            stat.S_ISDIR(root.joinpath(*inner.parts[:depth]).lstat().st_mode) for depth in range(len(inner.parts) + 1)
        )
    except OSError:
        return False


def still_there(root: Path, noted: Iterable[Landed]) -> Iterator[Landed]:
    """Which files are there as they were noted, one by one. Raises OSError, not for those that are absent."""
    for one in noted:
        if lies_inside(root, one.place) and _is_one_of(root / PurePosixPath(one.place), {(one.bytes, one.sha256)}):
            yield one


def keep_others(root: Path, written: Iterable[Landed]) -> None:
    """Set aside what stands in our places and is nothing that we wrote there. Raises OSError."""
    versions: dict[str, set[tuple[int, str]]] = {}
    for one in written:
        versions.setdefault(one.place, set()).add((one.bytes, one.sha256))
    for place, ours in versions.items():
        file = root / PurePosixPath(place)
        if lies_inside(root, place) and not _is_one_of(file, ours):
            set_aside(file)


def _is_one_of(file: Path, versions: Collection[tuple[int, str]]) -> bool:
    try:
        return read_back(file) in versions
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP):
            raise
        return False


def drop_parts(root: Path) -> None:
    """Remove what was being written when somebody pulled the stick out. Raises OSError."""
    for part in root.rglob(f"*{PART}"):
        if part.is_file() and not part.is_symlink():
            part.unlink()
