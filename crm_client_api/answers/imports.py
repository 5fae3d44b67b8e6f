"""What the API says of files on sticks that could be imported."""

from __future__ import annotations

import msgspec


class StickFileInfo(msgspec.Struct, frozen=True):
    """A file: ``place`` is its name, behind that of the folder that it lies in if there is one."""

    place: str
    bytes: int
    changed_at: str


class ImportStick(msgspec.Struct, frozen=True):
    """A stick that can be read, with its fitting files, newest first; ``more``: it holds more than was looked at.

    ``name``: what the office or its owner calls it. ``problem``: an error code when it could not be read, else "".
    ``simulated``: a folder of a developer's machine.
    """

    id: str
    name: str
    simulated: bool
    files: list[StickFileInfo]
    more: bool
    problem: str


class ImportSticks(msgspec.Struct, frozen=True):
    """Sticks from which files can be imported."""

    sticks: list[ImportStick]
