"""Which sticks are plugged in, now and from now on."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyudev

from firmware.media.found import BlockDevice, Found, is_in_fstab, media_of, medium_id

MOUNTS = Path("/run/tapdeck-media")
"""Where the mounter mounts media, below their ids; only root can change anything there."""
_POLL_S = 0.25
_MOST_FOLDERS = 16
_SECTOR_BYTES = 512
_FSTAB = Path("/etc/fstab")


class StickWatch:
    """Calls ``callback`` with all media: once at the start, then after every change. Close it to end.

    ``folders``: a folder in whose folders a developer keeps simulated sticks.
    Thread: the callback runs on a thread of its own, never twice at the same time.
    """

    def __init__(self, callback: Callable[[list[Found]], None], folders: Path | None) -> None:
        self._callback, self._folders = callback, folders
        self._closing = threading.Event()
        self._context = pyudev.Context()
        # The monitor must listen before the first enumeration: a stick plugged in between would never be seen.
        self._monitor = pyudev.Monitor.from_netlink(self._context)
        self._monitor.filter_by("block")
        self._monitor.start()
        self._thread = threading.Thread(target=self._run, name="stick-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; at most one callback in progress is waited for. Idempotent."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        known: list[Found] | None = None
        real = media_of(usb_devices(self._context))
        while not self._closing.is_set():
            found = [*real, *(simulated_sticks(self._folders) if self._folders is not None else ())]
            if found != known:
                known = found
                self._callback(found)
            if self._monitor.poll(_POLL_S) is not None:
                while self._monitor.poll(0) is not None:
                    pass
                real = media_of(usb_devices(self._context))


def usb_devices(context: Any) -> list[BlockDevice]:
    """USB disks (no CDs) and their partitions, without disks that the box itself uses."""
    devices: dict[str, list[Any]] = {}
    for device in context.list_devices(subsystem="block"):
        if device.sys_name.startswith("sd") and device.find_parent("usb", "usb_device") is not None:
            disk = device.parent if device.device_type == "partition" else device
            devices.setdefault(disk.sys_name, []).append(device)
    mounted, fstab = _mounted_elsewhere(), _read(_FSTAB)
    return [
        _block_device(device, disk)
        for disk, some in devices.items()
        if not any(_is_own(device, mounted, fstab) for device in some)
        for device in some
    ]


def _block_device(device: Any, disk: str) -> BlockDevice:
    read_only = _attribute(device, "ro") == "1" or _read(Path("/sys/class/block") / disk / "ro").strip() == "1"
    properties = dict(device.properties) if device.is_initialized else None
    size = _attribute(device, "size")
    size_bytes = int(size) * _SECTOR_BYTES if size.isdecimal() else 0
    return BlockDevice(device.sys_name, disk, size_bytes, read_only, properties)


def _is_own(device: Any, mounted: frozenset[str], fstab: str) -> bool:
    """Whether the box itself runs from it, or keeps archives on it: that is no stick."""
    number = device.device_number
    nodes = (str(device.device_node), *(str(link) for link in device.device_links))
    return (
        f"{os.major(number)}:{os.minor(number)}" in mounted
        or any(Path(device.sys_path, "holders").glob("*"))
        or is_in_fstab(fstab, nodes, str(device.properties.get("ID_FS_UUID", "")))
    )


def _mounted_elsewhere() -> frozenset[str]:
    """Device numbers (``8:17``) of what is mounted by others than the mounter."""
    found = set()
    for line in _read(Path("/proc/self/mountinfo")).splitlines():
        words = line.split()
        if not words[4].startswith(f"{MOUNTS}/"):
            found.add(words[2])
    return frozenset(found)


def _attribute(device: Any, name: str) -> str:
    try:
        return str(device.attributes.asstring(name))
    except (KeyError, UnicodeDecodeError):  # it went while we looked
        return ""


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def simulated_sticks(folders: Path) -> list[Found]:
    """A medium for each folder in ``folders``: without write permission it is write-protected."""
    found = []
    for folder in _first_folders(folders):
        with suppress(OSError):
            room = os.statvfs(folder)
            found.append(
                Found(
                    id=medium_id("simulated", folder.name),
                    place=str(folder),
                    label=folder.name,
                    model="",
                    file_system="folder",
                    partition=None,
                    size_bytes=room.f_frsize * room.f_blocks,
                    write_protected=not folder.stat().st_mode & 0o222,
                    simulated=True,
                )
            )
    return sorted(found, key=lambda one: one.place)


def _first_folders(folders: Path) -> Iterator[Path]:
    with suppress(OSError), os.scandir(folders) as entries:
        found: Iterable[os.DirEntry[str]] = (one for one in entries if one.is_dir(follow_symlinks=False))
        for entry, _ in zip(found, range(_MOST_FOLDERS), strict=False):
            if not entry.name.startswith("."):
                yield Path(entry.path)
