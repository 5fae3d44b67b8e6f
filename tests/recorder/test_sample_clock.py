"""Wall-clock labels: jitter does not move them, a clock that was set does, and audio never cares."""

from __future__ import annotations

import random

from recorder.sample_clock import SampleClock

RATE_HZ = 8000
START_NS = 1_800_000_000_000_000_000
SLICE = 160


def true_ns(sample: int) -> int:
    return START_NS + sample * 125_000


def play(clock: SampleClock, first: int, seconds: float, step_ns: int = 0, jitter_ms: float = 30.0) -> int:
    dice = random.Random(first)
    for sample in range(first, first + int(seconds * RATE_HZ), SLICE):
        clock.observe(sample, true_ns(sample) + step_ns + int(dice.uniform(0, jitter_ms) * 1e6))
    return first + int(seconds * RATE_HZ)


def test_late_blocks_do_not_move_the_labels() -> None:
    clock = SampleClock(RATE_HZ)
    end = play(clock, 0, 30)
    for sample in (0, end // 2, end):
        assert abs(clock.wall_ns(sample) - true_ns(sample)) < 2_000_000


def test_a_backlog_after_a_restart_is_dated_by_the_tape() -> None:
    clock = SampleClock(RATE_HZ)
    clock.anchor(0, true_ns(0))
    now_ns = true_ns(5 * RATE_HZ)
    for sample in range(RATE_HZ, 5 * RATE_HZ, SLICE):
        clock.observe(sample, now_ns)
    assert clock.wall_ns(RATE_HZ) == true_ns(RATE_HZ)


def test_a_clock_that_was_set_is_believed_after_a_while() -> None:
    for step_ns in (3_600_000_000_000, -3_600_000_000_000, 500_000_000, -500_000_000):
        clock = SampleClock(RATE_HZ)
        end = play(clock, 0, 15)
        end = play(clock, end, 15, step_ns)
        assert abs(clock.wall_ns(end) - true_ns(end) - step_ns) < 25_000_000


def test_drift_is_followed() -> None:
    clock = SampleClock(RATE_HZ)
    for sample in range(0, 600 * RATE_HZ, RATE_HZ // 2):
        clock.observe(sample, true_ns(sample) + sample * 125_000 // 5_000)  # 200 ppm slow
    end = 600 * RATE_HZ
    assert abs(clock.wall_ns(end) - true_ns(end) - end * 125_000 // 5_000) < 30_000_000


def test_simulated_time_goes_by_the_first_sample_alone() -> None:
    clock = SampleClock(RATE_HZ, simulated_time=True)
    for second in range(20):  # thirty times as fast as it is spoken
        clock.observe(30 * second * RATE_HZ, START_NS + second * 1_000_000_000)
        clock.observe((30 * second + 1) * RATE_HZ, START_NS + second * 1_000_000_000 + 33_000_000)
    assert clock.wall_ns(600 * RATE_HZ) == true_ns(600 * RATE_HZ)


def test_a_clock_that_was_set_is_told_once_and_drift_is_not() -> None:
    clock = SampleClock(RATE_HZ)
    end = play(clock, 0, 15)
    assert clock.sets == 0
    end = play(clock, end, 15, -3_600_000_000_000)
    play(clock, end, 15, -3_600_000_000_000)
    assert clock.sets == 1
    assert abs(clock.set_by_ms + 3_600_000) < 50
    end = play(clock, end + 15 * RATE_HZ, 15, -3_600_600_000_000)
    assert (clock.sets, round(clock.set_by_ms, -2)) == (2, -600)
    late = SampleClock(RATE_HZ)
    play(late, 0, 2, 1_500_000_000)
    play(late, 2 * RATE_HZ, 30)
    assert late.sets == 0
    drifting = SampleClock(RATE_HZ)
    for sample in range(0, 600 * RATE_HZ, RATE_HZ // 2):
        drifting.observe(sample, true_ns(sample) + sample * 125_000 // 5_000)
    assert drifting.sets == 0
