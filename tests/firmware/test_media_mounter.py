"""What the mounter refuses, and how it reads that a file system was left without goodbye."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.media import mounter
from firmware.media.unclean import HEAD_BYTES, fat_entry_at, is_exfat_unclean, is_ext_unclean, is_fat_unclean

NAME = "0123456789abcdef"


def asked(**question: object) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-m", "firmware.media.mounter"],
        input=json.dumps(question).encode() + b"\n", capture_output=True, check=True,
    )  # fmt: skip
    told: dict[str, object] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("device", ["vda", "vda1", "../vda", "sda;reboot", "", "sda/../vda", "nvme0n1", "sda\n"])
def test_only_usb_disks_are_touched(device: str) -> None:
    told = asked(ask="mount", device=device, name=NAME, file_system="vfat", write=True)
    assert told["code"] in ("not_mountable", "gone")


@pytest.mark.parametrize("name", ["", "..", "../../etc", "0123456789abcde", f"{NAME}/x", f"{NAME}\n", NAME.upper()])
def test_only_its_own_mount_points_are_touched(name: str) -> None:
    assert asked(ask="unmount", name=name)["code"] == "not_mountable"


@pytest.mark.parametrize("line", [b"", b"\n", b"[]\n", b"{}\n", b'{"ask":"reboot"}\n', b'{"ask":"mount"}\n', b"\xff\n"])
def test_nonsense_is_answered(line: bytes) -> None:
    assert mounter.answer(line)["code"] == "not_mountable"


def test_what_is_not_mounted_is_unmounted_already() -> None:
    assert asked(ask="unmount", name=NAME) == {}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may")
def test_without_the_right() -> None:
    assert asked(ask="clear") == {}


@pytest.mark.parametrize("file_system", ["vfat", "exfat", "ext4"])
def test_pulled_out_before_it_is_looked_at_or_while_it_is_checked(file_system: str, tmp_path: Path) -> None:
    for touch in (mounter._is_unclean, mounter._mend):
        with pytest.raises(mounter.Trouble) as trouble:
            touch(str(tmp_path / "sda"), file_system)
        assert trouble.value.code == "gone"


def fat32(linux: int = 0, entry: int = 0x0FFF_FFFF) -> tuple[bytes, bytes]:
    head = bytearray(HEAD_BYTES)
    struct.pack_into("<HBH", head, 11, 512, 8, 32)
    head[65] = linux
    return bytes(head), entry.to_bytes(4, "little")


def fat16(linux: int = 0, entry: int = 0xFFFF) -> tuple[bytes, bytes]:
    head = bytearray(HEAD_BYTES)
    struct.pack_into("<HBH", head, 11, 512, 8, 4)
    struct.pack_into("<H", head, 22, 250)
    head[37] = linux
    return bytes(head), entry.to_bytes(4, "little")


@pytest.mark.parametrize(
    ("said", "write", "code"),
    [  # as mount(8) of util-linux 2.38 says it
        ("can't read superblock on /dev/sda.", False, "io_errors"),
        ("mount(2) system call failed: Input/output error.", False, "io_errors"),
        ("wrong fs type, bad option, bad superblock on /dev/sda, missing codepage.", False, "damaged"),
        ("wrong fs type, bad option, bad superblock on /dev/sda, missing codepage.", True, "not_mountable"),
        ("unknown filesystem type 'exfat'.", False, "unsupported"),
    ],
)
def test_why_it_was_not_mounted(said: str, write: bool, code: str, tmp_path: Path) -> None:
    stick = tmp_path / "sda"
    stick.write_bytes(bytes(HEAD_BYTES))
    assert mounter._why_not(str(stick), f"mount: /run/tapdeck-media/x: {said}", write).code == code


def test_fat() -> None:
    assert fat_entry_at(fat32()[0]) == 32 * 512 + 4
    assert fat_entry_at(fat16()[0]) == 4 * 512 + 2
    for clean in (fat32(), fat16()):
        assert not is_fat_unclean(*clean)
    for unclean in (fat32(linux=1), fat16(linux=1), fat32(entry=0x07FF_FFFF), fat16(entry=0x7FFF)):
        assert is_fat_unclean(*unclean)


def test_fat12_has_no_flags_in_its_table() -> None:
    head = bytearray(fat16()[0])
    head[54:62] = b"FAT12   "
    assert fat_entry_at(bytes(head)) == 0
    assert not is_fat_unclean(bytes(head), b"")


@pytest.mark.parametrize(("flags", "unclean"), [(0, False), (1, False), (2, True), (3, True)])
def test_exfat(flags: int, unclean: bool) -> None:
    head = bytearray(HEAD_BYTES)
    struct.pack_into("<H", head, 106, flags)
    assert is_exfat_unclean(bytes(head)) is unclean


@pytest.mark.parametrize(
    ("state", "incompatible", "unclean"), [(1, 0, False), (0, 0, True), (3, 0, True), (1, 4, True), (1, 0x2C2, False)]
)
def test_ext(state: int, incompatible: int, unclean: bool) -> None:
    head = bytearray(HEAD_BYTES)
    struct.pack_into("<H", head, 1024 + 0x3A, state)
    struct.pack_into("<I", head, 1024 + 0x60, incompatible)
    assert is_ext_unclean(bytes(head)) is unclean


@given(st.binary(min_size=HEAD_BYTES, max_size=HEAD_BYTES), st.binary(max_size=4))
def test_no_head_is_too_odd(head: bytes, entry: bytes) -> None:
    for told in (is_fat_unclean(head, entry), is_exfat_unclean(head), is_ext_unclean(head)):
        assert isinstance(told, bool)
    assert fat_entry_at(head) >= 0


def test_ext4_as_it_is_made(tmp_path: Path) -> None:
    image = tmp_path / "ext4.img"
    image.touch()
    os.truncate(image, 8 << 20)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", str(image)], check=True)
    assert not is_ext_unclean(image.read_bytes()[:HEAD_BYTES])
