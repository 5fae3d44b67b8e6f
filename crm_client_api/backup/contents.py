"""What a backup holds, packed as one stream and read as one stream; every name is a place below the home directory.

The order makes it one whole: first both stores as they were at one moment; then the heads of the evidence logs, then
the logs, then manifests and tombstones. So nothing that comes earlier speaks of something that is not there.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol, TypeVar

import msgspec

from crm_client_api.backup.sealing import Output
from crm_client_api.backup.snapshot import applied_steps, look_through, unfinished_jobs
from firmware.config import Home
from firmware.errors import BadInput, StoreError

STORES = ("calls.db", "crm.db")
"""In the order in which they are copied: an order of the office that is in neither is lost, one in both done once."""
ABOUT, RECORDINGS, END = ".backup/about.json", ".backup/recordings.jsonl", ".backup/end.json"
FOLDERS = ("keys", "vault", "evidence", "recordings", "removals", "copies-to-remove", "jobs")
_NOT_KEPT = ("calls.db", "crm.db", "figures.db", "ballast")  # and all that begins so; figures are counted anew
_NOT_KEPT_ENDINGS = (".part", ".set-aside", ".set-aside-wal", ".set-aside-shm", ".new", ".dry-run")
_LARGEST_ROOT_FILE_BYTES = 64 << 20
_PIECE_BYTES = 1 << 20
_DEEPEST = 12
_MOST_TOLD_BYTES = 16 << 20
"""Of what is read into memory: the first and the last member."""
_MOST_HEADER_BYTES = 8 << 20
"""Between two members; tar reads a long name into memory. Twice ``_STREAM_BYTES`` is read ahead."""
_LONGEST_LINE_BYTES = 1 << 16
_STREAM_BYTES = 1 << 20
_Part = TypeVar("_Part", bound=msgspec.Struct)


class About(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first member. ``schema``: which steps each store has had; ``recordings``: whether audio is kept too."""

    made_ms: int
    software: str
    device: str
    schema: dict[str, list[tuple[str, str]]]
    recordings: bool


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A recording that lies beside the backup: ``path`` below the recordings, ``object`` the name of its sealed file;
    bytes and hash of its content.
    """

    path: str
    object: str
    bytes: int
    sha256: str


class End(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last member, by which a trial finds that all came back. ``digest``: over names, sizes and hashes of all
    members before; ``rows``: of each table of each store.
    """

    members: int
    bytes: int
    digest: str
    rows: dict[str, dict[str, int]]
    recordings: int


@dataclass(frozen=True, slots=True)
class KeptList:
    """The list of recordings beside a backup, as a file: one ``Kept`` a line. There may be millions."""

    file: Path
    count: int

    def read(self) -> Iterator[Kept]:
        """One after the other. Raises BadInput: it is damaged."""
        if not self.count:
            return
        with self.file.open("rb") as lines:
            while line := lines.readline(_LONGEST_LINE_BYTES):
                try:
                    yield msgspec.json.decode(line, type=Kept)
                except msgspec.DecodeError as error:
                    raise BadInput(f"the list of recordings is damaged: {error}") from error


class Input(Protocol):
    """Where the stream comes from."""

    def read(self, size: int, /) -> bytes:
        """What follows, fewer bytes at the end only."""


def pack(
    home: Home,
    stores: Path,
    about: Callable[[dict[str, list[tuple[str, str]]]], About],
    kept: KeptList | None,
    output: Output,
    told: Callable[[int], None],
) -> End:
    """Write everything. ``stores``: the folder with their copies; ``kept``: the recordings beside it; None: without.

    ``told``: how many bytes so far; what it raises ends it. Raises StoreError, OSError.
    """
    steps = {name: applied_steps(stores / name) for name in STORES}
    rows = {name: dict(look_through(stores / name)) for name in STORES}
    with tarfile.open(fileobj=output, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_STREAM_BYTES) as tar:  # type: ignore[call-overload]
        packing = _Packing(tar, told)
        packing.add_bytes(ABOUT, msgspec.json.encode(about(steps)))
        for name in STORES:
            packing.add_file(name, stores / name)
        for name, file in _files(home, unfinished_jobs(stores / "crm.db"), audio=kept is not None):
            packing.add_file(name, file)
        if kept is not None:
            packing.add_file(RECORDINGS, kept.file)
        count = 0 if kept is None else kept.count
        end = End(packing.members, packing.bytes, packing.digest.hexdigest(), rows, count)
        packing.add_bytes(END, msgspec.json.encode(end))
        return end


