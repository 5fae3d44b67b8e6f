"""The quality of the clock is what the kernel says of it."""

from __future__ import annotations

import ctypes
import time

import pytest

from firmware.clock_quality import ClockQuality, clock_quality


def test_the_kernel_says_how_far_off_the_clock_may_be() -> None:
    quality = clock_quality()
    assert isinstance(quality.synchronised, bool)
    assert quality.max_error_ms is not None
    assert 0 <= quality.max_error_ms <= 16_000, "the kernel's own limit (NTP_PHASE_LIMIT)"


def test_it_changes_nothing() -> None:
    before = time.clock_gettime(time.CLOCK_REALTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
    for _ in range(100):
        clock_quality()
    after = time.clock_gettime(time.CLOCK_REALTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
    assert abs(after - before) < 1


def test_a_system_that_does_not_say_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())
    assert clock_quality() == ClockQuality(None, None)
