"""Call progress of each country, fax and modem tones; what is none of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from bank_runner import prompts
from line_signals import Audio, dtmf, noise, pcm, silence, sine
from tone_audio import cadence, modulated, reversed_answer

from recorder.detectors import DetectorBank
from recorder.dsp.tone_profiles import COUNTRIES
from recorder.signals import Tone, ToneHeard, VoiceActivity

T = Tone
PAIR, RINGING, BUSY_US = (350.0, 440.0), (440.0, 480.0), (480.0, 620.0)
# country, tone, bursts of (frequencies, on s, off s), rounds: from the national standards, not from the profiles.
SENT = [
    ("cn", T.RINGBACK, [((450.0,), 1.0, 4.0)], 2),
    ("cn", T.BUSY, [((450.0,), 0.35, 0.35)], 5),
    ("cn", T.CONGESTION, [((450.0,), 0.7, 0.7)], 4),
    ("cn", T.CALL_WAITING, [((450.0,), 0.4, 4.0)], 3),
    ("cn", T.DIAL, [((450.0,), 0.4, 0.04)], 8),
    ("cn", T.SPECIAL_INFORMATION, [((450.0,), 0.1, 0.1)] * 3 + [((450.0,), 0.4, 0.4)], 4),
    ("us", T.DIAL, [(PAIR, 4.0, 1.0)], 1),
    ("us", T.RINGBACK, [(RINGING, 2.0, 4.0)], 2),
    ("us", T.BUSY, [(BUSY_US, 0.5, 0.5)], 5),
    ("us", T.CONGESTION, [(BUSY_US, 0.25, 0.25)], 8),
    ("us", T.CALL_WAITING, [((440.0,), 0.3, 10.0)], 2),
    ("us", T.HOWLER, [((1400.0, 2060.0, 2450.0, 2600.0), 0.1, 0.1)], 20),
    ("uk", T.DIAL, [(PAIR, 4.0, 1.0)], 1),
    ("uk", T.RINGBACK, [((400.0, 450.0), 0.4, 0.2), ((400.0, 450.0), 0.4, 2.0)], 3),
    ("uk", T.BUSY, [((400.0,), 0.375, 0.375)], 6),
    ("uk", T.CONGESTION, [((400.0,), 0.4, 0.35), ((400.0,), 0.225, 0.525)], 4),
    ("de", T.DIAL, [((425.0,), 4.0, 1.0)], 1),
    ("de", T.RINGBACK, [((425.0,), 1.0, 4.0)], 2),
    ("de", T.BUSY, [((425.0,), 0.48, 0.48)], 5),
    ("de", T.CONGESTION, [((425.0,), 0.24, 0.24)], 8),
    ("de", T.CALL_WAITING, [((425.0,), 0.2, 0.2), ((425.0,), 0.2, 5.0)], 3),
    ("fr", T.RINGBACK, [((440.0,), 1.5, 3.5)], 2),
    ("fr", T.BUSY, [((440.0,), 0.5, 0.5)], 5),
    ("fr", T.DIAL, [((330.0, 440.0), 4.0, 1.0)], 1),
    ("jp", T.DIAL, [((400.0,), 4.0, 1.0)], 1),
    ("jp", T.RINGBACK, [((384.0, 416.0), 1.0, 2.0)], 3),
    ("jp", T.BUSY, [((400.0,), 0.5, 0.5)], 5),
    ("ru", T.RINGBACK, [((425.0,), 1.0, 4.0)], 2),
    ("ru", T.BUSY, [((425.0,), 0.35, 0.35)], 5),
    ("ru", T.CONGESTION, [((425.0,), 0.175, 0.175)], 10),
    ("in", T.BUSY, [((400.0,), 0.75, 0.75)], 4),
    ("in", T.RINGBACK, [((375.0, 425.0), 0.4, 0.2), ((375.0, 425.0), 0.4, 2.0)], 3),
    ("hk", T.RINGBACK, [(RINGING, 0.4, 0.2), (RINGING, 0.4, 3.0)], 3),
    ("hk", T.SPECIAL_INFORMATION, [(BUSY_US, 4.0, 1.0)], 1),
    ("tw", T.RINGBACK, [(RINGING, 1.0, 2.0)], 3),
    ("tw", T.BUSY, [(BUSY_US, 0.5, 0.5)], 5),
    ("sg", T.RINGBACK, [((401.0, 449.0), 0.4, 0.2), ((401.0, 449.0), 0.4, 2.0)], 3),
    ("sg", T.CONGESTION, [((425.0,), 0.25, 0.25)], 8),
    ("au", T.RINGBACK, [((413.0, 438.0), 0.4, 0.2), ((413.0, 438.0), 0.4, 2.0)], 3),
    ("au", T.BUSY, [((425.0,), 0.375, 0.375)], 5),
    ("br", T.BUSY, [((425.0,), 0.25, 0.25)], 8),
    ("br", T.CONGESTION, [((425.0,), 0.25, 0.25), ((425.0,), 0.75, 0.25)], 5),
    ("cn", T.SPECIAL_INFORMATION, [((950.0,), 0.33, 0.0), ((1400.0,), 0.33, 0.0), ((1800.0,), 0.33, 1.0)], 2),
    ("us", T.SPECIAL_INFORMATION, [((913.8,), 0.38, 0.0), ((1370.6,), 0.274, 0.0), ((1776.7,), 0.38, 1.0)], 1),
    ("cn", T.FAX_CALLING, [((1100.0,), 0.5, 3.0)], 3),
    ("us", T.FAX_CALLING, [((1138.0,), 0.56, 3.4)], 3),
    ("cn", T.FAX_ANSWER, [((2100.0,), 3.0, 1.0)], 1),
    ("cn", T.FAX_ANSWER, [((2114.0,), 2.6, 1.0)], 1),
]  # fmt: skip
NAMES = [f"{country}-{tone}-{index}" for index, (country, tone, _, _) in enumerate(SENT)]


def tones_of(audio: Audio, country: str = "cn", *, block_samples: int = 800) -> list[tuple[float, Tone | None]]:
    rows = np.atleast_2d(pcm(audio))
    return [(at_s, tone) for _, at_s, tone in heard(rows, [country] * len(rows), block_samples)]


def heard(
    rows: npt.NDArray[np.int16], countries: Sequence[str], block_samples: int = 800
) -> list[tuple[int, float, Tone | None]]:
    """Port, second and tone of each change; two seconds of silence follow the audio."""
    rows = np.pad(rows, ((0, 0), (0, 16000 + -rows.shape[1] % block_samples)))
    bank = DetectorBank(len(rows))
    for port, country in enumerate(countries):
        bank.choose_tones(port, country)
    found = []
    for start in range(0, rows.shape[1] // block_samples * block_samples, block_samples):
        block = np.ascontiguousarray(rows[:, start : start + block_samples])
        found += bank.process(block, start, np.zeros(len(rows), np.bool_))
    return [(one.port, one.at_sample / 8000, one.tone) for one in found if isinstance(one, ToneHeard)]


@pytest.mark.parametrize(("country", "tone", "bursts", "rounds"), SENT, ids=NAMES)
@pytest.mark.parametrize("level_dbm0", [-6.0, -38.0])
def test_each_country(
    country: str, tone: Tone, bursts: list[tuple[tuple[float, ...], float, float]], rounds: int, level_dbm0: float
) -> None:
    level = level_dbm0 - 6.0 * (len(bursts[0][0]) > 2)
    audio = np.concatenate((silence(0.5), cadence(bursts, rounds, level), silence(6.0)))
    told = tones_of(audio + noise(len(audio), level_dbm0 - 15.0, np.random.default_rng(3)), country)
    assert told[0] == (pytest.approx(0.5, abs=0.04), tone)
    end = 0.5 + rounds * sum(on + off for _, on, off in bursts) - bursts[-1][2]
    if tone is not T.CALL_WAITING:
        assert told[1:] == [(pytest.approx(end, abs=0.06), None)]


def test_every_country_is_tested() -> None:
    assert {country for country, *_ in SENT} == set(COUNTRIES)


@pytest.mark.parametrize("scale", [0.9, 1.1])
@pytest.mark.parametrize("hz_off", [-20.0, 20.0])
def test_tolerances_of_china(scale: float, hz_off: float) -> None:
    for country, tone, bursts, rounds in SENT:
        if country != "cn" or bursts[0][0] != (450.0,) or tone in (T.DIAL, T.SPECIAL_INFORMATION):
            continue
        scaled = [((450.0 + hz_off,), on * scale, off * scale) for _, on, off in bursts]
        assert tones_of(np.concatenate((silence(0.5), cadence(scaled, rounds), silence(6.0))))[0][1] is tone


def test_howler_of_china_and_a_tone_beside_it() -> None:
    assert [tone for _, tone in tones_of(np.concatenate((sine(4.0, 950.0), silence(1.0))))] == [T.HOWLER, None]
    assert tones_of(np.concatenate((sine(4.0, 1000.0), silence(1.0)))) == []


@pytest.mark.parametrize(
    "audio",
    [reversed_answer(3.3), modulated(3.3, 2100.0, 15.0, 0.2), reversed_answer(3.3, 0.425), reversed_answer(3.3, 0.475)],
    ids=["V.25", "V.8", "V.25 early", "V.25 late"],
)
@pytest.mark.parametrize("noise_dbm0", [-70.0, -28.0])
def test_answer_tone_of_a_modem(audio: Audio, noise_dbm0: float) -> None:
    line = np.concatenate((silence(1.0), audio, silence(1.0)))
    told = tones_of(line + noise(len(line), noise_dbm0, np.random.default_rng(5)))
    assert told == [(pytest.approx(1.0, abs=0.04), T.MODEM_ANSWER), (pytest.approx(4.3, abs=0.05), None)]


def test_one_calling_tone_or_waiting_tone_is_not_enough() -> None:
    for tone_hz, on_s in ((1100.0, 0.5), (450.0, 0.4)):
        assert tones_of(np.concatenate((silence(1.0), sine(on_s, tone_hz), silence(7.0)))) == []


def test_a_tone_that_slides_into_place_begins_there() -> None:
    audio = np.concatenate((silence(0.5), sine(1.5, 495.0), sine(5.0, 450.0), silence(1.0)))
    began, ended = tones_of(audio)
    assert began[1] is T.DIAL
    assert 2.0 <= began[0] < 4.0
    assert ended == (pytest.approx(7.0, abs=0.03), None)


def test_a_modulated_dial_tone() -> None:
    audio = np.concatenate((silence(0.5), modulated(4.0, 400.0, 25.0), silence(1.0)))
    assert [tone for _, tone in tones_of(audio, "in")] == [T.DIAL, None]


def test_the_country_says_what_a_tone_is() -> None:
    busy = np.concatenate((silence(0.5), cadence([(BUSY_US, 0.5, 0.5)], 5), silence(2.0)))
    assert tones_of(busy, "cn") == []
    assert tones_of(np.concatenate((silence(0.5), cadence([((450.0,), 0.35, 0.35)], 5), silence(2.0))), "us") == []


def test_each_port_has_its_country() -> None:
    sent = {"cn": ((450.0,), 0.35), "us": (BUSY_US, 0.5), "de": ((425.0,), 0.48)}
    lines = [np.concatenate((silence(0.5), cadence([(hz, s, s)], 4), silence(3.0))) for hz, s in sent.values()]
    length = max(len(line) for line in lines)
    rows = np.stack([pcm(np.pad(line, (0, length - len(line)))) for line in lines])
    told = heard(rows, list(sent))
    assert sorted(port for port, _, tone in told if tone is T.BUSY) == [0, 1, 2]
    assert not [tone for _, _, tone in told if tone not in (T.BUSY, None)]


def test_another_country_holds_from_the_next_block_on() -> None:
    busy = pcm(cadence([(BUSY_US, 0.5, 0.5)], 5))[None, :]
    bank, off_hook = DetectorBank(1), np.array([False])
    assert bank.process(busy, 0, off_hook) == []
    bank.choose_tones(0, "us")
    told = [one.tone for one in bank.process(busy, busy.shape[1], off_hook) if isinstance(one, ToneHeard)]
    assert told == [T.BUSY]
    with pytest.raises(KeyError):
        bank.choose_tones(0, "atlantis")


@pytest.mark.parametrize("block_samples", [160, 4000])
def test_block_size_does_not_matter(block_samples: int) -> None:
    rng = np.random.default_rng(12)
    for country, _, bursts, rounds in SENT[::5]:
        audio = np.concatenate((silence(0.53), cadence(bursts, rounds), silence(6.0)))
        audio += noise(len(audio), -40.0, rng)
        assert tones_of(audio, country, block_samples=block_samples) == tones_of(audio, country)


@pytest.mark.parametrize("country", ["cn", "us", "uk", "in"])
def test_speech_and_digits_are_no_tone(country: str) -> None:
    speech = prompts(600.0)
    rows = speech[: len(speech) // 16 * 16].reshape(16, -1)
    assert heard(rows, [country] * 16) == []
    digits = pcm(dtmf("0123456789ABCD*#" * 8, 60, 60), silence(1.0), dtmf("1590*#" * 6, 350, 350))
    assert heard(digits[None, :], [country]) == []


@pytest.mark.parametrize("talker_db", [-6.0, 0.0, 6.0])
def test_ringback_under_the_voice_of_who_waits(talker_db: float) -> None:
    """One track holds both: nothing but ringback is told, and it is told unless somebody shouts without a break."""
    speech = prompts(60.0)[8000:].astype(np.float64)
    told = []
    for start in range(5):
        voice = speech[start * 64000 :][: 8000 * 26]
        voice *= 10.0 ** (talker_db / 20.0) * np.sqrt(np.mean(sine(1.0, 450.0, -16.0) ** 2) / np.mean(voice**2))
        audio = voice + np.concatenate((silence(1.0), cadence([((450.0,), 1.0, 4.0)], 5, -16.0)))
        told.append({tone for _, tone in tones_of(audio)})
        assert told[-1] <= {T.RINGBACK, None}
    assert sum(T.RINGBACK in tones for tones in told) >= 4


def music(seconds: float, seed: int) -> Audio:
    """Chords and a melody of decaying notes with overtones, as on hold."""
    rng = np.random.default_rng(seed)
    out = silence(seconds)
    at, scale = 0, 220.0 * 2.0 ** (np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16, 24, 28]) / 12.0)
    while at < len(out) - 8000:
        seconds_on = float(rng.choice([0.25, 0.35, 0.5, 1.0]))
        time_s = np.arange(round(seconds_on * 8000)) / 8000.0
        note = np.zeros(len(time_s))
        for root_hz in rng.choice(scale, int(rng.integers(1, 4)), replace=False):
            for overtone in range(1, 5):
                note += np.sin(2.0 * np.pi * root_hz * overtone * time_s) / overtone**1.5
        out[at : at + len(note)] += 2500.0 * note * np.exp(-time_s * float(rng.choice([0.5, 2.0, 5.0])))
        at += len(note) + round(float(rng.choice([0.0, 0.0, 0.1, 0.35])) * 8000)
    return out


def test_music_on_hold_is_no_tone() -> None:
    rows = np.stack([pcm(music(60.0, seed)) for seed in range(10)])
    for country in ("cn", "us"):
        assert heard(rows, [country] * 10) == []


def test_beating_tones_are_no_voice() -> None:
    bank = DetectorBank(1)
    bank.choose_tones(0, "us")
    line = pcm(silence(1.0), cadence([(RINGING, 2.0, 4.0)], 2), cadence([(BUSY_US, 0.5, 0.5)], 4))[None, :]
    line = line[:, : line.shape[1] // 80 * 80]
    assert not [one for one in bank.process(line, 0, np.array([False])) if isinstance(one, VoiceActivity)]
