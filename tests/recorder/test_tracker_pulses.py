"""Calls dialled by pulses: one call with the right number, from the hook events of a line and of a card."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_pulses import number_ms
from tracked_line import RATE_HZ, TrackedLine, digits, line, voice

from drivers.api import EventKind, LineEvent
from drivers.exchange_card.meter import LineMeter
from drivers.serial_card.messages import WireEvent
from drivers.serial_card.settings import Setting
from recorder.signals import Signal, Tone, ToneHeard

K = EventKind


def pulses(number: str, start_s: float = 2.0, pulses_per_s: float = 10.0, break_share: float = 0.6) -> list[Signal]:
    edges = accumulate(number_ms(number, pulses_per_s, break_share)[:-1], initial=1000.0 * start_s)
    return [line(ms / 1000.0, K.OFF_HOOK if place % 2 else K.ON_HOOK) for place, ms in enumerate(edges)]


def ends_s(story: list[Signal]) -> float:
    return max(signal.at_sample for signal in story) / RATE_HZ


def tone(at_s: float, heard: Tone) -> ToneHeard:
    return ToneHeard(0, round(at_s * RATE_HZ), heard)


@pytest.mark.parametrize("store", [False, True])
def test_an_outgoing_call_is_one_call_with_its_number(store: bool) -> None:
    dialled = pulses("13800138000")
    at_s = ends_s(dialled)
    story = [
        line(1, K.OFF_HOOK), *dialled, tone(at_s + 0.5, Tone.RINGBACK), voice(at_s + 9.0),
        line(at_s + 30.0, K.ON_HOOK),
    ]  # fmt: skip
    told = TrackedLine().play(story, at_s + 40, store)
    assert told.kinds == ["call_started", "dialled_number", "call_answered", "call_ended"]
    assert (told.call.direction, told.call.result, told.call.dialled_number, told.call.answer_basis) == (
        "outgoing", "answered", "13800138000", "voice",
    )  # fmt: skip
    assert told.spans() == [(0.0, pytest.approx(at_s + 30.3, abs=0.01))]


def test_polarity_directly_after_the_last_pulse() -> None:
    dialled = pulses("10")
    at_s = ends_s(dialled)
    story = [line(1, K.OFF_HOOK), *dialled, line(at_s + 0.2, K.POLARITY_REVERSED), line(at_s + 9, K.ON_HOOK)]
    told = TrackedLine().play(story, at_s + 20)
    assert (told.call.dialled_number, told.call.answer_basis) == ("10", "polarity")


@given(
    number=st.text("0123456789", min_size=1, max_size=12),
    pulses_per_s=st.floats(7.5, 22.0),
    break_share=st.floats(0.58, 0.67),
)
@settings(max_examples=60, deadline=None)
def test_any_number_at_any_speed(number: str, pulses_per_s: float, break_share: float) -> None:
    dialled = pulses(number, 2.0, pulses_per_s, break_share)
    at_s = ends_s(dialled)
    told = TrackedLine(hook_flash_max_ms=100).play(
        [line(1, K.OFF_HOOK), *dialled, line(at_s + 8, K.ON_HOOK)], at_s + 12
    )
    assert told.call.dialled_number == number
    assert told.kinds == ["call_started", "dialled_number", "call_ended"]


@pytest.mark.parametrize("pause_s", [0.2, 0.5, 2.0])
def test_hanging_up_after_dialling_keeps_the_number(pause_s: float) -> None:
    dialled = pulses("114")
    at_s = ends_s(dialled)
    told = TrackedLine().play([line(1, K.OFF_HOOK), *dialled, line(at_s + pause_s, K.ON_HOOK)], at_s + 10)
    assert (told.call.dialled_number, told.call.result, told.call.end_reason) == ("114", "abandoned", "on_hook")


def test_a_slow_finger_does_not_end_the_number() -> None:
    first, second = pulses("5", 2.0, 7.5), pulses("0", 5.5, 7.5)
    at_s = ends_s(second)
    story = [line(1, K.OFF_HOOK), *first, *second, line(at_s + 8, K.ON_HOOK)]
    assert TrackedLine().play(story, at_s + 12).call.dialled_number == "50"


@pytest.mark.parametrize("flash_s", [0.1, 0.3, 0.6])
def test_a_hook_flash_within_a_call_dials_nothing(flash_s: float) -> None:
    story = [
        line(1, K.RING_ON), line(2, K.RING_OFF), line(3, K.OFF_HOOK), line(6, K.ON_HOOK), line(6 + flash_s, K.OFF_HOOK),
        line(12, K.ON_HOOK),
    ]  # fmt: skip
    told = TrackedLine(pause_code="1").play(story, 20)
    assert told.kinds == ["call_started", "call_answered", "call_ended"]
    assert told.call.talk_ms == 9000


def test_a_flash_between_digits_and_tones_after_pulses() -> None:
    first = pulses("9")
    at_s = ends_s(first)
    story = [
        line(1, K.OFF_HOOK), *first, line(at_s + 0.5, K.ON_HOOK), line(at_s + 0.7, K.OFF_HOOK),
        *digits(at_s + 1.5, "10086"), line(at_s + 12, K.ON_HOOK),
    ]  # fmt: skip
    assert TrackedLine().play(story, at_s + 20).call.dialled_number == "910086"


def test_pulses_within_a_call_can_be_a_code() -> None:
    story = [line(1, K.RING_ON), line(2, K.RING_OFF), line(3, K.OFF_HOOK), *pulses("12", 6.0), line(20, K.ON_HOOK)]
    told = TrackedLine(pause_code="12").play(story, 30)
    assert "recording_paused" in told.kinds
    assert told.call.dialled_number is None


def test_a_line_that_is_cut_while_dialling() -> None:
    dialled = [signal for signal in pulses("5") if signal.at_sample < 2.09 * RATE_HZ]
    told = TrackedLine().play([line(1, K.OFF_HOOK), *dialled, line(2.2, K.LINE_LOST)], 10)
    assert (told.call.dialled_number, told.call.end_reason) == (None, "line_lost")


@pytest.mark.parametrize("trigger", ["hook", "voice"])
def test_every_trigger_that_knows_the_hook(trigger: str) -> None:
    dialled = pulses("10086")
    at_s = ends_s(dialled)
    story = [line(1, K.OFF_HOOK), *dialled, voice(at_s + 6), voice(at_s + 8, False), line(at_s + 20, K.ON_HOOK)]
    assert TrackedLine(start_trigger=trigger).play(story, at_s + 40).call.dialled_number == "10086"


@dataclass(frozen=True)
class Volts:
    """One line at a meter of a card."""

    loop_v: npt.NDArray[np.float32]

    @property
    def audio(self) -> npt.NDArray[np.int16]:
        return np.zeros((1, self.loop_v.shape[1] * 8), np.int16)

    @property
    def ring_vrms(self) -> npt.NDArray[np.float32]:
        return np.zeros_like(self.loop_v)


def card_events(number: str, pulses_per_s: float, debounce_ms: int) -> tuple[list[Signal], float]:
    """What a line card tells of a line that is dialled on and hung up 6 s later, and when that is."""
    edges_ms = [1000.0, *accumulate(number_ms(number, pulses_per_s)[:-1], initial=2000.0)]
    edges_ms.append(edges_ms[-1] + 6000.0)
    loop_v = np.full((1, round(edges_ms[-1]) + 2000), 48.0, np.float32)
    for start, end in zip(edges_ms[0::2], edges_ms[1::2], strict=True):
        loop_v[0, round(start) : round(end)] = 7.0
    meter = LineMeter(1)
    meter.set(0, Setting.HOOK_DEBOUNCE_MS, debounce_ms)
    kinds = {WireEvent.OFF_HOOK: K.OFF_HOOK, WireEvent.ON_HOOK: K.ON_HOOK}
    told = [change for at in range(0, loop_v.shape[1], 10) for change in meter.measure(Volts(loop_v[:, at : at + 10]))]
    return [LineEvent(kinds[one.kind], 0, one.at_ms * 8) for one in told if one.kind in kinds], edges_ms[-1] / 1000.0


@pytest.mark.parametrize(
    ("pulses_per_s", "debounce_ms"), [(7.5, 30), (9.0, 20), (10.0, 20), (10.0, 35), (11.0, 30), (20.0, 20)]
)
def test_a_card_that_debounces_shortly_lets_pulses_through(pulses_per_s: float, debounce_ms: int) -> None:
    events, ends = card_events("1380", pulses_per_s, debounce_ms)
    assert TrackedLine().play(events, ends + 5).call.dialled_number == "1380"


def test_a_card_that_debounces_for_long_swallows_them_but_not_the_call() -> None:
    events, ends = card_events("1380", 10.0, 100)
    call = TrackedLine().play(events, ends + 5).call
    assert (call.dialled_number, call.started_sample) == (None, RATE_HZ)
