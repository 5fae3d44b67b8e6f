"""The call tracker: each story of a line, told in events, ends in the right call record."""

from __future__ import annotations

import json
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.api import EventKind, LineEvent
from recorder.calls import Call, CallEvent, CallEventKind, Cut
from recorder.signals import CallerId, Signal, Tone, ToneHeard, VoiceActivity
from recorder.tracking.tracker import ChannelState, ChannelTracker, TrackerSettings

RATE_HZ = 8000
WALL_MS = 1_800_000_000_000
K = EventKind
FSK = CallerId("fsk-bell202", "mdmf", "13800138000", "张三")


def wall_ms(sample: int) -> int:
    return WALL_MS + sample * 1000 // RATE_HZ


def line(at_s: float, kind: EventKind, value: float | str | None = None) -> LineEvent:
    return LineEvent(kind, 0, int(at_s * RATE_HZ), value)


def caller_id(at_s: float, heard: CallerId = FSK) -> LineEvent:
    return line(at_s, K.CALLER_ID, msgspec.json.encode(heard).decode())


def rings(count: int, start_s: float = 1.0) -> list[Signal]:
    return [
        event
        for burst in range(count)
        for event in (line(start_s + 5 * burst, K.RING_ON), line(start_s + 5 * burst + 1, K.RING_OFF))
    ]


class Line:
    """A tracker, fed block by block as the recorder does."""

    def __init__(self, **parameters: int | bool) -> None:
        self.tracker = ChannelTracker(7, RATE_HZ, False, TrackerSettings(**parameters))  # type: ignore[arg-type]
        self.news: list[CallEvent | Cut] = []

    def play(self, signals: list[Signal], until_s: float, store: bool = False) -> Line:
        todo = sorted(signals, key=lambda signal: signal.at_sample)
        for end in range(800, int(until_s * RATE_HZ) + 1, 800):
            while todo and todo[0].at_sample < end:
                self.news += self.tracker.feed(todo.pop(0), wall_ms)
            self.news += self.tracker.advance(end, wall_ms)
            if store:  # as a restart would: the state goes through its stored form
                text = msgspec.json.encode(self.tracker.state)
                self.tracker.state = msgspec.json.decode(text, type=ChannelState)
        return self

    @property
    def calls(self) -> list[Call]:
        return [n.call for n in self.news if isinstance(n, CallEvent) and n.kind is CallEventKind.CALL_ENDED and n.call]

    @property
    def call(self) -> Call:
        assert len(self.calls) == 1
        return self.calls[0]

    @property
    def cuts(self) -> list[Cut]:
        return [n for n in self.news if isinstance(n, Cut)]

    @property
    def kinds(self) -> list[str]:
        return [n.kind.value for n in self.news if isinstance(n, CallEvent)]


def test_rings_are_counted_for_each_call() -> None:
    assert Line().play(rings(3), 11.5, store=True).tracker.state.rings == 3
    twice = Line().play([*rings(2), line(6.2, K.RING_ON)], 6.5)
    assert twice.tracker.state.rings == 2, "the card said so twice"
    again = Line().play([*rings(2), line(7.5, K.OFF_HOOK), line(9, K.ON_HOOK)], 11)
    double = [line(at_s, kind) for at_s, kind in ((12, K.RING_ON), (12.4, K.RING_OFF), (12.6, K.RING_ON))]
    again.play(double, 12.8)
    assert (len(again.calls), again.tracker.state.rings) == (1, 1), "two bursts of one ring"


