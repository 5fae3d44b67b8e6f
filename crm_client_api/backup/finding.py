"""Finding a backup in a folder, as a disk or a stick holds them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from crm_client_api.backup.places import ENDING, FOLDER
from crm_client_api.backup.sealing import Head, head_of
from firmware.errors import BadInput, NotFound, Refused


@dataclass(frozen=True, slots=True)
class Found:
    """A backup whose head can be read; ``path``: of its file."""

    path: Path
    head: Head
    bytes: int


def found_in(folder: Path) -> list[Found]:
    """All backups in a folder, or in our folder in it, newest first. Files that are none are passed over.

    Raises NotFound: the folder cannot be read.
    """
    ours = folder / FOLDER if (folder / FOLDER).is_dir() else folder
    try:
        files = [file for file in ours.glob(f"*{ENDING}") if file.is_file()]
    except OSError as error:
        raise NotFound(f"{folder}: {error.strerror}") from error
    found = []
    for file in files:
        with suppress(OSError, BadInput, Refused):
            head = head_of(file)
            if head.kind == "backup":
                found.append(Found(file, head, file.stat().st_size))
    return sorted(found, key=lambda one: one.head.made_ms, reverse=True)


def find_backup(source: Path) -> Path:
    """The file that is meant: the file itself, or the newest backup of a folder. Raises NotFound."""
    if source.is_file():
        return source
    found = found_in(source) if source.is_dir() else []
    if not found:
        raise NotFound(f"there is no backup in {source}. 此处没有备份文件。")
    return found[0].path
