"""``tapdeck tones``: what it prints of files, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from bank_runner import prompts
from click.testing import CliRunner
from line_signals import Audio, noise, silence, sine
from tone_audio import cadence, reversed_answer

from recorder.commands.tones import tones_command
from recorder.signals import Tone
from recorder.tones_file import tones_of_file

FIELDS = ["start_s", "end_s", "channel", "tone", "frequencies_hz", "level_dbm0"]


def save(path: Path, audio: Audio, rate_hz: int = 8000) -> Path:
    at_rate = soxr.resample(audio / 32768.0, 8000, rate_hz) if rate_hz != 8000 else audio / 32768.0
    soundfile.write(path, np.clip(at_rate, -1.0, 0.99996), rate_hz)
    return path


def busy(level_dbm0: float = -15.0) -> Audio:
    audio = np.concatenate((silence(1.0), cadence([((450.0,), 0.35, 0.35)], 5, level_dbm0), silence(2.0)))
    return np.asarray(audio + noise(len(audio), level_dbm0 - 30.0, np.random.default_rng(1)))


@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100])
def test_a_tone_with_its_place_frequency_and_level(tmp_path: Path, rate_hz: int) -> None:
    (tone,) = tones_of_file(save(tmp_path / "busy.wav", busy(), rate_hz)).tones
    assert (tone.tone, tone.channel) == (Tone.BUSY, 0)
    assert (tone.start_s, tone.end_s) == (pytest.approx(1.0, abs=0.03), pytest.approx(4.15, abs=0.03))
    assert tone.frequencies_hz == (pytest.approx(450.0, abs=2.0),)
    assert tone.level_dbm0 == pytest.approx(-15.0, abs=1.0)


def test_what_sounds_at_the_end_ends_with_the_file(tmp_path: Path) -> None:
    ringing = np.concatenate((cadence([((450.0,), 1.0, 4.0)], 1), sine(1.0), silence(0.1)))
    (tone,) = tones_of_file(save(tmp_path / "ringing.wav", ringing)).tones
    assert (tone.tone, tone.end_s) == (Tone.RINGBACK, pytest.approx(6.0, abs=0.12))
    (tone,) = tones_of_file(save(tmp_path / "dial.wav", sine(3.0))).tones
    assert (tone.tone, tone.end_s) == (Tone.DIAL, pytest.approx(3.0, abs=0.03))


def test_each_channel_and_each_country(tmp_path: Path) -> None:
    left = np.concatenate((silence(0.3), cadence([((480.0, 620.0), 0.5, 0.5)], 5)))
    right = np.concatenate((silence(1.0), reversed_answer(3.3)))
    length = max(len(left), len(right))
    stereo = np.stack([np.pad(part, (0, length - len(part))) for part in (left, right)], axis=1)
    soundfile.write(tmp_path / "two.wav", stereo / 32768.0, 8000)
    told = {country: tones_of_file(tmp_path / "two.wav", country).tones for country in ("cn", "us")}
    assert [(one.channel, one.tone) for one in told["us"]] == [(0, Tone.BUSY), (1, Tone.MODEM_ANSWER)]
    assert told["us"][0].frequencies_hz == (pytest.approx(480.0, abs=2.0), pytest.approx(620.0, abs=2.0))
    assert [(one.channel, one.tone) for one in told["cn"]] == [(1, Tone.MODEM_ANSWER)]


def test_json_lines_and_exit_codes(tmp_path: Path) -> None:
    found = save(tmp_path / "busy.wav", busy())
    quiet = save(tmp_path / "speech.wav", prompts(20.0).astype(np.float64))
    (tmp_path / "empty.wav").touch()

    result = CliRunner().invoke(tones_command, ["--json", str(found)])
    assert result.exit_code == 0
    answer = json.loads(result.output)
    assert (list(answer), list(answer["tones"][0])) == (["file", "tones", "error"], FIELDS)
    assert (answer["error"], answer["tones"][0]["tone"]) == (None, "busy")

    assert CliRunner().invoke(tones_command, [str(quiet)]).exit_code == 1
    result = CliRunner().invoke(
        tones_command, ["--json", str(found), str(tmp_path / "empty.wav"), str(tmp_path / "no")]
    )
    assert result.exit_code == 2
    answers = [json.loads(line) for line in result.output.splitlines()]
    assert [answer["error"] for answer in answers] == [None, "is empty", "no such file"]


def test_table_for_people_and_unknown_countries(tmp_path: Path) -> None:
    found = save(tmp_path / "busy.wav", busy())
    result = CliRunner().invoke(tones_command, [str(found), "--country", "cn"])
    assert [word in result.output for word in ("busy.wav", "busy ", "450 Hz", "dBm0")] == [True] * 4
    result = CliRunner().invoke(tones_command, [str(found), "--country", "atlantis"])
    assert result.exit_code == 2
    assert "atlantis" in result.output