def test_incoming_answered() -> None:
    story = [*rings(2), caller_id(3.0), line(7.4, K.OFF_HOOK), line(20.0, K.ON_HOOK)]
    told = Line().play(story, 30)
    call = told.call
    assert (call.direction, call.result, call.caller_number, call.caller_name) == (
        "incoming", "answered", "13800138000", "张三",
    )  # fmt: skip
    assert (call.ring_ms, call.talk_ms) == (6400, 12_600)
    assert call.started_ms == WALL_MS + 1000
    assert call.ended_ms == WALL_MS + 20_000
    assert told.kinds == ["call_started", "caller_id", "call_answered", "call_ended"]
    (cut,) = told.cuts
    assert (cut.from_sample, cut.to_sample) == (int(6.4 * RATE_HZ), int(20.3 * RATE_HZ))
    assert cut.call.id == call.id


def test_missed_and_abandoned_depend_on_how_long_it_rang() -> None:
    assert Line().play(rings(3), 30).call.result == "missed"
    told = Line().play(rings(1), 30)
    assert told.call.result == "abandoned"
    assert (told.call.ring_ms, told.call.talk_ms, told.call.end_reason) == (1000, 0, "caller_gave_up")
    assert told.cuts == []


def test_caller_id_before_the_first_ring_is_taken_when_it_rings() -> None:
    heard = CallerId("dtmf", "dtmf-d-c", "01062345678")
    told = Line().play([caller_id(1.0, heard), *rings(2, 1.6)], 30)
    assert told.call.caller_number == "01062345678"
    assert told.kinds[:2] == ["call_started", "caller_id"]


def test_caller_id_of_long_ago_is_forgotten() -> None:
    told = Line().play([caller_id(1.0), *rings(2, 13.0)], 40)
    assert told.call.caller_number is None


def test_caller_id_without_a_ring_makes_no_call() -> None:
    assert Line().play([caller_id(1.0)], 40).news == []


def test_damaged_caller_id_never_becomes_a_number_but_is_kept() -> None:
    damaged = CallerId("fsk-bell202", "mdmf", None, valid=False, partial="1380x")
    told = Line().play([*rings(3), caller_id(3.0, damaged)], 40)
    assert told.call.caller_number is None
    assert "caller_id" not in told.kinds
    assert json.loads(told.call.caller_id or "")["partial"] == "1380x"


def test_good_caller_id_after_a_damaged_one_counts_and_is_told_once() -> None:
    damaged = CallerId("fsk-bell202", "mdmf", None, valid=False)
    told = Line().play([*rings(3), caller_id(3.0, damaged), caller_id(8.0), caller_id(13.0)], 40)
    assert told.call.caller_number == "13800138000"
    assert told.kinds.count("caller_id") == 1


def test_withheld_number_is_told() -> None:
    heard = CallerId("fsk-bell202", "mdmf", absence="withheld")
    told = Line().play([*rings(3), caller_id(3.0, heard)], 40)
    assert told.call.absence == "withheld"
    assert told.kinds.count("caller_id") == 1


def dialled(digits: str, start_s: float = 2.0) -> list[Signal]:
    return [line(start_s + 0.2 * index, K.DIGITS, digit) for index, digit in enumerate(digits)]


def test_outgoing_answered_by_polarity() -> None:
    story = [
        line(1, K.OFF_HOOK), *dialled("10086"), ToneHeard(0, 4 * RATE_HZ, Tone.RINGBACK),
        VoiceActivity(0, 9 * RATE_HZ, True), line(9, K.POLARITY_REVERSED), line(19, K.ON_HOOK),
    ]  # fmt: skip
    call = Line().play(story, 30).call
    assert (call.direction, call.result, call.dialled_number, call.answer_basis) == (
        "outgoing", "answered", "10086", "polarity",
    )  # fmt: skip
    assert (call.ring_ms, call.talk_ms) == (5000, 10_000)


