"""Where the web page's restore finds backups, and what is wrong with one, as a code with a text in each language."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote

from crm_client_api.backup.places import ENDING, FOLDER
from crm_client_api.backup.refusals import OtherVersion, WrongPassphrase
from crm_client_api.backup.restore_asking import RestoreRefused, Shown, Source
from crm_client_api.backup.restoring import proved
from crm_client_api.backup.sealing import Opening, Unlocker, opening_of
from firmware.config import Home
from firmware.errors import BadInput, BoxError, Refused, StoreFull
from firmware.media.looking import READABLE
from firmware.media.medium import find_medium
from recorder.library.archive.places import split_url

_MOST_NAMES = 20_000
_MOST_SHOWN = 100
_MOST_KEY_BYTES = 256 << 20
"""A head says how much memory its passphrase takes: ours 128 MiB."""


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


def shown_in(folder: Path) -> list[Shown]:
    """The backups that say that they are some, newest first; no link is followed, and no end of names is no end of
    work. Raises RestoreRefused.
    """
    shown: list[Shown] = []
    newer: OtherVersion | None = None
    for file in _newest_names(folder):
        try:
            opening = opening_of(file)
            if opening.head.kind == "backup":
                shown.append(_shown(file, opening))
        except OtherVersion as error:
            newer = error
        except (BadInput, Refused, OSError):
            continue
    if newer is not None and not shown:
        raise RestoreRefused("restore_version", str(newer))
    return sorted(shown, key=lambda one: one.made_ms, reverse=True)


def _newest_names(folder: Path) -> list[Path]:
    """Their names are times."""
    names: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for _, entry in zip(range(_MOST_NAMES), entries, strict=False):
                if entry.name.endswith(ENDING) and entry.is_file(follow_symlinks=False):
                    names.append(entry.name)
    except OSError as error:
        raise RestoreRefused("restore_gone", f"{folder}: {error.strerror}") from error
    return [folder / name for name in sorted(names, reverse=True)[:_MOST_SHOWN]]


def _shown(file: Path, opening: Opening) -> Shown:
    head = opening.head
    return Shown(file.name, head.id, head.made_ms, head.device, head.software, file.stat().st_size, head.recordings)


def prove(folder: Path, name: str, passphrase: str) -> tuple[Path, Unlocker, Shown]:
    """A backup that the passphrase proves. Raises RestoreRefused."""
    file = folder / name
    if Path(name).name != name or not name.endswith(ENDING) or file.is_symlink() or not file.is_file():
        raise RestoreRefused("restore_gone", f"there is no backup {name[:100]!r}")
    unlocker = Unlocker(passphrase)
    with explained():
        wrapped = opening_of(file).head.key.private
        if 128 * wrapped.r << wrapped.log2_n > _MOST_KEY_BYTES:
            raise BadInput("the head wants more memory than any backup of a box")
        return file, unlocker, _shown(file, proved(file, unlocker))


@contextmanager
def explained() -> Iterator[None]:
    """Raises RestoreRefused for what is wrong with a backup, its place, or the room for it."""
    try:
        yield
    except WrongPassphrase as error:
        raise RestoreRefused("restore_passphrase", str(error)) from error
    except OtherVersion as error:
        raise RestoreRefused("restore_version", str(error)) from error
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
