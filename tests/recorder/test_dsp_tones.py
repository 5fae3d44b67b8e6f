"""Call progress tones by cadence, and voice that is neither tone nor digit nor click."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import soxr
from bank_runner import prompts, signals_of
from line_signals import Audio, dtmf, noise, pcm, silence, sine

from recorder.signals import Tone, ToneHeard, VoiceActivity

BURSTS = {
    Tone.RINGBACK: [(1.0, 4.0)] * 2,
    Tone.BUSY: [(0.35, 0.35)] * 6,
    Tone.CONGESTION: [(0.7, 0.7)] * 4,
}


def tones_of(audio: npt.NDArray[np.int16]) -> list[tuple[float, Tone | None]]:
    return [(s.at_sample / 8000, s.tone) for s in signals_of(audio, on_hook=False) if isinstance(s, ToneHeard)]


def voices_of(audio: npt.NDArray[np.int16]) -> list[tuple[float, bool]]:
    return [(s.at_sample / 8000, s.active) for s in signals_of(audio, on_hook=False) if isinstance(s, VoiceActivity)]


def bursts(times: list[tuple[float, float]], tone_hz: float = 450.0, level: float = -15.0) -> Audio:
    return np.concatenate([np.concatenate((sine(on, tone_hz, level), silence(off))) for on, off in times])


@pytest.fixture(scope="module")
def hello(tmp_path_factory: pytest.TempPathFactory) -> Audio:
    """A spoken hello, cut at its first sound, level about -15 dBm0."""
    program = shutil.which("espeak-ng")
    assert program, "this test needs espeak-ng: apt install espeak-ng"
    path: Path = tmp_path_factory.mktemp("voice") / "hello.wav"
    subprocess.run([program, "-w", str(path), "hello"], check=True)
    audio, rate_hz = soundfile.read(path)
    eight = soxr.resample(audio, rate_hz, 8000)
    loud = np.flatnonzero(np.abs(eight) > 0.06 * np.max(np.abs(eight)))
    return np.asarray(eight[loud[0] : loud[-1]] / np.max(np.abs(eight)) * 9000.0)


@pytest.mark.parametrize("tone", BURSTS)
@pytest.mark.parametrize("tone_hz", [430.0, 450.0, 470.0])
@pytest.mark.parametrize("stretch", [0.92, 1.0, 1.08])
def test_cadences(tone: Tone, tone_hz: float, stretch: float) -> None:
    times = [(on * stretch, off * stretch) for on, off in BURSTS[tone]]
    audio = np.concatenate((silence(0.5), bursts(times, tone_hz), silence(5.0)))
    began, ended = tones_of(pcm(audio + noise(len(audio), -50.0, np.random.default_rng(2))))
    last_end = 0.5 + sum(on + off for on, off in times) - times[-1][1]
    assert began == (pytest.approx(0.5, abs=0.03), tone)
    assert ended == (pytest.approx(last_end, abs=0.05), None)


def test_dial_tone_ends_when_it_stops() -> None:
    began, ended = tones_of(pcm(silence(0.5), sine(3.0), silence(1.0)))
    assert began == (pytest.approx(0.5, abs=0.03), Tone.DIAL)
    assert ended == (pytest.approx(3.5, abs=0.03), None)


def test_dial_tone_broken_by_the_first_digit_is_no_ringback() -> None:
    assert tones_of(pcm(silence(0.5), sine(1.0), dtmf("13800138000"), silence(1.0))) == []


@pytest.mark.parametrize("tone_hz", [350.0, 400.0, 500.0, 1000.0])
def test_other_frequencies_are_no_progress_tone(tone_hz: float) -> None:
    assert tones_of(pcm(silence(0.5), sine(3.0, tone_hz), silence(1.0))) == []


def test_speech_is_no_progress_tone() -> None:
    speech = prompts(300.0)
    rows = speech[: len(speech) // 8 * 8].reshape(8, -1)
    assert tones_of(rows) == []


def test_ringback_ends_with_the_answer(hello: Audio) -> None:
    audio = np.concatenate((silence(0.5), bursts([(1.0, 4.0), (1.0, 2.0)]), hello, silence(3.0)))
    tones = tones_of(pcm(audio + noise(len(audio), -55.0, np.random.default_rng(4))))
    assert [tone for _, tone in tones] == [Tone.RINGBACK, None]
    assert tones[1][0] == pytest.approx(8.5, abs=0.3)


@pytest.mark.parametrize("noise_dbm0", [-70.0, -50.0, -40.0])
def test_a_short_hello_is_heard_where_it_began(hello: Audio, noise_dbm0: float) -> None:
    audio = np.concatenate((silence(0.5), bursts([(1.0, 2.0)]), hello, silence(2.0)))
    voices = voices_of(pcm(audio + noise(len(audio), noise_dbm0, np.random.default_rng(6))))
    assert [active for _, active in voices] == [True, False]
    assert voices[0][0] == pytest.approx(3.5, abs=0.04)


def test_hello_is_told_within_300_ms(hello: Audio) -> None:
    audio = np.concatenate((silence(2.0), hello))
    cut = audio[: round(2.3 * 8000)]
    rows = pcm(cut + noise(len(cut), -55.0, np.random.default_rng(6)))
    # The runner appends silence: what is told about the cut audio does not hang on the rest of the word.
    assert voices_of(rows)[0] == (pytest.approx(2.0, abs=0.04), True)


@pytest.mark.parametrize("level", [-10.0, -25.0])
def test_tones_digits_and_clicks_are_no_voice(level: float) -> None:
    rng = np.random.default_rng(9)
    progress = [bursts(BURSTS[tone], level=level) for tone in BURSTS]
    clicks = silence(3.0)
    for at in range(2000, 24000, 4000):
        clicks[at : at + 40] = rng.uniform(-12000, 12000, 40)
    audio = np.concatenate((silence(0.5), sine(2.0, level_dbm0=level), silence(1.0), *progress, clicks))
    digits = dtmf("0123456789ABCD*#" * 2, 50, 50, level_dbm0=level)
    audio = np.concatenate((audio, digits, silence(1.0)))
    assert voices_of(pcm(audio + noise(len(audio), -60.0, rng))) == []


@pytest.mark.parametrize("level", [-50.0, -40.0, -30.0])
def test_steady_noise_is_no_voice(level: float) -> None:
    rows = np.stack([pcm(noise(8000 * 6, level, np.random.default_rng(seed))) for seed in range(8)])
    assert voices_of(rows) == []


def test_a_steady_tone_is_no_voice() -> None:
    assert voices_of(pcm(silence(1.0), sine(3.0, 1000.0), silence(1.0))) == []


def test_hang_time_bridges_pauses(hello: Audio) -> None:
    audio = np.concatenate((silence(1.0), hello, silence(0.35), hello, silence(2.0)))
    voices = voices_of(pcm(audio + noise(len(audio), -60.0, np.random.default_rng(8))))
    assert [active for _, active in voices] == [True, False]
    assert voices[1][0] == pytest.approx(1.35 + 2 * len(hello) / 8000, abs=0.25)
