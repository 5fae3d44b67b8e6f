"""A tone that only goes on is not looked at frame by frame: what is told, and when, must not change by it."""

from __future__ import annotations

import numpy as np
import pytest
from line_signals import noise, pcm, silence, sine
from tone_audio import cadence, reversed_answer

from recorder.detectors import DetectorBank
from recorder.dsp.tone_follower import Follower, Line
from recorder.signals import Signal, ToneHeard

CN = (450.0,)
TONES = {
    "dial": np.concatenate((silence(0.33), sine(4.0, 450.0), silence(1.0))),
    "busy": np.concatenate((silence(0.47), cadence([(CN, 0.35, 0.35)], 8), silence(2.0))),
    "ringback": np.concatenate((silence(0.21), cadence([(CN, 1.0, 4.0)], 3), silence(2.0))),
    "congestion": np.concatenate((silence(0.3), cadence([(CN, 0.7, 0.7)], 5), silence(3.0))),
    "fax": np.concatenate((silence(0.3), cadence([((1100.0,), 0.5, 3.0)], 3), sine(3.0, 2100.0), silence(1.0))),
    "modem": np.concatenate((silence(0.3), reversed_answer(3.3), silence(1.0))),
}


def told(audio: np.ndarray[tuple[int, ...], np.dtype[np.int16]]) -> list[tuple[int, Signal]]:
    """What is told of tones, each with the block that told it."""
    bank, off_hook = DetectorBank(1), np.zeros(1, np.bool_)
    blocks = range(0, audio.shape[0] // 800 * 800, 800)
    heard = [(at // 800, each) for at in blocks for each in bank.process(audio[None, at : at + 800], at, off_hook)]
    return [(block, each) for block, each in heard if isinstance(each, ToneHeard)]


@pytest.mark.parametrize("name", TONES)
@pytest.mark.parametrize("noise_dbm0", [-65.0, -40.0])
def test_passing_over_what_goes_on_tells_the_same_at_the_same_time(
    name: str, noise_dbm0: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = pcm(TONES[name] + noise(len(TONES[name]), noise_dbm0, np.random.default_rng(8)))
    quick = told(audio)
    assert len(quick) >= 2
    monkeypatch.setattr(Follower, "_goes_on", lambda *_: False)
    monkeypatch.setattr(Line, "rests", lambda *_, **__: False)
    assert told(audio) == quick
