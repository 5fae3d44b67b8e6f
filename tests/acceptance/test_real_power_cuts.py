"""The power of a real machine with a real kernel is cut while it records, on every file system that Debian offers."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pytest
from virtual_machine import BOOT_S, Guest, Machine

pytestmark = [pytest.mark.acceptance, pytest.mark.soak, pytest.mark.timeout(1800)]
RATE_HZ = 8000
LOST_S = 1.0
"""What a power cut may cost; samples are counted as of the guest's last word, up to half a second before the cut."""


@pytest.mark.parametrize("file_system", ["ext4", "xfs", "btrfs", "f2fs"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_power_cut_costs_a_second_at_most(guest: Guest, disk: Path, file_system: str, seed: int) -> None:
    recording = Machine(guest, disk, "record", file_system)
    try:
        before = recording.heard_for(random.Random(f"{file_system} {seed}").uniform(70, 110))
        while not before["ready"]:
            before = recording.next(BOOT_S)
    finally:
        recording.cut()
    after = Machine(guest, disk, "look", file_system)
    try:
        left = after.next(BOOT_S)
        after.wait()
    except (AssertionError, subprocess.TimeoutExpired):
        after.cut()
        raise
    assert left["store"] == "ok"
    states = {identifier: state for identifier, state, _ in left["recordings"]}
    assert [states.get(identifier) for identifier in before["ready"]] == ["ready"] * len(before["ready"])
    lost_s = (before["end"] - left["end"]) / RATE_HZ
    assert lost_s <= LOST_S, f"{lost_s:.1f} s of the tape are gone"
    findings = [json.loads(line) for line in left["verdict"].splitlines()]
    assert findings[-1]["summary"]["errors"] == 0, (findings, left["errors"])
    assert findings[-1]["summary"]["manifests"] >= len(before["ready"])
