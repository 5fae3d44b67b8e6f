"""The tracker when a card comes back: it states its lines anew, and what happened meanwhile is not told."""

from __future__ import annotations

from typing import Literal

import pytest

from drivers.api import EventKind, LineEvent
from recorder.calls import Call, CallEvent, CallEventKind, Cut
from recorder.tracking.tracker import MOST_DIGITS, ChannelTracker, TrackerSettings

RATE_HZ = 8000
WALL_MS = 1_800_000_000_000
K = EventKind


def wall_ms(sample: int) -> int:
    return WALL_MS + sample * 1000 // RATE_HZ


def play(
    tracker: ChannelTracker, until_s: float, *story: tuple[float, EventKind] | tuple[float, EventKind, str]
) -> list[CallEvent | Cut]:
    news: list[CallEvent | Cut] = []
    for at_s, kind, *value in story:
        event = LineEvent(kind, 0, int(at_s * RATE_HZ), value[0] if value else None)
        news += tracker.advance(event.at_sample, wall_ms)
        news += tracker.feed(event, wall_ms)
    for end in range(0, int(until_s * RATE_HZ) + 1, 800):
        news += tracker.advance(end, wall_ms)
    return news


def ended(news: list[CallEvent | Cut]) -> list[Call]:
    return [n.call for n in news if isinstance(n, CallEvent) and n.kind is CallEventKind.CALL_ENDED and n.call]


def new(line_lost_ends_call: bool = True) -> ChannelTracker:
    return ChannelTracker(1, RATE_HZ, False, TrackerSettings(line_lost_ends_call=line_lost_ends_call))


def test_ringing_that_ended_while_the_card_was_away_is_a_missed_call() -> None:
    news = play(new(), 20, (1, K.RING_ON), (2, K.RING_OFF), (6, K.RING_ON), (9, K.LINE_PRESENT), (9, K.ON_HOOK))
    (call,) = ended(news)
    assert (call.result, call.end_reason, call.ring_ms) == ("missed", "caller_gave_up", 8000)


def test_ringing_that_goes_on_behind_the_restart_is_one_call() -> None:
    story = [(1.0, K.RING_ON), (1.5, K.LINE_PRESENT), (1.5, K.ON_HOOK), (1.5, K.RING_ON), (2.0, K.RING_OFF)]
    news = play(new(), 20, *story, (6, K.RING_ON), (6.5, K.OFF_HOOK), (12, K.ON_HOOK))
    (call,) = ended(news)
    assert (call.result, call.ring_ms, call.talk_ms) == ("answered", 5500, 5500)


def test_a_ringing_line_that_is_cut_does_not_ring_for_ever() -> None:
    (call,) = ended(play(new(line_lost_ends_call=False), 20, (1, K.RING_ON), (3, K.LINE_LOST)))
    assert (call.result, call.ring_ms) == ("abandoned", 2000)


def test_a_caller_id_is_taken_for_one_call_only() -> None:
    told = '{"signalling": "dtmf", "format": "dtmf-d-c", "number": "13800138000"}'
    story = [(1.0, K.RING_ON), (1.5, K.RING_OFF), (9.0, K.RING_ON), (10.0, K.RING_OFF)]
    calls = ended(play(new(), 30, (0.5, K.CALLER_ID, told), *story))
    assert [call.caller_number for call in calls] == ["13800138000", None]


@pytest.mark.parametrize("how", ["card", "line"])
def test_a_call_that_was_hung_up_just_before_ends_there(how: Literal["card", "line"]) -> None:
    tracker = new()
    story = [(1.0, K.RING_ON), (3.0, K.OFF_HOOK), (8.0, K.ON_HOOK)]
    if how == "line":
        news = play(tracker, 8.2, *story, (8.2, K.LINE_LOST))
    else:
        news = play(tracker, 8.2, *story) + tracker.card_lost(int(8.2 * RATE_HZ))
    (call,) = ended(news)
    assert (call.talk_ms, call.end_reason, call.ended_ms) == (5000, "on_hook", wall_ms(8 * RATE_HZ))


@pytest.mark.parametrize("how", ["card", "line"])
def test_a_call_lost_between_two_rings_rang_until_the_last(how: Literal["card", "line"]) -> None:
    tracker = new()
    story = [(1.0, K.RING_ON), (2.0, K.RING_OFF), (4.0, K.RING_ON), (5.0, K.RING_OFF)]
    if how == "line":
        news = play(tracker, 7.5, *story, (7.5, K.LINE_LOST))
    else:
        news = play(tracker, 7.5, *story) + tracker.card_lost(int(7.5 * RATE_HZ))
    (call,) = ended(news)
    assert (call.result, call.ring_ms, call.end_reason) == ("abandoned", 4000, f"{how}_lost")


def test_a_lost_card_is_dated_by_the_call_alone() -> None:
    """Right after a restart nothing was fed yet that says what time it is."""
    before = new()
    play(before, 5, (1, K.RING_ON), (3, K.OFF_HOOK))
    tracker = new()
    tracker.state = before.state
    (call,) = ended(tracker.card_lost(10 * RATE_HZ))
    assert (call.ended_ms, call.talk_ms) == (wall_ms(10 * RATE_HZ), 7000)


@pytest.mark.parametrize("junk", ["", "{", "[]", '{"number": 5}', "\0"])
def test_a_caller_id_that_is_none_is_passed_over(junk: str) -> None:
    (call,) = ended(play(new(), 20, (1, K.RING_ON), (2, K.RING_OFF), (2.5, K.CALLER_ID, junk)))
    assert (call.caller_number, call.caller_id) == (None, None)


def test_digits_without_end_are_cut_off() -> None:
    digits = [(2 + index * 0.1, K.DIGITS, "12345") for index in range(500)]
    (call,) = ended(play(new(), 80, (1, K.OFF_HOOK), *digits, (60, K.ON_HOOK)))
    assert call.dialled_number is not None
    assert 0 < len(call.dialled_number) <= MOST_DIGITS
