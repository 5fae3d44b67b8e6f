"""The one hand with the right to mount: a process of its own that does one thing and ends.

It reads one line of JSON and answers with one. On the box systemd starts it as root for each connection of the keeper
(``tapdeck-mounter.socket``). It trusts neither who asks nor the stick: it touches only USB disks that nobody else uses
and only mount points of its own, runs nothing from a stick, and follows no path on it.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from firmware.media.unclean import HEAD_BYTES, fat_entry_at, is_exfat_unclean, is_ext_unclean, is_fat_unclean

MOUNTS = Path("/run/tapdeck-media")
TIME_LIMIT_S = 540
COMMAND_LIMIT_S = 480.0
_DEVICE = re.compile(r"sd[a-z]{1,3}[0-9]{0,3}")
_NAME = re.compile(r"[0-9a-f]{16}(-[0-9]{1,2})?")
_BUSY_FOR_S = 5.0
_LOOKED_AT = 64
_EVERYWHERE = "nosuid,nodev,noexec,noatime"
_FOR_OWNERLESS = "uid={uid},gid={gid},umask=0007"
_TYPES = {
    # codepage: names without a long form were written by a Chinese Windows, if they are not ASCII.
    "vfat": f"{_FOR_OWNERLESS},utf8=1,codepage=936,errors=remount-ro",
    "exfat": f"{_FOR_OWNERLESS},iocharset=utf8,errors=remount-ro",
    "ntfs": f"{_FOR_OWNERLESS},windows_names,norecover",
    "ext2": "errors=remount-ro",
    "ext3": "errors=remount-ro",
    "ext4": "errors=remount-ro",
}
_CHECKERS = {
    "vfat": ("fsck.fat", "-a"),
    "exfat": ("fsck.exfat", "-p"),
    "ntfs": ("ntfsfix",),
    "ext2": ("e2fsck", "-p"),
    "ext3": ("e2fsck", "-p"),
    "ext4": ("e2fsck", "-p"),
}
_MENDED = {"vfat": (0, 1), "exfat": (0, 1), "ntfs": (0,), "ext2": (0, 1), "ext3": (0, 1), "ext4": (0, 1)}
_MOST_CHECKS = 5
_NTFS_SAFE = 0
_IO_ERRNOS = frozenset({errno.EIO, errno.ENXIO, errno.ENODEV, errno.ENOMEDIUM, errno.EREMOTEIO})


class Trouble(Exception):
    """``code``: of ``firmware.media.medium.Reason`` or ``WriteRefusal``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def mount(device: str, name: str, file_system: str, write: bool) -> dict[str, object]:
    """Mount read-only, or checked and writable; what is mounted there already is flushed and unmounted first."""
    node, place = _node(device), _place(name)
    if file_system not in _TYPES:
        raise Trouble("unsupported", f"{file_system} is not used here")
    unmount(name)
    unclean = _is_unclean(node, file_system)
    if unclean and (write or _is_torn(node, file_system)):
        _mend(node, file_system, "unclean" if write else "damaged")
        unclean = False
    MOUNTS.mkdir(mode=0o755, exist_ok=True)
    place.mkdir(mode=0o755, exist_ok=True)
    try:
        _mount(node, place, file_system, write, unclean)
        try:
            return {"path": str(place), "unclean": unclean, **_look(place, file_system, write)}
        except OSError as error:
            _umount(place, "-l")
            raise _of_error(error) from error
        except Trouble:
            _umount(place, "-l")
            raise
    except Trouble:
        with suppress(OSError):
            place.rmdir()
        raise


def unmount(name: str, pulled: bool = False) -> dict[str, object]:
    """Flush and unmount; with ``pulled`` at once, whatever is open."""
    place = _place(name)
    if pulled:
        while _mounted(place):
            _umount(place, "-l")
    elif _mounted(place):
        lost = _flush(place)
        deadline = time.monotonic() + _BUSY_FOR_S
        while _mounted(place):
            said = _umount(place)
            if _mounted(place) and time.monotonic() > deadline:
                raise Trouble("busy", f"files on the stick are in use: {said}")
            if _mounted(place):
                time.sleep(0.1)
        if lost is not None:
            raise _of_error(lost)
    with suppress(OSError):
        place.rmdir()
    return {}


