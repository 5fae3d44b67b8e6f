"""The one who reads a stick for others: a process of its own that does one thing and ends.

A dying stick holds whoever reads it for minutes, and a hostile one has a million names: so the box's daemons never read
one themselves. ``list`` tells files of the top folder and of the folders in it, ``copy`` brings one to the standard
output; both look at so much and no more, and follow no link. Nothing but the standard library is loaded.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator
from typing import Any

MOST_FOLDERS = 50
MOST_NAMES = 2_000
"""So many names are read in each folder."""
MOST_FILES = 300
LONGEST_NAME = 200
_BLOCK_BYTES = 1 << 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


class Unusual(Exception):
    """It is no plain file of a size that is wanted."""


def list_files(root: str, endings: tuple[str, ...], largest: int) -> dict[str, Any]:
    """Files with these endings, the newest first. Raises OSError.

    ``more``: there is more than is looked at, or a folder that cannot be read.
    """
    top = os.open(root, _FOLDER)
    try:
        names, more = _names(top)
        found = list(_fitting(top, "", names, endings, largest))
        folders = [name for name in names if _is_folder(top, name)]
        more = more or len(folders) > MOST_FOLDERS
        for name in folders[:MOST_FOLDERS]:
            try:
                below, more_below = _below(top, name, endings, largest)
            except OSError:  # lost+found is root's, and of a failing stick the rest is still there
                more = True
                continue
            more = more or more_below
            found += below
    finally:
        os.close(top)
    found.sort(key=lambda one: (-one["changed_ms"], one["place"]))
    return {"files": found[:MOST_FILES], "more": more or len(found) > MOST_FILES}


def _below(top: int, name: str, endings: tuple[str, ...], largest: int) -> tuple[list[dict[str, Any]], bool]:
    """The fitting files of one folder, and whether there is more. Raises OSError."""
    inner = os.open(name, _FOLDER, dir_fd=top)
    try:
        names, more = _names(inner)
        return list(_fitting(inner, f"{name}/", names, endings, largest)), more
    finally:
        os.close(inner)


def _names(folder: int) -> tuple[list[str], bool]:
    """The first names in a folder that people can read, sorted, and whether there are more."""
    names: list[str] = []
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            if number >= MOST_NAMES:
                return sorted(names), True
            name = entry.name
            if name.isprintable() and len(name) <= LONGEST_NAME and not name.startswith((".", "~$")):
                names.append(name)
    return sorted(names), False


def _is_folder(folder: int, name: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _fitting(
    folder: int, before: str, names: list[str], endings: tuple[str, ...], largest: int
) -> Iterator[dict[str, Any]]:
    for name in names:
        if not name.lower().endswith(endings):
            continue
        try:
            about = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError:
            continue
        if stat.S_ISREG(about.st_mode) and 0 < about.st_size <= largest:
            changed_ms = min(max(int(about.st_mtime * 1000), 0), 1 << 52)
            yield {"place": before + name, "bytes": about.st_size, "changed_ms": changed_ms}


def copy_file(root: str, place: str, largest: int, target: int) -> None:
    """Write a file into ``target``. Raises OSError, Unusual."""
    *folders, name = place.split("/")
    if len(folders) > 1 or any(part in ("", ".", "..") for part in (*folders, name)):
        raise Unusual
    at = os.open(root, _FOLDER)
    try:
        for part in folders:
            inner = os.open(part, _FOLDER, dir_fd=at)
            os.close(at)
            at = inner
        source = os.open(name, _FILE, dir_fd=at)
    finally:
        os.close(at)
    try:
        about = os.fstat(source)
        if not stat.S_ISREG(about.st_mode) or about.st_size > largest:
            raise Unusual
        left = about.st_size
        while left:
            piece = os.read(source, min(left, _BLOCK_BYTES))
            if not piece:
                raise OSError("the file broke off")
            left -= len(piece)
            while piece:
                piece = piece[os.write(target, piece) :]
    finally:
        os.close(source)


FAILED, UNUSUAL = 3, 4
"""Exit codes: it could not be read; it is no file that is wanted."""


def main() -> None:
    """``list ROOT LARGEST ENDING…`` or ``copy ROOT LARGEST PLACE``."""
    verb, root, largest, *rest = sys.argv[1:]
    try:
        if verb == "list":
            told = list_files(root, tuple(rest), int(largest))
            sys.stdout.buffer.write(json.dumps(told).encode() + b"\n")
        else:
            copy_file(root, rest[0], int(largest), sys.stdout.fileno())
    except Unusual:
        sys.exit(UNUSUAL)
    except OSError:
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
