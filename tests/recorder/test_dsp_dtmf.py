"""DTMF receiver against ITU-T Q.24: what must be taken, what must not, and speech that imitates digits."""

from __future__ import annotations

import numpy as np
import pytest
from bank_runner import callers_of, digits_of, port_callers_of, prompts
from line_signals import amplitude, dtmf, noise, pcm, silence, sine

from recorder.bench.spandsp import CLIP_DTMF, caller_id
from recorder.bench.spandsp import dtmf as spandsp_dtmf

ALL = "0123456789ABCD*#"


@pytest.mark.parametrize(("on_ms", "off_ms"), [(40, 40), (50, 50), (70, 70), (200, 60), (400, 100)])
@pytest.mark.parametrize("block_samples", [160, 800, 4000])
def test_digits_of_an_independent_sender(on_ms: int, off_ms: int, block_samples: int) -> None:
    assert digits_of(spandsp_dtmf(ALL, on_ms, off_ms), block_samples) == ALL


@pytest.mark.parametrize(("level_dbm0", "twist_db"), [(-3, 0), (-10, 4), (-10, -8), (-32, 0), (-28, -6)])
def test_levels_and_twist(level_dbm0: int, twist_db: int) -> None:
    assert digits_of(spandsp_dtmf(ALL, 50, 50, level_dbm0, twist_db)) == ALL


@pytest.mark.parametrize("low_deviation", [-0.015, 0.015])
@pytest.mark.parametrize("high_deviation", [-0.015, 0.015])
def test_frequencies_1_5_percent_off_are_taken(low_deviation: float, high_deviation: float) -> None:
    audio = dtmf(ALL, 40, 40, low_deviation=low_deviation, high_deviation=high_deviation)
    audio = np.concatenate((silence(0.1), audio))
    assert digits_of(pcm(audio + noise(len(audio), -35.0, np.random.default_rng(1)))) == ALL


@pytest.mark.parametrize("deviation", [-0.035, 0.035])
@pytest.mark.parametrize("group", ["low_deviation", "high_deviation"])
def test_frequencies_3_5_percent_off_are_refused(group: str, deviation: float) -> None:
    assert digits_of(pcm(silence(0.1), dtmf(ALL, 100, 60, **{group: deviation}))) == ""


@pytest.mark.parametrize("on_ms", [10.0, 20.0, 23.0])
def test_short_tones_are_refused(on_ms: float) -> None:
    assert digits_of(pcm(silence(0.1), dtmf(ALL, on_ms, 60))) == ""


def test_a_break_of_10_ms_does_not_make_two_digits() -> None:
    tone = dtmf("5", 120, 60)
    tone[400:480] = 0.0
    assert digits_of(pcm(silence(0.1), tone)) == "5"


def test_a_long_key_press_is_one_digit() -> None:
    assert digits_of(pcm(silence(0.1), dtmf("7", 3000, 100), dtmf("8", 60, 60))) == "78"


def test_noise_of_15_db() -> None:
    audio = np.concatenate((silence(0.1), dtmf(ALL * 4, 50, 50)))
    assert digits_of(pcm(audio + noise(len(audio), -10.0 - 15.0, np.random.default_rng(7)))) == ALL * 4


def test_first_digit_over_dial_tone() -> None:
    digits = np.concatenate((silence(1.5), dtmf("13800138000", 60, 60)))
    digits[: 8000 * 2 - 3500] += sine(1.5625, 450.0, -10.0)
    assert digits_of(pcm(digits)) == "13800138000"


def test_clipped_digits() -> None:
    assert digits_of(pcm(silence(0.1), dtmf(ALL, 60, 60, level_dbm0=0.0))) == ALL


def test_a_single_tone_is_no_digit() -> None:
    tones = np.concatenate([np.concatenate((sine(0.1, hz), silence(0.05))) for hz in (697.0, 852.0, 1336.0, 1633.0)])
    assert digits_of(pcm(silence(0.1), tones)) == ""


def test_ten_minutes_of_speech_dial_nothing() -> None:
    speech = prompts(600.0)
    rows = speech[: len(speech) // 8 * 8].reshape(8, -1)
    assert digits_of(rows) == ""


@pytest.mark.parametrize(
    ("fields", "end", "number", "absence"),
    [
        ([(ord("A"), b"13812345678")], "C", "13812345678", None),
        ([(ord("D"), b"13812345678")], "C", "13812345678", None),
        ([(ord("A"), b"5551234")], "#", "5551234", None),
        ([(0, b"5551234")], "#", "5551234", None),
        ([(ord("D"), b"1")], "#", None, "withheld"),
        ([(ord("A"), b"5551234"), (ord("D"), b"777")], "C", "5551234", None),
    ],
)
def test_dtmf_caller_id_of_an_independent_sender(
    fields: list[tuple[int, bytes]], end: str, number: str | None, absence: str | None
) -> None:
    (caller,) = callers_of(caller_id(CLIP_DTMF, fields, kind=ord(end)))
    assert (caller.signalling, caller.number, caller.absence, caller.valid) == ("dtmf", number, absence, True)


def test_a_lost_digit_makes_the_message_damaged() -> None:
    audio = pcm(silence(0.3), dtmf("A1381"), silence(0.14), dtmf("345678C"))
    (caller,) = callers_of(audio)
    assert (caller.valid, caller.number, caller.partial) == (False, None, "A1381345678C")


@pytest.mark.parametrize("snr_db", [4.0, 7.0, 10.0, 15.0])
@pytest.mark.parametrize(("start", "end"), [("A", "C"), ("D", "C"), ("A", "#"), ("", "#")])
def test_noise_and_bursts_hide_numbers_but_never_change_them(snr_db: float, start: str, end: str) -> None:
    rng = np.random.default_rng(17)
    numbers = ["".join(rng.choice(list("0123456789"), 8)) for _ in range(24)]
    rows = []
    for row, number in enumerate(numbers):
        audio = np.concatenate((silence(0.2), dtmf(start + number + end, 60, 60), silence(0.4)))
        audio += noise(len(audio), -10.0 - snr_db, rng)
        for at in rng.integers(0, len(audio) - 400, 3 if row % 2 else 0):
            audio[at : at + 400] += noise(400, 0.0, rng)
        rows.append(pcm(audio))
    heard = [(port, caller.number) for port, caller in port_callers_of(np.stack(rows)) if caller.valid]
    assert all(number == numbers[port] for port, number in heard)
    if snr_db >= 10.0:
        assert {port for port, _ in heard} >= set(range(0, 24, 2))


def test_a_pause_after_the_start_code_loses_nothing() -> None:
    audio = pcm(silence(0.3), dtmf("D"), silence(0.09), dtmf("13812345678C"))
    assert [caller.number for caller in callers_of(audio)] == ["13812345678"]


def test_a_message_without_end_is_damaged() -> None:
    (caller,) = callers_of(pcm(silence(0.3), dtmf("A1381234"), silence(1.0)))
    assert (caller.valid, caller.number, caller.partial) == (False, None, "A1381234")


def test_amplitude_is_that_of_g_711() -> None:
    assert amplitude(3.14) == pytest.approx(32768.0)
