"""What the recording path must reach, and whether a run did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from recorder.processor import CHECKPOINT_S

IN_TIME_S = 2 * CHECKPOINT_S
"""Who is further behind does not keep pace: twenty seconds show a fifth too much."""
WHOLE: Mapping[str, float] = {
    "lost_samples": 0,
    "recordings_with_gaps": 0,
    "recordings_not_exact": 0,
    "behind_s": IN_TIME_S,
}
"""For any number of channels."""
_LIMITS: tuple[tuple[int, Mapping[str, float]], ...] = (
    (32, {"cpu_cores": 0.05, "box_rest_rss_mb": 250}),
    (1024, {"cpu_cores": 0.9, "peak_rss_mb": 600}),
)
"""For so many channels at most: a small box, and a large one of two cores."""


class Goal(msgspec.Struct, frozen=True):
    """A figure, named as in the result, the most that it may be, and what it was."""

    name: str
    limit: float
    seen: float
    met: bool


def limits_for(channels: int) -> Mapping[str, float]:
    """The most that each figure may be with so many channels; beyond the largest box only that all is recorded."""
    return {**WHOLE, **next((limits for most, limits in _LIMITS if channels <= most), {})}


def goals_of(figures: Mapping[str, Any], limits: Mapping[str, float]) -> list[Goal]:
    """Each limit beside what was seen."""
    return [Goal(name, limit, figures[name], figures[name] <= limit) for name, limit in limits.items()]


def all_met(goals: Sequence[Goal]) -> bool:
    """Whether no goal was missed."""
    return all(goal.met for goal in goals)
