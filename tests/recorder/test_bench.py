"""The benchmark itself: it must count what is lost, and find the limit."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from test_tape import RATE_HZ, new_tape, put

from drivers.api import Pcm
from firmware.config import Home
from firmware.store.connection import open_store
from recorder.bench import limit
from recorder.bench.commands import recorder_bench
from recorder.bench.exactness import tape_losses, wrong_recordings
from recorder.bench.generator import FedLines
from recorder.bench.goals import goals_of, limits_for
from recorder.bench.limit import highest
from recorder.tape.reader import TapeReader

CHANNELS, BLOCKS = 3, 30
SAMPLES = BLOCKS * 800
SEED = 1


@pytest.fixture(scope="module")
def fed() -> FedLines:
    return FedLines(CHANNELS, SEED)


def taped(folder: Path, sent: Pcm, skipped: int = -1) -> Path:
    """A tape that was given this; the block ``skipped`` never came."""
    path = folder / "t.tape"
    with closing(new_tape(path, CHANNELS)) as tape:
        for number in range(BLOCKS):
            if number != skipped:
                put(tape, sent[:, number * 800 : (number + 1) * 800], number * 800)
    return path


def all_fed(fed: FedLines) -> Pcm:
    return np.stack([fed.of_channel(channel, 0, SAMPLES) for channel in range(CHANNELS)])


def lost(path: Path, fed: FedLines) -> int:
    with closing(TapeReader(path)) as tape:
        return tape_losses(tape, fed, SAMPLES)


def test_a_tape_with_all_that_was_fed_lost_nothing(fed: FedLines, tmp_path: Path) -> None:
    assert np.array_equal(all_fed(fed)[:, 1600:2400], fed.block(1600)[1])
    assert lost(taped(tmp_path, all_fed(fed)), fed) == 0


def test_one_sample_that_is_another_is_lost(fed: FedLines, tmp_path: Path) -> None:
    sent = all_fed(fed)
    sent[1, 12_345] ^= 1
    assert lost(taped(tmp_path, sent), fed) == 1


def test_a_block_that_never_came_is_lost_once_on_every_channel(fed: FedLines, tmp_path: Path) -> None:
    assert lost(taped(tmp_path, all_fed(fed), skipped=7), fed) == CHANNELS * 800


def test_a_byte_that_went_bad_on_the_disk_costs_its_track(fed: FedLines, tmp_path: Path) -> None:
    path = taped(tmp_path, all_fed(fed))
    with closing(TapeReader(path)) as tape:
        at = tape.geometry.slot_offset(5) + tape.geometry.head_bytes + 2 * tape.geometry.track_bytes + 10
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    assert lost(path, fed) == 800


@pytest.mark.parametrize(("wrong_at", "wrong"), [(None, 0), (4000, 1)])
def test_a_recording_that_is_not_what_was_fed_is_counted(
    home: Home, fed: FedLines, wrong_at: int | None, wrong: int
) -> None:
    audio = fed.of_channel(2, 1000, 9000)
    if wrong_at is not None:
        audio[wrong_at] ^= 1
    soundfile.write(home.recordings / "r.flac", audio, RATE_HZ, "PCM_16", format="FLAC")
    with closing(open_store(home.calls_db).conn) as connection, connection:
        connection.execute("INSERT INTO channels (number, card_id, port) VALUES (7, 'c', 2)")
        connection.execute(
            "INSERT INTO recordings (id, channel, segment, state, card_id, tape_epoch, from_sample, to_sample,"
            " sample_rate_hz, started_ms, duration_ms, path)"
            " VALUES ('r', 7, 0, 'ready', 'c', 'e', 1000, 9000, 8000, 1, 1000, 'r.flac')"
        )
    calls = open_store(home.calls_db, readonly=True)
    with closing(calls.conn):
        assert wrong_recordings(home, calls, fed) == wrong


FIGURES = {
    "lost_samples": 0, "recordings_with_gaps": 0, "recordings_not_exact": 0, "behind_s": 0.5,
    "cpu_cores": 0.04, "peak_rss_mb": 500.0, "box_rest_rss_mb": 240.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("channels", "changed", "missed"),
    [
        (32, {}, []),
        (32, {"cpu_cores": 0.051, "box_rest_rss_mb": 250.1}, ["cpu_cores", "box_rest_rss_mb"]),
        (33, {"cpu_cores": 0.9, "box_rest_rss_mb": 700.0, "peak_rss_mb": 600.0}, []),
        (1024, {"cpu_cores": 0.91, "peak_rss_mb": 601.0}, ["cpu_cores", "peak_rss_mb"]),
        (1025, {"cpu_cores": 1.5, "peak_rss_mb": 900.0}, []),
        (4096, {"lost_samples": 1, "recordings_not_exact": 1}, ["lost_samples", "recordings_not_exact"]),
    ],
)
def test_goals_by_the_size_of_the_box(channels: int, changed: dict[str, float], missed: list[str]) -> None:
    goals = goals_of({**FIGURES, **changed}, limits_for(channels))
    assert [goal.name for goal in goals if not goal.met] == missed


@pytest.mark.parametrize(("met", "checked", "status"), [(True, True, 0), (False, True, 1), (False, False, 0)])
def test_a_missed_goal_ends_with_status_1_when_asked(
    monkeypatch: pytest.MonkeyPatch, met: bool, checked: bool, status: int
) -> None:
    goal = {"name": "lost_samples", "limit": 0, "seen": 0 if met else 1, "met": met}
    monkeypatch.setattr(limit, "run_recorder_bench", lambda *_, **__: {"goals": [goal]})
    run = CliRunner().invoke(recorder_bench, ["--check"] if checked else [])
    assert run.exit_code == status
    assert ("met" if met else "MISSED") in run.output


@pytest.mark.parametrize(("limit", "start", "found"), [(1000, 512, 1000), (100, 512, 100), (5000, 1024, 4096)])
def test_the_search_ends_within_a_step_below_the_limit(limit: int, start: int, found: int) -> None:
    answer = highest(start, start <= limit, lambda count: count <= limit)
    assert answer <= found
    assert answer * 1.25 * 1.05 >= found


def test_nothing_holds() -> None:
    assert highest(8, False, lambda count: False) == 0


def test_a_short_run_measures_the_whole_box() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "firmware", "bench", "recorder", "--channels", "4", "--seconds", "5", "--no-search",
         "--json"],
        capture_output=True, check=True, timeout=120,
    )  # fmt: skip
    figures = json.loads(run.stdout)
    assert figures["bench"] == "recorder"
    assert figures["channels"] == 4
    assert figures["lost_samples"] == 0
    assert 0 < figures["cpu_cores"] < figures["box_cores"]
    assert 10 < figures["peak_rss_mb"] < figures["box_rest_rss_mb"] <= figures["box_peak_rss_mb"] < 1000
    assert 0 < figures["behind_s"] < 4
    assert figures["recordings_not_exact"] == 0
    goals = {goal["name"]: goal for goal in figures["goals"]}
    assert goals["lost_samples"] == {"name": "lost_samples", "limit": 0, "seen": 0, "met": True}
    assert goals["cpu_cores"]["seen"] == figures["cpu_cores"]
