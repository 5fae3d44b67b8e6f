"""A courier leaves everybody alone: without work, and between two transactions."""

from __future__ import annotations

import pytest

from crm_client_api.courier import context
from crm_client_api.courier.daemon import Courier
from firmware.config import Home
from firmware.doorbell import Doorbell


def test_a_courier_without_a_job_rings_nobody(home: Home) -> None:
    courier = Courier(home)
    with Doorbell(home.doorbells, "listener") as bell:
        bell.wait(0)
        assert not courier.turn()
        assert not bell.wait(0.3)


class Clock:
    """A clock that moves when it is told to, in place of the module ``time``."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.slept_s: list[float] = []

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_s += seconds


def test_the_lock_is_left_to_others_for_half_the_time_that_it_was_held(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(context, "time", clock)
    pace = context.Pace()
    with pace:
        clock.now_s += 0.02
    assert clock.slept_s == [pytest.approx(0.01)]
    assert pace.rows == 125  # for 25 ms


def test_work_without_the_lock_counts_as_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(context, "time", clock)
    pace = context.SteadyPace()
    for work_s in (0.004, 0.5, 0.0):
        with pace:
            clock.now_s += 0.02
        clock.now_s += work_s
    with pace:
        pass
    assert clock.slept_s == [0, pytest.approx(0.006), 0, pytest.approx(0.01)]
