"""Whatever a line, a card and people do, in any order: the recordings of a channel are whole and without overlap."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tracked_line import RATE_HZ, TrackedLine, asks, line, voice

from drivers.api import EventKind
from recorder.calls import CallEvent, Cut, News, OrderDone
from recorder.orders import Order
from recorder.signals import Signal

K = EventKind
_AT_S = st.integers(0, 600).map(lambda tenths: tenths / 10)
_SETUPS = [
    json.dumps({"direction": way, "caller_number": "138", "dialled_number": "139"}) for way in ("incoming", "outgoing")
]
_PLAIN = [kind for kind in K if kind not in (K.CALL_SETUP, K.DIGITS, K.CALLER_ID, K.VOLTAGE)]
_ITEM: st.SearchStrategy[Signal | Order] = st.one_of(
    st.builds(lambda at, kind: line(at, kind), _AT_S, st.sampled_from(_PLAIN)),
    st.builds(lambda at, digit: line(at, K.DIGITS, digit), _AT_S, st.sampled_from("12")),
    st.builds(lambda at, text: line(at, K.CALL_SETUP, text), _AT_S, st.sampled_from(_SETUPS)),
    st.builds(voice, _AT_S, st.booleans()),
    st.builds(asks, _AT_S, st.sampled_from(["pause", "resume", "record", "stop", "keep", "discard"])),
)
_PARAMETERS = st.fixed_dictionaries(
    {
        "start_trigger": st.sampled_from(["hook", "voice", "signalling"]),
        "record_mode": st.sampled_from(["all", "incoming", "on_demand"]),
        "continuous": st.booleans(),
        "longest_segment_s": st.sampled_from([10, 17]),
        "post_roll_ms": st.sampled_from([0, 300, 5000]),
        "pause_code": st.sampled_from(["", "1", "12"]),
        "resume_code": st.sampled_from(["2", "1"]),
        "never_record_numbers": st.sampled_from(["", "138", "1"]),
        "line_lost_ends_call": st.booleans(),
    }
)


def plain(news: list[News]) -> list[object]:
    """Without what is drawn anew."""
    found: list[object] = []
    for item in news:
        if isinstance(item, CallEvent):
            call = msgspec.structs.replace(item.call, id="") if item.call else None
            found.append((item.kind, item.at_sample, call))
        elif isinstance(item, Cut):
            found.append(msgspec.structs.replace(item, recording_id="", call=None))
        elif not isinstance(item, OrderDone):
            found.append((item.rule, item.by))
    return found


def check(told: TrackedLine) -> None:
    by_recording: dict[object, list[Cut]] = {}
    for cut in (item for item in told.news if isinstance(item, Cut)):
        assert 0 <= cut.from_sample < cut.to_sample
        assert cut.to_sample - cut.from_sample <= told.tracker.settings.longest_segment_s * RATE_HZ
        ends = cut.from_sample
        for pause in cut.pauses:
            assert pause.to_sample is not None
            assert ends <= pause.from_sample < pause.to_sample <= cut.to_sample
            ends = pause.to_sample
        by_recording.setdefault(cut.call.id if cut.call else cut.kind, []).append(cut)
    for name, cuts in by_recording.items():
        for before, after in pairwise(cuts):
            assert after.from_sample >= before.to_sample
            if name != "manual":  # begun and stopped as often as somebody likes
                assert after.from_sample == before.to_sample
                assert after.segment == before.segment + 1
    calls = {call.id: call for call in told.calls}
    for name, cuts in by_recording.items():
        if name in calls:
            call = calls[str(name)]
            assert call.from_sample == cuts[0].from_sample
            assert call.to_sample is not None
            whole = cuts[-1].to_sample == call.to_sample
            assert whole if call.kept else [gone.call_id for gone in told.withdrawn].count(call.id) == 1
    for call in calls.values():
        assert call.kept or call.kept_reason
        if call.kept and call.from_sample is not None and call.to_sample != call.from_sample:
            assert call.id in by_recording
        assert all(pause.to_sample is not None for pause in call.pauses)


@given(story=st.lists(_ITEM, max_size=40), parameters=_PARAMETERS)
@settings(max_examples=250, deadline=None)
def test_any_story_gives_whole_recordings_and_a_restart_changes_nothing(
    story: list[Signal | Order], parameters: dict[str, Any]
) -> None:
    straight = TrackedLine(**parameters).play(story, 75)
    restarted = TrackedLine(**parameters).play(story, 75, store=True)
    for told in (straight, restarted):
        told.news += told.tracker.card_lost(75 * RATE_HZ)
        assert told.tracker.state.call is None
        assert not told.tracker.running
        assert not told.tracker.paused
        check(told)
    assert plain(straight.news) == plain(restarted.news)
    if parameters["continuous"]:
        spans = straight.spans("continuous")
        assert (spans[0][0], spans[-1][1]) == (0, 75)
