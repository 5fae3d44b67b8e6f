"""CPE alerting signal, on and off the hook: what is taken (GR-30-CORE § 2.5, EN 300 659-1 § 6.2) and what is not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from bank_runner import prompts
from line_signals import Audio, dtmf, noise, pcm, silence, sine
from tone_audio import alerting

from recorder.dsp.cas import CasBank
from recorder.dsp.spectrum import SpectrumBank


def alerts_of(rows: npt.NDArray[np.int16], block_samples: int = 800) -> list[tuple[int, float]]:
    """(row, end in seconds) of the alerting signals in int16 audio, (n,) or (channels, n)."""
    audio = np.atleast_2d(rows)
    audio = np.pad(audio, ((0, 0), (0, 4000 + -(audio.shape[1] + 4000) % block_samples)))
    spectra, bank = SpectrumBank(len(audio)), CasBank(len(audio))
    listening = np.ones(len(audio), np.bool_)
    found = []
    for end in range(block_samples, audio.shape[1] + 1, block_samples):
        frames = spectra.process(np.ascontiguousarray(audio[:, end - block_samples : end]))
        heard = bank.process(frames, audio[:, :end], end, listening)
        found += [(port, at / 8000.0) for port, at in heard]
    return found


def on_a_line(signal: Audio, before_s: float = 0.5, noise_dbm0: float = -55.0) -> npt.NDArray[np.int16]:
    audio = np.concatenate((silence(before_s), signal, silence(0.5)))
    return pcm(audio + noise(len(audio), noise_dbm0, np.random.default_rng(11)))


@pytest.mark.parametrize("ms", [75.0, 80.0, 85.0, 88.0, 100.0, 110.0])
@pytest.mark.parametrize("level_dbm0", [-14.0, -23.0, -32.0])
@pytest.mark.parametrize("off", [-0.005, 0.0, 0.005])
def test_taken(ms: float, level_dbm0: float, off: float) -> None:
    for before_s in (0.5, 0.537, 0.593):
        told = alerts_of(on_a_line(alerting(ms, level_dbm0, off), before_s))
        assert told == [(0, pytest.approx(before_s + ms / 1000.0, abs=0.005))]


@pytest.mark.parametrize("twist_db", [-6.0, 6.0])
def test_twist_is_taken(twist_db: float) -> None:
    assert len(alerts_of(on_a_line(alerting(80.0, -23.0, twist_db=twist_db)))) == 1


@pytest.mark.parametrize("seed", range(10))
def test_noise_at_15_db_is_taken(seed: int) -> None:
    audio = np.concatenate((silence(0.5), alerting(80.0, -23.0), silence(0.5)))
    assert len(alerts_of(pcm(audio + noise(len(audio), -20.0 - 15.0, np.random.default_rng(seed))))) == 1


@pytest.mark.parametrize(
    "signal",
    [
        alerting(50.0), alerting(150.0), alerting(400.0), alerting(80.0, off=0.02), alerting(80.0, off=-0.02),
        alerting(80.0, twist_db=12.0), alerting(80.0, -45.0), sine(0.08, 2130.0), sine(0.08, 2750.0),
        np.concatenate((sine(0.08, 2130.0), sine(0.08, 2750.0))), sine(0.08, 2100.0) + sine(0.08, 2800.0),
    ],
    ids=[
        "50 ms", "150 ms", "400 ms", "high", "low", "twist", "faint", "2130 Hz", "2750 Hz", "one by one", "beside",
    ],
)  # fmt: skip
def test_refused(signal: Audio) -> None:
    assert alerts_of(on_a_line(signal)) == []


def test_one_that_begins_and_ends_where_blocks_do() -> None:
    audio = on_a_line(alerting(80.0), 0.5)
    assert alerts_of(audio, 160) == alerts_of(audio) == alerts_of(audio, 4000)


@pytest.mark.parametrize("speech_db", [-6.0, 0.0, 6.0])
def test_under_the_speech_of_the_subscriber(speech_db: float) -> None:
    """The near talker as loud as the signal, on one track: most are heard."""
    speech = prompts(200.0).astype(np.float64)[: 8000 * 200]
    active = speech[np.abs(speech) > 300.0]
    speech *= 10.0 ** (speech_db / 20.0) * np.sqrt(np.mean(alerting(100.0) ** 2) / np.mean(active**2))
    for second in range(1, 200, 2):
        speech[8000 * second : 8000 * second + 640] += alerting(80.0)
    heard = alerts_of(pcm(speech))
    assert len(heard) >= {-6.0: 90, 0.0: 80, 6.0: 60}[speech_db]
    assert all(abs((end_s - 0.08) % 2.0 - 1.0) < 0.02 for _, end_s in heard)


def test_speech_and_digits_are_no_alert() -> None:
    speech = prompts(1200.0)
    assert alerts_of(speech[: len(speech) // 32 * 32].reshape(32, -1)) == []
    assert alerts_of(pcm(dtmf("0123456789ABCD*#" * 4, 80, 80))) == []


def test_reset_forgets_half_of_one() -> None:
    audio = on_a_line(alerting(80.0), 0.06)[None, :]
    audio = np.pad(audio, ((0, 0), (0, -audio.shape[1] % 800)))
    told = []
    for forget in (False, True):
        spectra, bank = SpectrumBank(1), CasBank(1)
        heard, past = [], audio.copy()
        for end in range(800, audio.shape[1] + 1, 800):
            block = np.ascontiguousarray(past[:, end - 800 : end])
            heard += bank.process(spectra.process(block), past[:, :end], end, np.array([True]))
            if end == 800 and forget:
                past[:, :end] = 0
                spectra.reset(0)
                bank.reset(0)
        told.append(len(heard))
    assert told == [1, 0]
