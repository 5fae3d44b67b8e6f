"""An archive on a real NFS or SMB share whose server falls silent in the middle of a copy, and comes back."""

from __future__ import annotations

import json
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from bench_card import BenchCard
from scripted import running, settled, tapdeck, wait_until
from virtual_machine import BOOT_S, Guest, Machine

from firmware.config import Home
from firmware.store.connection import open_store
from firmware.store.migrations import migrate

pytestmark = [pytest.mark.acceptance, pytest.mark.soak, pytest.mark.timeout(2400)]
CUT_S, CAUGHT_UP_S = 900, 900
BUSY, TALK_S, PERIOD_S = 8, 12.0, 20.0


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the home of an office that has recorded some calls."""
    folder = tmp_path_factory.mktemp("recorded")
    home = Home(folder / "data" / "home")
    home.create()
    migrate(home)
    with BenchCard(folder / "card", BUSY, BUSY, TALK_S, PERIOD_S) as card:
        argv = ("--name", "bench", "--driver", "pcm_socket", "--address", str(card.address), "--simulated")
        with running(tapdeck(home, "recorder", *argv, "--tape-minutes", "2")):
            wait_until(lambda: _calls(home) == BUSY, 90, "calls")
            card.quiet.set()
            settled(home)
    (home.tapes / "bench.tape").unlink()
    return folder / "data"


def _calls(home: Home) -> int:
    db = open_store(home.calls_db, readonly=True)
    with closing(db.conn):
        return int(db.conn.execute("SELECT count(*) FROM calls").fetchone()[0])


@pytest.fixture
def disk(recorded: Path, tmp_path: Path) -> Path:
    """A disk with that home on it."""
    file = tmp_path / "data.img"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", str(recorded), str(file), "512M"], check=True)
    return file


@pytest.mark.parametrize("share", ["nfs", "smb"])
def test_a_share_that_falls_silent_in_the_middle_gets_everything_in_the_end(
    guest: Guest, disk: Path, share: str
) -> None:
    machine = Machine(guest, disk, "archive", "ext4", share)
    try:
        cut = machine.next(BOOT_S + CUT_S)
        archived = machine.next(CAUGHT_UP_S)
        machine.wait()
    except (AssertionError, subprocess.TimeoutExpired):
        machine.cut()
        raise
    assert 0 < cut["before"] <= cut["now"] < cut["recordings"], "it was not cut off in the middle"
    ((_, _, data),) = cut["alarm"]
    assert json.loads(data)["recordings"] == cut["recordings"] - cut["now"]
    assert json.loads(data)["error"], "the alarm does not say why"
    assert len([name for name in archived["there"] if name.endswith(".flac")]) == cut["recordings"]
    copied = {name: found for name, found in archived["there"].items() if name != "tapdeck-archive"}
    assert copied.items() <= archived["here"].items(), "not what the box has, or a part that was left behind"
    findings = [json.loads(line) for line in archived["verdict"].splitlines()]
    assert findings[-1]["summary"]["errors"] == 0, findings
