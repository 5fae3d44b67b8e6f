"""The wall clock is set while calls run: labels follow it, audio, order and durations do not care."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from bench_card import RATE_HZ, BenchCard
from office import verified_log
from scripted import running, settled, wait_until

from firmware.config import Home
from firmware.store.connection import open_store
from recorder.tape.reader import TapeReader

FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(240),
    pytest.mark.skipif(FAKETIME is None, reason="no libfaketime (Debian package faketime)"),
]
SMALL, LARGE = (16, 8), (128, 32)
"""Ports, and on how many of them there are calls."""
CALL_MS = 3000
BELIEVED_S = 12
"""A clock that was set is believed after ten seconds."""


def _rows(home: Home, query: str) -> list[dict[str, Any]]:
    db = open_store(home.calls_db, readonly=True)
    with closing(db.conn):
        return [dict(row) for row in db.query(query)]


def _until_next_year_s() -> int:
    now = datetime.now()
    return int((datetime(now.year + 1, 1, 1) - now).total_seconds()) + 1


def _recorder(home: Home, card: BenchCard, clock: Path) -> subprocess.Popen[bytes]:
    """A recorder whose wall clock is off by what the file ``clock`` says; its monotonic clock is the true one."""
    argv = ("--name", "bench", "--driver", "pcm_socket", "--address", str(card.address), "--tape-minutes", "3")
    fake = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
    command = [sys.executable, "-m", "firmware", "--home", str(home.root), "recorder", *argv, "--simulated"]
    return subprocess.Popen(command, env={**os.environ, **fake})


def _set(clock: Path, by_s: float) -> None:
    draft = clock.with_suffix(".new")
    draft.write_text(f"{by_s:+.3f}\n")
    draft.replace(clock)


@pytest.mark.parametrize(
    ("size", "by_s"),
    [
        pytest.param(SMALL, -3600, id="an hour back"),
        pytest.param(SMALL, _until_next_year_s(), id="next year"),
        pytest.param(LARGE, -3600, marks=pytest.mark.soak, id="128 ports, an hour back"),
        pytest.param(LARGE, 3600, marks=pytest.mark.soak, id="128 ports, an hour ahead"),
        pytest.param(LARGE, 0.6, marks=pytest.mark.soak, id="128 ports, a step ahead"),
        pytest.param(LARGE, -0.6, marks=pytest.mark.soak, id="128 ports, a step back"),
        pytest.param(LARGE, _until_next_year_s(), marks=pytest.mark.soak, id="128 ports, next year"),
    ],
)
def test_a_clock_that_is_set_in_the_middle_of_calls(
    home: Home, tmp_path: Path, size: tuple[int, int], by_s: float
) -> None:
    ports, busy = size
    clock = tmp_path / "clock"
    _set(clock, 0)
    with BenchCard(tmp_path / "card", ports, busy, CALL_MS / 1000) as card:
        with running(_recorder(home, card, clock)):
            known_s = BELIEVED_S if abs(by_s) < 1 else 5  # a small step shows only against a clock that is known
            wait_until(lambda: card.heard > known_s * RATE_HZ, 60, "calls run")
            _set(clock, by_s)
            set_at = card.heard
            wait_until(lambda: card.heard > set_at + BELIEVED_S * RATE_HZ, 60, "the new time is believed")
            card.quiet.set()
            wait_until(lambda: card.heard > set_at + (BELIEVED_S + 5) * RATE_HZ, 60, "all calls end")
            settled(home)
            now_ms = time.time() * 1000 + by_s * 1000
            alarm = "SELECT * FROM alarms WHERE code = 'clock_set' AND cleared_ms IS NOT NULL"
            wait_until(lambda: _rows(home, alarm), 20, "the clock's alarm")
        assert card.lost == 0
        _audio_does_not_care(home, card, busy)
    (newest,) = _rows(home, "SELECT * FROM recordings ORDER BY from_sample DESC LIMIT 1")
    assert 0 < now_ms - newest["started_ms"] < 60_000, "the labels did not follow"  # a busy machine hears it later
    assert _rows(home, alarm)[0]["data"].startswith('{"by_ms":')
    (log,) = (home.evidence / "practice").glob("pcm_socket-card.log")
    assert len(verified_log(log)) >= busy


def _audio_does_not_care(home: Home, card: BenchCard, busy: int) -> None:
    recordings = _rows(home, "SELECT * FROM recordings ORDER BY channel, rowid")
    assert len(recordings) > 2 * busy
    for before, row in zip([None, *recordings], recordings, strict=False):
        assert (row["state"], row["missing_samples"]) == ("ready", 0)
        size = row["to_sample"] - row["from_sample"]
        assert row["duration_ms"] == size * 1000 // RATE_HZ
        assert CALL_MS <= row["duration_ms"] <= CALL_MS + 1500
        if before is not None and before["channel"] == row["channel"]:
            assert before["to_sample"] <= row["from_sample"], "out of order"
        audio, _ = soundfile.read(home.recordings / row["path"], dtype="int16")
        assert np.array_equal(audio, card.sound(row["channel"] - 1, row["from_sample"], size))
    with closing(TapeReader(home.tapes / "bench.tape")) as tape:
        last = tape.last_head()
        assert last is not None
        for number in range(last.number + 1):
            block = tape.block(number)
            assert block is not None, f"block {number} is not on the tape"
            assert block.gaps == (), f"block {number} has gaps"
            assert np.array_equal(block.samples, card.sound_of_all(block.first_sample, 800)), number
