"""``tapdeck dtmf``: files of every make, what it prints, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from click.testing import CliRunner
from line_signals import Audio, dtmf, noise, silence, sine

from recorder.commands.dtmf import dtmf_command
from recorder.dtmf_file import read_digits

ALL = "123A456B789C*0#D"
FIELDS = ["start_s", "end_s", "channel", "symbol", "low_hz", "high_hz", "level_dbm0", "twist_db"]


def save(path: Path, audio: Audio, rate_hz: int = 8000, **options: str) -> Path:
    """``audio``: float64 (n,) or (n, channels) at 8 kHz."""
    at_rate = soxr.resample(audio / 32768.0, 8000, rate_hz) if rate_hz != 8000 else audio / 32768.0
    soundfile.write(path, np.clip(at_rate, -1.0, 0.99996), rate_hz, **options)
    return path


def dialled(digits: str = ALL, **tone: float) -> Audio:
    audio = np.concatenate((silence(0.5), dtmf(digits, 50, 50, **tone), silence(0.3)))
    return np.asarray(audio + noise(len(audio), -45.0, np.random.default_rng(3)))


@pytest.mark.parametrize("rate_hz", [8000, 11025, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize(
    ("ending", "subtype"),
    [
        ("wav", "PCM_U8"), ("wav", "PCM_16"), ("wav", "PCM_24"), ("wav", "FLOAT"), ("wav", "ALAW"),
        ("wav", "ULAW"), ("wav", "IMA_ADPCM"), ("wav", "MS_ADPCM"), ("flac", "PCM_16"),
    ],
)  # fmt: skip
def test_every_make_of_file(tmp_path: Path, rate_hz: int, ending: str, subtype: str) -> None:
    result = read_digits(save(tmp_path / f"call.{ending}", dialled(), rate_hz, subtype=subtype))
    assert result.error is None
    assert [string.digits for string in result.strings] == [ALL]
    for place, digit in enumerate(result.digits):
        assert digit.start_s == pytest.approx(0.5 + 0.1 * place, abs=0.005)
        assert digit.end_s - digit.start_s == pytest.approx(0.05, abs=0.008)


@pytest.mark.parametrize("bits", ["G721_32", "G723_40"])
def test_g_726_at_32_and_40_kbit_s(tmp_path: Path, bits: str) -> None:
    (string,) = read_digits(save(tmp_path / "call.au", dialled(), subtype=bits)).strings
    assert string.digits == ALL


@pytest.mark.parametrize(("level_dbm0", "twist_db"), [(-4.0, 0.0), (-10.0, 4.0), (-10.0, -8.0), (-30.0, 2.0)])
def test_what_is_measured(tmp_path: Path, level_dbm0: float, twist_db: float) -> None:
    audio = np.concatenate((
        silence(0.2), dtmf("1", level_dbm0=level_dbm0, twist_db=twist_db, low_deviation=0.01), silence(0.2),
        dtmf("D", level_dbm0=level_dbm0, twist_db=twist_db, high_deviation=-0.01), silence(0.2),
    ))  # fmt: skip
    one, letter = read_digits(save(tmp_path / "call.wav", audio)).digits
    both_dbm0 = level_dbm0 + 10.0 * np.log10(1.0 + 10.0 ** (-abs(twist_db) / 10.0))
    for digit in (one, letter):
        assert digit.level_dbm0 == pytest.approx(both_dbm0, abs=0.5)
        assert digit.twist_db == pytest.approx(twist_db, abs=0.5)
    assert (one.low_hz, one.high_hz) == pytest.approx((697.0 * 1.01, 1209.0), abs=3.0)
    assert (letter.low_hz, letter.high_hz) == pytest.approx((941.0, 1633.0 * 0.99), abs=3.0)


def test_each_channel_is_a_line_of_its_own(tmp_path: Path) -> None:
    left, right = dialled("12345"), dialled("9*0#ABCD")
    longest = max(len(left), len(right))
    both = np.stack([np.pad(side, (0, longest - len(side))) for side in (left, right)], axis=1)
    result = read_digits(save(tmp_path / "stereo.wav", both))
    assert [(string.channel, string.digits) for string in result.strings] == [(0, "12345"), (1, "9*0#ABCD")]
    assert [digit.start_s for digit in result.digits] == sorted(digit.start_s for digit in result.digits)


def test_a_long_pause_begins_a_new_string(tmp_path: Path) -> None:
    audio = np.concatenate((silence(0.1), dtmf("12"), silence(2.5), dtmf("3"), silence(3.1), dtmf("45")))
    result = read_digits(save(tmp_path / "pauses.wav", audio))
    assert [string.digits for string in result.strings] == ["123", "45"]
    assert result.strings[1].start_s == result.digits[3].start_s


def test_a_file_that_is_nothing_but_a_digit_and_one_key_held(tmp_path: Path) -> None:
    (digit,) = read_digits(save(tmp_path / "tight.wav", dtmf("5", 60, 0))).digits
    assert (digit.symbol, digit.start_s) == ("5", pytest.approx(0.0, abs=0.005))
    (held,) = read_digits(save(tmp_path / "held.wav", dtmf("6", 2500, 100))).digits
    assert (held.symbol, held.end_s - held.start_s) == ("6", pytest.approx(2.5, abs=0.02))


def test_json_lines_and_exit_code_0(tmp_path: Path) -> None:
    good = save(tmp_path / "good.wav", dialled("10086"))
    quiet = save(tmp_path / "quiet.wav", sine(1.0))
    answer = CliRunner().invoke(dtmf_command, [str(good), str(quiet), "--json"])
    assert answer.exit_code == 0
    first, second = (json.loads(line) for line in answer.output.splitlines())
    assert list(first) == ["file", "digits", "strings", "error"]
    assert (first["file"], first["error"]) == (str(good), None)
    assert list(first["digits"][0]) == FIELDS
    assert first["strings"] == [{"start_s": first["digits"][0]["start_s"], "channel": 0, "digits": "10086"}]
    assert (second["digits"], second["strings"], second["error"]) == ([], [], None)


def test_nothing_heard_is_exit_code_1(tmp_path: Path) -> None:
    answer = CliRunner().invoke(dtmf_command, [str(save(tmp_path / "quiet.wav", silence(1.0)))])
    assert answer.exit_code == 1
    assert "no digits" in answer.output


def test_bad_files_are_exit_code_2(tmp_path: Path) -> None:
    empty, text, hollow = tmp_path / "empty.wav", tmp_path / "text.wav", tmp_path / "hollow.wav"
    empty.write_bytes(b"")
    text.write_text("this is no audio")
    soundfile.write(hollow, np.zeros(0), 8000)
    bad = [tmp_path / "missing.wav", empty, text, hollow, tmp_path]
    good = save(tmp_path / "good.wav", dialled("114"))
    answer = CliRunner().invoke(dtmf_command, [*map(str, bad), str(good), "--json"])
    assert answer.exit_code == 2
    results = [json.loads(line) for line in answer.output.splitlines()]
    assert [result["digits"] for result in results[:-1]] == [[]] * len(bad)
    assert all(result["error"] for result in results[:-1])
    assert results[-1]["strings"][0]["digits"] == "114"


def test_the_table_is_for_people(tmp_path: Path) -> None:
    answer = CliRunner().invoke(dtmf_command, [str(save(tmp_path / "good.wav", dialled("10086")))])
    assert answer.exit_code == 0
    header, *rows = answer.output.splitlines()
    assert header.split() == ["file", "at", "on", "ch", "digit", "low", "high", "level", "twist"]
    assert len(rows) == 6
    assert rows[0].split()[:2] == ["good.wav", "0.500"]
    assert rows[-1].endswith(": 10086")
