"""Where copies go: rows of ``archive_targets``, the addresses in them, and the keys for them.

Addresses::

    file:///mnt/second?mount=1        a folder; with mount=1 only while something is mounted there
    sftp://user@host:22/path          key and pinned host key in the keys folder
    s3://bucket/prefix?endpoint=https://host:port&region=name
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import msgspec
import sqlite_utils

from firmware.config import Home
from firmware.durable import sync_folder
from firmware.errors import BadInput, StoreError
from recorder.library.archive.target import Target, TargetError

if TYPE_CHECKING:
    from recorder.library.archive.s3 import S3Access
    from recorder.library.archive.sftp import SftpAccess

NAME_FORM = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_OPTIONS = {"file": {"mount"}, "sftp": set[str](), "s3": {"endpoint", "region"}}
_Access = TypeVar("_Access", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Place:
    """One archive target as the office set it. ``set_ms``: since when (Unix ms)."""

    name: str
    url: str
    enabled: bool
    required: bool
    set_ms: int


def read_places(crm: sqlite_utils.Database) -> list[Place]:
    """All targets, by name."""
    rows = crm.conn.execute("SELECT name, url, enabled, required, set_ms FROM archive_targets ORDER BY name")
    return [Place(row[0], row[1], bool(row[2]), bool(row[3]), row[4]) for row in rows]


def split_url(url: str) -> tuple[SplitResult, dict[str, str]]:
    """The parts of an address and its options. Raises BadInput saying what is wrong."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise BadInput(f"{url}: {error}") from error
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.scheme not in _OPTIONS:
        raise BadInput(f"{url}: begins with none of {', '.join(f'{name}://' for name in _OPTIONS)}")
    if unknown := set(options) - _OPTIONS[parts.scheme]:
        raise BadInput(f"{url}: unknown option {', '.join(sorted(unknown))}")
    if parts.password is not None:
        raise BadInput("an address holds no password: everybody may read it")
    if parts.scheme == "file" and (parts.netloc or not parts.path.startswith("/")):
        raise BadInput(f"{url}: file:// and a path from the root, as file:///mnt/second")
    if parts.scheme == "sftp" and not (parts.hostname and parts.username and parts.path.startswith("/")):
        raise BadInput(f"{url}: sftp://USER@HOST/PATH")
    if parts.scheme == "s3":
        _check_endpoint(url, options.get("endpoint", ""), parts.netloc)
    return parts, options


def _check_endpoint(url: str, endpoint: str, bucket: str) -> None:
    server = urlsplit(endpoint)
    if not bucket or server.scheme not in {"http", "https"} or not server.netloc or server.path.strip("/"):
        raise BadInput(f"{url}: s3://BUCKET/PREFIX?endpoint=https://HOST")


def open_place(home: Home, name: str, url: str) -> AbstractContextManager[Target]:
    """The target at an address, open for the length of a block. Raises BadInput, TargetError (entering, too)."""
    parts, options = split_url(url)
    path = unquote(parts.path)
    if parts.scheme == "file":
        from recorder.library.archive.folder import FolderTarget

        target = FolderTarget(Path(path), must_be_mounted=options.get("mount") == "1")
        if target.is_same_as(home.recordings):
            raise TargetError(f"{path} is the folder of the recordings themselves: they would be their own copies")
        return _unclosed(target)
    from recorder.library.archive.s3 import S3Access
    from recorder.library.archive.sftp import SftpAccess

    if parts.scheme == "sftp":
        return open_server(url, read_access(home, name, SftpAccess))
    return open_server(url, read_access(home, name, S3Access))


def open_server(url: str, access: SftpAccess | S3Access) -> AbstractContextManager[Target]:
    """The target at an address of the server that ``access`` is for. Raises BadInput, TargetError (entering, too)."""
    from recorder.library.archive.s3 import S3Access, open_s3
    from recorder.library.archive.sftp import PORT, open_sftp

    parts, options = split_url(url)
    path = unquote(parts.path)
    if not isinstance(access, S3Access):
        return open_sftp(parts.hostname or "", parts.port or PORT, unquote(parts.username or ""), path, access)
    server = urlsplit(options["endpoint"])
    return open_s3(
        server.netloc, parts.netloc, path.strip("/"), options.get("region", ""), access, secure=server.scheme == "https"
    )


@contextmanager
def _unclosed(target: Target) -> Iterator[Target]:
    yield target


def access_path(home: Home, name: str) -> Path:
    """Where the keys for a target are, mode 0640; never in a store."""
    return home.keys / f"archive-{name}.json"


def read_access(home: Home, name: str, kind: type[_Access]) -> _Access:
    """The keys for a target. Raises TargetError."""
    path = access_path(home, name)
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TargetError(f"{path}: {error}") from error


def write_access(home: Home, name: str, access: msgspec.Struct) -> None:
    """Keep the keys for a target. Raises StoreError."""
    path = access_path(home, name)
    draft = path.with_suffix(f".{secrets.token_hex(8)}")
    try:
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        with os.fdopen(fd, "wb") as file:
            file.write(msgspec.json.encode(access))
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise StoreError(f"{path}: {error.strerror}") from error