class _Packing:
    def __init__(self, tar: tarfile.TarFile, told: Callable[[int], None]) -> None:
        self._tar, self._told = tar, told
        self.members, self.bytes = 0, 0
        self.digest = hashlib.sha256()

    def add_bytes(self, name: str, content: bytes) -> None:
        self._add(name, len(content), io.BytesIO(content))

    def add_file(self, name: str, file: Path) -> None:
        """One that is gone meanwhile is left out; of one that grows, as much as there was."""
        try:
            descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreError(f"{file}: {error.strerror}") from error
        with os.fdopen(descriptor, "rb") as opened:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                self._add(name, os.fstat(descriptor).st_size, opened)

    def _add(self, name: str, size: int, source: BinaryIO) -> None:
        reader = _Hashed(source, size, lambda: self._told(self.bytes + reader.done))
        entry = tarfile.TarInfo(name)
        entry.size = size
        self._tar.addfile(entry, reader)
        self.members += 1
        self.bytes += size
        note_member(self.digest, name, size, reader.hash.hexdigest())


class _Hashed:
    """Reads exactly ``size`` bytes, and hashes them."""

    def __init__(self, source: BinaryIO, size: int, told: Callable[[], None]) -> None:
        self._source, self._size, self._told = source, size, told
        self.done = 0
        self.hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        wanted = min(size if size >= 0 else _PIECE_BYTES, self._size - self.done)
        piece = self._source.read(wanted)
        if len(piece) < wanted:
            raise StoreError("a file became shorter while it was read: ask for the backup again")
        self.hash.update(piece)
        self.done += len(piece)
        self._told()
        return piece


def note_member(digest: hashlib._Hash, name: str, size: int, sha256: str) -> None:
    """Enter a member into the digest over all."""
    digest.update(f"{name}\0{size}\0{sha256}\n".encode())


def _files(home: Home, jobs: Sequence[str], *, audio: bool) -> Iterator[tuple[str, Path]]:
    """Everything but the stores, in the order that makes it one whole."""
    for file in sorted(_in(home.root)):
        if is_root_file(file.name) and file.stat().st_size <= _LARGEST_ROOT_FILE_BYTES:
            yield file.name, file
    for folder in (home.keys, home.vault):
        yield from _below(folder, folder.name, lambda name: True)
    yield from _below(home.evidence, "evidence", lambda name: not name.endswith((".log", ".note")))
    yield from _below(home.evidence, "evidence", lambda name: name.endswith(".log"))
    yield from _below(home.recordings, "recordings", _is_key_or_paper if audio else _is_paper)
    for name in ("removals", "copies-to-remove", *(f"jobs/{one}" for one in jobs)):
        yield from _below(home.root / name, name, lambda name: True)


def is_root_file(name: str) -> bool:
    """Whether a file that lies directly in the home directory is part of a backup."""
    return not (name.startswith((*_NOT_KEPT, ".")) or name.endswith(_NOT_KEPT_ENDINGS))


def _is_paper(name: str) -> bool:
    return name.endswith(".json") and not name.endswith(".key.json")


def _is_key_or_paper(name: str) -> bool:
    """The key of an encrypted recording only where its audio goes along: without it nobody needs the key."""
    return name.endswith(".json")


def _in(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            found = [Path(one.path) for one in entries if one.is_file(follow_symlinks=False)]
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror}") from error
    yield from found


def _below(folder: Path, name: str, wanted: Callable[[str], bool]) -> Iterator[tuple[str, Path]]:
    """Files below a folder, by their names in the backup; what goes meanwhile, and hidden ones, are left out."""
    folders: list[tuple[str, Path]] = []
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda one: one.name)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror}") from error
    for one in found:
        place = f"{name}/{one.name}"
        if one.name.startswith((".", "before-restore-")) or not _is_name(one.name):
            continue
        if one.is_dir(follow_symlinks=False):
            folders.append((place, Path(one.path)))
        elif one.is_file(follow_symlinks=False) and wanted(one.name) and not one.name.endswith(".part"):
            yield place, Path(one.path)
    for place, inner in folders:
        yield from _below(inner, place, wanted)


