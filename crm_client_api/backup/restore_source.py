"""Where the web page's restore finds backups, and what is wrong with one, as a code with a text in each language."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote

from crm_client_api.backup.access import server_folder, sftp_access
from crm_client_api.backup.far import Far, Lying, size_of, sizes_in
from crm_client_api.backup.finding import MOST_NAMES
from crm_client_api.backup.places import ENDING, FOLDER
from crm_client_api.backup.refusals import OtherVersion, WrongPassphrase
from crm_client_api.backup.restore_asking import RestoreRefused, Server, Shown, Source
from crm_client_api.backup.restoring import proved
from crm_client_api.backup.sealing import Opening, Unlocker, opening_of
from firmware.config import Home
from firmware.errors import BadInput, BoxError, Refused, StoreFull
from firmware.media.looking import READABLE
from firmware.media.medium import find_medium
from recorder.library.archive.places import split_url
from recorder.library.archive.s3 import S3Access
from recorder.library.archive.sftp import SftpAccess, public_line
from recorder.library.archive.target import TargetError

_MOST_SHOWN = 100
_MOST_FAR = 40
"""On a server: each is asked for by itself, and the page waits."""
_MOST_KEY_BYTES = 256 << 20
"""A head says how much memory its passphrase takes: ours 128 MiB."""


@contextmanager
def folder_at(home: Home, source: Source, private: str) -> Iterator[Lying]:
    """The folder with backups, open for the length of a block. ``private``: with which this box logs in by SFTP.

    Raises RestoreRefused: there is none, or its server refuses; Unconfirmed.
    """
    if source.medium or not source.address.startswith(("sftp://", "s3://")):
        yield folder_of(home, source)
        return
    with ExitStack() as opened:
        with _served():
            s3 = S3Access(source.access_key, source.secret_key)
            access = sftp_of(source, private) if source.address.startswith("sftp://") else s3
            folder = opened.enter_context(server_folder(source.address, access))
        yield folder


class Unconfirmed(Exception):
    """Nobody has said that this server is the right one. ``server``: what there is to say."""

    def __init__(self, server: Server) -> None:
        super().__init__("nobody has confirmed the server yet")
        self.server = server


def sftp_of(source: Source, private: str) -> SftpAccess:
    """What logs in to the server that somebody confirmed. Raises Unconfirmed, RestoreRefused, BadInput, TargetError."""
    shown: list[str] = []

    def is_right(host: str, now: str) -> bool:
        shown.append(now)
        return now == source.fingerprint

    try:
        return sftp_access(source.address, private, None, is_right)
    except Refused as error:
        if not source.fingerprint:
            raise Unconfirmed(Server(shown[0], public_line(private))) from error
        raise RestoreRefused("restore_host_key", str(error)) from error


@contextmanager
def _served() -> Iterator[None]:
    try:
        yield
    except BadInput as error:
        raise RestoreRefused("restore_place", str(error)) from error
    except TargetError as error:
        raise RestoreRefused("restore_server", str(error)) from error


def folder_of(home: Home, source: Source) -> Path:
    """The folder with backups. Raises RestoreRefused: there is none."""
    if source.medium:
        with suppress(OSError):
            medium = find_medium(home, source.medium)
            if medium is not None and medium.path is not None and medium.state in READABLE:
                return _ours(Path(medium.path))
        raise RestoreRefused("restore_gone", "the stick is not plugged in, or cannot be read")
    try:
        parts, _ = split_url(source.address)
        folder = Path(unquote(parts.path))
        if parts.scheme != "file":
            raise BadInput(f"{source.address}: a folder is named as file:///mnt/second")
    except BadInput as error:
        raise RestoreRefused("restore_place", str(error)) from error
    if not folder.is_dir():
        raise RestoreRefused("restore_gone", f"{folder} is no folder that can be read")
    return _ours(folder)


def _ours(folder: Path) -> Path:
    inner = folder / FOLDER
    return inner if inner.is_dir() and not inner.is_symlink() else folder


def shown_in(folder: Lying) -> list[Shown]:
    """The backups that say that they are some, newest first; no link is followed, and no end of names is no end of
    work. Raises RestoreRefused.
    """
    shown: list[Shown] = []
    newer: OtherVersion | None = None
    with _served():
        for name, size in _newest_names(folder):
            try:
                opening = opening_of(folder / name)
                if opening.head.kind == "backup":
                    shown.append(_shown(name, size, opening))
            except OtherVersion as error:
                newer = error
            except (BadInput, Refused, OSError):
                continue
    if newer is not None and not shown:
        raise RestoreRefused("restore_version", str(newer))
    return sorted(shown, key=lambda one: one.made_ms, reverse=True)


def _newest_names(folder: Lying) -> list[tuple[str, int]]:
    """Their names are times."""
    try:
        names = [one for one in sizes_in(folder, MOST_NAMES).items() if one[0].endswith(ENDING)]
    except OSError as error:
        raise RestoreRefused("restore_gone", f"{folder}: {error.strerror}") from error
    return sorted(names, reverse=True)[: _MOST_FAR if isinstance(folder, Far) else _MOST_SHOWN]


def _shown(name: str, size: int, opening: Opening) -> Shown:
    head = opening.head
    return Shown(name, head.id, head.made_ms, head.device, head.software, size, head.recordings)


def prove(folder: Lying, name: str, passphrase: str) -> tuple[Lying, Unlocker, Shown]:
    """A backup that the passphrase proves. Raises RestoreRefused."""
    file = folder / name
    is_link = isinstance(file, Path) and file.is_symlink()
    if Path(name).name != name or not name.endswith(ENDING) or is_link:
        raise RestoreRefused("restore_gone", f"there is no backup {name[:100]!r}")
    unlocker = Unlocker(passphrase)
    with explained():
        if not file.is_file():
            raise RestoreRefused("restore_gone", f"there is no backup {name[:100]!r}")
        wrapped = opening_of(file).head.key.private
        if 128 * wrapped.r << wrapped.log2_n > _MOST_KEY_BYTES:
            raise BadInput("the head wants more memory than any backup of a box")
        return file, unlocker, _shown(name, size_of(file), proved(file, unlocker))


@contextmanager
def explained() -> Iterator[None]:
    """Raises RestoreRefused for what is wrong with a backup, its place, or the room for it."""
    try:
        yield
    except WrongPassphrase as error:
        raise RestoreRefused("restore_passphrase", str(error)) from error
    except OtherVersion as error:
        raise RestoreRefused("restore_version", str(error)) from error
    except TargetError as error:
        raise RestoreRefused("restore_server", str(error)) from error
    except (BadInput, Refused) as error:
        raise RestoreRefused("restore_altered", str(error)) from error
    except StoreFull as error:
        raise RestoreRefused("restore_no_room", str(error)) from error
    except OSError as error:
        raise RestoreRefused("restore_gone", f"it cannot be read: {error.strerror}") from error
    except RestoreRefused:
        raise
    except BoxError as error:
        raise RestoreRefused("restore_failed", str(error)) from error
