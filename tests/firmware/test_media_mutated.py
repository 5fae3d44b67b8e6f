"""Sticks that somebody tampered with, without mounting them: whatever is on them, the box gets along and says why."""

from __future__ import annotations

import multiprocessing
import resource
import subprocess
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import get_args

import pytest
from mutated_sticks import KINDS, Mutations, make, missing_tools, run

from firmware.media import mounter
from firmware.media.found import BlockDevice, Found, media_of
from firmware.media.medium import Reason, WriteRefusal
from firmware.media.mounter import Trouble

SOME, MANY = 34, 1667
"""Of each of six kinds: some 200 always, 10,000 with --soak."""
FIRST_FOLDERS = (3, 4)
"""Clusters of the folders that are made first on a stick whose root is cluster 2."""
MEMORY_KIB = 512 << 10
"""What the mounter's unit allows."""


def seen(image: Path) -> Found:
    """What the keeper makes of it, by what udev's blkid says."""
    done = subprocess.run(
        ["/usr/sbin/blkid", "-p", "-o", "udev", str(image)], capture_output=True, text=True, errors="surrogateescape",
        check=False,
    )  # fmt: skip
    properties = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    [found] = media_of([BlockDevice("sda", "sda", image.stat().st_size, False, properties)])
    return found


def tried(image: Path, file_system: str) -> str:
    """Looked at as when it is plugged in, and mended as when a job wants to write: what came of it."""
    try:
        mounter._is_unclean(str(image), file_system)
    except Trouble as trouble:
        require_clear(trouble)
        return trouble.code
    try:
        mounter._mend(str(image), file_system)
    except Trouble as trouble:
        require_clear(trouble)
        return trouble.code
    return "mended"


def require_clear(trouble: Trouble) -> None:
    """A reason that everybody knows, and a message that is text."""
    assert trouble.code in {*get_args(Reason), *get_args(WriteRefusal)} - {""}, trouble.code
    assert str(trouble).isprintable(), str(trouble)
    assert 10 < len(str(trouble)) < 700


def mutate_and_try(kind: str, seeds: range, folder: Path) -> tuple[Counter[str], int]:
    """What came of each seed, and the most memory (KiB) that one of the programs took.

    In a process of its own: a program's figure begins with that of the process that started it.
    """
    mutations = Mutations(kind, folder)
    assert tried(mutations.image, seen(mutations.image).file_system) == "mended"
    told: Counter[str] = Counter()
    for seed in seeds:
        mutations.lay(seed)
        found = seen(mutations.image)
        assert found.label.isprintable()
        assert found.file_system.isprintable()
        told[found.reason or tried(mutations.image, found.file_system)] += 1
    return told, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


@pytest.mark.parametrize(
    "seeds", [range(SOME), pytest.param(range(SOME, MANY), marks=pytest.mark.soak)], ids=["some", "many"]
)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.timeout(3600)
def test_mutated_sticks(kind: str, seeds: range, tmp_path: Path) -> None:
    if missing := missing_tools(kind):
        pytest.skip(f"needs {', '.join(missing)}")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
        told, most_kib = fresh.submit(mutate_and_try, kind, seeds, tmp_path).result()
    print(kind, dict(told), most_kib)
    assert len(told) > 1
    assert most_kib < MEMORY_KIB


def test_what_one_check_lays_open_is_mended_too(tmp_path: Path) -> None:
    """A folder whose first cluster is free: fsck.fat cuts it to nothing, and then finds a folder that is nowhere."""
    if missing := missing_tools("fat32"):
        pytest.skip(f"needs {', '.join(missing)}")
    image = tmp_path / "fat32.img"
    make("fat32", image, tmp_path)
    with image.open("r+b") as stick:
        head = stick.read(512)
        reserved, (cluster, _) = int.from_bytes(head[14:16], "little"), FIRST_FOLDERS
        fat_bytes = int.from_bytes(head[36:40], "little") * 512
        for table in range(2):
            stick.seek(reserved * 512 + table * fat_bytes + cluster * 4)
            stick.write(bytes(4))
        stick.seek(65)
        stick.write(b"\1")
    mounter._mend(str(image), "vfat")
    run("fsck.fat", "-n", str(image))


def test_ntfs_that_cannot_be_read_is_mended_as_it_is_plugged_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pulled out between the writing of $MFT and of its mirror; a real kernel mounts it in test_real_yanks."""
    if missing := missing_tools("ntfs"):
        pytest.skip(f"needs {', '.join(missing)}")
    image = tmp_path / "ntfs.img"
    make("ntfs", image, tmp_path)
    with image.open("r+b") as stick:
        head = stick.read(512)
        cluster_bytes, first = int.from_bytes(head[11:13], "little") * head[13], int.from_bytes(head[48:56], "little")
        stick.seek(first * cluster_bytes + 8)  # of the $MFT's own record: the number of its last change
        stick.write(b"\1")
    monkeypatch.setattr(mounter, "MOUNTS", tmp_path / "mounts")
    monkeypatch.setattr(mounter, "_node", lambda device: str(image))
    monkeypatch.setattr(mounter, "_mount", lambda node, *_: run("ntfs-3g.probe", "--readonly", node))
    monkeypatch.setattr(mounter, "_look", lambda *_: {})
    assert mounter._is_unclean(str(image), "ntfs")
    told = mounter.mount("sda", "0" * 16, "ntfs", write=False)
    assert told["unclean"] is False
    assert not mounter._is_unclean(str(image), "ntfs")
