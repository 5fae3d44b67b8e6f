"""Finding a backup in a folder, as a disk or a stick holds them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from crm_client_api.backup.far import Far, Lying, sizes_in
from crm_client_api.backup.places import ENDING, FOLDER
from crm_client_api.backup.sealing import Opening, Unlocker, opening_of
from firmware.errors import BadInput, BoxError, NotFound, Refused

MOST_NAMES = 20_000


@dataclass(frozen=True, slots=True)
class Found:
    """A backup whose beginning can be read, which proves nothing yet; ``path``: of its file."""

    path: Lying
    opening: Opening
    bytes: int

    @property
    def made_ms(self) -> int:
        """When it says that it was made, Unix ms UTC."""
        return self.opening.head.made_ms


def found_in(folder: Lying) -> list[Found]:
    """All backups in a folder, or in our folder in it, newest first. Files that are none are passed over.

    Raises NotFound: the folder cannot be read; TargetError.
    """
    ours = folder / FOLDER if isinstance(folder, Path) and (folder / FOLDER).is_dir() else folder
    try:
        sizes = sizes_in(ours, MOST_NAMES)
    except OSError as error:
        raise NotFound(f"{folder}: {error.strerror}") from error
    found = []
    for name in sorted(sizes):
        if not name.endswith(ENDING):
            continue
        with suppress(OSError, BadInput, Refused):
            opening = opening_of(ours / name)
            if opening.head.kind == "backup":
                found.append(Found(ours / name, opening, sizes[name]))
    return sorted(found, key=lambda one: one.made_ms, reverse=True)


def find_backup(source: Lying, unlocker: Unlocker, told: Callable[[str], None]) -> Lying:
    """The file that is meant: the file itself, or of a folder the newest backup that the passphrase proves.

    ``told``: of a newer one that somebody else made up. Raises NotFound; Refused, BadInput: what the newest one lacks.
    """
    if isinstance(source, Path) and source.is_file():
        return source
    problem: BoxError | None = None
    for one in found_in(source) if isinstance(source, Far) or source.is_dir() else []:
        try:
            unlocker.file_key(one.opening)
        except (BadInput, Refused) as error:
            problem = problem or error
            if isinstance(error, BadInput):  # with another passphrase it is another box's: they may share a place
                told(f"{one.path.name}: {error}")
        else:
            return one.path
    raise problem or NotFound(f"there is no backup in {source}. 此处没有备份文件。")
