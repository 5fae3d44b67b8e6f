"""A disk that does as it is told: a FUSE file system over a folder that refuses, dawdles, and logs all it is given.

``FaultyDisk`` is the test's side; the file system itself runs as a process of its own (``main``).
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from fnmatch import fnmatch
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal, Self

import msgspec

OpKind = Literal[
    "create", "mkdir", "rename", "unlink", "rmdir", "link", "write", "truncate", "grow", "fsync", "fsyncdir"
]


class Op(msgspec.Struct, frozen=True, array_like=True):
    """One change, in the order in which the disk took it.

    ``file`` numbers a file or folder from its making on, whatever its name; ``to`` is the new name of ``rename`` and
    ``link``; ``at`` an offset or a size; ``done_s`` when it was done (monotonic clock, s).
    """

    kind: OpKind
    path: str
    file: int = 0
    to: str = ""
    at: int = 0
    data: bytes = b""
    done_s: float = 0.0


class Fault(msgspec.Struct, frozen=True):
    """What goes wrong with ``op`` on files that match ``paths``, from offset ``low`` to below ``high``."""

    op: Literal["write", "sync"]
    paths: str = "*"
    error: str = ""
    delay_s: float = 0.0
    low: int = 0
    high: int = 1 << 62


def available() -> str:
    """Empty, or why there can be no such disk here."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "no /dev/fuse"
    try:
        import mfusepy  # noqa: F401
    except (ImportError, OSError) as error:
        return f"no FUSE: {error}"
    return ""


class FaultyDisk:
    """The mounted disk at ``root``."""

    def __init__(self, folder: Path) -> None:
        self.root, self._backing = folder / "disk", folder / "backing"
        self._control, self.log_path = folder / "faults.json", folder / "writes.log"
        for path in (self.root, self._backing):
            path.mkdir(parents=True)
        self.behave()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(self._backing), str(self.root), str(self._control), str(self.log_path)]
        )
        deadline = time.monotonic() + 20
        while not self.root.is_mount():
            assert self._process.poll() is None, "the file system did not start"
            assert time.monotonic() < deadline, "the file system did not appear"
            time.sleep(0.02)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.behave()
        subprocess.run(["fusermount3", "-u", "-z", str(self.root)], check=False)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def behave(self, *faults: Fault) -> None:
        """From now on these faults and no others."""
        draft = self._control.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(faults))
        draft.replace(self._control)

    def ops(self) -> list[Op]:
        """Everything the disk took so far."""
        raw = self.log_path.read_bytes()
        decoder, found, at = msgspec.msgpack.Decoder(Op), [], 0
        while at + 4 <= len(raw):
            size = int.from_bytes(raw[at : at + 4], "little")
            if at + 4 + size > len(raw):
                break
            found.append(decoder.decode(raw[at + 4 : at + 4 + size]))
            at += 4 + size
        return found