def clear() -> dict[str, object]:
    """Unmount all that a keeper left behind that is no more."""
    for line in Path("/proc/self/mountinfo").read_text(errors="replace").splitlines():
        target = Path(line.split()[4])
        if target.parent == MOUNTS and _NAME.fullmatch(target.name):
            with suppress(Trouble):
                unmount(target.name)
            unmount(target.name, pulled=True)
    return {}


def _node(device: str) -> str:
    """The device node, if it is one of a USB disk."""
    if not _DEVICE.fullmatch(device):
        raise Trouble("not_mountable", f"{device!r} is no disk")
    system = Path("/sys/class/block") / device
    if "/usb" not in str(system.resolve()) or not system.exists():
        raise Trouble("gone", f"there is no USB disk {device}")
    number = (system / "dev").read_text().strip()
    for line in Path("/proc/self/mountinfo").read_text(errors="replace").splitlines():
        words = line.split()
        if words[2] == number and Path(words[4]).parent != MOUNTS:
            raise Trouble("not_mountable", f"{device} is in use at {words[4]}")
    return f"/dev/{device}"


def _place(name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise Trouble("not_mountable", f"{name!r} is no medium")
    return MOUNTS / name


def _is_unclean(node: str, file_system: str) -> bool:
    if file_system == "ntfs":
        return _run("ntfs-3g.probe", "--readwrite", node)[0] != _NTFS_SAFE
    try:
        with open(node, "rb", buffering=0) as device:  # noqa: PTH123 - a device, not a path
            head = _read_at(device.fileno(), 0, HEAD_BYTES)
            if file_system == "exfat":
                return is_exfat_unclean(head)
            if file_system != "vfat":
                return is_ext_unclean(head)
            at = fat_entry_at(head)
            return is_fat_unclean(head, _read_at(device.fileno(), at, 4) if at else b"")
    except OSError as error:
        raise _of_error(error) from error


def _is_torn(node: str, file_system: str) -> bool:
    """NTFS that was pulled out between the writing of its table and of the copy of that: nobody can even read it."""
    return file_system == "ntfs" and "$MFTMirr" in _run("ntfs-3g.probe", "--readonly", node)[1]


def _read_at(fd: int, at: int, count: int) -> bytes:
    """Raises Trouble when the device ends before."""
    first = at - at % 512
    read = os.pread(fd, -(-(at - first + count) // 512) * 512, first)[at - first :][:count]
    if len(read) < count:
        raise Trouble("damaged", "the file system is larger than the stick")
    return read


def _mend(node: str, file_system: str, code_if_not: str = "unclean") -> None:
    """Check until nothing is found any more: what mends one thing may lay open another. Raises Trouble."""
    ends_s = time.monotonic() + COMMAND_LIMIT_S
    for _ in range(_MOST_CHECKS):
        code, said = _run(*_CHECKERS[file_system], node, limit_s=max(1.0, ends_s - time.monotonic()))
        if code not in _MENDED[file_system]:
            break
        if code == 0:
            if _is_unclean(node, file_system):
                break
            return
    if (trouble := _trouble_with(node)) is not None:  # it was pulled out, or is dying, while it was checked
        raise trouble
    raise Trouble(code_if_not, f"the file system was not closed properly and cannot be repaired safely: {said}")


def _mount(node: str, place: Path, file_system: str, write: bool, unclean: bool) -> None:
    options = [_EVERYWHERE, _TYPES[file_system].format(uid=os.getuid(), gid=os.getgid()), "rw" if write else "ro"]
    if file_system in ("ext3", "ext4") and unclean:
        options.append("noload")  # reading must not write: the journal is played when a job writes
    kind = "ntfs-3g" if file_system == "ntfs" else file_system
    command = ("mount", "-t", kind, "-o", ",".join(options), node, str(place))
    code, said = _run(*command)
    if code and file_system == "vfat":  # a kernel without that code page
        code, said = _run(*(word.replace(",codepage=936", "") for word in command))
    if code:
        raise _why_not(node, said, write)


def _why_not(node: str, said: str, write: bool) -> Trouble:
    """A mount that failed: is it the kernel, the stick or the file system?"""
    if "unknown filesystem type" in said:
        return Trouble("unsupported", said)
    if (trouble := _trouble_with(node)) is not None:
        return trouble
    # What mount(8) says for EIO, and reading has just worked; a "bad superblock on" is the file system's.
    if "can't read superblock on" in said or os.strerror(errno.EIO) in said:
        return Trouble("io_errors", f"the stick cannot be written to: {said}")
    return Trouble("not_mountable" if write else "damaged", said)


def _trouble_with(node: str) -> Trouble | None:
    """What is the matter with the stick itself, if something is."""
    try:
        with open(node, "rb", buffering=0) as device:  # noqa: PTH123
            device.read(HEAD_BYTES)
            device.seek(-HEAD_BYTES, os.SEEK_END)
            device.read(HEAD_BYTES)
    except OSError as error:
        return _of_error(error)
    return None


def _look(place: Path, file_system: str, write: bool) -> dict[str, object]:
    """Room and first names: a stick that cannot even tell these is of no use. Raises OSError, Trouble."""
    options = _mounted(place)
    if not {"nosuid", "nodev", "noexec"} <= options:
        raise Trouble("not_mountable", "it was not mounted as it must be")
    if write and "rw" not in options:
        raise Trouble("write_protected", "the stick cannot be written to")
    room = os.statvfs(place)
    with os.scandir(place) as entries:
        for _ in zip(range(_LOOKED_AT), entries, strict=False):
            pass
    if write and file_system.startswith("ext"):  # files of the others have owners: ours are the group's
        os.chown(place, -1, os.getgid())
        place.chmod(place.stat().st_mode | 0o070)
    return {"free_bytes": room.f_frsize * room.f_bavail, "size_bytes": room.f_frsize * room.f_blocks}


def _mounted(place: Path) -> frozenset[str]:
    """Options of the mount there, of mount point and file system both; none where nothing is mounted."""
    for line in reversed(Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()):
        words = line.split()
        if words[4] == str(place):
            own, inner = set(words[5].split(",")), set(words[-1].split(","))
            return frozenset(own | inner if "ro" not in inner else (own - {"rw"}) | inner)
    return frozenset()


def _flush(place: Path) -> OSError | None:
    """What was lost, if something was: the kernel tells of it once, here."""
    try:
        fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if ctypes.CDLL(None, use_errno=True).syncfs(fd) == -1:
                return OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        finally:
            os.close(fd)
    except OSError as error:
        return error
    return None


def _umount(place: Path, *options: str) -> str:
    return _run("umount", *options, str(place))[1]


def _run(*command: str, limit_s: float = COMMAND_LIMIT_S) -> tuple[int, str]:
    """Exit code and the end of what it said, in English and printable: it repeats names from the stick; no input."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", env=environment, stdin=subprocess.DEVNULL,
            check=False, timeout=limit_s,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise Trouble(
            "not_answering", f"{command[0]} did not come to an end: too many files, or a dying stick"
        ) from error
    except FileNotFoundError as error:
        raise Trouble("unsupported", f"{command[0]} is not installed") from error
    said = " ".join((done.stdout + done.stderr).split())
    return done.returncode, "".join(one for one in said if one.isprintable())[-500:]


def _of_error(error: OSError) -> Trouble:
    if error.errno == errno.ENOENT:
        return Trouble("gone", "the stick is gone")
    code = "io_errors" if error.errno in _IO_ERRNOS else "damaged"
    return Trouble(code, f"the stick cannot be read: {error.strerror}")


_VERBS: dict[str, Callable[..., dict[str, object]]] = {"mount": mount, "unmount": unmount, "clear": clear}


def answer(line: bytes) -> dict[str, object]:
    """Do what a line asks for; ``{"code", "message"}`` tells why not."""
    try:
        asked = json.loads(line)
        return _VERBS[asked.pop("ask")](**asked)
    except Trouble as trouble:
        return {"code": trouble.code, "message": str(trouble)}
    except OSError as error:
        return {"code": _of_error(error).code, "message": str(error)}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return {"code": "not_mountable", "message": f"not understood: {error}"}


def main() -> None:
    """One line in, one line out; a stick that hangs ends it."""
    signal.alarm(TIME_LIMIT_S)
    told = answer(sys.stdin.buffer.readline(4096))
    sys.stdout.buffer.write(json.dumps(told).encode() + b"\n")


if __name__ == "__main__":
    main()
