"""A small Debian under QEMU that records on a disk of its own, and whose power can be cut.

Made with mmdebstrap and the project's own lock; needs root, qemu-system-x86, mmdebstrap and e2fsprogs. The processor
is emulated: a virtual machine inside another one cannot count on anything else.
"""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
PACKAGES = (
    "linux-image-amd64,python3,kmod,f2fs-tools,xfsprogs,btrfs-progs,e2fsprogs,libsndfile1,mount,"
    "nfs-kernel-server,nfs-common,samba,cifs-utils,nftables,iproute2"
)
MODULES = "virtio_pci\nvirtio_blk\next4\n"
GUEST_SCRIPTS = ("guest_init.py", "guest_shares.py")
SPEECH = Path("/usr/share/asterisk/sounds")
BOOT_S = 240
CPU = "Nehalem"
"""Without AVX: what QEMU 7.2 makes of it ends numpy's strided loops with SIGSEGV, which no real processor does."""


@dataclass(frozen=True, slots=True)
class Guest:
    """What a machine boots from; the root disk is never written to."""

    root: Path
    kernel: Path
    initrd: Path


def missing_tools() -> list[str]:
    """What this machine lacks to build and run a guest."""
    return [tool for tool in ("qemu-system-x86_64", "mmdebstrap", "mke2fs") if shutil.which(tool) is None]


def build_guest(folder: Path) -> Guest:
    """Make root disk, kernel and initial RAM disk in ``folder``; takes some minutes."""
    root = folder / "root"
    apt = [f"--aptopt={file}" for file in sorted(Path("/etc/apt/apt.conf.d").glob("99*"))]
    hooks = [
        '--customize-hook=echo "MODULES=list" >> "$1/etc/initramfs-tools/initramfs.conf"',
        f'--customize-hook=printf "{MODULES}" >> "$1/etc/initramfs-tools/modules"',
        '--customize-hook=chroot "$1" update-initramfs -u',
    ]
    _run("mmdebstrap", "--variant=minbase", *apt, f"--include={PACKAGES}", *hooks, "bookworm", str(root))
    site = root / "opt" / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(site)]
    _run(*pip, "--require-hashes", "-r", str(REPOSITORY / "requirements.lock"))
    _run(*pip, "--no-build-isolation", str(_clean_copy(folder)))
    if SPEECH.is_dir():
        shutil.copytree(SPEECH, root / SPEECH.relative_to("/"), symlinks=True)
    for name in GUEST_SCRIPTS:
        shutil.copy(Path(__file__).with_name(name), site)
    disk = folder / "root.img"
    _run("mke2fs", "-q", "-t", "ext4", "-d", str(root), str(disk), "2G")
    return Guest(disk, next((root / "boot").glob("vmlinuz-*")), next((root / "boot").glob("initrd.img-*")))


def _clean_copy(folder: Path) -> Path:
    """The project without what set-up made in it: building a package writes beside its sources."""
    copy = folder / "project"
    copy.mkdir()
    for name in ("firmware", "drivers", "recorder", "crm_client_api"):
        shutil.copytree(REPOSITORY / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(REPOSITORY / name, copy / name)
    return copy


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}"


class Machine:
    """One boot: ``phase`` with data disk ``data``. ``cut`` is the power cut: the guest's memory is gone."""

    def __init__(self, guest: Guest, data: Path, phase: str, file_system: str, share: str = "") -> None:
        append = (
            "root=/dev/vda rw console=ttyS0 quiet mitigations=off panic=-1 init=/usr/bin/python3"
            " -- /opt/site/guest_init.py"
        )
        words = f"tapdeck.phase={phase} tapdeck.fs={file_system} tapdeck.share={share} {append}"
        self._process = subprocess.Popen(
            [
                "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-machine", "q35", "-cpu", CPU, "-smp", "2",
                "-m", "1536", "-display", "none", "-nodefaults", "-no-reboot", "-serial", "stdio",
                "-drive", f"file={guest.root},format=raw,if=none,id=d0,snapshot=on",
                "-device", "virtio-blk-pci,drive=d0",
                "-drive", f"file={data},format=raw,if=none,id=d1,cache=writeback",
                "-device", "virtio-blk-pci,drive=d1", "-device", "virtio-rng-pci",
                "-kernel", str(guest.kernel), "-initrd", str(guest.initrd), "-append", words,
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._told: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.console: list[str] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for raw in self._process.stdout:
            line = raw.decode(errors="replace").strip()
            if line.startswith("TAPDECK "):
                self._told.put(json.loads(line.removeprefix("TAPDECK ")))
            else:
                self.console.append(line)
        self._told.put(None)

    def next(self, timeout_s: float) -> dict[str, Any]:
        """What the guest says next. Fails when it says that something failed, or says nothing."""
        try:
            told = self._told.get(timeout=timeout_s)
        except queue.Empty:
            told = None
        assert told is not None, "the guest fell silent:\n" + "\n".join(self.console[-40:])
        assert told["what"] != "failed", (told, self.console[-20:])
        return told

    def heard_for(self, seconds: float) -> dict[str, Any]:
        """The last that the guest said within so many seconds."""
        deadline, last = time.monotonic() + seconds, self.next(BOOT_S)
        while (left := deadline - time.monotonic()) > 0:
            last = self.next(max(30.0, left))
        while not self._told.empty():
            last = self.next(1)
        return last

    def cut(self) -> None:
        """Pull the plug."""
        self._process.kill()
        self._process.wait()

    def wait(self) -> None:
        """The guest switches itself off."""
        self._process.wait(120)
