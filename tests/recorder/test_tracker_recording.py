"""What of a call is cut: kept or not, paused, asked for; and what is recorded beside the calls."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from tracked_line import RATE_HZ, TrackedLine, asks, digits, line, wall_ms

from drivers.api import EventKind, LineEvent
from recorder.calls import CallEventKind, Pause
from recorder.signals import Signal
from recorder.tracking.channel import TrackerSettings
from recorder.tracking.tracker import ChannelTracker

K = EventKind
CALLER = '{"signalling": "fsk-bell202", "format": "mdmf", "number": "13800138000"}'


def incoming(begin_s: float = 5, end_s: float = 20, caller: str | None = CALLER) -> list[Signal]:
    story: list[Signal] = [line(1, K.RING_ON), line(2, K.RING_OFF), line(begin_s, K.OFF_HOOK), line(end_s, K.ON_HOOK)]
    return [*story, line(3, K.CALLER_ID, caller)] if caller else story


# ── kept or not ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_call_says_where_its_audio_is_and_why_it_is_kept() -> None:
    told = TrackedLine().play(incoming(), 30)
    answered = next(event for event in told.events if event.kind is CallEventKind.CALL_ANSWERED)
    assert answered.call is not None
    assert (answered.call.from_sample, answered.call.to_sample) == (4 * RATE_HZ, None)
    assert (answered.call.kept, answered.call.kept_reason) == (True, "mode_all")
    assert (told.call.from_sample, told.call.to_sample) == (4 * RATE_HZ, round(20.3 * RATE_HZ))
    assert told.spans() == [(4, 20.3)]


def test_a_dialled_call_says_at_its_start_where_its_audio_is() -> None:
    told = TrackedLine().play([line(5, K.OFF_HOOK), line(9, K.ON_HOOK)], 12)
    assert told.events[0].call is not None
    assert told.events[0].call.from_sample == 4 * RATE_HZ


def test_a_missed_call_needs_no_decision() -> None:
    told = TrackedLine(record_mode="none").play(incoming()[:2], 30)
    assert (told.call.kept, told.call.kept_reason, told.call.from_sample) == (True, None, None)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"record_mode": "none"}, "mode_none"),
        ({"record_mode": "outgoing"}, "mode_outgoing"),
        ({"record_mode": "on_demand"}, "not_asked"),
        ({"never_record_numbers": "138*"}, "never_list"),
        ({"record_percent": 0}, "sampled_out"),
        ({"record_schedule": "wed 00:00-00:01"}, "outside_hours"),  # it is a Friday
    ],
)
def test_a_call_that_is_not_kept_leaves_a_record_with_the_reason(parameters: dict[str, Any], reason: str) -> None:
    told = TrackedLine(longest_segment_s=10, **parameters).play(incoming(end_s=60), 70)
    assert told.cuts() == []
    assert (told.call.kept, told.call.kept_reason) == (False, reason)
    assert (told.call.from_sample, told.call.to_sample) == (4 * RATE_HZ, round(60.3 * RATE_HZ))


def test_a_short_lift_is_kept_only_when_somebody_asks() -> None:
    story = incoming(5, 5.5)
    assert TrackedLine().play(story, 10).call.kept_reason == "too_short"
    told = TrackedLine().play([*story, asks(5.2, "keep")], 10)
    assert (told.call.kept_reason, told.spans()) == ("asked", [(4, 5.8)])


def test_a_number_that_becomes_known_late_decides_at_the_end() -> None:
    """Digits are complete after the first segment was cut: it must go again."""
    story: list[Signal] = [line(1, K.OFF_HOOK), *digits(11, "13800138000", 0.1), line(30, K.ON_HOOK)]
    told = TrackedLine(longest_segment_s=10, never_record_numbers="13800138000").play(story, 40)
    assert told.spans() == [(0, 10)]
    assert told.call.kept_reason == "never_list"
    (gone,) = told.withdrawn
    assert (gone.call_id, gone.rule, gone.by) == (told.call.id, "never_list", "rule")


def test_a_call_that_is_asked_for_late_is_cut_from_its_beginning() -> None:
    told = TrackedLine(record_mode="on_demand", longest_segment_s=10).play(
        [*incoming(end_s=40), asks(33, "record")], 50
    )
    assert told.spans() == [(4, 14), (14, 24), (24, 34), (34, 40.3)]
    assert [cut.segment for cut in told.cuts()] == [0, 1, 2, 3]
    assert [cut.started_ms for cut in told.cuts()] == [wall_ms(cut.from_sample) for cut in told.cuts()]
    assert told.call.kept_reason == "asked"
    assert told.kinds[-2:] == ["recording_kept", "call_ended"]


def test_discarding_takes_back_what_was_cut_and_who_asks_last_is_heard() -> None:
    story = incoming(end_s=40)
    told = TrackedLine(longest_segment_s=10).play([*story, asks(20, "discard")], 50)
    assert told.spans() == [(4, 14)]
    assert [(gone.rule, gone.by) for gone in told.withdrawn] == [("discarded", "8001")]
    again = TrackedLine(longest_segment_s=10).play([*story, asks(20, "discard"), asks(30, "keep")], 50)
    assert again.spans() == [(4, 14), (14, 24), (24, 34), (34, 40.3)]
    assert again.withdrawn == []


def test_nobody_can_keep_what_must_never_be_recorded() -> None:
    told = TrackedLine(never_record_numbers="138*").play([*incoming(), asks(8, "keep")], 30)
    assert told.refused == ["a number that must never be recorded"]
    assert told.cuts() == []


def test_settings_that_come_while_a_call_runs_hold_from_the_next() -> None:
    told = TrackedLine().play(incoming(), 10)
    told.tracker.settings = TrackerSettings(record_mode="none", pre_roll_ms=0)
    later = [line(30, K.OFF_HOOK), line(40, K.ON_HOOK)]
    told.play([*incoming()[3:4], *later], 50)
    assert [call.kept_reason for call in told.calls] == ["mode_all", "mode_none"]
    assert [call.from_sample for call in told.calls] == [4 * RATE_HZ, 30 * RATE_HZ]


def test_a_call_that_was_cut_in_part_is_not_dropped_by_settings_read_at_a_restart() -> None:
    told = TrackedLine(longest_segment_s=10).play(incoming(end_s=40), 20)
    state = told.tracker.state
    told.tracker = ChannelTracker(7, RATE_HZ, False, TrackerSettings(record_mode="none", longest_segment_s=10))
    told.tracker.state = state
    told.play(incoming(end_s=40)[3:4], 50)
    assert told.spans() == [(4, 14), (14, 24), (24, 34), (34, 40.3)]
    assert (told.call.kept, told.call.kept_reason) == (True, "mode_all")


def test_settings_that_came_while_a_call_runs_do_not_reach_it_by_a_restart_either() -> None:
    told = TrackedLine(never_record_numbers="555").play(incoming(), 10)
    new = TrackerSettings(record_mode="none", start_trigger="signalling", never_record_numbers="138*")
    told.tracker.settings = new
    told.restart(new)
    later = [line(30, K.OFF_HOOK), line(40, K.CALL_SETUP, '{"direction": "outgoing"}')]
    told.play([*incoming()[3:4], *later, line(45, K.CALL_RELEASED)], 50)
    assert [call.kept_reason for call in told.calls] == ["mode_all", "mode_none"]
    assert told.spans() == [(4, 20.3)]
    assert told.tracker.state.settings is None


def test_calls_never_share_a_name_whatever_order_the_card_tells_them_in() -> None:
    setup = '{"direction": "outgoing"}'
    told = TrackedLine(start_trigger="signalling")
    for at in (100, 101, 100, 101, 100):
        told.news += told.tracker.feed(LineEvent(K.CALL_SETUP, 0, at, setup), wall_ms)
        told.restart()
    told.news += told.tracker.card_lost(200)
    assert len({call.id for call in told.calls}) == len(told.calls) == 5


def test_the_pre_roll_has_nothing_of_the_call_before() -> None:
    """That one may be discarded, or not kept at all: nothing of it may live on in another recording."""
    later = [line(21, K.OFF_HOOK), line(30, K.ON_HOOK)]
    told = TrackedLine(pre_roll_ms=30_000).play([*incoming(), asks(8, "discard"), *later], 40)
    assert told.spans() == [(20, 30.3)]


def test_a_long_post_roll_is_waited_for_unless_the_next_call_begins() -> None:
    parameters: dict[str, Any] = {"post_roll_ms": 8000}
    assert TrackedLine(**parameters).play(incoming(), 40).spans() == [(4, 28)]
    told = TrackedLine(**parameters).play([*incoming(), line(23, K.RING_ON), line(24, K.RING_OFF)], 40)
    assert told.spans() == [(4, 23)]
    assert [call.result for call in told.calls] == ["answered", "abandoned"]


def test_a_segment_is_dated_when_it_begins() -> None:
    """The clock is set an hour forward within the call: what was heard before keeps its time."""
    told = TrackedLine(longest_segment_s=10).play(incoming(end_s=40), 9)
    for now in range(9 * RATE_HZ, 45 * RATE_HZ, 800):
        told.news += told.tracker.advance(now, lambda sample: wall_ms(sample) + 3_600_000)
    starts = [cut.started_ms - wall_ms(cut.from_sample) for cut in told.cuts()]
    assert starts == [0, 3_600_000, 3_600_000, 3_600_000]


# ── pauses ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_pause_and_resume_by_order() -> None:
    told = TrackedLine().play([*incoming(), asks(8, "pause", "card number"), asks(12, "resume")], 30)
    assert told.silences() == [(8, 12, "8001", "card number")]
    assert told.call.pauses == [Pause(8 * RATE_HZ, 12 * RATE_HZ, "8001", "card number")]
    kinds = told.kinds[-3:]
    assert kinds == ["recording_paused", "recording_resumed", "call_ended"]
    paused = next(event for event in told.events if event.kind is CallEventKind.RECORDING_PAUSED)
    assert paused.call is not None
    assert paused.call.pauses == [Pause(8 * RATE_HZ, None, "8001", "card number")]


def test_a_pause_is_clipped_to_each_segment_and_ends_with_the_call() -> None:
    told = TrackedLine(longest_segment_s=10).play([*incoming(end_s=40), asks(11, "pause")], 50)
    assert [(low, high) for low, high, *_ in told.silences()] == [(11, 14), (14, 24), (24, 34), (34, 40.3)]
    assert told.call.pauses == [Pause(11 * RATE_HZ, round(40.3 * RATE_HZ), "8001", "")]
    assert not told.tracker.paused


def test_an_order_that_came_late_reaches_back_ten_seconds_at_most() -> None:
    told = TrackedLine().play(incoming(end_s=60), 40)
    told.ask(asks(0, "pause"), 10 * RATE_HZ)
    told.play(incoming(end_s=60)[3:4], 70)
    assert told.silences()[0][:2] == (30, 60.3)


def test_an_order_reaches_back_to_what_is_not_cut_yet() -> None:
    told = TrackedLine(longest_segment_s=10).play(incoming(end_s=30), 16)
    told.ask(asks(0, "pause"), 12 * RATE_HZ)
    told.play(incoming(end_s=30)[3:4], 40)
    assert told.silences()[0][:2] == (14, 24)
    assert told.spans()[0] == (4, 14)
    assert told.call.pauses[0].from_sample == 14 * RATE_HZ


def test_pausing_by_digits_silences_the_code_too() -> None:
    story = [*incoming(end_s=30), *digits(10, "*7#"), *digits(20, "*8#")]
    told = TrackedLine(pause_code="*7#", resume_code="*8#").play(story, 40)
    assert told.silences() == [(10, 20.65, "code", "")]


def test_one_code_may_pause_and_resume() -> None:
    story = [*incoming(end_s=40), *digits(10, "99"), *digits(15, "99"), *digits(25, "99")]
    told = TrackedLine(pause_code="99", resume_code="99").play(story, 50)
    assert [(low, high) for low, high, *_ in told.silences()] == [(10, 15.45), (25, 40.3)]


@pytest.mark.parametrize(
    ("heard", "paused"),
    [
        (digits(10, "*7#", 2.9), True),
        (digits(10, "*7#", 3.0), False),
        (digits(10, "1234*7#"), True),
        (digits(10, "*71#"), False),
        ([line(10, K.DIGITS, "*7#")], True),  # a card that tells them together
    ],
)
def test_a_code_is_its_digits_without_a_long_pause(heard: list[Signal], paused: bool) -> None:
    told = TrackedLine(pause_code="*7#").play([*incoming(end_s=30), *heard], 25)
    assert told.tracker.paused is paused


def test_dialled_digits_are_no_code() -> None:
    story: list[Signal] = [line(1, K.OFF_HOOK), *digits(2, "10086"), *digits(12, "10086"), line(20, K.ON_HOOK)]
    told = TrackedLine(pause_code="10086").play(story, 30)
    assert told.call.dialled_number == "10086"
    assert told.silences() == [(12, 20.3, "code", "")]


@pytest.mark.parametrize(
    ("story", "refused"),
    [
        ([asks(3, "pause")], "nothing is running that could be paused: no call, and no recording that was asked for"),
        ([asks(8, "resume")], "the recording is not paused"),
        ([asks(8, "stop")], "no recording that was asked for is running"),
        ([asks(25, "keep")], "no call is running"),
        ([asks(25, "discard")], "no call is running"),
        ([asks(8, "pause", call_id="another")], "this call is not running any more"),
        ([asks(8, "dance")], "a recorder knows no order 'dance'"),
    ],
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(story: list[Any], refused: str) -> None:
    plain = TrackedLine().play(incoming(), 30)
    told = TrackedLine().play([*incoming(), *story], 30)
    assert told.refused == [refused]
    assert told.spans() == plain.spans()
    assert told.kinds == plain.kinds


def test_pausing_twice_is_refused() -> None:
    told = TrackedLine().play([*incoming(), asks(8, "pause", "first"), asks(9, "pause", "second")], 30)
    assert told.refused == ["the recording is paused already"]
    assert told.silences() == [(8, 20.3, "8001", "first")]


def test_the_pre_roll_of_the_next_call_keeps_silent_about_what_was_paused() -> None:
    later = [line(20.9, K.OFF_HOOK), line(30, K.ON_HOOK)]
    told = TrackedLine(pre_roll_ms=5000).play([*incoming(), asks(8, "pause"), *later], 40)
    assert told.spans() == [(0, 20.3), (20, 30.3)]
    assert [(low, high) for low, high, *_ in told.silences()] == [(8, 20.3), (20, 20.3)]


@pytest.mark.parametrize("resumed_s", [11.0, 11.9])
def test_what_was_paused_by_hand_is_silence_in_the_pre_roll_of_a_call_too(resumed_s: float) -> None:
    """Although what ran meanwhile has been cut."""
    paused = [asks(3, "record"), asks(5, "pause"), asks(resumed_s, "resume"), asks(12, "stop")]
    call = [line(13, K.OFF_HOOK), line(20, K.ON_HOOK)]
    told = TrackedLine(pre_roll_ms=30_000, continuous=True, longest_segment_s=12).play([*paused, *call], 30)
    assert told.spans() == [(0, 12), (12, 20.3)]
    assert told.silences() == [(5, resumed_s, "8001", "")]


def test_a_recording_by_hand_that_was_asked_late_keeps_silent_about_what_was_paused_or_unlawful() -> None:
    story = [*incoming(), asks(14, "pause"), asks(18, "resume")]
    told = TrackedLine().play(story, 23)
    told.ask(asks(15, "record"), 15 * RATE_HZ)
    told.play([asks(25, "stop")], 30)
    assert told.silences("manual") == [(15, 18, "8001", "")]
    told = TrackedLine(never_record_numbers="138*").play(incoming(), 23)
    told.ask(asks(15, "record"), 15 * RATE_HZ)
    told.play([asks(25, "stop")], 30)
    assert told.silences("manual") == [(15, 20.3, "rule", "never_list")]


def test_pauses_of_long_ago_are_forgotten() -> None:
    story = [*incoming(), asks(8, "pause"), asks(12, "resume"), line(100, K.OFF_HOOK), line(110, K.ON_HOOK)]
    assert TrackedLine().play(story, 120).tracker.state.pauses == []


def test_a_call_without_audio_has_no_pauses() -> None:
    told = TrackedLine().play([asks(0.2, "record"), asks(0.5, "pause"), *incoming()[:2]], 20)
    assert (told.call.result, told.call.pauses) == ("abandoned", [])
    assert told.tracker.paused


# ── beside the calls ────────────────────────────────────────────────────────────────────────────────────────────────


def test_around_the_clock_segments_follow_each_other_without_a_gap() -> None:
    told = TrackedLine(continuous=True, longest_segment_s=10).play(incoming(), 45)
    assert told.spans("continuous") == [(0, 10), (10, 20), (20, 30), (30, 40)]
    assert [(cut.segment, cut.call, cut.channel) for cut in told.cuts("continuous")] == [
        (segment, None, 7) for segment in range(4)
    ]
    assert told.spans() == [(4, 14), (14, 20.3)]


def test_around_the_clock_is_switched_at_once_even_while_a_call_runs() -> None:
    told = TrackedLine().play(incoming(), 10)
    told.tracker.settings = TrackerSettings(continuous=True, longest_segment_s=10)
    told.news += told.tracker.round_the_clock(10 * RATE_HZ, wall_ms)
    told.play(incoming()[3:4], 45)
    told.tracker.settings = TrackerSettings()
    told.news += told.tracker.round_the_clock(45 * RATE_HZ, wall_ms)
    told.play([], 60)
    spans = told.spans("continuous")
    assert (spans[0][0], spans[-1][1]) == (10, 45)
    assert all(before[1] == after[0] for before, after in pairwise(spans))


def test_a_lost_card_ends_it_there_and_it_begins_where_the_card_is_back() -> None:
    told = TrackedLine(continuous=True).play([], 10)
    told.news += told.tracker.card_lost(10 * RATE_HZ)
    told.news += told.tracker.round_the_clock(50 * RATE_HZ, wall_ms)
    told.news += told.tracker.card_lost(60 * RATE_HZ)
    assert told.spans("continuous") == [(0, 10), (50, 60)]
    assert [cut.started_ms for cut in told.cuts("continuous")] == [wall_ms(0), wall_ms(50 * RATE_HZ)]


def test_recording_by_hand_needs_no_call() -> None:
    told = TrackedLine(longest_segment_s=10).play([asks(3, "record"), asks(5, "record"), asks(27, "stop")], 30)
    assert told.spans("manual") == [(3, 13), (13, 23), (23, 27)]
    assert told.refused == ["a recording that was asked for is running already"]
    assert told.kinds == []
    assert not told.tracker.running


def test_recordings_by_hand_do_not_overlap_whatever_was_asked_late() -> None:
    told = TrackedLine().play([asks(3, "record"), asks(8, "stop")], 10)
    told.ask(asks(3, "record"), 3 * RATE_HZ)
    told.play([asks(15, "stop")], 20)
    assert told.spans("manual") == [(3, 8), (8, 15)]


def test_a_pause_ends_with_the_recording_by_hand() -> None:
    told = TrackedLine(continuous=True, longest_segment_s=20)
    told.play([asks(3, "record"), asks(5, "pause"), asks(8, "stop")], 30)
    assert [(low, high) for low, high, *_ in told.silences("continuous")] == [(5, 8)]
    assert not told.tracker.paused


def test_recording_by_hand_goes_on_beside_a_call() -> None:
    told = TrackedLine(record_mode="none").play([asks(0.5, "record"), *incoming(), asks(25, "stop")], 30)
    assert told.spans("manual") == [(0.5, 25)]
    assert told.call.kept_reason == "mode_none"


def test_pausing_holds_for_everything_that_runs() -> None:
    story = [*incoming(), asks(3, "record"), asks(8, "pause", "pin"), asks(12, "resume"), asks(25, "stop")]
    told = TrackedLine(continuous=True, longest_segment_s=30, record_mode="on_demand").play(story, 70)
    for kind in ("call", "continuous"):
        assert told.silences(kind) == [(8, 12, "8001", "pin")]  # type: ignore[arg-type]
    by_hand = TrackedLine().play([asks(1, "record"), asks(3, "pause"), asks(5, "resume"), asks(8, "stop")], 10)
    assert by_hand.silences("manual") == [(3, 5, "8001", "")]
    assert by_hand.kinds == ["recording_paused", "recording_resumed"]


def test_a_call_that_must_never_be_recorded_is_silence_beside_it_too() -> None:
    parameters: dict[str, Any] = {"continuous": True, "longest_segment_s": 15, "never_record_numbers": "138*"}
    told = TrackedLine(**parameters).play([asks(0.5, "record"), *incoming(end_s=33), asks(50, "stop")], 60)
    for kind in ("manual", "continuous"):
        silences = told.silences(kind)  # type: ignore[arg-type]
        assert (silences[0][0], silences[-1][1]) == (4, 33.3)
        assert all(before[1] == after[0] for before, after in pairwise(silences))
        assert {pause[2:] for pause in silences} == {("rule", "never_list")}


def test_what_runs_survives_a_restart() -> None:
    story = [*incoming(), asks(0.5, "record"), asks(8, "pause", "pin"), asks(12, "resume"), asks(25, "stop")]
    parameters: dict[str, Any] = {"continuous": True, "longest_segment_s": 10}
    straight = TrackedLine(**parameters).play(story, 60)
    restarted = TrackedLine(**parameters).play(story, 60, store=True)
    for kind in ("call", "manual", "continuous"):
        assert straight.spans(kind) == restarted.spans(kind) != []  # type: ignore[arg-type]
        assert straight.silences(kind) == restarted.silences(kind)  # type: ignore[arg-type]
