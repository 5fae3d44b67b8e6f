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
        store = sqlite3.connect(f"file:{home / 'calls.db'}?mode=ro", uri=True)
        wait_until(lambda: store.execute("SELECT count(*) FROM calls WHERE simulated = 1").fetchone()[0] > 0)
        store.close()
        # exchange, recorder, keeper, API, courier, integrations, backup
        assert len(psutil.Process(box.pid).children()) == 7
        family = psutil.Process(box.pid).children(recursive=True)
        box.send_signal(signal.SIGINT)
        assert box.wait(30) == 0
        assert "tapdeck | stopped" in output.read_text()
        assert not any(child.is_running() for child in family)
        assert "killed" not in output.read_text()
    finally:
        box.kill()
        box.wait()
