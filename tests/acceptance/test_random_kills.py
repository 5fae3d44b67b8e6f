"""A recorder that is killed at random moments, again and again, makes the same day of it as one that never was."""

from __future__ import annotations

import os
import random
import subprocess
import time
from pathlib import Path

import pytest
from scripted import assert_day_is_exact, mixed_day, recorder, running, settled, tapdeck, wait_until

from drivers.exchange.script import dump_script
from firmware.config import Home

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]
KILLS = 12
DAYS = 17
"""With --soak: over two hundred kills in all."""


def _kill_now_and_then(home: Home, port: Path, exchange: subprocess.Popen[bytes], dice: random.Random) -> int:
    """Kill recorders until ``KILLS`` were killed or the day is over; returns how many were."""
    killed = 0
    while killed < KILLS and exchange.poll() is None:
        with running(recorder(home, port, "--simulated", "--simulated-time")) as victim:
            time.sleep(dice.uniform(0.3, 2.2))
            if exchange.poll() is None:
                victim.kill()
                killed += 1
    return killed


@pytest.mark.parametrize("day", [0, *(pytest.param(day, marks=pytest.mark.soak) for day in range(1, DAYS))])
def test_random_kills_change_nothing(home: Home, tmp_path: Path, day: int) -> None:
    script = mixed_day(400, seed=99 + day)
    file, link = tmp_path / "script.json", tmp_path / "line-card"
    file.write_text(dump_script(script))
    argv = ("--link", str(link), "--speed", "max", "--script", str(file), "--exit-when-done")
    with running(tapdeck(home, "exchange", *argv)) as exchange:
        wait_until(lambda: os.path.lexists(link), 60, "the emulated card's port")
        killed = _kill_now_and_then(home, link, exchange, random.Random(5 + day))
        with running(recorder(home, link, "--simulated", "--simulated-time")):
            wait_until(lambda: exchange.poll() is not None, 240, "the exchange's day is over")
            settled(home)
    assert killed >= 6, "the day was over too soon for this test"
    assert_day_is_exact(home, script)
