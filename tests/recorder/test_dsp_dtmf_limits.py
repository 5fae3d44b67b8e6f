"""DTMF receiver at the limits of ITU-T Q.24, all 16 digits in every combination: nothing missed, nothing added."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from dtmf_runner import symbols_of
from line_signals import RATE_HZ, Audio, amplitude, dtmf_tone, noise, pcm, silence

from drivers.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw

ALL = "123A456B789C*0#D"
CORNERS = list(product((-0.015, 0.0, 0.015), (-0.015, 0.0, 0.015), (-8.0, 0.0, 4.0)))  # low, high, twist in dB


def row(
    order: str, on_ms: float, off_ms: float, level_dbm0: float, corner: tuple[float, float, float], lead: int = 800
) -> Audio:
    """Digits with their tones off by ``corner``; the same length for any order."""
    low, high, twist_db = corner
    parts = [np.zeros(lead)]
    for symbol in order:
        tone = dtmf_tone(
            symbol, on_ms, level_dbm0=level_dbm0, twist_db=twist_db, low_deviation=low, high_deviation=high
        )
        parts += [tone, silence(off_ms / 1000.0)]
    return np.concatenate(parts)


def in_band_noise(samples: int, level_dbm0: float, rng: np.random.Generator) -> Audio:
    """Noise of 300–3400 Hz."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    hz = np.fft.rfftfreq(samples, 1.0 / RATE_HZ)
    spectrum[(hz < 300.0) | (hz > 3400.0)] = 0.0
    audio = np.fft.irfft(spectrum, samples)
    return np.asarray(audio / np.std(audio) * amplitude(level_dbm0) / np.sqrt(2.0))


def pair_dbm0(level_dbm0: float, twist_db: float) -> float:
    return level_dbm0 + 10.0 * float(np.log10(1.0 + 10.0 ** (-abs(twist_db) / 10.0)))


def heard(rows: list[Audio]) -> list[str]:
    """The digits of each row."""
    return symbols_of(np.stack([pcm(one) for one in rows]))


def test_what_is_neither_clear_nor_near_its_frequencies_is_no_digit() -> None:
    """As once in twenty hours of speech: both tones nearly as far off as may be, in as much else as may be."""
    rng = np.random.default_rng(3)

    def heard(deviation: float, snr_db: float) -> list[str]:
        tone = dtmf_tone("6", 70, twist_db=-7.0, low_deviation=-deviation, high_deviation=deviation)
        level_dbm0 = -9.2 - snr_db
        rows = [pcm(silence(0.1), tone + noise(len(tone), level_dbm0, rng), silence(0.1)) for _ in range(20)]
        return symbols_of(np.stack(rows))

    assert heard(0.0182, 9.0).count("6") <= 1
    assert heard(0.0182, 25.0) == ["6"] * 20
    assert heard(0.015, 15.0) == ["6"] * 20


@pytest.mark.parametrize("snr_db", [15.0, 20.0, 26.0])
@pytest.mark.parametrize("level_dbm0", [-25.0, -10.0])
def test_40_ms_on_40_ms_off_in_noise(level_dbm0: float, snr_db: float) -> None:
    rng = np.random.default_rng(int(snr_db))
    rows, sent = [], []
    for corner in CORNERS:
        order = "".join(rng.permutation(list(ALL * 2)))
        audio = row(order, 40, 40, level_dbm0, corner, lead=800 + int(rng.integers(0, 80)))
        audio = np.pad(audio, (0, 80 * 340 - len(audio)))
        rows.append(audio + in_band_noise(len(audio), pair_dbm0(level_dbm0, corner[2]) - snr_db, rng))
        sent.append(order)
    assert heard(rows) == sent


def test_the_corner_that_a_short_average_blurs() -> None:
    """941 Hz low and 1209 Hz high come nearest to each other: the stronger tone rippled the other's envelope."""
    rng = np.random.default_rng(9)
    rows = []
    for _ in range(40):
        audio = row("*" * 32, 40, 40, -10.0, (-0.015, 0.015, -8.0))
        rows.append(audio + in_band_noise(len(audio), pair_dbm0(-10.0, -8.0) - 16.0, rng))
    assert heard(rows) == ["*" * 32] * 40


