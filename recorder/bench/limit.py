"""``tapdeck bench recorder``: the recording path at one channel count, and the highest count that it holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from firmware.errors import BoxError
from recorder.bench.pipeline import PipelineResult, run_pipeline
from recorder.processor import CHECKPOINT_S

TRIAL_S = 20
"""A trial of the search; long enough for calls to end and be cut all the time."""
IN_TIME_S = 2 * CHECKPOINT_S
"""Who is further behind does not keep pace: ``TRIAL_S`` show a fifth too much."""
MOST_CHANNELS = 4096
_STEP = 1.25


def run_recorder_bench(channels: int, seconds: int, seed: int, *, search: bool) -> dict[str, Any]:
    """The figures of one long run and, with ``search``, of the highest channel count that short runs hold.

    Raises BoxError when generator or recorder fails at ``channels``.
    """
    result = run_pipeline(channels, seconds, seed, box=True)
    figures = {**msgspec.to_builtins(result), "bench": "recorder"}
    if search:
        figures["highest_channels"] = highest(channels, holds(result), lambda count: _trial(count, seed))
    return figures


def holds(result: PipelineResult) -> bool:
    """Whether everything was recorded, whole, and in time."""
    return result.lost_samples == 0 and result.recordings_with_gaps == 0 and result.behind_s <= IN_TIME_S


def _trial(channels: int, seed: int) -> bool:
    try:
        return holds(run_pipeline(channels, TRIAL_S, seed))
    except BoxError:
        return False


def highest(channels: int, held: bool, trial: Callable[[int], bool]) -> int:
    """The highest count, in steps of a quarter, for which ``trial`` is true; 0 when none is.

    ``held``: whether ``channels`` itself did.
    """
    if held:
        while (more := min(MOST_CHANNELS, int(channels * _STEP))) > channels and trial(more):
            channels = more
        return channels
    while channels > 1:
        channels = int(channels / _STEP)
        if trial(channels):
            return channels
    return 0
