"""An office day of 32 channels in compressed time: memory, descriptors and threads stay, and every call is there."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import pytest
from scripted import RATE_HZ, recorder, running, settled, tapdeck, wait_until

from firmware.config import Home
from firmware.store.connection import open_store

LINES = 32
SAMPLES = 24
LOOKS = 5
GROWTH_MB = 24.0
"""Allocators and SQLite's cache breathe by so much; a leak over a day is far more."""


@dataclass(frozen=True)
class Size:
    """What a process holds."""

    pss_mb: float
    fds: int
    threads: int
    files: list[str]


def _size(process: subprocess.Popen[bytes]) -> Size:
    one = psutil.Process(process.pid)
    looks = [one.num_fds()]
    for _ in range(LOOKS - 1):  # a file that is being made is open for a moment, and is not held
        time.sleep(0.01)
        looks.append(one.num_fds())
    files = sorted(Path(file.path).name for file in one.open_files())
    return Size(one.memory_full_info().pss / 1e6, min(looks), one.num_threads(), files)


def _position_s(home: Home) -> float:
    db = open_store(home.calls_db, readonly=True)
    row = db.conn.execute("SELECT max(position) FROM recorder_state").fetchone()
    db.conn.close()
    return float(row[0] or 0) / RATE_HZ


def _watch(home: Home, processes: dict[str, subprocess.Popen[bytes]], until_s: float) -> dict[str, list[Size]]:
    """Sizes at even steps of the day, the first after a twelfth of it."""
    sizes: dict[str, list[Size]] = {name: [] for name in processes}
    for step in range(2, SAMPLES + 1):
        due_s = until_s * step / SAMPLES
        wait_until(lambda due_s=due_s: _position_s(home) >= due_s, 3600, f"{due_s:.0f} s of the day")
        for name, process in processes.items():
            assert process.poll() is None, f"{name} ended"
            sizes[name].append(_size(process))
    return sizes


def _assert_flat(name: str, sizes: list[Size]) -> None:
    quarter = len(sizes) // 4
    early, late = sizes[quarter : 2 * quarter], sizes[-quarter:]
    grown = median(size.pss_mb for size in late) - median(size.pss_mb for size in early)
    assert grown < GROWTH_MB, f"{name} grew by {grown:.1f} MB"
    more = Counter(late[-1].files) - Counter(early[0].files)
    assert max(size.fds for size in late) <= max(size.fds for size in early) + 2, f"{name}: {more}"
    assert max(size.threads for size in late) <= max(size.threads for size in early), name


def _assert_all_there(home: Home, truth: Path) -> int:
    """Every call that the exchange finished is in the store, in order, with its result and number."""
    db = open_store(home.calls_db, readonly=True)
    stored: dict[int, list[dict[str, Any]]] = {}
    for row in db.query("SELECT * FROM calls ORDER BY channel, started_ms"):
        stored.setdefault(row["channel"] - 1, []).append(row)
    last = db.conn.execute("SELECT max(to_sample) FROM recordings").fetchone()[0]  # where the card was lost
    missing = db.conn.execute(
        "SELECT count(*) FROM recordings WHERE to_sample < ? AND (missing_samples > 0 OR state <> 'ready')",
        (last - 2 * RATE_HZ,),
    ).fetchone()
    silent = db.conn.execute(
        "SELECT count(*) FROM calls WHERE result = 'answered' AND talk_ms > 2000"
        " AND NOT EXISTS (SELECT 1 FROM recordings WHERE call_id = calls.id)"
    ).fetchone()
    db.conn.close()
    assert missing[0] == 0
    assert silent[0] == 0
    told = [json.loads(line) for line in truth.read_text().splitlines()]
    seen: dict[int, int] = {}
    for call in sorted(told, key=lambda call: (call["line"], call["start_sample"])):
        index = seen.get(call["line"], 0)
        seen[call["line"]] = index + 1
        found = stored[call["line"]][index]
        assert (found["caller_number"], found["dialled_number"]) == (call["number"], call["dialled"])
        assert found["direction"] == {"in": "incoming", "out": "outgoing"}[call["direction"]]
        assert found["result"] == call["result"]
    return len(told)


@pytest.mark.acceptance
@pytest.mark.parametrize(
    "hours",
    [
        pytest.param(0.25, marks=pytest.mark.timeout(200)),
        pytest.param(24.0, marks=[pytest.mark.soak, pytest.mark.timeout(4 * 3600)]),
    ],
)
def test_a_day_leaves_nothing_behind_but_its_calls(home: Home, tmp_path: Path, hours: float) -> None:
    link, truth = tmp_path / "line-card", tmp_path / "truth.jsonl"
    argv = ("--link", str(link), "--lines", str(LINES), "--speed", "max", "--office-day", "--truth", str(truth))
    with running(tapdeck(home, "exchange", *argv)) as exchange:
        wait_until(lambda: os.path.lexists(link), 60, "the emulated card's port")
        with (
            running(tapdeck(home, "keeper", "--no-exchange")) as keeper,
            running(tapdeck(home, "api", "--port", "0")) as api,
            running(recorder(home, link, "--simulated", "--simulated-time")) as recording,
        ):
            sizes = _watch(home, {"recorder": recording, "keeper": keeper, "api": api}, hours * 3600)
            told = truth.read_text().count("\n")
            exchange.terminate()
            exchange.wait(20)
            wait_until(lambda: _lost(home), 60, "the card is known to be lost")
            settled(home, 120)
    for name, row in sizes.items():
        _assert_flat(name, row)
    assert _assert_all_there(home, truth) >= told > 100 * hours


def _lost(home: Home) -> bool:
    db = open_store(home.calls_db, readonly=True)
    row = db.conn.execute("SELECT count(*) FROM alarms WHERE code = 'card_lost' AND cleared_ms IS NULL").fetchone()
    db.conn.close()
    return bool(row[0])
