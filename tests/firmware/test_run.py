"""``tapdeck run`` as a newcomer starts it: the whole box with the simulated exchange, and its end."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

PATIENCE_S = 60.0


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def is_at_work(process: psutil.Process) -> bool:
    """A helper whose daemon ended before it is a zombie until whoever inherits it looks."""
    try:
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def start(home: Path, output: Path) -> subprocess.Popen[bytes]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("TAPDECK_")}
    with output.open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "firmware", "--home", str(home), "run", "--port", "0", "--lines", "2"],
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            env=clean,
        )


@pytest.mark.acceptance
def test_a_newcomer_sees_address_password_and_calls(tmp_path: Path) -> None:
    home, output = tmp_path / "home", tmp_path / "output"
    box = start(home, output)
    try:
        wait_until(lambda: "Ctrl-C" in output.read_text())
        said = output.read_text()
        url = re.search(r"http://127\.0\.0\.1:\d+", said)
        assert url is not None
        assert "1000" in said
        assert str(home / "recordings") in said
        with urllib.request.urlopen(f"{url[0]}/api/v1/health", timeout=10) as answer:
            assert json.load(answer)["status"] == "ok"
        store = sqlite3.connect(f"file:{home / 'calls.db'}?mode=ro", uri=True, timeout=PATIENCE_S)
        wait_until(lambda: store.execute("SELECT count(*) FROM calls WHERE simulated = 1").fetchone()[0] > 0)
        store.close()
        # exchange, recorder, keeper, API, courier, integrations, backup
        wait_until(lambda: len(psutil.Process(box.pid).children()) == 7)
        family = psutil.Process(box.pid).children(recursive=True)
        box.send_signal(signal.SIGINT)
        assert box.wait(PATIENCE_S) == 0
        assert "tapdeck | stopped" in output.read_text()
        wait_until(lambda: not any(is_at_work(child) for child in family))
        assert "killed" not in output.read_text()
    finally:
        box.kill()
        box.wait()
