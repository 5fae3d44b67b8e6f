"""Ringing by its residue in the audio: frequencies, cadences and levels that ring, and what must not."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from bank_runner import prompts
from line_signals import (
    RATE_HZ,
    Audio,
    amplitude,
    dtmf,
    fsk,
    mdmf,
    noise,
    pcm,
    ring_burst,
    silence,
    sine,
)

from drivers.api import EventKind, LineEvent
from drivers.g711 import decode_alaw, encode_alaw
from recorder.dsp.ring import RingBank

CHINA = ((1.0, 4.0),) * 3
BRITAIN = ((0.4, 0.2), (0.4, 2.0)) * 2
AMERICA = ((2.0, 4.0),) * 2
SHORT = ((0.25, 0.25), (0.25, 3.0)) * 2
LEAD_S = 1.3


def heard(audio: Audio | npt.NDArray[np.int16], block_samples: int = 800, first_sample: int = 0) -> list[LineEvent]:
    """Events of rows of audio in A-law, all listened to."""
    rows = np.atleast_2d(audio if audio.dtype == np.int16 else pcm(audio))
    rows = decode_alaw(encode_alaw(np.pad(rows, ((0, 0), (0, -rows.shape[1] % block_samples)))))
    bank, listening = RingBank(len(rows)), np.ones(len(rows), np.bool_)
    events: list[LineEvent] = []
    for start in range(0, rows.shape[1], block_samples):
        events += bank.process(rows[:, start : start + block_samples], first_sample + start, listening)
    return events


def ringing(hertz: float, seconds: float, shape: str) -> Audio:
    """Ringing at 0 dBm0 as it comes out of line interfaces: as it is, clipped, or through a high pass at 300 Hz."""
    wave = np.sin(2.0 * np.pi * hertz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)
    if shape != "sine":
        wave = np.clip(5.0 * wave, -1.0, 1.0)
    if shape == "high-passed":
        ratio = (np.fft.rfftfreq(len(wave), 1.0 / RATE_HZ) / 300.0) ** 2
        wave = np.fft.irfft(np.fft.rfft(wave) * ratio / (1.0 + ratio), len(wave))
    return amplitude(0.0) * wave / np.sqrt(2.0 * np.mean(wave**2))


def rung(cadence: tuple[tuple[float, float], ...], hertz: float, shape: str, level_dbm0: float) -> Audio:
    parts = [silence(LEAD_S)]
    for on_s, off_s in cadence:
        parts += [ringing(hertz, on_s, shape) * 10.0 ** (level_dbm0 / 20.0), silence(off_s)]
    audio = np.concatenate(parts)
    return audio + noise(len(audio), -60.0, np.random.default_rng(5))


def edges_s(cadence: tuple[tuple[float, float], ...]) -> list[float]:
    steps = [LEAD_S] + [seconds for burst in cadence for seconds in burst]
    return np.cumsum(steps)[:-1].tolist()


@pytest.mark.parametrize("shape", ["sine", "clipped", "high-passed"])
@pytest.mark.parametrize("hertz", [20.0, 22.0, 25.0, 28.0])
@pytest.mark.parametrize("cadence", [CHINA, BRITAIN, AMERICA, SHORT])
def test_every_burst_with_its_beginning_and_end(
    cadence: tuple[tuple[float, float], ...], hertz: float, shape: str
) -> None:
    for level_dbm0 in (3.0, -20.0, -40.0):
        events = heard(rung(cadence, hertz, shape, level_dbm0))
        assert [event.kind for event in events] == [EventKind.RING_ON, EventKind.RING_OFF] * len(cadence)
        assert [event.at_sample / RATE_HZ for event in events] == pytest.approx(edges_s(cadence), abs=0.03)
        assert {event.source for event in events} == {"in_band"}


@pytest.mark.parametrize("shape", ["sine", "clipped"])
@pytest.mark.parametrize("hertz", [16.7, 50.0])
def test_other_frequencies(hertz: float, shape: str) -> None:
    for level_dbm0 in (3.0, -20.0, -40.0):
        events = heard(rung(CHINA, hertz, shape, level_dbm0))
        assert [event.at_sample / RATE_HZ for event in events] == pytest.approx(edges_s(CHINA), abs=0.03)


@pytest.mark.parametrize("level_dbm0", [3.0, -15.0, -35.0])
def test_ringing_over_hum(level_dbm0: float) -> None:
    audio = np.concatenate([silence(LEAD_S)] + [np.concatenate((ring_burst(1.0, level_dbm0), silence(4.0)))] * 3)
    hum = sine(len(audio) / RATE_HZ, 50.0, -60.0) + sine(len(audio) / RATE_HZ, 150.0, -62.0)
    events = heard(audio + hum[: len(audio)])
    assert [event.at_sample / RATE_HZ for event in events] == pytest.approx(edges_s(CHINA), abs=0.05)


def test_slow_ringing_is_told_while_it_rings() -> None:
    rows = pcm(silence(0.5), ring_burst(2.0))[None, :]
    bank = RingBank(1)
    for start in range(0, rows.shape[1], 800):
        if events := bank.process(rows[:, start : start + 800], start, np.array([True])):
            assert [event.kind for event in events] == [EventKind.RING_ON]
            assert start + 800 <= 1.3 * RATE_HZ
            return
    pytest.fail("it did not ring")


@pytest.mark.parametrize("block_samples", [80, 160, 4000])
def test_block_size_does_not_matter(block_samples: int) -> None:
    audio = np.concatenate((rung(BRITAIN, 25.0, "clipped", -12.0), rung(CHINA, 50.0, "clipped", -20.0), silence(1.0)))
    expected = heard(audio)
    assert len(expected) == 2 * (len(BRITAIN) + len(CHINA))
    assert heard(audio, block_samples) == expected


def test_each_port_for_itself_on_the_clock_of_the_card() -> None:
    quiet = noise(8 * RATE_HZ, -60.0, np.random.default_rng(6))
    rows = np.stack([pcm(quiet)] * 4)
    for port in (1, 3):
        rows[port, port * 8000 : port * 8000 + 8000] = pcm(ring_burst(1.0, -10.0))
    first = 987_654_321_000 // 80 * 80
    found = heard(rows, first_sample=first)
    assert [event.port for event in found] == [1, 1, 3, 3]
    assert [event.at_sample - first for event in found] == pytest.approx([8000, 16_000, 24_000, 32_000], abs=240)


def test_hum_that_stays_does_not_ring() -> None:
    for hertz in (50.0, 60.0):
        steady = sine(30, hertz, -20.0) + sine(30, 3 * hertz, -26.0)
        switched = np.concatenate((silence(3), steady[: 6 * RATE_HZ], silence(3), steady[: 9 * RATE_HZ], silence(3)))
        assert heard(np.concatenate((silence(2), steady))) == []
        assert heard(switched) == []


def test_speech_does_not_ring() -> None:
    speech = prompts(600.0)
    rows = speech[: len(speech) // 8 * 8].reshape(8, -1)
    assert heard(rows) == []
    lower = np.interp(np.arange(0, len(speech) - 1, 0.62), np.arange(len(speech)), speech)  # as a deep man speaks
    assert heard(lower[: len(lower) // 8 * 8].reshape(8, -1).astype(np.int16)) == []


def test_signals_of_the_line_do_not_ring() -> None:
    rng = np.random.default_rng(7)
    message = fsk(mdmf((0x01, b"11211745"), (0x02, b"13812345678")))
    ringback = [np.concatenate((sine(1, tone_hz), silence(4))) for tone_hz in (425.0, 450.0)] * 2
    british = [np.concatenate((sine(0.4, 400.0) + sine(0.4, 450.0), silence(0.2))) for _ in range(6)]
    dial = [np.concatenate((sine(2, 350.0) + sine(2, 440.0), silence(1))) for _ in range(4)]
    for parts in (ringback, british, dial, [dtmf("0123456789*#", 70, 70)] * 4, [message, silence(1.0)] * 4):
        assert heard(np.concatenate([silence(1.0), *parts, silence(1.0)])) == []
    for level_dbm0 in (-50.0, -30.0, -10.0):
        bursts = [np.concatenate((noise(8000, level_dbm0, rng), silence(2.0))) for _ in range(10)]
        assert heard(np.concatenate(bursts)) == []


def test_pulses_of_a_rotary_dial_do_not_ring() -> None:
    pulse = amplitude(-5.0) * np.exp(-np.arange(480) / 40.0)
    one = np.concatenate((pulse, -pulse[:320]))
    assert heard(np.concatenate([silence(1.0)] + [np.concatenate([one] * 10 + [silence(0.8)])] * 5)) == []


def test_ringing_ends_at_a_gap_and_where_nobody_listens() -> None:
    audio = pcm(silence(0.5), ring_burst(1.5))[None, :]
    yes, no = np.array([True]), np.array([False])
    for listening, first in ((yes, 90_000), (no, audio.shape[1])):
        bank = RingBank(1)
        assert [event.kind for event in bank.process(audio, 0, yes)] == [EventKind.RING_ON]
        (ended,) = bank.process(np.zeros((1, 800), np.int16), first, listening)
        assert ended.kind is EventKind.RING_OFF
        assert ended.at_sample == pytest.approx(audio.shape[1], abs=800)
    assert RingBank(1).process(audio, 0, no) == []


def test_reset_forgets_a_burst() -> None:
    audio, listening = pcm(silence(0.5), ring_burst(0.4))[None, :], np.array([True])
    bank = RingBank(1)
    assert bank.process(audio, 0, listening) == []
    bank.reset(0)
    assert bank.process(np.zeros((1, 8000), np.int16), audio.shape[1], listening) == []


def test_bursts_alternate() -> None:
    audio = np.concatenate([np.concatenate((silence(1), ring_burst(seconds, -8.0))) for seconds in (1, 8, 0.3, 2, 0.1)])
    kinds = [event.kind for event in heard(np.concatenate((audio, silence(1))))]
    assert len(kinds) == 8
    assert all(a is not b for a, b in pairwise(kinds))


@pytest.mark.parametrize("shape", [(1, 800), (2, 790), (2,)])
def test_blocks_of_the_wrong_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="block of shape"):
        RingBank(2).process(np.zeros(shape, dtype=np.int16), 0, np.ones(2, np.bool_))
