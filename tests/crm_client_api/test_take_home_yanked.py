"""A FAT stick that is pulled out anywhere: what is on it is whole, the box mends it, and the job goes on to its end.

No file system is mounted: what the job does to its stick is logged, and done again to an image by mtools.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import sys
from collections import defaultdict
from pathlib import Path

import fat_stick
import pytest
from excel_office import work
from fat_stick import FatStick, unpack
from stick_office import ask, folders_on, listed, stick_box

from crm_client_api.take_home import landing
from firmware.config import Home
from firmware.media import mounter
from firmware.store.connection import write

sys.path.append(str(Path(__file__).parents[1] / "acceptance"))

import faulty_disk
from faulty_disk import FaultyDisk, Op

pytestmark = [
    pytest.mark.skipif(bool(faulty_disk.available()), reason=faulty_disk.available()),
    pytest.mark.skipif(bool(fat_stick.missing_tools()), reason=f"needs {', '.join(fat_stick.missing_tools())}"),
]
CALLS, PAGE_CALLS, BATCH_FILES = 9, 3, 5
LABEL = "stick"
SEEDS = range(40)
MANY = range(40, 1500)
GONE_ON_EVERY = 8


def done_again(ops: list[Op], stick: FatStick) -> None:
    """Do to the image what was done to the folder."""
    last_write = {op.file: at for at, op in enumerate(ops) if op.kind == "write"}
    contents: defaultdict[int, bytearray] = defaultdict(bytearray)
    there: set[str] = set()
    for at, op in enumerate(ops):
        match op.kind:
            case "mkdir":
                stick.make_folder(op.path)
            case "create":
                stick.write(op.path, b"")
                there.add(op.path)
            case "write":
                contents[op.file][op.at : op.at + len(op.data)] = op.data
                half = bytes(contents[op.file])
                if last_write[op.file] == at or len(half) >= landing.BLOCK_BYTES:
                    stick.write(op.path, half)
            case "rename":
                stick.rename(op.path, op.to, replaces=op.to in there)
                there = (there - {op.path}) | {op.to}
            case "unlink":
                stick.remove(op.path)
                there.discard(op.path)
            case "fsyncdir":
                stick.sync()
            case _:
                raise AssertionError(op.kind)


class Export:
    """One export, done with, whose every change of the stick is known; ``medium``: the stick's id."""

    def __init__(self, home: Home, contents: dict[str, str], medium: str, job: int) -> None:
        self.home, self.contents, self.medium, self.job = home, contents, medium, job
        self.ledger = home.root / "jobs" / str(job) / "landed.jsonl"
        self.landed = self.ledger.read_bytes().splitlines(keepends=True)

    def require_true(self, folder: Path) -> int:
        """What is listed is there and whole; how many recordings are listed."""
        files = [file for row in listed(folder)[1] for file in row[17]] if (folder / "data/head.js").exists() else []
        for recording, place, *_ in files:
            assert _digest(folder / place) == self.contents[recording], f"{place} is listed"
        return len(files)

    def require_whole(self, folder: Path) -> None:
        """No file has its own name that is not whole."""
        for file in (folder / "recordings").rglob("*.flac"):
            assert _digest(file) in self.contents.values(), f"{file.name} is half a file"


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture
def export(office, home, browse, monkeypatch):
    """An export onto a stick that logs."""
    monkeypatch.setattr(landing, "BATCH_FILES", BATCH_FILES)
    monkeypatch.setattr("crm_client_api.take_home.choice.PAGE_CALLS", PAGE_CALLS)
    made = [office.recorded(seconds=0.3) for _ in range(CALLS)]
    contents = {recording: hashlib.sha256(content).hexdigest() for _, recording, content in made}
    disk = FaultyDisk(home.root / "disk")
    disk.root = home.root / "sticks" / LABEL
    disk.root.mkdir(parents=True)
    real = landing.sync_file_system

    def noted_sync(root, also):
        real(root, also)
        folder = os.open(disk.root, os.O_RDONLY)  # syncfs(2) is not told to file systems like this one: say it so
        os.fsync(folder)
        os.close(folder)

    monkeypatch.setattr(landing, "sync_file_system", noted_sync)
    with disk, stick_box(home) as box:
        medium = box.wait_for(LABEL, "mounted").id
        browser = browse("1")
        job = ask(browser, medium).json["id"]
        work(home)
        told = browser.get(f"/jobs/{job}")
        assert told["state"] == "done", (told["held"], told["error"])
    monkeypatch.setattr(landing, "sync_file_system", real)
    disk.root.rmdir()
    return Export(home, contents, medium, job), disk.ops()


def gone_on(export: Export, crm, browser, tree: Path, dice: random.Random) -> None:
    """The stick comes back with what is on it, to a box that has noted more of it, or less."""
    export.ledger.write_bytes(b"".join(export.landed[: dice.randrange(len(export.landed) + 1)]))
    with write(crm) as connection:
        connection.execute("UPDATE jobs SET state = 'waiting', held = 'gone', tries = 0 WHERE id = ?", (export.job,))
    place = export.home.root / "sticks" / LABEL
    shutil.copytree(tree, place)
    with stick_box(export.home) as box:
        assert box.wait_for(LABEL, "mounted").id == export.medium
        work(export.home)
        told = browser.get(f"/jobs/{export.job}")
        assert told["state"] == "done", (told["held"], told["error"])
    (folder,) = folders_on(place)
    export.require_whole(folder)
    assert export.require_true(folder) == CALLS
    assert listed(folder)[0]["complete"]
    assert not list(folder.rglob("*.part"))
    shutil.rmtree(place)


@pytest.mark.parametrize(
    ("bits", "seeds"),
    [(32, SEEDS), pytest.param(16, MANY, marks=pytest.mark.soak), pytest.param(32, MANY, marks=pytest.mark.soak)],
    ids=["some", "many-16", "many-32"],
)
@pytest.mark.timeout(3600)
def test_pulled_out_anywhere(export, crm, browse, tmp_path, bits, seeds):
    export, ops = export
    stick = FatStick(tmp_path, bits)
    done_again(ops, stick)
    stick.finish()
    image, browser, found = tmp_path / "pulled.img", browse("1"), set()
    for seed in seeds:
        dice = random.Random(seed)
        stick.pulled(image, dice)
        for state in ("as it is", "mended"):
            if state == "mended":
                assert mounter._is_unclean(str(image), "vfat")
                mounter._mend(str(image), "vfat")
                fat_stick.run("fsck.fat", "-n", str(image))
            tree = unpack(image, tmp_path / state)
            for folder in folders_on(tree):
                found.add(export.require_true(folder))
                if state == "as it is":
                    export.require_whole(folder)
        if seed % GONE_ON_EVERY == 0:
            gone_on(export, crm, browser, tree, dice)
        for state in ("as it is", "mended"):
            shutil.rmtree(tmp_path / state)
    assert {0} < found
