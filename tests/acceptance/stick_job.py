"""A job that writes to a stick inside the virtual machine: ``stick_job.py MEDIUM once|until_gone``. Tells in JSON."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from firmware.config import Home
from firmware.media.asking import Wanted, ask_to_write
from firmware.media.medium import MediumGone, MediumRefused

NAME = "录音 2026-11-22 13812345678 张伟.flac"
CONTENT = bytes(range(256)) * 4096


def write(folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("wb") as file:
        file.write(CONTENT)
        os.fsync(file.fileno())


def work(wanted: Wanted, how: str) -> dict[str, object]:
    folder, number = wanted.path / "recordings", 0
    while True:
        try:
            write(folder, NAME if how == "once" else f"{number % 8}.flac")
            wanted.check()
        except OSError as error:
            raise wanted.explain(error) from error
        number += 1
        if how == "once":
            break
        print("written", number, flush=True)
    began_s = time.monotonic()
    medium = wanted.done()
    back = (folder / NAME).read_bytes() == CONTENT
    return {"state": medium.state, "back": back, "flushed_s": time.monotonic() - began_s}


def main() -> None:
    home = Home(Path("/var/lib/tapdeck"))
    try:
        with ask_to_write(home, sys.argv[1], "job 17") as wanted:
            told = work(wanted, sys.argv[2])
    except MediumRefused as refused:
        told = {"refused": refused.code, "message": str(refused)}
    except MediumGone as gone:
        told = {"gone": str(gone)}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