@pytest.mark.parametrize("level_dbm0", [-40.0, -35.0, -3.0, 0.0])
def test_the_whole_range_of_levels(level_dbm0: float) -> None:
    rng = np.random.default_rng(2)
    rows = [row(ALL, 40, 40, level_dbm0, corner) for corner in CORNERS]
    assert heard([one + noise(len(one), level_dbm0 - 26.0, rng) for one in rows]) == [ALL] * len(rows)


@pytest.mark.parametrize("tones_hz", [(450.0,), (425.0,), (475.0,), (350.0, 440.0)])
def test_over_dial_tone_of_10_db_more_a_tone(tones_hz: tuple[float, ...]) -> None:
    rows = []
    for corner in CORNERS:
        audio = row(ALL, 40, 40, -18.0, corner)
        time_s = np.arange(len(audio)) / RATE_HZ
        rows.append(audio + sum(amplitude(-8.0) * np.sin(2.0 * np.pi * hz * time_s) for hz in tones_hz))
    assert heard(rows) == [ALL] * len(rows)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("on_ms", [40, 100])
@pytest.mark.parametrize("snr_db", [15.0, 40.0])
def test_one_tone_3_5_percent_off_is_refused_whatever_the_other_is(sign: float, on_ms: int, snr_db: float) -> None:
    rng = np.random.default_rng(4)
    rows = []
    for other, twist_db in product((-0.015, 0.0, 0.015), (-8.0, 0.0, 4.0)):
        for corner in ((0.035 * sign, other, twist_db), (other, 0.035 * sign, twist_db)):
            audio = row(ALL, on_ms, 60, -10.0, corner)
            rows.append(audio + in_band_noise(len(audio), -10.0 - snr_db, rng))
    assert heard(rows) == [""] * len(rows)


@pytest.mark.parametrize("snr_db", [15.0, 40.0])
def test_23_ms_are_refused(snr_db: float) -> None:
    rng = np.random.default_rng(5)
    rows = [row(ALL, 23, 60, -10.0, corner) for corner in CORNERS]
    assert heard([one + in_band_noise(len(one), -10.0 - snr_db, rng) for one in rows]) == [""] * len(rows)


@pytest.mark.parametrize("gap_ms", [3, 5, 10])
@pytest.mark.parametrize("on_ms", [60, 80, 100, 300])
def test_an_interruption_anywhere_does_not_split_or_lose_a_digit(on_ms: int, gap_ms: int) -> None:
    rng = np.random.default_rng(on_ms + gap_ms)
    rows = []
    for corner in CORNERS:
        audio = row(ALL, on_ms, 60, -10.0, corner)
        for place in range(len(ALL)):
            begin = 800 + 8 * place * (on_ms + 60) + 8 * int(rng.integers(20, on_ms - gap_ms - 20 + 1))
            audio[begin : begin + 8 * gap_ms] = 0.0
        rows.append(audio)
    assert heard(rows) == [ALL] * len(rows)


@pytest.mark.parametrize("off_ms", [30, 40])
def test_a_pause_separates_equal_digits(off_ms: int) -> None:
    rng = np.random.default_rng(6)
    rows = [row(symbol * 12, 40, off_ms, -10.0, corner) for symbol in ALL for corner in CORNERS[::5]]
    noisy = [one + in_band_noise(len(one), -10.0 - 20.0, rng) for one in rows]
    assert heard(noisy) == [symbol * 12 for symbol in ALL for _ in CORNERS[::5]]


@pytest.mark.parametrize("what", ["offset", "clipped", "hum", "a_law", "u_law"])
def test_what_lines_and_coders_do(what: str) -> None:
    rows = [row(ALL, 40, 40, 4.0 if what == "clipped" else -20.0, corner) for corner in CORNERS]
    if what == "offset":
        rows = [one + 3000.0 for one in rows]
    elif what == "hum":
        rows = [one + amplitude(-10.0) * np.sin(2.0 * np.pi * 100.0 / RATE_HZ * np.arange(len(one))) for one in rows]
    elif what in ("a_law", "u_law"):
        rows = [through(one, what) for one in rows]
    assert heard(rows) == [ALL] * len(rows)


def through(audio: Audio, law: str) -> Audio:
    linear = pcm(audio)
    coded = decode_alaw(encode_alaw(linear)) if law == "a_law" else decode_ulaw(encode_ulaw(linear))
    return np.asarray(coded, dtype=np.float64)
