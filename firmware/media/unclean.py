"""Whether a file system was left without goodbye, by the flags that it keeps on the medium for this.

Sources: Microsoft FAT specification 1.03 (FAT[1], BS_Reserved1 as Linux uses it), exFAT specification 1.00 section
3.1.13, Linux ``Documentation/filesystems/ext4/super.rst``. NTFS keeps it in a journal: ask ``ntfs-3g.probe``.
"""

from __future__ import annotations

import struct

HEAD_BYTES = 4096
"""So much from the beginning of the device is needed, and then perhaps ``fat_entry_at``."""


def fat_entry_at(head: bytes) -> int:
    """Where the entry FAT[1] begins, in bytes from the beginning; 0 for FAT12, which has no flags there."""
    sector, reserved = struct.unpack_from("<H", head, 11)[0], struct.unpack_from("<H", head, 14)[0]
    if _is_fat32(head):
        return int(sector * reserved + 4)
    return 0 if head[54:62] == b"FAT12   " else int(sector * reserved + 2)


def is_fat_unclean(head: bytes, fat_entry: bytes) -> bool:
    """``fat_entry``: 4 bytes from ``fat_entry_at``, or nothing where that is 0."""
    if head[65 if _is_fat32(head) else 37] & 1:  # Linux
        return True
    if len(fat_entry) < 4:
        return False
    if _is_fat32(head):  # Windows: a bit that is set means clean
        return not int.from_bytes(fat_entry, "little") & 0x0800_0000
    return not int.from_bytes(fat_entry[:2], "little") & 0x8000


def _is_fat32(head: bytes) -> bool:
    return bool(struct.unpack_from("<H", head, 22)[0] == 0)


def is_exfat_unclean(head: bytes) -> bool:
    """VolumeFlags: VolumeDirty."""
    return bool(struct.unpack_from("<H", head, 106)[0] & 0x0002)


def is_ext_unclean(head: bytes) -> bool:
    """Not unmounted, with errors, or with a journal to be played."""
    state, incompatible = struct.unpack_from("<H", head, 1024 + 0x3A)[0], struct.unpack_from("<I", head, 1024 + 0x60)[0]
    return not state & 1 or bool(state & 2) or bool(incompatible & 4)
