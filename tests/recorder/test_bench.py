"""The benchmark itself: it must count what is lost, and find the limit."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from recorder.bench.limit import highest


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
