"""What a disk may hold after the power went: pure replay of a log of everything that was written.

Synced data is there. What was written since may be there or not, sector by sector, in any order; a sector that was
being written may hold anything. Names appear and
vanish in the order of each folder; a sync of a file or folder brings its own name and the folders above it along, as
journalling file systems do (ext4, XFS, btrfs, F2FS).
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from faulty_disk import Op

_NAMES = {"create", "mkdir", "rename", "unlink", "rmdir", "link"}


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


class _Names:
    """Which operations on names are certain: by folder, the place in the log up to which they are."""

    def __init__(self, ops: Sequence[Op]) -> None:
        self.by_folder: defaultdict[str, list[int]] = defaultdict(list)
        self.certain: defaultdict[str, int] = defaultdict(lambda: -1)
        made: dict[str, int] = {}
        last_of: dict[int, tuple[str, int]] = {}
        for index, op in enumerate(ops):
            if op.kind in _NAMES:
                assert not op.to or _folder(op.to) == _folder(op.path), "a name that moves to another folder"
                self.by_folder[_folder(op.path)].append(index)
                last_of[op.file] = (_folder(op.path), index)
                if op.kind == "mkdir":
                    made[op.path] = index
            elif op.kind == "fsyncdir":
                self.certain[op.path] = index
                self._reach(op.path, made)
            elif op.kind == "fsync" and op.file in last_of:
                folder, named = last_of[op.file]
                self.certain[folder] = max(self.certain[folder], named)
                self._reach(folder, made)

    def _reach(self, folder: str, made: dict[str, int]) -> None:
        while folder in made:
            above = _folder(folder)
            self.certain[above] = max(self.certain[above], made[folder])
            folder = above


def _tree(ops: Sequence[Op], dice: random.Random) -> tuple[dict[str, int], set[str]]:
    """Files by path with their number, and folders."""
    names = _Names(ops)
    chosen: list[int] = []
    for folder, indices in names.by_folder.items():
        certain = [index for index in indices if index <= names.certain[folder]]
        open_ones = indices[len(certain) :]
        chosen += certain + open_ones[: dice.randint(0, len(open_ones))]
    files: dict[str, int] = {}
    folders: set[str] = set()
    for index in sorted(chosen):
        op = ops[index]
        if op.kind == "mkdir":
            folders.add(op.path)
        elif op.kind == "rmdir":
            folders.discard(op.path)
        elif op.kind == "create":
            files[op.path] = op.file
        elif op.kind == "unlink":
            files.pop(op.path, None)
        elif op.path in files:
            files[op.to] = files[op.path]
            if op.kind == "rename":
                del files[op.path]
    return files, folders


@dataclass(frozen=True, slots=True)
class _Fate:
    """Of what was not synced a ``share`` of the sectors is there, of which ``garbled`` are anything."""

    share: float
    garbled: float
    sector_bytes: int


_WHOLE = _Fate(1.0, 0.0, 1 << 30)


def _content(ops: Sequence[Op], fate: _Fate, dice: random.Random) -> bytearray:
    """Of one file: all up to its last sync, and what became of the rest."""
    synced = max((index for index, op in enumerate(ops) if op.kind == "fsync"), default=-1)
    content = bytearray()
    for index, op in enumerate(ops):
        certain = index < synced
        if op.kind == "write":
            _write(content, op, _WHOLE if certain else fate, dice)
        elif op.kind in ("truncate", "grow") and (certain or dice.random() < fate.share):
            if op.kind == "truncate":
                del content[op.at :]
            content.extend(bytes(max(0, op.at - len(content))))
    return content


def _write(content: bytearray, op: Op, fate: _Fate, dice: random.Random) -> None:
    at, end = op.at, op.at + len(op.data)
    while at < end:
        upto = min(end, (at // fate.sector_bytes + 1) * fate.sector_bytes)
        if dice.random() < fate.share:
            content.extend(bytes(max(0, upto - len(content))))
            torn = upto - at == fate.sector_bytes and dice.random() < fate.garbled
            content[at:upto] = dice.randbytes(upto - at) if torn else op.data[at - op.at : upto - op.at]
        at = upto


def rebuild(ops: Sequence[Op], root: Path, dice: random.Random) -> None:
    """Lay at ``root`` a disk as it may be when the power goes after ``ops``."""
    fate = _Fate(dice.choice([0.0, 0.5, 0.9, 1.0]), dice.choice([0.0, 0.2]), dice.choice([512, 4096]))
    of_file: defaultdict[int, list[Op]] = defaultdict(list)
    for op in ops:
        if op.kind in ("write", "truncate", "grow", "fsync"):
            of_file[op.file].append(op)
    files, folders = _tree(ops, dice)
    root.mkdir()
    for folder in sorted(folders):
        (root / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
    for path, number in files.items():
        place = root / path.lstrip("/")
        if place.parent.is_dir():  # else its folder never came to be
            place.write_bytes(_content(of_file[number], fate, dice))
