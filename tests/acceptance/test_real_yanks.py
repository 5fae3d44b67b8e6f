"""Virtual sticks are pulled out at random moments of real take-homes, again and again, on a machine with a real kernel.

``TAPDECK_YANKS`` says how often; 300 times take some hours where processors are emulated.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crm_office import Exchange, hire
from stick_machine import LOOK_BYTES, StickMachine, System, build_project
from stick_office import StickOffice
from virtual_stick import CHECK, Stick

from crm_client_api.take_home.media import PASSING
from firmware.config import Home
from firmware.media.medium import Medium
from firmware.store.connection import open_store
from firmware.store.migrations import migrate

YANKS = int(os.environ.get("TAPDECK_YANKS", "300"))
pytestmark = [pytest.mark.acceptance, pytest.mark.soak, pytest.mark.timeout(900 + 180 * YANKS)]
CALLS = 150
"""With their papers more files than one batch takes."""
KINDS = ("vfat", "exfat", "ntfs", "ext4")
MOST_OF_A_JOB, MOST_OF_A_STICK = 6, 12
DONE_WITHIN_S = 400


@pytest.fixture(scope="module")
def machine(stick_root: tuple[Path, Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[StickMachine]:
    folder = tmp_path_factory.mktemp("yanks")
    home = Home(folder / "home")
    furnish(home, CALLS)
    root, kernel, initrd = stick_root
    opened = StickMachine(System(root, build_project(folder, home.root), kernel, initrd), folder / "machine")
    try:
        opened.set_up()
        opened.move_in()
        yield opened
    finally:
        opened.close()


def furnish(home: Home, calls: int) -> None:
    """An office with recordings of so many calls."""
    home.create()
    migrate(home)
    crm = open_store(home.crm_db)
    hire(crm, "1", "super")
    crm.conn.close()
    exchange = Exchange(home)
    exchange.wire(1, 2)
    office = StickOffice(home, exchange)
    for number in range(calls):
        office.recorded(f"138{number:08}", seconds=0.3)
    office.close()
    exchange.close()


class Yanker:
    """Pulls sticks out; ``tally`` counts what became of it."""

    def __init__(self, machine: StickMachine, dice: random.Random) -> None:
        self._machine, self._dice = machine, dice
        self._longest_s = 30.0  # so that most of them hit a job at work, however fast this machine is
        self.tally: Counter[str] = Counter()

    def job(self, stick: Stick, medium: Medium, yanks: int) -> bool:
        """One take-home, during which the stick is pulled out so often, and its end; False: NTFS was refused."""
        job = self._machine.ask_office("ask", medium.id)
        for _ in range(yanks):
            time.sleep(self._dice.uniform(0, self._longest_s))
            told = self._machine.ask_office("job", job)
            stick.pull(medium)
            self.tally[f"yanks, {stick.file_system}"] += 1
            self.tally[f"while it was {told['phase'] or told['state']}"] += 1
            self._look_at(stick)
            stick.plug()
            if told["state"] == "done":
                self._longest_s *= 0.7
                break
            self._longest_s *= 1.1
        begun_s = time.monotonic()
        completed = self._await_end(stick, job)
        if not yanks:
            self._longest_s = time.monotonic() - begun_s
        stick.pull(medium)
        if completed:
            self._require_complete(stick, job)
        return completed

    def _await_end(self, stick: Stick, job: int) -> bool:
        deadline_s = time.monotonic() + DONE_WITHIN_S
        while (told := self._machine.ask_office("job", job))["state"] != "done":
            if stick.file_system == "ntfs" and told["held"] == "unclean":  # nothing but Windows mends all of NTFS
                assert "Windows" in told["error"], told
                self._machine.ask_office("give_up", job)
                self.tally["refused for Windows to mend"] += 1
                return False
            for medium in self._machine.media():
                assert medium.state != "refused", (stick.file_system, medium, self._machine.journal())
            assert told["held"] in ("", *PASSING), (stick.file_system, told, self._machine.journal())
            assert time.monotonic() < deadline_s, (told, self._machine.media(), self._machine.journal())
            time.sleep(0.5)
        self.tally["done"] += 1
        return True

    def _look_at(self, stick: Stick) -> Any:
        """What another computer sees on it, where NTFS may be torn so that only Windows mends it."""
        seen = self._machine.look_at(stick.image, stick.file_system)
        if "unreadable" in seen:
            assert stick.file_system == "ntfs", (stick.file_system, seen)
            self.tally["torn for Windows to mend"] += 1
        else:
            assert not seen["wrong"], (stick.file_system, seen)
        return seen

    def _require_complete(self, stick: Stick, job: int) -> None:
        folder = self._machine.ask_office("job", job)["result"]["folder"]
        seen = self._look_at(stick)
        assert seen["folders"][folder] == [CALLS, True], (stick.file_system, seen)
        self._machine.run(f"{CHECK[stick.file_system]} /run/look.img >&2")


def test_yanks(machine: StickMachine, tmp_path: Path) -> None:
    """After each of them what is listed is whole; plugged in again, the job goes on by itself to its end.

    NTFS may be damaged so that only Windows mends it: that is told clearly, and no other file system may be.
    """
    dice = random.Random(YANKS)
    yanker = Yanker(machine, dice)
    begun_s, left, number = time.monotonic(), YANKS, 0
    while left > 0:
        stick = Stick(machine, tmp_path, KINDS[number % len(KINDS)], parted=False, size_bytes=LOOK_BYTES)
        medium = stick.mounted()
        good = yanker.job(stick, medium, 0)
        of_stick = 0
        while good and left > 0 and of_stick < MOST_OF_A_STICK:
            stick.plug()
            before = sum(yanker.tally[f"yanks, {kind}"] for kind in KINDS)
            good = yanker.job(stick, stick.mounted(), min(left, dice.randint(1, MOST_OF_A_JOB)))
            pulled = sum(yanker.tally[f"yanks, {kind}"] for kind in KINDS) - before
            left, of_stick = left - pulled, of_stick + pulled
            print(f"{time.monotonic() - begun_s:.0f} s: {dict(yanker.tally)}", flush=True)
        stick.image.unlink()
        number += 1
    assert yanker.tally["refused for Windows to mend"] <= yanker.tally["yanks, ntfs"] / 4
    assert machine.run("journalctl --no-pager | grep -E 'status=31/SYS|SECCOMP auid'", check=False) == ""
