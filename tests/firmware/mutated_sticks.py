"""Images of sticks with files on them, made without mounting anything, and what a hostile hand makes of them."""

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
from pathlib import Path

SECTOR = 512
TOOLS = {
    "fat12": ("mkfs.fat", "mcopy", "fsck.fat"),
    "fat16": ("mkfs.fat", "mcopy", "fsck.fat"),
    "fat32": ("mkfs.fat", "mcopy", "fsck.fat"),
    "exfat": ("mkfs.exfat", "fsck.exfat"),
    "ntfs": ("mkfs.ntfs", "ntfsfix", "ntfs-3g.probe"),
    "ext4": ("mke2fs", "e2fsck"),
}
KINDS = tuple(TOOLS)
_FAT = {
    "fat12": (2 << 20, ("-F", "12")),
    "fat16": (5 << 20, ("-F", "16", "-s", "2")),
    "fat32": (36 << 20, ("-F", "32", "-s", "1")),
}
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_ODD = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF7, 0xFFFFFFFF)
_HEAD_SECTORS = 64


def missing_tools(kind: str) -> list[str]:
    """What this machine lacks to make and check such a stick."""
    return [tool for tool in ("blkid", *TOOLS[kind]) if shutil.which(tool, path=_PATH) is None]


def run(*command: str) -> None:
    """Run to the end; fails with what it said."""
    done = subprocess.run(command, capture_output=True, env={"PATH": _PATH, "LC_ALL": "C.UTF-8"}, check=False)
    assert done.returncode == 0, (command, done.stdout[-500:], done.stderr[-500:])


def make(kind: str, image: Path, folder: Path) -> None:
    """A stick with some files and folders. ``folder``: for drafts."""
    draft = folder / "名单.csv"
    draft.write_bytes(bytes(range(256)) * 30)
    if kind in _FAT:
        size, options = _FAT[kind]
        _blank(image, size)
        run("mkfs.fat", *options, "-n", "STICK", str(image))
        run("mmd", "-i", str(image), "::/recordings", "::/recordings/2026-09-21")
        for place in ("名单.csv", "recordings/张伟 13812345678.flac", "recordings/2026-09-21/a.json"):
            run("mcopy", "-i", str(image), str(draft), f"::/{place}")
    elif kind == "exfat":
        _blank(image, 2 << 20)
        run("mkfs.exfat", "-L", "STICK", "-b", "4K", "-c", "4K", str(image))
        image.write_bytes(_exfat_with_files(bytearray(image.read_bytes()), draft.read_bytes()))
    elif kind == "ntfs":
        _blank(image, 3 << 20)
        run("mkfs.ntfs", "-q", "-F", "-f", "-L", "STICK", str(image))
    else:
        inside = folder / "inside"
        (inside / "recordings").mkdir(parents=True)
        for place in ("名单.csv", "recordings/a.flac"):
            shutil.copy(draft, inside / place)
        _blank(image, 4 << 20)
        run("mke2fs", "-q", "-F", "-t", "ext4", "-L", "STICK", "-d", str(inside), str(image))
        shutil.rmtree(inside)


def _blank(image: Path, size: int) -> None:
    image.touch()
    os.truncate(image, size)