class _Log:
    """Numbers files and writes operations down. Thread: under the disk's lock."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._encoder = msgspec.msgpack.Encoder()
        self._numbers: dict[str, int] = {}
        self._count = 0

    def number(self, path: str) -> int:
        return self._numbers.get(path, 0)

    def made(self, kind: OpKind, path: str) -> None:
        self._count += 1
        self._numbers[path] = self._count
        self.add(Op(kind, path, self._count))

    def moved(self, old: str, new: str) -> None:
        self.add(Op("rename", old, self.number(old), new))
        for path in [path for path in self._numbers if path == old or path.startswith(f"{old}/")]:
            self._numbers[new + path[len(old) :]] = self._numbers.pop(path)

    def linked(self, old: str, new: str) -> None:
        self._numbers[new] = self.number(old)
        self.add(Op("link", old, self.number(old), new))

    def removed(self, kind: OpKind, path: str) -> None:
        self.add(Op(kind, path, self._numbers.pop(path, 0)))

    def add(self, op: Op) -> None:
        raw = self._encoder.encode(msgspec.structs.replace(op, done_s=time.monotonic()))
        self._file.write(len(raw).to_bytes(4, "little") + raw)
        self._file.flush()


def _operations(backing: str, control: Path, log_file: BinaryIO) -> Any:
    import mfusepy

    log, lock = _Log(log_file), threading.Lock()
    turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
    seen: dict[str, Any] = {"at": None, "faults": []}

    def faults() -> list[Fault]:
        at = control.stat().st_mtime_ns
        if at != seen["at"]:
            seen["at"], seen["faults"] = at, msgspec.json.decode(control.read_bytes(), type=list[Fault])
        found: list[Fault] = seen["faults"]
        return found

    def suffer(op: str, path: str, low: int = 0, high: int = 1) -> None:
        """Wait or fail as the first matching fault says; folders wait apart, as disks do."""
        for fault in faults():
            if fault.op == op and fnmatch(path.lstrip("/"), fault.paths) and low < fault.high and high > fault.low:
                if fault.delay_s:
                    with turns[os.path.dirname(path)]:  # noqa: PTH120
                        time.sleep(fault.delay_s)
                if fault.error:
                    raise OSError(getattr(errno, fault.error), os.strerror(getattr(errno, fault.error)))
                return

    class Operations(mfusepy.Operations):
        use_ns = True

        def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
            found = os.lstat(backing + path)
            names = ("st_atime_ns", "st_ctime_ns", "st_mtime_ns", "st_gid", "st_mode", "st_nlink", "st_size", "st_uid")
            return {name.removesuffix("_ns"): getattr(found, name) for name in names}

        def readdir(self, path: str, fh: int) -> Any:
            return [".", "..", *os.listdir(backing + path)]  # noqa: PTH208

        def statfs(self, path: str) -> dict[str, int]:
            found = os.statvfs(backing + path)
            return {name: getattr(found, name) for name in dir(found) if name.startswith("f_") and name != "f_fsid"}

        def open(self, path: str, flags: int) -> int:
            fh = os.open(backing + path, flags & ~os.O_APPEND)
            if flags & os.O_TRUNC:
                with lock:
                    log.add(Op("truncate", path, log.number(path)))
            return fh

        def create(self, path: str, mode: int, fi: Any = None) -> int:
            suffer("write", path)
            with lock:
                fh = os.open(backing + path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, mode)
                log.made("create", path)
            return fh

        def mknod(self, path: str, mode: int, dev: int) -> int:
            os.mknod(backing + path, mode, dev)  # a socket; after a cut nobody listens to it
            return 0

        def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
            return os.pread(fh, size, offset)

        def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
            suffer("write", path, offset, offset + len(data))
            with lock:
                size = os.pwrite(fh, data, offset)
                log.add(Op("write", path, log.number(path), at=offset, data=data[:size]))
            return size

        def truncate(self, path: str, length: int, fh: int | None = None) -> None:
            suffer("write", path)
            with lock:
                os.truncate(backing + path, length)
                log.add(Op("truncate", path, log.number(path), at=length))

        def fallocate(self, path: str, mode: int, offset: int, size: int, fh: int) -> int:
            if mode:
                raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
            suffer("write", path)
            with lock:
                os.posix_fallocate(fh, offset, size)
                log.add(Op("grow", path, log.number(path), at=offset + size))
            return 0

        def fsync(self, path: str, datasync: int, fh: int) -> int:
            suffer("sync", path)
            with lock:
                log.add(Op("fsync", path, log.number(path)))
            return 0

        def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
            suffer("sync", path)
            with lock:
                log.add(Op("fsyncdir", path, log.number(path)))
            return 0

        def flush(self, path: str, fh: int) -> int:
            return 0

        def release(self, path: str, fh: int) -> int:
            os.close(fh)
            return 0

        def mkdir(self, path: str, mode: int) -> int:
            suffer("write", path)
            with lock:
                os.mkdir(backing + path, mode)  # noqa: PTH102
                log.made("mkdir", path)
            return 0

        def rmdir(self, path: str) -> int:
            with lock:
                os.rmdir(backing + path)  # noqa: PTH106
                log.removed("rmdir", path)
            return 0

        def unlink(self, path: str) -> int:
            suffer("write", path)
            with lock:
                os.unlink(backing + path)  # noqa: PTH108
                log.removed("unlink", path)
            return 0

        def rename(self, old: str, new: str) -> int:
            suffer("write", old)
            with lock:
                os.rename(backing + old, backing + new)  # noqa: PTH104
                log.moved(old, new)
            return 0

        def link(self, target: str, source: str) -> int:
            suffer("write", target)
            with lock:
                os.link(backing + source, backing + target)
                log.linked(source, target)
            return 0

        def chmod(self, path: str, mode: int) -> int:
            os.chmod(backing + path, mode)  # noqa: PTH101
            return 0

        def chown(self, path: str, uid: int, gid: int) -> int:
            os.chown(backing + path, uid, gid)
            return 0

        def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
            os.utime(backing + path, ns=times)
            return 0

    return mfusepy, Operations()


def main(backing: str, root: str, control: str, log: str) -> None:
    """Serve until unmounted."""
    with Path(log).open("wb") as file:
        mfusepy, operations = _operations(backing, Path(control), file)
        mfusepy.FUSE(operations, root, foreground=True, max_threads=8)


if __name__ == "__main__":
    main(*sys.argv[1:])
