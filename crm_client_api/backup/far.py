"""Backups on a server, read where they lie, as those in a folder are: nothing is fetched before it is wanted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from recorder.library.archive.target import Reading, Target


@dataclass(frozen=True, slots=True)
class Far:
    """A file or folder on a server, which does what is asked of a ``Path`` here. ``target``: open meanwhile.

    Raises TargetError.
    """

    target: Target
    place: PurePosixPath

    @property
    def name(self) -> str:
        """As of a ``Path``."""
        return self.place.name

    @property
    def parent(self) -> Far:
        """As of a ``Path``."""
        return Far(self.target, self.place.parent)

    def __truediv__(self, name: str) -> Far:
        return Far(self.target, self.place / name)

    def __str__(self) -> str:
        return str(self.place)

    @contextmanager
    def open(self, mode: Literal["rb"]) -> Iterator[Reading]:
        """As of a ``Path``, from its beginning only. Raises FileNotFoundError."""
        with self.target.reading(str(self.place)) as reading:
            if reading is None:
                raise FileNotFoundError(2, "No such file", str(self.place))
            yield reading

    def is_file(self) -> bool:
        """As of a ``Path``."""
        return self.name in self.parent.sizes()

    def sizes(self) -> dict[str, int]:
        """The bytes of each file in this folder."""
        return self.target.sizes(str(self.place))


Lying = Path | Far
"""A backup, or the folder of it, where it lies."""


def size_of(file: Lying) -> int:
    """Its bytes. Raises FileNotFoundError, OSError, TargetError."""
    if isinstance(file, Path):
        return file.lstat().st_size
    try:
        return file.parent.sizes()[file.name]
    except KeyError as error:
        raise FileNotFoundError(2, "No such file", str(file)) from error


def sizes_in(folder: Lying, most: int) -> dict[str, int]:
    """The bytes of the files in a folder, of so many of its names; no link is followed. Raises OSError, TargetError."""
    if isinstance(folder, Far):
        return folder.sizes()
    with os.scandir(folder) as entries:
        some = (one for _, one in zip(range(most), entries, strict=False))
        return {one.name: one.stat().st_size for one in some if one.is_file(follow_symlinks=False)}
