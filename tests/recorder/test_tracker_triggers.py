"""Calls that speech begins, and calls that the messages of a digital line begin."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tracked_line import RATE_HZ, TrackedLine, digits, line, voice, wall_ms

from drivers.api import EventKind
from recorder.calls import Call
from recorder.signals import Signal

K = EventKind
RINGS: list[Signal] = [line(1, K.RING_ON), line(2, K.RING_OFF)]


def speech(*spans: tuple[float, float]) -> list[Signal]:
    return [item for begin, end in spans for item in (voice(begin), voice(end, False))]


# ── voice ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def by_voice(story: list[Signal], until_s: float, **parameters: Any) -> TrackedLine:
    return TrackedLine(start_trigger="voice", **parameters).play(story, until_s)


def test_speech_is_a_call_from_where_it_began_to_where_it_ended() -> None:
    told = by_voice(speech((10, 12), (15, 21)), 40)
    assert told.spans() == [(9, 21.3)]
    call = told.call
    assert (call.direction, call.result, call.answer_basis, call.end_reason) == (
        "outgoing", "answered", "voice", "silence",
    )  # fmt: skip
    assert (call.started_ms, call.ended_ms, call.talk_ms) == (wall_ms(80_000), wall_ms(21 * RATE_HZ), 11_000)


def test_silence_longer_than_the_hang_time_ends_it() -> None:
    told = by_voice(speech((10, 12), (20.1, 25)), 40)
    assert told.spans() == [(9, 12.3), (19.1, 25.3)]
    assert by_voice(speech((10, 12), (20.1, 25)), 40, voice_hang_ms=9000).spans() == [(9, 25.3)]


def test_speech_behind_a_ring_is_an_incoming_call() -> None:
    told = by_voice([*RINGS, *speech((5, 20))], 40)
    assert (told.call.direction, told.call.answer_basis, told.call.ring_ms) == ("incoming", "voice", 4000)
    assert told.spans() == [(4, 20.3)]


def test_a_ring_without_speech_is_a_missed_call() -> None:
    told = by_voice(RINGS, 20, abandoned_below_ms=0)
    assert (told.call.result, told.cuts()) == ("missed", [])


def test_the_hook_is_ignored() -> None:
    told = by_voice([line(3, K.OFF_HOOK), *speech((10, 20)), line(12, K.ON_HOOK), line(13, K.OFF_HOOK)], 40)
    assert told.spans() == [(9, 20.3)]
    assert told.tracker.state.hook == "off"


def test_a_ring_ends_a_call_that_fell_silent() -> None:
    told = by_voice([*speech((10, 12)), line(15, K.RING_ON), line(16, K.RING_OFF)], 40)
    assert [(call.direction, call.result) for call in told.calls] == [
        ("outgoing", "answered"), ("incoming", "abandoned"),
    ]  # fmt: skip
    assert told.calls[0].ended_ms == wall_ms(12 * RATE_HZ)


def test_digits_just_before_the_speech_are_the_dialled_number() -> None:
    told = by_voice([*digits(1, "10086"), *speech((10, 12), (60, 62))], 80)
    assert [call.dialled_number for call in told.calls] == ["10086", None]
    assert [call.dialled_number for call in by_voice([*digits(1, "10086"), *speech((40, 42))], 80).calls] == [None]


def test_a_silence_is_not_cut_until_it_is_known_to_be_the_call() -> None:
    story = speech((10, 24), (40, 45))
    told = by_voice(story, 70, longest_segment_s=10, voice_hang_ms=20_000)
    assert told.spans() == [(9, 19), (19, 29), (29, 39), (39, 45.3)]
    assert by_voice(story[:2], 70, longest_segment_s=10, voice_hang_ms=20_000).spans() == [(9, 19), (19, 24.3)]


def test_a_voice_call_ends_where_the_card_is_lost() -> None:
    told = by_voice([voice(10)], 30)
    told.news += told.tracker.card_lost(30 * RATE_HZ)
    assert (told.call.end_reason, told.spans()) == ("card_lost", [(9, 30)])


def test_how_the_line_is_listened_to() -> None:
    told = by_voice([*RINGS, voice(5)], 3)
    assert (told.tracker.on_hook, told.tracker.hears_voice) == (True, True)
    told.play([voice(5)], 6)
    assert (told.tracker.on_hook, told.tracker.hears_voice) == (False, True)


# ── signalling ──────────────────────────────────────────────────────────────────────────────────────────────────────


def setup(at_s: float, direction: str, **more: str) -> Signal:
    return line(at_s, K.CALL_SETUP, json.dumps({"direction": direction, **more}))


def by_messages(story: list[Signal], until_s: float = 40, **parameters: Any) -> TrackedLine:
    return TrackedLine(start_trigger="signalling", **parameters).play(story, until_s)


def test_incoming_by_messages() -> None:
    told = by_messages(
        [
            setup(1, "incoming", caller_number="13800138000", caller_name="张三", dialled_number="8001"),
            line(2, K.CALL_ALERTING),
            line(6, K.CALL_CONNECTED),
            line(20, K.CALL_RELEASED),
        ]
    )
    call: Call = told.call
    assert (call.direction, call.result, call.answer_basis, call.end_reason) == (
        "incoming", "answered", "signalling", "released",
    )  # fmt: skip
    assert (call.caller_number, call.caller_name, call.dialled_number) == ("13800138000", "张三", "8001")
    assert (call.ring_ms, call.talk_ms) == (4000, 14_000)
    assert told.spans() == [(5, 20.3)]
    assert told.kinds == ["call_started", "caller_id", "dialled_number", "call_answered", "call_ended"]


def test_outgoing_by_messages_has_its_ringing_too() -> None:
    story = [
        setup(2, "outgoing", dialled_number="10086"), line(4, K.CALL_ALERTING), line(9, K.CALL_CONNECTED),
        line(20, K.CALL_RELEASED),
    ]  # fmt: skip
    told = by_messages(story)
    assert (told.call.result, told.call.dialled_number, told.call.ring_ms) == ("answered", "10086", 5000)
    assert told.spans() == [(1, 20.3)]


@pytest.mark.parametrize(("cause", "reason"), [("busy", "busy"), (None, "released"), ("x" * 500, "x" * 32)])
def test_a_call_that_nobody_takes(cause: str | None, reason: str) -> None:
    outgoing = by_messages([setup(2, "outgoing", dialled_number="10086"), line(5, K.CALL_RELEASED, cause)]).call
    assert (outgoing.result, outgoing.end_reason) == ("abandoned", reason)
    incoming = by_messages([setup(2, "incoming"), line(12, K.CALL_RELEASED, cause)]).call
    assert (incoming.result, incoming.end_reason, incoming.from_sample) == ("missed", reason, None)


def test_a_new_set_up_ends_the_call_before_it() -> None:
    told = by_messages([setup(1, "outgoing"), line(2, K.CALL_CONNECTED), setup(10, "incoming")])
    assert told.spans() == [(0, 10)]
    assert told.call.ended_ms == wall_ms(10 * RATE_HZ)
    assert told.tracker.state.call is not None


@pytest.mark.parametrize("junk", [None, "", "{", "[]", '{"direction": "sideways"}', '{"direction": 5}', 1.5])
def test_a_set_up_that_is_none_is_passed_over(junk: str | float | None) -> None:
    story = [line(1, K.CALL_SETUP, junk), line(2, K.CALL_ALERTING), line(3, K.CALL_CONNECTED), line(4, K.CALL_RELEASED)]
    assert by_messages(story).news == []


def test_ring_and_hook_mean_nothing_to_a_digital_line() -> None:
    assert by_messages([*RINGS, line(3, K.OFF_HOOK), line(9, K.ON_HOOK), *speech((4, 8))]).news == []


def test_messages_mean_nothing_to_an_analog_line() -> None:
    assert TrackedLine().play([setup(1, "outgoing"), line(5, K.CALL_RELEASED)], 20).news == []
