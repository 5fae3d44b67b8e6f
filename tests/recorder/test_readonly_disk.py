"""A recorder that starts on a disk which can only be read: it keeps what it hears, and writes it down later."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from recorded_lines import RATE_HZ, rows
from test_recorder import BOOT_A, SLICE, MemoryCard, recording, sound, wait_until

from drivers.api import EventKind, LineEvent
from firmware.config import Home
from firmware.store.migrations import migrate
from recorder.tape.reader import TapeReader


class Disk:
    """A small disk of its own."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def remount(self, how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(self.place)], check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(place)], capture_output=True)
    if made.returncode:
        pytest.skip("nobody here may mount a disk")
    try:
        yield Disk(place)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_what_is_heard_waits_in_memory_until_the_disk_can_be_written(disk: Disk) -> None:
    home = Home(disk.place / "home")
    home.create()
    migrate(home)
    card = MemoryCard()
    card.now = 5 * RATE_HZ
    with recording(home, card) as box:
        box.wait_for(5 * RATE_HZ)
        box.wait_processed("SELECT 1 FROM cards")
    disk.remount("ro")
    card.events.append(LineEvent(EventKind.OFF_HOOK, 0, 6 * RATE_HZ))
    card.events.append(LineEvent(EventKind.ON_HOOK, 0, 9 * RATE_HZ))
    card.now = 15 * RATE_HZ
    with recording(home, card) as box:
        wait_until(lambda: card.next == 15 * RATE_HZ, "the card is read all the same")
        time.sleep(2.5)  # who looks after the tape looks every second
        disk.remount("rw")
        box.wait_processed("SELECT 1 FROM recordings WHERE state = 'ready'")
        box.wait_processed("SELECT 1 FROM alarms WHERE code = 'tape_failing' AND cleared_ms IS NOT NULL")
        box.wait_for(15 * RATE_HZ)
    with closing(TapeReader(home.tapes / "t.tape")) as tape:
        heard, gaps = tape.read(0, 0, 15 * RATE_HZ)
    assert gaps == []
    assert np.array_equal(heard, np.concatenate([sound(at, SLICE, BOOT_A)[0] for at in range(0, 15 * RATE_HZ, SLICE)]))
    (call,) = rows(home, "SELECT * FROM calls")
    assert call["ended_ms"] - call["started_ms"] == 3000
