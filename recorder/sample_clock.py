"""Puts wall-clock labels on sample positions: the sample clock is the truth, the wall clock only names its moments."""

from __future__ import annotations

STEP_NS = 2_000_000_000
"""A difference beyond this is no jitter: the wall clock was set, or the card held its data back."""
SET_NS = 250_000_000
"""Drift and jitter are followed in smaller steps; a greater one means that somebody set the clock."""
_TOLERATED_NS = 20_000_000
_WINDOW_S = 10


class SampleClock:
    """Estimates the wall-clock time of sample 0 from the times at which blocks arrive.

    Blocks arrive late, never early, so the earliest arrival within a window is nearest to the truth. A clock that
    was set is believed once a whole window agrees. With ``simulated_time`` the first block alone counts, because
    samples then arrive faster than they would be spoken.
    """

    def __init__(self, sample_rate_hz: int, simulated_time: bool = False) -> None:
        self._rate = sample_rate_hz
        self._simulated_time = simulated_time
        self._origin_ns: int | None = None
        self._bucket_s = -1
        self._buckets: list[int] = []
        self.sets = 0
        """How often the wall clock was set since the start."""
        self.set_by_ms = 0
        """By how much the last time."""

    def anchor(self, sample: int, wall_ns: int) -> None:
        """Take up the anchor that the tape ended with."""
        self._origin_ns = wall_ns - self._span_ns(sample)

    def wall_ns(self, sample: int) -> int:
        """Wall-clock time (Unix ns) of a sample; needs an anchor or a block first."""
        assert self._origin_ns is not None
        return self._origin_ns + self._span_ns(sample)

    def observe(self, sample: int, heard_wall_ns: int) -> None:
        """The card's driver says that ``sample`` was heard at ``heard_wall_ns``."""
        origin = heard_wall_ns - self._span_ns(sample)
        if self._origin_ns is None:
            self._origin_ns = origin
        if self._simulated_time:
            return
        if 0 < self._origin_ns - origin < STEP_NS:
            self._move_to(origin)
        second = heard_wall_ns // 1_000_000_000
        if second != self._bucket_s:
            self._bucket_s = second
            self._buckets = [*self._buckets[1 - _WINDOW_S :], origin]
        else:
            self._buckets[-1] = min(self._buckets[-1], origin)
        if len(self._buckets) == _WINDOW_S and abs(min(self._buckets) - self._origin_ns) > _TOLERATED_NS:
            self._move_to(min(self._buckets))

    def _move_to(self, origin_ns: int) -> None:
        assert self._origin_ns is not None
        by_ns, self._origin_ns = origin_ns - self._origin_ns, origin_ns
        if abs(by_ns) > SET_NS and len(self._buckets) == _WINDOW_S:  # before, the first blocks were only late
            self.set_by_ms = by_ns // 1_000_000
            self.sets += 1

    def _span_ns(self, samples: int) -> int:
        return samples * 1_000_000_000 // self._rate
