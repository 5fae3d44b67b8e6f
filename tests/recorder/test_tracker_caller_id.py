"""Which caller IDs a channel believes: of the kind that its exchange sends, at the time when it sends them."""

from __future__ import annotations

import msgspec
import pytest
from tracked_line import TrackedLine, line

from drivers.api import EventKind, EventSource, LineEvent
from recorder.signals import CallerId, Signal

RINGS: list[Signal] = [
    line(2.0, EventKind.RING_ON), line(3.0, EventKind.RING_OFF), line(7.0, EventKind.RING_ON),
    line(8.0, EventKind.RING_OFF),
]  # fmt: skip


def heard(at_s: float, signalling: str, source: EventSource = "in_band") -> LineEvent:
    message = msgspec.json.encode(CallerId(signalling, "mdmf", "13800138000")).decode()
    return LineEvent(EventKind.CALLER_ID, 0, round(at_s * 8000), message, source)


def number(*messages: Signal, **parameters: str) -> str | None:
    return TrackedLine(**parameters).play([*RINGS, *messages], 20.0).call.caller_number


@pytest.mark.parametrize("signalling", ["fsk-bell202", "fsk-v23", "dtmf"])
@pytest.mark.parametrize("kind", ["auto", "fsk_bell202", "fsk_v23", "dtmf", "none"])
def test_only_the_kind_that_is_sent_is_believed(kind: str, signalling: str) -> None:
    found = number(heard(4.0, signalling), caller_id_type=kind)
    assert found == ("13800138000" if kind in ("auto", signalling.replace("-", "_")) else None)


@pytest.mark.parametrize(("time", "at_s", "believed"), [
    ("auto", 1.0, True), ("auto", 4.0, True), ("before", 1.0, True), ("before", 4.0, False), ("after", 1.0, False),
    ("after", 4.0, True),
])  # fmt: skip
def test_it_is_believed_at_the_time_when_it_is_sent(time: str, at_s: float, believed: bool) -> None:
    found = number(heard(at_s, "fsk-bell202"), caller_id_time=time)
    assert (found is not None) == believed


def test_what_the_card_itself_read_is_always_believed() -> None:
    assert number(heard(4.0, "dtmf", "hardware"), caller_id_type="none", caller_id_time="before") == "13800138000"


def test_a_wrong_kind_does_not_stand_in_the_way_of_the_right_one() -> None:
    wrong = msgspec.json.encode(CallerId("dtmf", "dtmf-d-c", "99999")).decode()
    early = LineEvent(EventKind.CALLER_ID, 0, 8000, wrong, "in_band")
    assert number(early, heard(4.0, "fsk-bell202"), caller_id_type="fsk_bell202") == "13800138000"


@pytest.mark.parametrize(("time", "believed"), [("before", True), ("after", False)])
def test_what_was_sent_before_the_ring_and_told_after_it_began_came_before(time: str, believed: bool) -> None:
    ring = line(2.0, EventKind.RING_ON)
    story = TrackedLine(caller_id_time=time)
    story.news += story.tracker.feed(ring, lambda sample: 0)
    story.news += story.tracker.feed(heard(1.9, "fsk-v23"), lambda sample: 0)
    call = story.tracker.state.call
    assert call is not None
    assert (call.caller_number is not None) == believed
