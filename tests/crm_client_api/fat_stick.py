"""A FAT stick in an image file, made by mtools: what it may hold when it is pulled out, sector by sector.

Changes of files are made on the image one after the other, and the sectors that each of them touches are noted. What
was synced is there; of what came since, any sector may be there or not, in any of its versions: FAT knows no order.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

TOOLS = ("mcopy", "mdir", "mmd", "mren", "mdel", "mrd", "mkfs.fat", "fsck.fat")
SECTOR_BYTES = 512
IMAGE_BYTES = {16: 16 << 20, 32: 40 << 20}
WATCHED_BYTES = 6 << 20
"""Nothing is written behind this: mtools takes the first free clusters."""
_DIRTY_AT = {16: 37, 32: 65}
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "MTOOLS_LOWER_CASE": "1"}


def missing_tools() -> list[str]:
    """What this machine lacks."""
    path = _ENVIRONMENT["PATH"]
    return [tool for tool in TOOLS if shutil.which(tool, path=path) is None]


def run(*command: str, codes: Sequence[int] = (0,)) -> str:
    """Run to the end; fails with what it said."""
    done = subprocess.run(command, capture_output=True, env=_ENVIRONMENT, stdin=subprocess.DEVNULL, check=False)
    told = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode in codes, (command, done.returncode, told[-2000:])
    return told


@dataclass(slots=True)
class Change:
    """The sectors that one change touched, as they were afterwards; ``synced``: what came before is on the stick."""

    sectors: dict[int, bytes] = field(default_factory=dict)
    synced: bool = False


class FatStick:
    """An image with an empty file system, and all changes made to it."""

    def __init__(self, folder: Path, bits: int) -> None:
        self.bits = bits
        self._image, self._draft = folder / f"fat{bits}.img", folder / "draft"
        self._image.touch()
        os.truncate(self._image, IMAGE_BYTES[bits])
        run("mkfs.fat", "-F", str(bits), "-s", "1", "-n", "STICK", str(self._image))
        with self._image.open("r+b") as image:  # mounted to be written to, as Linux notes it
            image.seek(_DIRTY_AT[bits])
            image.write(b"\1")
        self.empty = self._now()
        self._seen = self.empty
        self.changes: list[Change] = []

    def _now(self) -> np.ndarray:
        with self._image.open("rb") as image:
            return np.frombuffer(image.read(WATCHED_BYTES), np.uint8).reshape(-1, SECTOR_BYTES)

    def _note(self) -> None:
        now = self._now()
        touched = np.flatnonzero((now != self._seen).any(axis=1))
        self.changes.append(Change({int(one): now[one].tobytes() for one in touched}))
        self._seen = now

    def _do(self, tool: str, *given: str) -> None:
        run(tool, "-i", str(self._image), *given)
        self._note()

    def write(self, place: str, content: bytes) -> None:
        """Make a file, or give it other content."""
        self._draft.write_bytes(content)
        self._do("mcopy", "-D", "o", str(self._draft), f"::{place}")

    def make_folder(self, place: str) -> None:
        """Make a folder."""
        self._do("mmd", f"::{place}")

    def rename(self, place: str, to: str, *, replaces: bool) -> None:
        """Give a file another name."""
        if replaces:
            self.remove(to)
        self._do("mren", f"::{place}", f"::{to}")

    def remove(self, place: str) -> None:
        """Remove a file."""
        self._do("mdel", f"::{place}")

    def sync(self) -> None:
        """All that was changed is on the stick."""
        self.changes.append(Change(synced=True))

    def finish(self) -> None:
        """Nobody wrote where nobody looks."""
        rest = self._image.read_bytes()[WATCHED_BYTES:]
        assert rest == bytes(len(rest))

    def pulled(self, target: Path, dice: random.Random) -> None:
        """Lay at ``target`` an image as it may be when the stick is pulled out somewhere."""
        end = dice.randrange(1, len(self.changes) + 1)
        synced = max((at for at in range(end) if self.changes[at].synced), default=0)
        image = bytearray(self.empty.tobytes())
        for change in self.changes[:synced]:
            _apply(image, change.sectors.items())
        versions: defaultdict[int, list[bytes]] = defaultdict(list)
        for change in self.changes[synced:end]:
            for sector, content in change.sectors.items():
                versions[sector].append(content)
        share = dice.choice([0.0, 0.3, 0.7, 0.95, 1.0])
        newest = dice.random() < 0.5
        _apply(
            image,
            (
                (sector, some[-1] if newest else dice.choice(some))
                for sector, some in sorted(versions.items())
                if dice.random() < share
            ),
        )
        target.write_bytes(image)
        os.truncate(target, IMAGE_BYTES[self.bits])


def _apply(image: bytearray, sectors: Iterable[tuple[int, bytes]]) -> None:
    for sector, content in sectors:
        image[sector * SECTOR_BYTES : (sector + 1) * SECTOR_BYTES] = content


def unpack(image: Path, target: Path) -> Path:
    """All files on an image, as somebody's computer reads them; what it cannot read is left out."""
    target.mkdir()
    if _copy(image, "*", target) == 0:
        return target
    for line in run("mdir", "-i", str(image), "-/", "-b", "::", codes=(0, 1)).splitlines():  # it gave up at a bad file
        place = line.removeprefix("::/")
        if line.startswith("::/") and not place.endswith("/") and not (target / place).exists():
            (target / place).parent.mkdir(parents=True, exist_ok=True)
            _copy(image, place, target / place)
    return target


def _copy(image: Path, place: str, target: Path) -> int:
    command = ("mcopy", "-i", str(image), "-s", "-n", "-p", f"::{place}", str(target))
    return subprocess.run(
        command, capture_output=True, env=_ENVIRONMENT, stdin=subprocess.DEVNULL, check=False
    ).returncode
