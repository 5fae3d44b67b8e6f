"""Pulse dialling: which breaks of the loop make which digit."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.tracking.pulses import PulseTrain

RATE_HZ = 8000
Intervals = list[float]  # ms, break and make in turn


def digit_ms(digit: str, pulses_per_s: float = 10.0, break_share: float = 0.6, pause_ms: float = 600.0) -> Intervals:
    period_ms = 1000.0 / pulses_per_s
    one = [period_ms * break_share, period_ms * (1.0 - break_share)]
    return [*(one * (int(digit) or 10))[:-1], pause_ms]


def number_ms(digits: str, pulses_per_s: float = 10.0, break_share: float = 0.6, pause_ms: float = 600.0) -> Intervals:
    return [ms for digit in digits for ms in digit_ms(digit, pulses_per_s, break_share, pause_ms)]


def heard(intervals: Sequence[float], rate_hz: int = RATE_HZ) -> str:
    """The digits in breaks and makes in turn, after a second of closed loop."""
    train, found = PulseTrain(), ""
    edges = [round((1000.0 + ms) * rate_hz / 1000.0) for ms in accumulate(intervals, initial=0.0)]
    for place, at in enumerate(edges):
        found += train.settled(at, rate_hz)
        if place % 2 == 0:
            train.opened(at, rate_hz)
        else:
            train.closed(at, rate_hz)
    return found


def test_every_digit() -> None:
    assert heard(number_ms("1234567890")) == "1234567890"


@pytest.mark.parametrize("break_share", [0.6, 0.615, 0.67])
@pytest.mark.parametrize("pulses_per_s", [7.5, 8.0, 9.0, 10.0, 11.0, 14.0, 16.0, 20.0, 22.0])
@pytest.mark.parametrize("rate_hz", [8000, 16000])
def test_speeds_and_ratios(pulses_per_s: float, break_share: float, rate_hz: int) -> None:
    intervals = number_ms("13800012345", pulses_per_s, break_share, pause_ms=250.0)
    assert heard(intervals, rate_hz) == "13800012345"


@given(
    digits=st.text("0123456789", min_size=1, max_size=16),
    pulses_per_s=st.floats(8.0, 22.0),
    break_share=st.floats(0.58, 0.67),
    pause_ms=st.floats(255.0, 3000.0),
    data=st.data(),
)
@settings(max_examples=150, deadline=None)
def test_any_number_with_5_ms_of_jitter(
    digits: str, pulses_per_s: float, break_share: float, pause_ms: float, data: st.DataObject
) -> None:
    intervals = number_ms(digits, pulses_per_s, break_share, pause_ms)
    seed = data.draw(st.lists(st.floats(-5.0, 5.0), min_size=len(intervals), max_size=len(intervals)))
    assert heard([ms + off for ms, off in zip(intervals, seed, strict=True)]) == digits


@given(flash_ms=st.floats(91.0, 1000.0), before=st.text("0123456789", max_size=3), after=st.text("0123456789"))
@settings(max_examples=100, deadline=None)
def test_a_hook_flash_is_no_digit(flash_ms: float, before: str, after: str) -> None:
    assert heard([*number_ms(before), flash_ms, 600.0, *number_ms(after)]) == before + after


@pytest.mark.parametrize("click_ms", [1.0, 5.0, 14.0])
def test_short_breaks_are_noise(click_ms: float) -> None:
    assert heard([click_ms, 500.0, click_ms, 40.0, click_ms, 400.0]) == ""
    spoilt = number_ms("3")
    spoilt[1:2] = [15.0, click_ms, 25.0]  # within the first make
    assert heard(spoilt) == "3"


def test_contacts_that_bounce() -> None:
    intervals: Intervals = []
    for place, ms in enumerate(number_ms("570")):
        bounced = [1.0, 2.0, ms - 3.0] if place % 2 == 0 else [2.0, 1.0, ms - 3.0]
        intervals += bounced
    assert heard(intervals) == "570"


def test_more_than_ten_pulses_are_no_digit() -> None:
    assert heard([*[60.0, 40.0] * 10, 60.0, 600.0, *number_ms("7")]) == "7"


def test_a_train_that_a_hang_up_ends_is_no_digit() -> None:
    assert heard([60.0, 40.0, 60.0, 40.0, 5000.0, 1000.0]) == ""


def test_a_digit_is_told_once_and_only_when_it_has_ended() -> None:
    train = PulseTrain()
    train.opened(8000, RATE_HZ)
    assert train.settled(8400, RATE_HZ) == ""
    train.closed(8480, RATE_HZ)
    assert train.settled(8480 + 1199, RATE_HZ) == ""
    assert train.settled(8480 + 1200, RATE_HZ) == "1"
    assert train.settled(8480 + 2400, RATE_HZ) == ""


def test_a_card_that_repeats_itself_changes_nothing() -> None:
    train = PulseTrain()
    train.closed(100, RATE_HZ)
    train.opened(8000, RATE_HZ)
    train.opened(8200, RATE_HZ)
    train.closed(8480, RATE_HZ)
    train.closed(8500, RATE_HZ)
    assert train.settled(20_000, RATE_HZ) == "1"
