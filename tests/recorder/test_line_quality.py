"""Levels, clipping, DC, hum, noise and silence of a line, against signals whose values are known."""

from __future__ import annotations

import time

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from bank_runner import prompts
from line_signals import RATE_HZ, Audio, amplitude, noise, pcm, silence, sine

from drivers.g711 import decode_alaw, encode_alaw
from recorder.dsp.line_quality import LineQuality, LineQualityBank, difference_db

QUIET_DBM0 = -65.0


def measured(*rows: Audio, block_samples: int = 800) -> list[LineQuality]:
    """The quality of rows of the same length, in A-law."""
    samples = decode_alaw(encode_alaw(np.stack([pcm(row) for row in rows])))
    bank = LineQualityBank(len(rows))
    for start in range(0, samples.shape[1], block_samples):
        bank.process(samples[:, start : start + block_samples])
    return bank.qualities()


def line_noise(seconds: float, level_dbm0: float = QUIET_DBM0) -> Audio:
    return noise(round(seconds * RATE_HZ), level_dbm0, np.random.default_rng(4))


@pytest.mark.parametrize("level_dbm0", [3.0, -10.0, -40.0])
def test_level_and_peak(level_dbm0: float) -> None:
    (quality,) = measured(sine(2, 1020.0, level_dbm0))
    assert quality.rms_dbm0 == pytest.approx(level_dbm0, abs=0.2)
    assert quality.peak_dbm0 == pytest.approx(level_dbm0, abs=0.5)


def test_the_peak_of_a_short_click_counts() -> None:
    audio = line_noise(2)
    audio[12_000] = amplitude(-3.0)
    (quality,) = measured(audio)
    assert quality.peak_dbm0 == pytest.approx(-3.0, abs=0.3)
    assert quality.rms_dbm0 < -25.0


def test_clipped_speech_is_told_from_loud_speech() -> None:
    speech = prompts(20.0)[: 20 * RATE_HZ].astype(np.float64)
    speech *= 32_000.0 / np.abs(speech).max()
    fits, clipped = measured(speech * 0.95, np.clip(speech * 8.0, -32_768.0, 32_767.0))
    assert (fits.clipped_percent, fits.clipped_runs) == (0.0, 0)
    assert clipped.clipped_percent > 1.0
    assert clipped.clipped_runs > 100


@pytest.mark.parametrize("block_samples", [80, 800, 8000])
def test_clipped_runs_are_counted_across_blocks(block_samples: int) -> None:
    audio = silence(1)
    audio[100:102] = 32_767.0  # as short as a peak that fits
    audio[798:803] = -32_768.0
    audio[3198:3201] = 32_767.0
    audio[4000:4003] = 32_767.0
    (quality,) = measured(audio, block_samples=block_samples)
    assert quality.clipped_runs == 3
    assert quality.clipped_percent == pytest.approx(100.0 * 11 / 8000, abs=0.001)


@pytest.mark.parametrize("dc_percent", [-4.0, 0.0, 2.5])
def test_dc_is_no_noise(dc_percent: float) -> None:
    samples = pcm(line_noise(4) + dc_percent * 327.68)[None, :]
    bank = LineQualityBank(1)
    bank.process(samples)
    (quality,) = bank.qualities()
    assert quality.dc_percent == pytest.approx(dc_percent, abs=0.05)
    assert quality.noise_dbm0 == pytest.approx(QUIET_DBM0, abs=1.5)


@pytest.mark.parametrize("mains_hz", [50, 60])
@pytest.mark.parametrize("off_hz", [-0.3, 0.0, 0.3])
@pytest.mark.parametrize("level_dbm0", [-20.0, -55.0])
def test_hum(mains_hz: int, off_hz: float, level_dbm0: float) -> None:
    tones = [sine(2, harmonic * (mains_hz + off_hz), level_dbm0 - 4.8) for harmonic in (1, 2, 3)]
    (quality,) = measured(np.sum(tones, axis=0) + line_noise(2))
    assert quality.hum_hz == mains_hz
    assert quality.hum_dbm0 == pytest.approx(level_dbm0, abs=1.0)


def test_noise_dial_tone_and_speech_are_no_hum() -> None:
    speech = prompts(10.0)[: 10 * RATE_HZ].astype(np.float64)
    for quality in measured(line_noise(10), line_noise(10, -30.0), sine(10, 450.0) + line_noise(10), speech):
        assert quality.hum_dbm0 is None or quality.hum_dbm0 < quality.rms_dbm0 - 15.0


def test_hum_of_every_row_is_found_in_turn() -> None:
    found = measured(*[line_noise(2) + sine(2, 50.0, -40.0) for _ in range(40)])  # two rows in each second
    assert [quality.hum_hz for quality in found] == [50] * 4 + [None] * 36


def test_noise_under_speech() -> None:
    speech = prompts(30.0)[: 30 * RATE_HZ].astype(np.float64)
    speech[40_000:48_000] = 0.0
    (quality,) = measured(speech + line_noise(30, -50.0))
    assert quality.noise_dbm0 == pytest.approx(-50.0, abs=1.5)


@pytest.mark.parametrize("noise_dbm0", [-65.0, -38.0])
def test_silence(noise_dbm0: float) -> None:
    tone = sine(3, 700.0, -15.0)
    audio = np.concatenate((tone, silence(2), tone, silence(5.5), tone[:4000]))
    (quality,) = measured(audio + line_noise(len(audio) / RATE_HZ, noise_dbm0))
    assert quality.seconds == 14.0
    assert quality.silent_percent == pytest.approx(100.0 * 7.5 / 14.0, abs=1.0)
    assert quality.longest_silence_ms == pytest.approx(5500, abs=20)
    assert quality.loud_dbm0 == pytest.approx(-15.0, abs=0.2)


def test_each_call_is_counted_for_itself() -> None:
    bank = LineQualityBank(2)
    bank.process(np.zeros((2, 16_000), np.int16))
    bank.begin(1)
    bank.process(np.stack([pcm(sine(1)), pcm(sine(1))]))
    first, second = bank.qualities()
    assert (first.seconds, first.longest_silence_ms) == (3.0, 2000)
    assert (second.seconds, second.longest_silence_ms, second.silent_percent) == (1.0, 0, 0.0)


def test_the_difference_of_two_sides() -> None:
    near, far, nothing = measured(sine(2, 700.0, -10.0), sine(2, 500.0, -27.0), line_noise(2))
    assert difference_db(near, far) == pytest.approx(17.0, abs=0.3)
    assert difference_db(near, nothing) is None


def test_it_goes_into_json_and_back() -> None:
    (quality,) = measured(sine(1))
    assert msgspec.json.decode(msgspec.json.encode(quality), type=LineQuality) == quality
    assert LineQualityBank(1).qualities() == [LineQuality()]


@pytest.mark.parametrize("shape", [(1, 800), (2, 790), (2,)])
def test_blocks_of_the_wrong_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="block of shape"):
        LineQualityBank(2).process(np.zeros(shape, dtype=np.int16))


def test_it_costs_next_to_nothing() -> None:
    block: npt.NDArray[np.int16] = np.stack([pcm(line_noise(0.1))] * 64)
    bank = LineQualityBank(64)
    began_s = time.process_time()
    for _ in range(100):
        bank.process(block)
    assert time.process_time() - began_s < 10 * 0.01  # 10 s of 64 rows in 1 % of one core
