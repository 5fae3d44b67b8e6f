"""The tape on the file systems that a box may have: each in a file of its own, mounted for the test."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from recorded_lines import BLOCK, BOOT, CARD_ID, RATE_HZ, noise, put

from recorder.tape.format import geometry_for
from recorder.tape.reader import TapeReader, resume_point
from recorder.tape.writer import TapeWriter

SIZE_BYTES = 320 << 20
"""XFS makes nothing smaller than 300 MB."""
MAKE = {
    "ext4": ["mkfs.ext4", "-q", "-F"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
    "btrfs": ["mkfs.btrfs", "-q", "-f"],
    "f2fs": ["mkfs.f2fs", "-q", "-f"],
}
KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from recorded_lines import *
tape = TapeWriter(Path(sys.argv[1]), geometry_for(2, RATE_HZ, 0.5), CARD_ID)
put(tape, noise(2, 20 * BLOCK)[:, 8 * BLOCK :], 8 * BLOCK)
os.kill(os.getpid(), signal.SIGKILL)
"""


@contextmanager
def mounted(kind: str, folder: Path) -> Iterator[Path]:
    """A fresh file system; skips the test where there can be none."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    if shutil.which(MAKE[kind][0]) is None:
        pytest.skip(f"no {MAKE[kind][0]}")
    image, root = folder / "disk.img", folder / "disk"
    root.mkdir()
    with image.open("wb") as file:
        file.truncate(SIZE_BYTES)
    subprocess.run([*MAKE[kind], str(image)], check=True, capture_output=True)
    done = subprocess.run(["mount", "-o", "loop", str(image), str(root)], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{kind} cannot be mounted here: {done.stderr.strip()}")
    try:
        yield root
    finally:
        subprocess.run(["umount", "-l", str(root)], check=True)


def fill(root: Path) -> None:
    """Take all the room there is."""
    with (root / "ballast").open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            try:
                while True:
                    file.write(os.urandom(size))
            except OSError:
                pass


@pytest.mark.parametrize("kind", MAKE)
def test_written_synced_killed_full_and_mounted_again(kind: str, tmp_path: Path) -> None:
    sent = noise(2, 20 * BLOCK)
    with mounted(kind, tmp_path) as root:
        path = root / "t.tape"
        tape = TapeWriter(path, geometry_for(2, RATE_HZ, 0.5), CARD_ID)
        tape.join(BOOT, 0, 0)
        put(tape, sent[:, : 8 * BLOCK], 0)
        tape.close()
        subprocess.run([sys.executable, "-c", KILLED_WRITER, str(path)], check=False, cwd=Path(__file__).parent)
        assert resume_point(path).next_sample == 20 * BLOCK  # type: ignore[union-attr]
        fill(root)
        tape = TapeWriter(path, geometry_for(2, RATE_HZ, 0.5), CARD_ID)
        more = noise(2, tape.geometry.slots * BLOCK, seed=2)
        for first in range(0, more.shape[1], BLOCK):  # all round the ring: no slot wants new room
            put(tape, more[:, first : first + BLOCK], 20 * BLOCK + first)
            tape.spool.sync()
            assert tape.spool.trouble is None
        tape.close()
        subprocess.run(["umount", str(root)], check=True)
        subprocess.run(["mount", "-o", "loop", str(tmp_path / "disk.img"), str(root)], check=True)
        with closing(TapeReader(path)) as reader:
            out, gaps = reader.read(1, 20 * BLOCK, 20 * BLOCK + more.shape[1])
        assert gaps == []
        assert np.array_equal(out, more[1])


def test_btrfs_writes_the_ring_in_place(tmp_path: Path) -> None:
    with mounted("btrfs", tmp_path) as root:
        TapeWriter(root / "t.tape", geometry_for(1, RATE_HZ, 0.1), CARD_ID).close()
        flags = bytearray(8)
        with (root / "t.tape").open("rb") as file:
            fcntl.ioctl(file.fileno(), 0x80086601, flags)  # FS_IOC_GETFLAGS
        assert struct.unpack("l", flags)[0] & 0x00800000  # FS_NOCOW_FL
