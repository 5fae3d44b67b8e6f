"""Voice activity on real speech in noise: where it begins and ends; and what is no speech."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from bank_runner import signals_of
from line_signals import RATE_HZ, Audio, amplitude, dtmf, fsk, mdmf, noise, pcm, ring_burst, silence, sine

from drivers.exchange.speech import DEFAULT_SPEECH_DIR, SpeechLibrary
from drivers.g711 import decode_alaw, encode_alaw
from recorder.dsp.spectrum import SpectrumBank
from recorder.dsp.voice import VoiceBank
from recorder.signals import VoiceActivity

UTTERANCES = 24
LIBRARY = SpeechLibrary(DEFAULT_SPEECH_DIR)


@dataclass(frozen=True, slots=True)
class Spoken:
    """Utterances with silence between them; ``spans``: samples where each begins and ends."""

    audio: Audio
    spans: list[tuple[int, int]]


def spoken(level_dbm0: float, seed: int = 1) -> Spoken:
    """``level_dbm0``: active level of every utterance."""
    rng = np.random.default_rng(seed)
    parts, spans, at = [silence(2.0)], [], 2 * RATE_HZ
    for index in range(UTTERANCES):
        wave = LIBRARY.utterance(index % LIBRARY.voices, 7 * seed + index).astype(np.float64)
        pause = silence(rng.uniform(1.2, 2.5))
        parts += [wave * amplitude(level_dbm0) / np.sqrt(2.0), pause]
        spans.append((at, at + len(wave)))
        at += len(wave) + len(pause)
    return Spoken(np.concatenate(parts), spans)


def active(rows: npt.NDArray[np.int16], levels_dbm0: list[float] | None = None) -> list[list[tuple[int, int]]]:
    """Spans of speech on each row, in A-law; what goes on ends with the audio."""
    rows = decode_alaw(encode_alaw(np.pad(rows, ((0, 0), (0, 8000 - rows.shape[1] % 800)))))
    spectra, bank = SpectrumBank(len(rows)), VoiceBank(len(rows))
    if levels_dbm0 is not None:
        bank.set_levels(np.array(levels_dbm0, np.float32))
    spans: list[list[tuple[int, int]]] = [[] for _ in rows]
    for start in range(0, rows.shape[1], 800):
        frames = spectra.process(np.ascontiguousarray(rows[:, start : start + 800]))
        no_tones = np.zeros(frames.speech.shape, np.bool_)
        for change in bank.process(frames, no_tones, np.ones(len(rows), np.bool_)):
            if change.active:
                spans[change.port].append((change.at_sample, rows.shape[1]))
            else:
                spans[change.port][-1] = (spans[change.port][-1][0], change.at_sample)
    return spans


def voices(audio: Audio) -> list[tuple[float, bool]]:
    """What the whole bank says of speech, off hook: seconds, begins or ends."""
    told = [signal for signal in signals_of(pcm(audio), on_hook=False) if isinstance(signal, VoiceActivity)]
    return [(signal.at_sample / RATE_HZ, signal.active) for signal in told]


def hum(seconds: float, mains_hz: float, level_dbm0: float) -> Audio:
    harmonics = ((1, 1.0), (2, 0.3), (3, 0.5), (5, 0.3), (6, 0.15), (7, 0.2))
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    wave = sum(size * np.sin(2.0 * np.pi * mains_hz * k * time_s + k) for k, size in harmonics)
    return np.asarray(wave / np.sqrt(2.0 * np.mean(np.square(wave))) * amplitude(level_dbm0))


@pytest.mark.parametrize(
    ("snr_db", "missed", "late_ms"), [(50.0, 0, 170.0), (20.0, 0, 170.0), (15.0, 0, 200.0), (10.0, 2, 600.0)]
)
@pytest.mark.parametrize("level_dbm0", [-35.0, -20.0, -5.0])
def test_speech_in_noise(level_dbm0: float, snr_db: float, missed: int, late_ms: float) -> None:
    told = spoken(level_dbm0)
    floor_dbm0 = max(level_dbm0 - snr_db, -65.0)
    audio = told.audio + noise(len(told.audio), floor_dbm0, np.random.default_rng(2))
    (spans,) = active(pcm(audio)[None, :])
    errors_ms = []
    for begin, end in told.spans:
        heard = [span for span in spans if span[0] < end and span[1] > begin]
        errors_ms += [(heard[0][0] - begin) / 8.0] if heard else []
    assert len(told.spans) - len(errors_ms) <= missed
    assert abs(np.median(errors_ms)) <= 30.0
    assert np.percentile(errors_ms, 90) <= late_ms
    assert min(errors_ms) >= -150.0
    for first, last in spans:
        assert any(first < end + 800 and last > begin for begin, end in told.spans)


def test_a_short_first_word_belongs_to_the_speech() -> None:
    speech = LIBRARY.utterance(0, 3)[: RATE_HZ // 2].astype(np.float64)
    word = speech[:560] * np.hanning(560)  # 70 ms: too short to be speech on its own
    gain = amplitude(-20.0)
    audio = np.concatenate((silence(1.5), word * gain, silence(0.11), speech * gain, silence(1.0)))
    ((span,),) = active(pcm(audio + noise(len(audio), -65.0, np.random.default_rng(3)))[None, :])
    assert span[0] / RATE_HZ == pytest.approx(1.5, abs=0.04)


def test_a_click_before_it_does_not() -> None:
    speech = LIBRARY.utterance(0, 3)[:RATE_HZ].astype(np.float64) * amplitude(-20.0)
    audio = np.concatenate((silence(1.5), sine(0.001, 2000.0, 0.0), silence(0.12), speech, silence(1.0)))
    ((span,),) = active(pcm(audio + noise(len(audio), -65.0, np.random.default_rng(3)))[None, :])
    assert span[0] / RATE_HZ > 1.55


def test_speech_after_a_tone_begins_after_the_tone() -> None:
    speech = LIBRARY.utterance(0, 3)[:RATE_HZ].astype(np.float64) * amplitude(-15.0)
    audio = np.concatenate((silence(1.0), sine(1.0, 450.0, -12.0), silence(0.08), speech, silence(1.0)))
    begins = [at_s for at_s, begun in voices(audio + noise(len(audio), -65.0, np.random.default_rng(3))) if begun]
    assert begins[0] >= 1.99


def test_the_level_of_each_channel() -> None:
    row = spoken(-30.0).audio[: 20 * RATE_HZ]
    audio = pcm(row + noise(len(row), -65.0, np.random.default_rng(4)))
    sensitive, deaf = active(np.stack([audio, audio]), [-45.0, -15.0])
    assert len(sensitive) >= 3
    assert deaf == []


def test_the_level_changes_while_running() -> None:
    audio = pcm(spoken(-30.0).audio)[None, : 20 * RATE_HZ]
    spectra, bank, listening = SpectrumBank(1), VoiceBank(1), np.ones(1, np.bool_)
    found = []
    for level_dbm0 in (-10.0, -45.0, -10.0):
        bank.set_levels(np.array([level_dbm0], np.float32))
        frames = spectra.process(audio)
        found.append(any(change.active for change in bank.process(frames, frames.speech < 0.0, listening)))
    assert found == [False, True, False]


def test_spans_never_overlap() -> None:
    told = spoken(-20.0, seed=4)
    (spans,) = active(pcm(told.audio + noise(len(told.audio), -45.0, np.random.default_rng(5)))[None, :])
    edges = [edge for span in spans for edge in span]
    assert len(spans) >= UTTERANCES / 2
    assert edges == sorted(edges)


def test_noise_and_hum_are_no_speech() -> None:
    rng = np.random.default_rng(6)
    rows = [noise(20 * RATE_HZ, level_dbm0, rng) for level_dbm0 in (-60.0, -45.0, -30.0, -10.0)]
    rows += [np.concatenate([noise(2 * RATE_HZ, -40.0 + 10.0 * (step % 2), rng) for step in range(10)])]
    rows += [hum(20, mains_hz, level_dbm0) for mains_hz in (50.0, 60.0) for level_dbm0 in (-40.0, -20.0, -10.0)]
    assert active(np.stack([pcm(row) for row in rows])) == [[] for _ in rows]


def test_clicks_and_dial_pulses_are_no_speech() -> None:
    rng = np.random.default_rng(8)
    clicks, pulses = silence(20), silence(20)
    for at in range(4000, len(clicks) - 800, 4000):
        clicks[at : at + 8] = amplitude(-5.0)
    pulse = amplitude(-5.0) * np.exp(-np.arange(480) / 40.0)
    for at in range(4000, len(pulses) - 800, 800):
        if at // 800 % 20 < 10:
            pulses[at : at + 800] = np.concatenate((pulse, -pulse[:320]))
    rows = np.stack([pcm(row + noise(len(row), -62.0, rng)) for row in (clicks, pulses)])
    assert active(rows) == [[], []]


@pytest.mark.parametrize("on_ms", [50, 100])
def test_digits_are_no_speech(on_ms: int) -> None:
    for level_dbm0 in (-30.0, -8.0):
        audio = np.concatenate((silence(1.0), dtmf("0123456789*#ABCD" * 2, on_ms, 70, level_dbm0=level_dbm0)))
        assert voices(audio + noise(len(audio), -60.0, np.random.default_rng(9))) == []


def test_tones_bursts_of_ringing_and_messages_are_no_speech() -> None:
    message = fsk(mdmf((0x01, b"11211745"), (0x02, b"13812345678")))
    for parts in (
        [sine(1, 450.0), silence(4)] * 3,
        [sine(0.35, 450.0), silence(0.35)] * 10,
        [sine(0.7, 450.0), silence(0.7)] * 6,
        [ring_burst(1.0), silence(2.0)] * 3,
        [message, silence(1.0)] * 3,
    ):
        audio = np.concatenate([silence(1.0), *parts])
        assert voices(audio + noise(len(audio), -62.0, np.random.default_rng(10))) == []
