"""A virtual stick, formatted inside the machine it is plugged into."""

from __future__ import annotations

import hashlib
import itertools
import os
from pathlib import Path

from stick_machine import StickMachine

from firmware.media.medium import Medium

FORMAT = {
    "vfat": "mkfs.vfat -F 32 -n {label} {node}",
    "exfat": "mkfs.exfat -L {label} {node}",
    "ntfs": "mkfs.ntfs -q -F -L {label} {node}",
    "ext4": "mkfs.ext4 -q -F -L {label} {node}",
    "btrfs": "mkfs.btrfs -q -f -L {label} {node}",
}
CHECK = {
    "vfat": "fsck.fat -n", "exfat": "fsck.exfat -n", "ntfs": "ntfsfix --no-action", "ext4": "e2fsck -f -n",
}  # fmt: skip
_numbers = itertools.count(1)


class Stick:
    """A stick whose label is its name."""

    def __init__(
        self,
        machine: StickMachine,
        folder: Path,
        file_system: str = "vfat",
        *,
        parted: bool = True,
        size_bytes: int = 128 << 20,
    ) -> None:
        self._machine = machine
        self.name = f"S{next(_numbers)}"
        self.image = folder / f"{self.name}.img"
        self.image.touch()
        os.truncate(self.image, size_bytes)
        self.file_system = file_system
        self.plug()
        disk = f"/dev/{machine.disk_of(self.name)}"
        machine.wait_for("refused")  # a new stick has no file system, and the box says so
        node = f"{disk}1" if parted else disk
        if parted:
            machine.run(f"echo ',,{'L' if file_system == 'ext4' else '7'}' | sfdisk -q {disk} && udevadm settle")
        machine.run(f"{FORMAT[file_system].format(label=self.name, node=node)} >&2 && sync && udevadm settle")

    def plug(self, *, readonly: bool = False, dying: bool = False) -> None:
        self._machine.plug(self.name, self.image, readonly=readonly, dying=dying)

    def mounted(self) -> Medium:
        return self._machine.wait_for("mounted", label=self.name)

    def pull(self, medium: Medium) -> None:
        self._machine.pull(self.name)
        self._machine.wait_gone(medium.id)

    def digest(self) -> str:
        return hashlib.sha256(self.image.read_bytes()).hexdigest()
