"""A small Debian under QEMU with the box's own units, into which virtual USB sticks are plugged.

Real kernel, udev, systemd and sandboxes; only the processor and the sticks are emulated. Needs root, qemu-system-x86,
mmdebstrap and e2fsprogs.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from virtual_machine import CPU, REPOSITORY, SPEECH

from firmware.media.medium import Medium, State

PACKAGES = (
    "linux-image-amd64,systemd,systemd-sysv,udev,dbus,python3,kmod,mount,fdisk,e2fsprogs,dosfstools,exfatprogs,ntfs-3g,"
    "btrfs-progs,libsndfile1"
)
MODULES = "virtio_pci\nvirtio_blk\next4\n"
GUEST_SCRIPTS = ("stick_job.py", "guest_office.py", "guest_restore.py")
LOOK_BYTES = 64 << 20
BOOT_S = 300
_AGENT = """
import json, os, subprocess, tty
line = open("/dev/ttyS1", "r+b", buffering=0)
tty.setraw(line.fileno())
line.write(b"ready\\n")
while True:
    asked = b""
    while not asked.endswith(b"\\n"):
        asked += line.read(1)
    done = subprocess.run(json.loads(asked), shell=True, capture_output=True, text=True, errors="replace")
    told = {"code": done.returncode, "out": done.stdout[-60000:], "error": done.stderr[-4000:]}
    line.write(json.dumps(told).encode() + b"\\n")
