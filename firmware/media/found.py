"""Which media the block devices of USB disks hold: decided from what udev says of them."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from firmware.media.medium import Reason

FILE_SYSTEMS = frozenset({"vfat", "exfat", "ntfs", "ext2", "ext3", "ext4"})
_ENCRYPTED = frozenset({"BitLocker", "crypto_LUKS"})
_NOT_FOR_FILES = frozenset(
    {
        "0x5", "0xf", "0x85",  # extended partitions
        "0xef", "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",  # EFI system partitions
        "e3c9e316-0b5c-4db8-817d-f92df00215ae",  # Microsoft reserved
    }
)  # fmt: skip
_ESCAPED = re.compile(rb"\\x([0-9a-fA-F]{2})")
_LONGEST_LABEL = 64


@dataclass(frozen=True, slots=True)
class BlockDevice:
    """A USB disk or one of its partitions. ``name``: the kernel's, such as ``sdb1``; ``disk``: that of its disk.

    ``properties``: udev's; None while udev is not through with it.
    """

    name: str
    disk: str
    size_bytes: int
    read_only: bool
    properties: Mapping[str, str] | None

    @property
    def is_partition(self) -> bool:
        """Whether it is a part of a disk."""
        return self.name != self.disk


@dataclass(frozen=True, slots=True)
class Found:
    """A medium that is plugged in. ``place``: the kernel's name of the device, or a developer's folder.

    ``reason``: why it cannot be used, as far as that can be told from outside.
    """

    id: str
    place: str
    label: str
    model: str
    file_system: str
    partition: int | None
    size_bytes: int
    write_protected: bool
    reason: Reason = ""
    simulated: bool = False


def media_of(devices: Iterable[BlockDevice]) -> list[Found]:
    """The media on these devices, by their names; no two have the same id."""
    by_disk: dict[str, list[BlockDevice]] = defaultdict(list)
    for device in sorted(devices, key=lambda one: (len(one.name), one.name)):
        by_disk[device.disk].append(device)
    found = [medium for some in by_disk.values() for medium in _of_disk(some)]
    return _told_apart(found)


def _of_disk(devices: list[BlockDevice]) -> Iterable[Found]:
    parts = [one for one in devices if one.is_partition]
    for_files = [one for one in parts if not _is_not_for_files(one)]
    named = [one for one in for_files if one.properties is not None and one.properties.get("ID_FS_TYPE")]
    # Several partitions of which some are empty: those with files count. None with files: one says what is wrong.
    shown = named or (for_files or parts or devices)[:1]
    return [_medium(one, one.properties) for one in shown if one.properties is not None]


def _is_not_for_files(device: BlockDevice) -> bool:
    return device.properties is not None and device.properties.get("ID_PART_ENTRY_TYPE", "") in _NOT_FOR_FILES


def _medium(device: BlockDevice, properties: Mapping[str, str]) -> Found:
    file_system = properties.get("ID_FS_TYPE", "")
    serial = properties.get("ID_SERIAL_SHORT") or properties.get("ID_SERIAL", "")
    number = properties.get("ID_PART_ENTRY_NUMBER", "")
    partition = int(number) if number.isdecimal() else None
    return Found(
        id=medium_id(serial, properties.get("ID_FS_UUID", "") or f"partition {partition or 0}"),
        place=device.name,
        label=decode_label(properties.get("ID_FS_LABEL_ENC", "")),
        model=_clean(properties.get("ID_MODEL", "").replace("_", " ")),
        file_system=_clean(file_system),
        partition=partition,
        size_bytes=device.size_bytes,
        write_protected=device.read_only,
        reason=_reason(device, file_system),
    )


def _reason(device: BlockDevice, file_system: str) -> Reason:
    if device.size_bytes == 0:
        return "empty"
    if not file_system:
        return "no_file_system"
    if file_system in _ENCRYPTED:
        return "encrypted"
    return "" if file_system in FILE_SYSTEMS else "unsupported"


def medium_id(serial: str, file_system_uuid: str) -> str:
    """The id of a medium: the same in every socket, another one after formatting."""
    return hashlib.sha256(f"{serial}\n{file_system_uuid}".encode()).hexdigest()[:16]


def _told_apart(found: list[Found]) -> list[Found]:
    """Copies of a stick that has no serial number are told apart while they are plugged in together."""
    seen: dict[str, int] = defaultdict(int)
    apart = []
    for medium in found:
        seen[medium.id] += 1
        count = seen[medium.id]
        apart.append(medium if count == 1 else replace(medium, id=f"{medium.id}-{count}"))
    return apart


def decode_label(encoded: str) -> str:
    r"""A label as udev hands it on, with ``\xNN`` for what is not UTF-8: FAT labels are in the maker's code page,
    which in China is GBK."""
    raw = _ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), encoded.encode(errors="surrogateescape"))
    for encoding in ("utf-8", "gb18030"):
        try:
            return _clean(raw.decode(encoding))
        except UnicodeDecodeError:
            continue
    return _clean(raw.decode("latin-1"))


def _clean(text: str) -> str:
    """Nothing that a terminal or a page could take for more than text."""
    return "".join(one for one in text if one.isprintable()).strip()[:_LONGEST_LABEL]


def is_in_fstab(fstab: str, device_nodes: Iterable[str], uuid: str) -> bool:
    """Whether the box's own table of file systems names this device (``device_nodes``: all its names) or its UUID."""
    sources = {line.split()[0].strip('"') for line in fstab.splitlines() if line.strip() and line.lstrip()[0] != "#"}
    wanted = {*device_nodes, f"UUID={uuid}", f'UUID="{uuid}'} if uuid else {*device_nodes}
    return not sources.isdisjoint(wanted)
