"""What call progress, fax and modem tones mean for a call, and the country by which they are told."""

from __future__ import annotations

import json

import pytest
from tracked_line import RATE_HZ, TrackedLine, digits, line, voice, wall_ms

from drivers.api import EventKind
from recorder.calls import Call
from recorder.signals import Signal, Tone, ToneHeard
from recorder.tracking.channel import TrackerSettings


def dialled_and_heard(tone: Tone) -> Call:
    story = [line(1, EventKind.OFF_HOOK), *digits(2, "114"), ToneHeard(0, 4 * RATE_HZ, tone)]
    tracked = TrackedLine()
    tracked.play([*story, line(9, EventKind.ON_HOOK)], 20)
    return tracked.call


@pytest.mark.parametrize("tone", [Tone.BUSY, Tone.CONGESTION, Tone.SPECIAL_INFORMATION])
def test_tones_that_say_why_there_was_no_answer(tone: Tone) -> None:
    call = dialled_and_heard(tone)
    assert (call.result, call.end_reason, call.dialled_number) == ("abandoned", tone.value, "114")


@pytest.mark.parametrize(
    "tone", [Tone.DIAL, Tone.CALL_WAITING, Tone.HOWLER, Tone.FAX_CALLING, Tone.FAX_ANSWER, Tone.MODEM_ANSWER]
)
def test_tones_that_end_nothing(tone: Tone) -> None:
    call = dialled_and_heard(tone)
    assert (call.result, call.end_reason, call.ring_ms) == ("abandoned", "on_hook", 0)


def tone(at_s: float, heard: Tone | None) -> Signal:
    return ToneHeard(0, round(at_s * RATE_HZ), heard)


K = EventKind
DIALLED = [line(1, K.OFF_HOOK), *digits(2, "114")]
TAKEN = [line(1, K.RING_ON), line(2, K.RING_OFF), line(3, K.OFF_HOOK)]
SETUP = json.dumps({"direction": "outgoing", "dialled_number": "114"})
LIFTED = {
    "dialled": ("hook", [*DIALLED, line(20, K.ON_HOOK)]),
    "dialled and answered": ("hook", [*DIALLED, line(3.5, K.POLARITY_REVERSED), line(20, K.ON_HOOK)]),
    "answered": ("hook", [*TAKEN, line(20, K.ON_HOOK)]),
    "after a hook flash": ("hook", [*TAKEN, line(3.2, K.ON_HOOK), line(3.6, K.OFF_HOOK), line(20, K.ON_HOOK)]),
    "spoken": ("voice", [voice(3), voice(20, False)]),
    "between words": ("voice", [voice(3), voice(3.5, False), voice(10), voice(20, False)]),
    "set up": ("signalling", [line(3, K.CALL_SETUP, SETUP), line(20, K.CALL_RELEASED)]),
}


@pytest.mark.parametrize(
    ("heard", "machine"), [(Tone.FAX_CALLING, "fax"), (Tone.FAX_ANSWER, "fax"), (Tone.MODEM_ANSWER, "modem")]
)
@pytest.mark.parametrize("way", LIFTED)
def test_a_machine_is_told_at_once_and_is_in_the_record(way: str, heard: Tone, machine: str) -> None:
    trigger, story = LIFTED[way]
    tracked = TrackedLine(start_trigger=trigger).play([*story, tone(4, heard), tone(8, None)], 40, store=True)
    (told,) = [event for event in tracked.events if event.kind == "machine_heard"]
    assert (told.at_sample, told.call and told.call.machine) == (4 * RATE_HZ, machine)
    assert tracked.call.machine == machine
    assert tracked.kinds[-1] == "call_ended"


@pytest.mark.parametrize(
    ("tones", "machine", "times"),
    [
        ([Tone.MODEM_ANSWER, Tone.MODEM_ANSWER], "modem", 1),
        ([Tone.MODEM_ANSWER, Tone.FAX_CALLING, Tone.FAX_ANSWER], "fax", 2),
        ([Tone.FAX_ANSWER, Tone.MODEM_ANSWER], "fax", 1),
        ([Tone.BUSY, Tone.DIAL, Tone.CALL_WAITING, None], None, 0),
    ],
)
def test_fax_wins_over_modem(tones: list[Tone | None], machine: str | None, times: int) -> None:
    story = [tone(5 + index, heard) for index, heard in enumerate(tones)]
    tracked = TrackedLine().play([*TAKEN, *story, line(15, K.ON_HOOK)], 20)
    assert (tracked.call.machine, tracked.kinds.count("machine_heard")) == (machine, times)


@pytest.mark.parametrize("at_s", [0.5, 1.5, 2.9, 15.1])
def test_a_tone_before_a_call_or_in_its_ringing_or_behind_it_is_none_of_it(at_s: float) -> None:
    tracked = TrackedLine().play([*TAKEN, tone(at_s, Tone.FAX_ANSWER), line(15, K.ON_HOOK)], 20)
    assert tracked.call.machine is None


def test_a_tone_that_began_before_the_call_is_none_of_it_when_it_is_told_within() -> None:
    tracked = TrackedLine().play(TAKEN, 4)
    tracked.news += tracked.tracker.feed(tone(2.9, Tone.FAX_CALLING), wall_ms)
    assert tracked.play([line(15, K.ON_HOOK)], 20).call.machine is None


def test_the_next_call_begins_without_a_machine() -> None:
    story = [*TAKEN, tone(5, Tone.FAX_ANSWER), line(8, K.ON_HOOK), line(12, K.OFF_HOOK), line(15, K.ON_HOOK)]
    assert [call.machine for call in TrackedLine().play(story, 20).calls] == ["fax", None]


def test_the_country_is_chinas_unless_somebody_says_so() -> None:
    assert TrackerSettings().tone_country == "cn"
