"""``tapdeck bench recorder``: the recording path at one channel count, and the highest count that it holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from firmware.errors import BoxError
from recorder.bench.goals import WHOLE, all_met, goals_of, limits_for
from recorder.bench.pipeline import PipelineResult, run_pipeline

TRIAL_S = 20
"""A trial of the search; long enough for calls to end and be cut all the time."""
MOST_CHANNELS = 4096
_STEP = 1.25


def run_recorder_bench(channels: int, seconds: int, seed: int, *, search: bool) -> dict[str, Any]:
    """The figures of one long run, its goals and, with ``search``, the highest channel count that short runs hold.

    Raises BoxError when generator or recorder fails at ``channels``.
    """
    result = run_pipeline(channels, seconds, seed, box=True)
    figures = {**msgspec.to_builtins(result), "bench": "recorder"}
    figures["goals"] = msgspec.to_builtins(goals_of(figures, limits_for(channels)))
    if search:
        figures["highest_channels"] = highest(channels, holds(result), lambda count: _trial(count, seed))
    return figures


def holds(result: PipelineResult) -> bool:
    """Whether everything was recorded, whole, and in time."""
    return all_met(goals_of(msgspec.to_builtins(result), WHOLE))


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
