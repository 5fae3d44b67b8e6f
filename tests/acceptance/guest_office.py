"""Hands inside the virtual machine: they ask for take-homes, look at sticks, and have odd ones mounted.

``guest_office.py QUESTIONS ANSWERS``: both are FIFOs; a line of JSON comes in, and one goes out.
"""

from __future__ import annotations

import errno
import hashlib
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from crm_client_api.courier.jobs import add_job, cancel_job, get_job
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.calls import CallFilter
from crm_client_api.domain.permissions import ALL_PERMISSIONS
from crm_client_api.take_home.choice import Wanted
from crm_client_api.take_home.job import TAKE_HOME
from firmware.clock import now_ms
from firmware.config import Home
from firmware.doorbell import ring
from firmware.media import mounter
from firmware.media.found import BlockDevice, media_of
from firmware.media.reader import copy_file, list_files
from firmware.store.connection import open_store, write
from recorder.tape.reader import TapeReader

HOME = Home(Path("/var/lib/tapdeck"))
ASKER = Actor("1")
NAME = "0123456789abcdef"


class Office:
    """What can be asked for: each public method by its name."""

    def __init__(self) -> None:
        self._crm = open_store(HOME.crm_db)
        calls = open_store(HOME.calls_db, readonly=True)
        self._hashes = dict(calls.conn.execute("SELECT id, sha256 FROM recordings").fetchall())

    def ask(self, medium: str) -> int:
        """Take everything home onto this stick; the job."""
        wanted = Wanted(medium=medium, filter=CallFilter(), until_ms=now_ms())
        with write(self._crm) as connection:
            job = add_job(connection, TAKE_HOME, ASKER, msgspec.to_builtins(wanted), ALL_PERMISSIONS)
        ring(HOME.doorbells)
        return job

    def job(self, number: int) -> dict[str, Any]:
        """How far a job is."""
        job = get_job(self._crm, number)
        return {"state": job.state, "held": job.held, "phase": job.phase, "error": job.error, "result": job.result}

    def give_up(self, number: int) -> None:
        """Cancel a job."""
        cancel_job(self._crm, number, ASKER)
        ring(HOME.doorbells)

    def look(self, root: str) -> dict[str, Any]:
        """How many recordings each of our folders lists, whether its list is complete, and all that is wrong.

        ``unreadable``: why the file system cannot be read.
        """
        try:
            return self._look(root)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return {"unreadable": str(error)}

    def _look(self, root: str) -> dict[str, Any]:
        folders, wrong = {}, list[str]()
        for folder in sorted(Path(root).glob("tapdeck-*")):
            listed, complete = 0, False
            if (folder / "data/head.js").exists():
                [head] = _said(folder / "data/head.js")
                complete = head["complete"]
                for piece in range(1, head["pieces"] + 1):
                    for row in _said(folder / f"data/calls-{piece:04d}.js")[1]:
                        for recording, place, *_ in row[17]:
                            listed += 1
                            if _digest(folder / place) != self._hashes[recording]:
                                wrong.append(f"{place} is listed")
            whole = {*self._hashes.values()}
            wrong += [str(file) for file in (folder / "recordings").rglob("*.flac") if _digest(file) not in whole]
            folders[folder.name] = [listed, complete]
        return {"folders": folders, "wrong": wrong}

    def mount(self, device: str) -> list[str]:
        """What comes of a stick that is plugged in: as udev sees it, mounted to be read, and to be written to."""
        node = f"/dev/{device}"
        subprocess.run(["blockdev", "--flushbufs", node], check=True)
        said = subprocess.run(["blkid", "-p", "-o", "udev", node], capture_output=True, check=False).stdout
        lines = said.decode(errors="surrogateescape").splitlines()
        properties = dict(line.split("=", 1) for line in lines if "=" in line)
        [found] = media_of([BlockDevice(device, device, 1, False, properties)])
        if found.reason:
            return [found.reason]
        return [_mounted(device, found.file_system, write) for write in (False, True)]

    def tape_end(self) -> int:
        """How many samples the recorder has on its tape."""
        reader = TapeReader(HOME.tapes / "bench.tape")
        try:
            head = reader.last_head()
            return 0 if head is None else (head.number + 1) * reader.geometry.block_samples
        finally:
            reader.close()


def _mounted(device: str, file_system: str, write: bool) -> str:
    """Mount it as the mounter does, read all that the box reads of a stick, and let it go."""
    asked = {"device": device, "name": NAME, "file_system": file_system, "write": write}
    told = mounter.answer(json.dumps({"ask": "mount", **asked}).encode())
    if "code" in told:
        return f"{told['code']}: {told['message']}"
    how = "written" if write else "read"
    try:
        for one in list_files(str(told["path"]), (".csv", ".flac", ".json"), 1 << 20)["files"]:
            with suppress(OSError), Path("/dev/null").open("wb") as nowhere:
                copy_file(str(told["path"]), one["place"], 1 << 20, nowhere.fileno())
        if write:
            (Path(str(told["path"])) / "new").write_bytes(bytes(100_000))
    except OSError as error:
        how = f"{how}: {error.strerror}"
    told = mounter.answer(json.dumps({"ask": "unmount", "name": NAME, "pulled": False}).encode())
    if "code" in told:
        how = f"{how}, {told['code']}: {told['message']}"
        mounter.answer(json.dumps({"ask": "unmount", "name": NAME, "pulled": True}).encode())
    return how


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except FileNotFoundError as error:
        return str(error)


def _said(script: Path) -> list[Any]:
    text = script.read_text(encoding="utf-8").strip()
    said: list[Any] = json.loads("[" + text[text.index("(") + 1 : text.rindex(")")] + "]")
    return said


def main(questions: str, answers: str) -> None:
    """Answer until the machine is switched off."""
    office = Office()
    while True:
        with Path(questions).open() as asked:
            for line in asked:
                verb, *given = json.loads(line)
                try:
                    told = {"told": getattr(office, verb)(*given)}
                except Exception as error:  # the test shall see it
                    told = {"failed": repr(error)}
                with Path(answers).open("w") as out:
                    out.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