def _exfat_with_files(image: bytearray, content: bytes) -> bytearray:
    """Two files and a folder in the root, written by hand: there is no tool for it."""
    _, _, fat_at, _, heap_at, _, root = struct.unpack_from("<QQIIIII", image, 64)
    cluster_bytes = SECTOR << image[109]

    def at(cluster: int) -> int:
        return int(heap_at * SECTOR + (cluster - 2) * cluster_bytes)

    def use(cluster: int, next_one: int) -> None:
        image[at(2) + (cluster - 2) // 8] |= 1 << (cluster - 2) % 8
        struct.pack_into("<I", image, fat_at * SECTOR + cluster * 4, next_one)

    def entries(name: str, attributes: int, cluster: int, size: int) -> bytes:
        raw = name.encode("utf-16-le")
        names = [raw[first : first + 30] for first in range(0, len(raw), 30)]
        upper = name.upper().encode("utf-16-le")
        name_hash = 0
        for byte in upper:
            name_hash = ((name_hash << 15 | name_hash >> 1) + byte) & 0xFFFF
        stream = struct.pack("<BBBBHHQIIQ", 0xC0, 1, 0, len(name), name_hash, 0, size, 0, cluster, size)
        parts = [stream, *(struct.pack("<BB30s", 0xC1, 0, one) for one in names)]
        times = [1 << 21] * 3
        first = bytearray(struct.pack("<BBHHH3I", 0x85, len(parts), 0, attributes, 0, *times).ljust(32, b"\0"))
        total = 0
        for number, byte in enumerate(bytes(first) + b"".join(parts)):
            if number not in (2, 3):
                total = ((total << 15 | total >> 1) + byte) & 0xFFFF
        struct.pack_into("<H", first, 2, total)
        return bytes(first) + b"".join(parts)

    count = -(-len(content) // cluster_bytes)
    free, found = root + 1, b""
    for name in ("名单.csv", "13812345678.flac"):
        for number in range(count):
            use(free + number, free + number + 1 if number + 1 < count else 0xFFFFFFFF)
        image[at(free) : at(free) + len(content)] = content
        found += entries(name, 0x20, free, len(content))
        free += count
    use(free, 0xFFFFFFFF)
    found += entries("recordings", 0x10, free, cluster_bytes)
    end = at(root)
    while image[end]:
        end += 32
    image[end : end + len(found)] = found
    return image


class Mutations:
    """Mutated images of one kind, one for each seed; ``image`` holds one at a time."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.image = kind, folder / f"{kind}.img"
        make(kind, self.image, folder)
        self._whole = self.image.read_bytes()
        self._used = [at for at in range(0, len(self._whole), SECTOR) if any(self._whole[at : at + SECTOR])]

    def lay(self, seed: int, *, whole: bool = False) -> None:
        """Let ``image`` be what this seed makes of it; ``whole``: as large as it was."""
        dice = random.Random(f"{self.kind} {seed}")
        changed: dict[int, bytearray] = {}
        for _ in range(dice.choice([1, 1, 2, 3, 8, 30])):
            self._spoil(changed, dice)
        size = len(self._whole)
        os.truncate(self.image, 0)  # what a checker wrote lately goes, too
        os.truncate(self.image, size)
        with self.image.open("r+b") as image:
            for at in self._used:
                image.seek(at)
                image.write(changed.get(at, self._whole[at : at + SECTOR]))
        if not whole and dice.random() < 0.05:  # smaller than it says
            os.truncate(self.image, dice.randrange(size // SECTOR) * SECTOR)

    def _spoil(self, changed: dict[int, bytearray], dice: random.Random) -> None:
        used = self._used[: min(len(self._used), _HEAD_SECTORS)] if dice.random() < 0.6 else self._used
        at = dice.choice(used)
        sector = changed.setdefault(at, bytearray(self._whole[at : at + SECTOR]))
        match dice.randrange(6):
            case 0:
                sector[dice.randrange(SECTOR)] ^= 1 << dice.randrange(8)
            case 1:
                sector[dice.randrange(SECTOR)] = dice.randrange(256)
            case 2:
                width, code = dice.choice([(1, "B"), (2, "<H"), (4, "<I"), (8, "<Q")])
                value = dice.choice([*_ODD, dice.getrandbits(32)]) & ((1 << 8 * width) - 1)
                struct.pack_into(code, sector, dice.randrange(0, SECTOR, width), value)
            case 3:
                filled = [place for place in range(SECTOR) if sector[place]] or [0]
                sector[dice.choice(filled)] = dice.choice([0, 1, 0x1B, 0x7F, 0x80, 0xE5, 0xFF])
            case 4:
                sector[:] = dice.choice([bytes(SECTOR), b"\xff" * SECTOR, dice.randbytes(SECTOR)])
            case _:
                other = dice.choice(self._used)
                sector[:] = self._whole[other : other + SECTOR]