def test_outgoing_answered_by_voice_where_polarity_never_reverses() -> None:
    story = [
        line(1, K.OFF_HOOK), VoiceActivity(0, RATE_HZ * 3 // 2, True), *dialled("10086"),
        ToneHeard(0, 4 * RATE_HZ, Tone.RINGBACK), VoiceActivity(0, 9 * RATE_HZ, True), line(19, K.ON_HOOK),
    ]  # fmt: skip
    told = Line().play(story, 30)
    assert (told.call.answer_basis, told.call.talk_ms) == ("voice", 10_000)
    assert told.kinds == ["call_started", "dialled_number", "call_answered", "call_ended"]


def test_line_with_answer_supervision_no_longer_trusts_voice() -> None:
    def one(start_s: float, polarity: bool) -> list[Signal]:
        at = int(start_s * RATE_HZ)
        events: list[Signal] = [
            line(start_s, K.OFF_HOOK), *dialled("114", start_s + 1), ToneHeard(0, at + 3 * RATE_HZ, Tone.RINGBACK),
            VoiceActivity(0, at + 5 * RATE_HZ, True), line(start_s + 10, K.ON_HOOK),
        ]  # fmt: skip
        return [*events, line(start_s + 6, K.POLARITY_REVERSED)] if polarity else events

    told = Line().play([*one(1, True), *one(20, False)], 40)
    assert [(call.result, call.answer_basis) for call in told.calls] == [("answered", "polarity"), ("abandoned", None)]
    assert told.calls[0].talk_ms == 4000


def test_busy_and_nothing_dialled_are_abandoned() -> None:
    busy = [line(1, K.OFF_HOOK), *dialled("114"), ToneHeard(0, 4 * RATE_HZ, Tone.BUSY), line(8, K.ON_HOOK)]
    call = Line().play(busy, 20).call
    assert (call.result, call.end_reason, call.dialled_number) == ("abandoned", "busy", "114")
    call = Line().play([line(1, K.OFF_HOOK), line(5, K.ON_HOOK)], 20).call
    assert (call.result, call.dialled_number, call.end_reason) == ("abandoned", None, "on_hook")


def test_number_is_told_after_a_pause_and_later_digits_are_not_part_of_it() -> None:
    story = [line(1, K.OFF_HOOK), *dialled("62345678"), line(12, K.DIGITS, "9"), line(20, K.ON_HOOK)]
    told = Line().play(story, 30)
    assert told.call.dialled_number == "62345678"
    assert told.kinds.count("dialled_number") == 1


def test_hook_flash_does_not_end_the_call() -> None:
    story = [*rings(1), line(3, K.OFF_HOOK), line(6, K.ON_HOOK), line(6.5, K.OFF_HOOK), line(12, K.ON_HOOK)]
    told = Line().play(story, 20)
    assert told.call.talk_ms == 9000
    assert len(told.cuts) == 1


def test_on_hook_told_again_does_not_move_the_end() -> None:
    told = Line().play([*rings(1), line(3, K.OFF_HOOK), line(6, K.ON_HOOK), line(6.4, K.ON_HOOK)], 20)
    assert told.call.talk_ms == 3000


def test_longer_on_hook_ends_the_call_and_off_hook_starts_another() -> None:
    story = [*rings(1), line(3, K.OFF_HOOK), line(6, K.ON_HOOK), line(7.2, K.OFF_HOOK), line(12, K.ON_HOOK)]
    told = Line().play(story, 20)
    assert [(call.direction, call.talk_ms) for call in told.calls] == [("incoming", 3000), ("outgoing", 0)]


def test_cut_line_ends_the_call_where_it_was_cut() -> None:
    story = [*rings(1), line(3, K.OFF_HOOK), line(6, K.LINE_LOST), line(9, K.LINE_PRESENT), line(9, K.ON_HOOK)]
    told = Line().play(story, 20)
    assert (told.call.talk_ms, told.call.end_reason) == (3000, "line_lost")
    assert told.cuts[0].to_sample == 6 * RATE_HZ
    assert told.kinds[-2:] == ["line_lost", "line_present"]


def test_lost_card_ends_the_call_where_the_tape_ends() -> None:
    told = Line().play([*rings(1), line(3, K.OFF_HOOK)], 10)
    told.news += told.tracker.card_lost(10 * RATE_HZ)
    assert (told.call.talk_ms, told.call.end_reason) == (7000, "card_lost")
    assert told.cuts[0].to_sample == 10 * RATE_HZ


def test_long_call_is_cut_in_segments_without_a_gap() -> None:
    story = [*rings(1), line(3, K.OFF_HOOK), line(38, K.ON_HOOK)]
    told = Line(longest_segment_s=10).play(story, 45)
    cuts = told.cuts
    assert [cut.segment for cut in cuts] == [0, 1, 2, 3]
    assert cuts[0].from_sample == 2 * RATE_HZ
    assert all(a.to_sample == b.from_sample for a, b in pairwise(cuts))
    assert cuts[-1].to_sample == int(38.3 * RATE_HZ)


def test_short_lift_leaves_a_record_but_no_recording() -> None:
    told = Line().play([line(1, K.OFF_HOOK), line(1.5, K.ON_HOOK)], 10)
    assert told.call.result == "abandoned"
    assert told.cuts == []


@pytest.mark.parametrize("late_s", [0.0, 0.19])
def test_event_reported_late_does_not_come_too_late(late_s: float) -> None:
    """Off-hook 4.95 s after the last burst, reported up to 190 ms later, is still an answer."""
    tracker = ChannelTracker(1, RATE_HZ, False, TrackerSettings())
    news: list[CallEvent | Cut] = []
    for event in rings(1):
        news += tracker.feed(event, wall_ms)
    off_hook = line(2 + 4.95, K.OFF_HOOK)
    for end in range(800, 20 * RATE_HZ, 800):
        if off_hook is not None and end > off_hook.at_sample + late_s * RATE_HZ:
            news += tracker.feed(off_hook, wall_ms)
            off_hook = None  # type: ignore[assignment]
        news += tracker.advance(end, wall_ms)
    assert [n.kind for n in news if isinstance(n, CallEvent)][-1] is CallEventKind.CALL_ANSWERED


_ANY = st.builds(
    lambda at, kind, value: LineEvent(kind, 0, at, value),
    st.integers(0, 60 * RATE_HZ),
    st.sampled_from([K.RING_ON, K.RING_OFF, K.OFF_HOOK, K.ON_HOOK, K.POLARITY_REVERSED, K.LINE_LOST, K.LINE_PRESENT]),
    st.none(),
) | st.builds(
    lambda at, digit: LineEvent(K.DIGITS, 0, at, digit), st.integers(0, 60 * RATE_HZ), st.sampled_from("0123456789")
)


@given(story=st.lists(_ANY, max_size=30))
@settings(max_examples=150, deadline=None)
def test_any_story_gives_whole_calls_and_a_restart_changes_nothing(story: list[LineEvent]) -> None:
    signals: list[Signal] = list(story)
    straight = Line().play(signals, 80)
    restarted = Line().play(signals, 80, store=True)

    def plain(told: Line) -> list[object]:
        return [
            (n.kind, n.at_sample, msgspec.structs.replace(n.call, id="") if n.call else None)
            if isinstance(n, CallEvent)
            else (n.segment, n.from_sample, n.to_sample)
            for n in told.news
        ]

    assert plain(straight) == plain(restarted)
    started = [
        n.call.id for n in straight.news if isinstance(n, CallEvent) and n.kind is CallEventKind.CALL_STARTED and n.call
    ]
    ended = [call.id for call in straight.calls]
    assert len(set(started)) == len(started)
    assert ended == started[: len(ended)]
    assert len(started) - len(ended) in (0, 1)
    for cut in straight.cuts:
        assert 0 <= cut.from_sample < cut.to_sample


@pytest.mark.parametrize("step_ms", [3_600_000, -3_600_000])
def test_a_clock_that_is_set_makes_no_call_longer_or_shorter(step_ms: int) -> None:
    """It is set while the telephone rings."""
    tracker = ChannelTracker(7, RATE_HZ, False, TrackerSettings())
    news = [*tracker.feed(line(1, K.RING_ON), wall_ms), *tracker.feed(line(2, K.RING_OFF), wall_ms)]
    for event in (line(5, K.OFF_HOOK), line(15, K.ON_HOOK)):
        news += tracker.feed(event, lambda sample: wall_ms(sample) + step_ms)
    news += tracker.advance(20 * RATE_HZ, lambda sample: wall_ms(sample) + step_ms)
    (call,) = [item.call for item in news if isinstance(item, CallEvent) and item.kind is CallEventKind.CALL_ENDED]
    assert call is not None
    times = (call.started_ms, call.answered_ms, call.ended_ms)
    assert times == tuple(wall_ms(at_s * RATE_HZ) for at_s in (1, 5, 15))


def _names(epoch: str, story: list[Signal]) -> list[str]:
    """Ids of calls and recordings, as a tracker that knows nothing of before gives them."""
    told = Line()
    told.tracker = ChannelTracker(7, RATE_HZ, False, TrackerSettings(), epoch)
    told.play(story, 30)
    return [*(call.id for call in told.calls), *(cut.recording_id for cut in told.cuts)]


def test_a_tape_that_is_played_again_gives_the_same_names() -> None:
    story = [*rings(2), line(7.4, K.OFF_HOOK), line(20.0, K.ON_HOOK)]
    assert len(_names("a", story)) == 2
    assert _names("a", story) == _names("a", story)
    assert set(_names("a", story)).isdisjoint(_names("b", story))


def test_two_calls_that_begin_at_the_same_sample_have_names_of_their_own() -> None:
    story = [line(1.0, kind) for kind in (K.LINE_PRESENT, K.RING_ON, K.LINE_LOST, K.LINE_PRESENT, K.RING_ON)]
    told = Line().play([*story, line(2.0, K.RING_OFF)], 30)
    first, second = told.calls
    assert first.started_sample == second.started_sample
    assert first.id != second.id


def test_ringing_that_is_told_seconds_late_makes_the_same_call() -> None:
    """As ringing that is heard in the audio is."""
    told_late = Line()
    told_late.play([], 4.0)
    for event in (*rings(2), line(7.4, K.OFF_HOOK), line(20.0, K.ON_HOOK)):
        told_late.news += told_late.tracker.feed(event, wall_ms)
        told_late.news += told_late.tracker.advance(max(32000, event.at_sample), wall_ms)
    told_late.news += told_late.tracker.advance(30 * RATE_HZ, wall_ms)
    in_time = Line().play([*rings(2), line(7.4, K.OFF_HOOK), line(20.0, K.ON_HOOK)], 30).call
    late = told_late.call
    assert (late.started_ms, late.ring_ms, late.talk_ms) == (in_time.started_ms, in_time.ring_ms, in_time.talk_ms)
    assert (late.direction, late.result) == ("incoming", "answered")


@pytest.mark.parametrize("known", [True, False])
def test_a_caller_who_waits_changes_nothing_about_the_running_call(known: bool) -> None:
    waiting = CallerId("fsk-bell202", "mdmf", "13900000000")
    first = [caller_id(3.0)] if known else []
    story = [*rings(2), *first, line(7.4, K.OFF_HOOK), caller_id(9.0, waiting), line(20.0, K.ON_HOOK)]
    events = [item for item in Line().play(story, 30).news if isinstance(item, CallEvent)]
    (told,) = [event for event in events if event.kind is CallEventKind.CALL_WAITING]
    assert told.waiting is not None
    assert msgspec.json.decode(told.waiting, type=CallerId) == waiting
    ended = events[-1]
    assert ended.call is not None
    assert (ended.call.caller_number, ended.waiting) == (FSK.number if known else None, None)
    assert (ended.call.result, ended.call.talk_ms) == ("answered", 12600)