"""
_AGENT_UNIT = """[Unit]
Description=Hands of the test
DefaultDependencies=no
After=local-fs.target systemd-udevd.service
[Service]
ExecStart=/usr/bin/python3 /opt/agent.py
Restart=always
[Install]
WantedBy=multi-user.target
"""
_PYTHON = """#!/bin/sh
PYTHONPATH=/opt/tapdeck/site:/opt/site exec python3 "$@"
"""
_TAPDECK = """#!/bin/sh
exec /opt/tapdeck/bin/python -m firmware "$@"
"""


_SET_UP = """set -e
cd /opt/tapdeck/systemd
cp *.service *.socket *.target *.path /etc/systemd/system/
cp sysusers.d/* /usr/lib/sysusers.d/
cp tmpfiles.d/* /usr/lib/tmpfiles.d/
systemd-sysusers
systemd-tmpfiles --create
mkdir -p /etc/tapdeck
systemctl daemon-reload
systemctl start tapdeck-mounter.socket tapdeck-keeper.service
"""
_MOVE_IN = """set -e
systemctl stop tapdeck-keeper.service
cp -a /opt/tapdeck/home/. /var/lib/tapdeck/
chown -R tapdeck-recorder:tapdeck /var/lib/tapdeck
chmod -R u+rwX,g+rwX,o-rwx /var/lib/tapdeck
systemctl start tapdeck-keeper.service tapdeck-courier.service
mkfifo /run/questions /run/answers
systemd-run --quiet /opt/tapdeck/bin/python /opt/tapdeck/guest_office.py /run/questions /run/answers
"""
_LOOK = """set -e
umount /run/look 2>/dev/null || true
mkdir -p /run/look
rm -f /run/look.img
dd if=/dev/vdc of=/run/look.img bs=1M iflag=direct conv=sparse status=none
"""
_MOUNT_LOOK = {
    "vfat": "mount -o loop,ro,utf8=1 /run/look.img /run/look",
    "exfat": "mount -o loop,ro,iocharset=utf8 /run/look.img /run/look",
    "ntfs": "{ ntfs-3g /run/look.img /run/look || { ntfsfix /run/look.img && ntfs-3g /run/look.img /run/look; }; } >&2",
    "ext4": "mount -o loop /run/look.img /run/look",
}
"""As other computers read a stick that was pulled out: Linux and Windows play the journal first.

ntfs-3g refuses NTFS between the writing of $MFT and that of its mirror; Windows mends it by itself.
"""
_COURIER = (
    "systemd-run --quiet --pipe --wait -p User=tapdeck-api -p Group=tapdeck -p UMask=0007 -p ProtectSystem=strict"
    " -p ProtectHome=yes -p PrivateTmp=yes -p PrivateDevices=yes -p PrivateNetwork=yes -p NoNewPrivileges=yes"
    " -p CapabilityBoundingSet= -p RestrictAddressFamilies=AF_UNIX -p SystemCallFilter=@system-service"
    " -p 'ReadWritePaths=/var/lib/tapdeck /run/tapdeck /run/tapdeck-media'"
    " /opt/tapdeck/bin/python /opt/tapdeck/stick_job.py"
)
"""With the user and the sandbox of the courier."""


@dataclass(frozen=True, slots=True)
class System:
    """What the machine boots from: Debian with the libraries, and a disk with the project."""

    root: Path
    project: Path
    kernel: Path
    initrd: Path


def build_root(folder: Path) -> tuple[Path, Path, Path]:
    """Debian with the locked libraries, kernel and initial RAM disk; takes some minutes."""
    root = folder / "root"
    apt = [f"--aptopt={file}" for file in sorted(Path("/etc/apt/apt.conf.d").glob("99*"))]
    hooks = [
        '--customize-hook=echo "MODULES=list" >> "$1/etc/initramfs-tools/initramfs.conf"',
        f'--customize-hook=printf "{MODULES}" >> "$1/etc/initramfs-tools/modules"',
        '--customize-hook=chroot "$1" update-initramfs -u',
    ]
    run("mmdebstrap", "--variant=minbase", *apt, f"--include={PACKAGES}", *hooks, "bookworm", str(root))
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(root / "opt" / "site")]
    run(*pip, "--require-hashes", "-r", str(REPOSITORY / "requirements.lock"))
    if SPEECH.is_dir():
        shutil.copytree(SPEECH, root / SPEECH.relative_to("/"), symlinks=True)
    (root / "opt" / "agent.py").write_text(_AGENT)
    (root / "opt" / "tapdeck").mkdir()
    units = root / "etc" / "systemd" / "system"
    (units / "agent.service").write_text(_AGENT_UNIT)
    (units / "multi-user.target.wants").mkdir(exist_ok=True)
    (units / "multi-user.target.wants" / "agent.service").symlink_to("../agent.service")
    (root / "etc" / "fstab").write_text("/dev/vdb /opt/tapdeck ext4 ro 0 0\n")
    disk = folder / "root.img"
    run("mke2fs", "-q", "-t", "ext4", "-d", str(root), str(disk), "4G")
    return disk, next((root / "boot").glob("vmlinuz-*")), next((root / "boot").glob("initrd.img-*"))


def build_project(folder: Path, home: Path | None = None) -> Path:
    """A disk with the project as it is installed on the box, its units, and perhaps a home to move into."""
    shutil.rmtree(folder / "copy", ignore_errors=True)
    shutil.rmtree(folder / "opt", ignore_errors=True)
    for name in ("firmware", "drivers", "recorder", "crm_client_api"):
        shutil.copytree(REPOSITORY / name, folder / "copy" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(REPOSITORY / name, folder / "copy" / name)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    run(*pip, "--target", str(folder / "opt" / "site"), str(folder / "copy"))
    follow_wanted = (REPOSITORY / "systemd" / "follow-wanted").read_text()
    for place, text in (("bin/python", _PYTHON), ("bin/tapdeck", _TAPDECK), ("lib/follow-wanted", follow_wanted)):
        file = folder / "opt" / place
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)
    shutil.copytree(REPOSITORY / "systemd", folder / "opt" / "systemd")
    for name in GUEST_SCRIPTS:
        shutil.copy(Path(__file__).with_name(name), folder / "opt")
    if home is not None:
        shutil.copytree(home, folder / "opt" / "home", ignore=shutil.ignore_patterns("run", "doorbells"))
    disk = folder / "project.img"
    run("mke2fs", "-q", "-F", "-t", "ext4", "-d", str(folder / "opt"), str(disk), "96M")
    return disk


def run(*argv: str) -> None:
    """Run to the end; fails with what it said."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}"


class StickMachine:
    """One boot. ``run`` works inside; ``plug`` and ``pull`` work on the USB sockets."""

    def __init__(self, system: System, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._looked_at = folder / "looked-at.img"
        self._looked_at.touch()
        os.truncate(self._looked_at, LOOK_BYTES)
        self._process = subprocess.Popen(
            [
                "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-machine", "q35", "-cpu", CPU, "-smp", "2",
                "-m", "1536", "-display", "none", "-nodefaults", "-no-reboot",
                "-serial", f"file:{folder / 'console.log'}",
                "-chardev", f"socket,id=hands,path={folder / 'hands'},server=on,wait=off", "-serial", "chardev:hands",
                "-qmp", f"unix:{folder / 'qmp'},server=on,wait=off",
                "-drive", f"file={system.root},format=raw,if=none,id=d0,snapshot=on",
                "-device", "virtio-blk-pci,drive=d0",
                "-drive", f"file={system.project},format=raw,if=none,id=d1,readonly=on",
                "-device", "virtio-blk-pci,drive=d1", "-device", "virtio-rng-pci", "-device", "qemu-xhci,id=usb",
                "-drive", f"file={self._looked_at},format=raw,if=none,id=d2,readonly=on,file.locking=off",
                "-device", "virtio-blk-pci,drive=d2",
                "-kernel", str(system.kernel), "-initrd", str(system.initrd),
                "-append", "root=/dev/vda rw console=ttyS0 quiet mitigations=off panic=-1 systemd.log_color=0",
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._hands = _Lines(folder / "hands", self._process)
        self._qmp = _Lines(folder / "qmp", self._process)
        self._qmp.read(30)
        self._order("qmp_capabilities")
        assert self._hands.read(BOOT_S).strip().endswith(b"ready")

    def run(self, command: str, *, check: bool = True, within_s: float = 120) -> str:
        """What a shell command says inside; fails when it fails, unless not ``check``."""
        self._hands.write(json.dumps(command).encode() + b"\n")
        told = json.loads(self._hands.read(within_s))
        assert not check or told["code"] == 0, (command, told)
        return str(told["out"])

    def set_up(self) -> None:
        """Install the units as on the box, and start the keeper."""
        self.run(_SET_UP, within_s=300)

    def move_in(self) -> None:
        """Take over the home that the project's disk holds, and let the courier work there."""
        self.run(_MOVE_IN, within_s=300)

    def ask_office(self, verb: str, *given: object) -> Any:
        """What the office says; see ``guest_office.Office``."""
        question = shlex.quote(json.dumps([verb, *given]))
        told = json.loads(self.run(f"echo {question} > /run/questions; head -n 1 /run/answers", within_s=300))
        assert "failed" not in told, (verb, given, told)
        return told["told"]

    def look_at(self, image: Path, file_system: str) -> Any:
        """What the office sees on a stick of ``LOOK_BYTES`` that is not plugged in."""
        shutil.copyfile(image, self._looked_at)
        self.run(f"{_LOOK}{_MOUNT_LOOK[file_system]}")
        try:
            return self.ask_office("look", "/run/look")
        finally:
            self.run("umount /run/look")

    def media(self) -> list[Medium]:
        """What the keeper tells."""
        told = self.run("cat /run/tapdeck/media.json", check=False)
        return msgspec.json.decode(told, type=list[Medium]) if told else []

    def wait_for(self, state: State, *, label: str = "", within_s: float = 90) -> Medium:
        """The medium with this label in this state."""
        deadline = time.monotonic() + within_s
        while True:
            media = self.media()
            for medium in media:
                if (medium.label, medium.state) == (label, state):
                    return medium
            assert time.monotonic() < deadline, (state, label, media, self.journal())
            time.sleep(0.3)

    def wait_gone(self, medium_id: str) -> None:
        """Until the keeper knows that it was pulled out, and nothing of it is mounted."""
        deadline = time.monotonic() + 60
        while any(one.id == medium_id for one in self.media()) or self.options(medium_id):
            assert time.monotonic() < deadline, (self.media(), self.journal())
            time.sleep(0.3)

    def options(self, medium_id: str) -> set[str]:
        """Options with which it is mounted; none when it is not."""
        lines = self.run(f"grep ' /run/tapdeck-media/{medium_id} ' /proc/mounts", check=False).splitlines()
        return set(lines[-1].split()[3].split(",")) if lines else set()

    def job(self, medium_id: str, how: str) -> Any:
        """What a job says that writes to the medium, once or until it is gone."""
        return json.loads(self.run(f"{_COURIER} {medium_id} {how}", within_s=180).splitlines()[-1])

    def begin_job(self, medium_id: str) -> None:
        """Let a job write until the medium is gone."""
        self.run(f"{_COURIER} {medium_id} until_gone > /tmp/{medium_id} 2>&1 &")
        self.wait_for_text(f"/tmp/{medium_id}", "written 2")

    def end_of_job(self, medium_id: str) -> Any:
        """What it said at its end."""
        return json.loads(self.wait_for_text(f"/tmp/{medium_id}", "{").splitlines()[-1])

    def wait_for_text(self, file: str, text: str) -> str:
        """Until a file holds a text; all that it holds."""
        deadline = time.monotonic() + 120
        while text not in (told := self.run(f"cat {file}", check=False)):
            assert time.monotonic() < deadline, (told, self.journal())
            time.sleep(0.3)
        return told

    def journal(self) -> str:
        """What keeper and mounter said last."""
        return self.run(
            "journalctl --no-pager -u tapdeck-keeper -u 'tapdeck-mounter@*' | tail -30; dmesg | tail", check=False
        )

    def plug(self, name: str, image: Path, *, readonly: bool = False, dying: bool = False) -> None:
        """Put a stick with this image into a socket; ``dying``: everything that is written to it fails."""
        file: dict[str, Any] = {"driver": "file", "filename": str(image), "locking": "off"}
        if dying:
            fails = {"event": "none", "iotype": "write", "errno": 5}
            file = {"driver": "blkdebug", "image": file, "inject-error": [fails]}
        self._order("blockdev-add", driver="raw", file=file, **{"node-name": name, "read-only": readonly})
        serial = f"TAPDECK{name}"
        stick = {"driver": "usb-storage", "id": f"stick-{name}", "drive": name, "serial": serial, "removable": True}
        self._order("device_add", bus="usb.0", **stick)

    def disk_of(self, name: str) -> str:
        """The kernel's name of a stick that was plugged in."""
        found = f"readlink -f /dev/disk/by-id/usb-*TAPDECK{name}-0:0"
        told = self.run(f'until [ -b "$({found})" ]; do sleep 0.2; done; udevadm settle; {found}')
        return told.strip().removeprefix("/dev/")

    def pull(self, name: str) -> None:
        """Pull it out, whatever goes on."""
        self._order("device_del", id=f"stick-{name}")
        while True:
            told = json.loads(self._qmp.read(30))
            if told.get("event") == "DEVICE_DELETED" and told["data"].get("device") == f"stick-{name}":
                break
        self._order("blockdev-del", **{"node-name": name})

    def _order(self, execute: str, **arguments: Any) -> None:
        self._qmp.write(json.dumps({"execute": execute, "arguments": arguments}).encode() + b"\n")
        while True:
            told = json.loads(self._qmp.read(30))
            assert "error" not in told, (execute, arguments, told)
            if "return" in told:
                return

    def console(self) -> str:
        """What the kernel said last."""
        return (self._folder / "console.log").read_text(errors="replace")[-4000:]

    def close(self) -> None:
        """Pull the plug of the machine."""
        self._process.kill()
        self._process.communicate()


class _Lines:
    """Lines over a unix socket of QEMU."""

    def __init__(self, path: Path, process: subprocess.Popen[bytes]) -> None:
        self._link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        deadline = time.monotonic() + 30
        while True:
            try:
                self._link.connect(str(path))
                break
            except OSError:
                error = process.stderr.read() if process.poll() is not None and process.stderr else b""
                assert process.poll() is None, error
                assert time.monotonic() < deadline, path
                time.sleep(0.05)
        self._rest = b""

    def write(self, line: bytes) -> None:
        self._link.sendall(line)

    def read(self, within_s: float) -> bytes:
        self._link.settimeout(within_s)
        while b"\n" not in self._rest:
            piece = self._link.recv(65536)
            assert piece, "the machine has ended"
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        return line
