"""What call progress, fax and modem tones mean for a call, and the country by which they are told."""

from __future__ import annotations

import pytest
from tracked_line import RATE_HZ, TrackedLine, digits, line

from drivers.api import EventKind
from recorder.calls import Call
from recorder.signals import Tone, ToneHeard
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


def test_the_country_is_chinas_unless_somebody_says_so() -> None:
    assert TrackerSettings().tone_country == "cn"