def _is_name(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return "\\" not in name


class _Rationed:
    """A stream that gives no more than was granted, so that nothing small by rights can be large."""

    def __init__(self, stream: Input) -> None:
        self._stream = stream
        self._left = 0

    def grant(self, size: int) -> None:
        self._left = size

    def read(self, size: int, /) -> bytes:
        piece = self._stream.read(size)
        self._left -= len(piece)
        if self._left < 0:
            raise BadInput("the backup is larger than it may be. 备份内容超出允许的大小。")
        return piece


def unpack(stream: Input, take: Callable[[str, int], BinaryIO | None]) -> tuple[About, End]:
    """Read everything to its end. ``take``: where a member goes (closed afterwards), None for nowhere; the list of
    recordings is one of them.

    Raises BadInput: it is not what was packed; what ``take`` and its files raise.
    """
    found: dict[str, bytes] = {}
    digest, members, size = hashlib.sha256(), 0, 0
    rationed = _Rationed(stream)
    rationed.grant(_MOST_HEADER_BYTES)
    try:
        with tarfile.open(fileobj=rationed, mode="r|", bufsize=_STREAM_BYTES) as tar:  # type: ignore[call-overload]
            for entry in tar:
                own = entry.name in (ABOUT, END)
                plain = entry.type == tarfile.REGTYPE and entry.sparse is None
                if END in found or not plain or (own and entry.size > _MOST_TOLD_BYTES):
                    raise BadInput(f"{entry.name[:100]!r} has no place in a backup")
                check_name(entry.name)
                rationed.grant(entry.size + _MOST_HEADER_BYTES)
                target = io.BytesIO() if own else take(entry.name, entry.size)
                sha256 = _receive(tar, entry, target)
                if isinstance(target, io.BytesIO) and own:
                    found[entry.name] = target.getvalue()
                elif target is not None:
                    target.close()
                if entry.name != END:
                    members, size = members + 1, size + entry.size
                    note_member(digest, entry.name, entry.size, sha256)
    except tarfile.TarError as error:
        raise BadInput(f"the backup is damaged: {error}") from error
    while rationed.read(_PIECE_BYTES):  # to the seal of the last chunk
        pass
    about, end = _told(found, ABOUT, About), _told(found, END, End)
    if (end.members, end.bytes, end.digest) != (members, size, digest.hexdigest()):
        raise BadInput("the backup is not what was packed")
    return about, end


def _told(found: Mapping[str, bytes], name: str, kind: type[_Part]) -> _Part:
    try:
        return msgspec.json.decode(found[name], type=kind)
    except (KeyError, msgspec.DecodeError) as error:
        raise BadInput("the backup is not whole") from error


def _receive(tar: tarfile.TarFile, entry: tarfile.TarInfo, target: BinaryIO | None) -> str:
    source, hashed = tar.extractfile(entry), hashlib.sha256()
    if source is None:
        raise BadInput(f"{entry.name[:100]!r} has no place in a backup")
    left = entry.size
    while left:
        piece = source.read(min(left, _PIECE_BYTES))
        if not piece:
            raise BadInput("the backup is not whole")
        left -= len(piece)
        hashed.update(piece)
        if target is not None:
            target.write(piece)
    return hashed.hexdigest()


def check_name(name: str) -> None:
    """Nothing lands outside of what a backup holds. Raises BadInput."""
    parts = name.split("/")
    good = (
        PurePosixPath(name).as_posix() == name
        and len(parts) <= _DEEPEST
        and all(part and part not in (".", "..") and "\0" not in part and _is_name(part) for part in parts)
        and (name in (*STORES, ABOUT, RECORDINGS, END) or (parts[0] in FOLDERS and len(parts) > 1)
             or (len(parts) == 1 and is_root_file(name)))
    )  # fmt: skip
    if not good:
        raise BadInput(f"{name[:100]!r} has no place in a backup")
