"""The keeper looks after sticks, and after simulated ones only where calls may be simulated."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from firmware.config import Home
from firmware.media.asking import ask_to_write
from firmware.media.medium import MediumRefused, read_media

PATIENCE_S = 30.0


def within(what: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def keep(home: Home) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    running = []

    def start(*options: str) -> subprocess.Popen[bytes]:
        (home.root / "sticks" / "演示").mkdir(parents=True)
        running.append(subprocess.Popen([sys.executable, "-m", "firmware", "--home", home.root, "keeper", *options]))
        assert within((home.run / "media.sock").exists)
        return running[-1]

    yield start
    for one in running:
        one.kill()
        one.wait()


def test_a_simulated_stick(home: Home, keep: Callable[..., subprocess.Popen[bytes]]) -> None:
    keeper = keep()
    assert within(lambda: [one.state for one in read_media(home)] == ["mounted"])
    [medium] = read_media(home)
    assert (medium.label, medium.simulated) == ("演示", True)
    wanted = ask_to_write(home, medium.id, "job 1")
    keeper.terminate()
    assert keeper.wait(PATIENCE_S) == 0
    assert wanted.gone
    wanted.close()
    with pytest.raises(MediumRefused) as refused:
        ask_to_write(home, medium.id, "job 1")
    assert refused.value.code == "keeper_away"


def test_an_office_has_no_simulated_sticks(home: Home, keep: Callable[..., subprocess.Popen[bytes]]) -> None:
    home.real_card_mark.touch()
    keep()
    assert within((home.run / "media.json").exists)
    assert [one.label for one in read_media(home) if one.simulated] == []


def test_without_the_exchange_there_are_none_either(home: Home, keep: Callable[..., subprocess.Popen[bytes]]) -> None:
    keep("--no-exchange")
    assert within((home.run / "media.json").exists)
    assert [one.label for one in read_media(home) if one.simulated] == []
