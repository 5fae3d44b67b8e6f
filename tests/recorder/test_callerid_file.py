"""``tapdeck callerid``: files of every make, what it prints, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from bank_runner import prompts
from click.testing import CliRunner
from line_signals import Audio, dtmf, fsk, mdmf, noise, ring_burst, silence

from recorder.callerid_file import decode_file
from recorder.commands.callerid import callerid_command

MESSAGE = mdmf((0x01, b"11211745"), (0x02, b"13812345678"), (0x07, "张三".encode("gbk")))
FIELDS = [
    "start_s", "channel", "signalling", "format", "number", "name", "date", "time", "absence", "valid", "quality",
    "partial", "name_absence", "dialled", "redirecting", "redirect_reason", "call_type", "caller_type",
    "long_distance", "waiting_messages",
]  # fmt: skip


def save(path: Path, audio: Audio, rate_hz: int = 8000, **options: str) -> Path:
    at_rate = soxr.resample(audio / 32768.0, 8000, rate_hz) if rate_hz != 8000 else audio / 32768.0
    soundfile.write(path, np.clip(at_rate, -1.0, 0.99996), rate_hz, **options)
    return path


def call(level_dbm0: float = -15.0) -> Audio:
    audio = np.concatenate((silence(0.5), fsk(MESSAGE, level_dbm0=level_dbm0), silence(0.5)))
    return np.asarray(audio + noise(len(audio), level_dbm0 - 30.0, np.random.default_rng(1)))


@pytest.mark.parametrize("rate_hz", [8000, 11025, 16000, 44100, 48000])
@pytest.mark.parametrize(
    ("ending", "subtype"),
    [
        ("wav", "PCM_U8"), ("wav", "PCM_16"), ("wav", "PCM_24"), ("wav", "FLOAT"), ("wav", "ALAW"),
        ("wav", "ULAW"), ("wav", "IMA_ADPCM"), ("wav", "MS_ADPCM"), ("flac", "PCM_16"),
    ],
)  # fmt: skip
def test_every_make_of_file(tmp_path: Path, rate_hz: int, ending: str, subtype: str) -> None:
    result = decode_file(save(tmp_path / f"call.{ending}", call(), rate_hz, subtype=subtype))
    assert result.error is None
    (placed,) = result.messages
    message = placed.message
    assert (message.number, message.name, message.date, message.time) == ("13812345678", "张三", "11-21", "17:45")
    # Seizure and mark take 0.4 s before the message proper.
    assert placed.start_s == pytest.approx(0.9, abs=0.02)


def test_each_channel_is_a_line(tmp_path: Path) -> None:
    left = np.concatenate((silence(0.3), fsk(mdmf((2, b"111222333"))), silence(1.0), silence(2.0)))
    right = np.concatenate((silence(1.0), dtmf("D13912345678C"), silence(2.0)))
    length = max(len(left), len(right))
    stereo = np.stack([np.pad(part, (0, length - len(part))) for part in (left, right)], axis=1)
    soundfile.write(tmp_path / "two.wav", stereo / 32768.0, 8000)
    messages = decode_file(tmp_path / "two.wav").messages
    assert [(m.channel, m.message.number, m.message.signalling) for m in messages] == [
        (0, "111222333", "fsk-bell202"),
        (1, "13912345678", "dtmf"),
    ]
    assert messages[1].start_s == pytest.approx(1.0, abs=0.02)


def test_a_whole_evening_on_one_recording(tmp_path: Path) -> None:
    speech = prompts(6.0)[:48000].astype(np.float64)
    audio = np.concatenate(
        (
            ring_burst(1.0), silence(0.5), fsk(MESSAGE, level_dbm0=-30.0), silence(1.0), speech, silence(1.0),
            dtmf("A02087654321C"), silence(1.0), ring_burst(1.0), silence(0.3),
            fsk(mdmf((4, b"P")), mark_hz=1300.0, space_hz=2100.0), silence(0.2),
        )
    )  # fmt: skip
    result = decode_file(save(tmp_path / "evening.wav", audio + 900.0))
    assert [(m.message.number, m.message.absence, m.message.valid) for m in result.messages] == [
        ("13812345678", None, True),
        ("02087654321", None, True),
        (None, "withheld", True),
    ]


@pytest.mark.parametrize("signalling", ["fsk", "dtmf"])
def test_a_file_that_begins_and_ends_with_the_message(tmp_path: Path, signalling: str) -> None:
    audio = fsk(MESSAGE, seizure_bits=0, mark_bits=60) if signalling == "fsk" else dtmf("A13812345678C")
    (placed,) = decode_file(save(tmp_path / "tight.wav", audio)).messages
    assert (placed.message.number, placed.message.valid) == ("13812345678", True)
    assert 0.0 <= placed.start_s < 0.1


def test_plain_digits_count_only_alone_and_less(tmp_path: Path) -> None:
    alone = decode_file(save(tmp_path / "plain.wav", np.concatenate((silence(0.3), dtmf("12345678#"), silence(1.0)))))
    (weak,) = alone.messages
    assert (weak.message.number, weak.message.format) == ("12345678", "dtmf-hash")
    assert weak.message.quality <= 0.5
    both = np.concatenate((silence(0.3), fsk(MESSAGE), silence(1.0), dtmf("12345678#"), silence(1.0)))
    assert [m.message.number for m in decode_file(save(tmp_path / "both.wav", both)).messages] == ["13812345678"]


@pytest.mark.parametrize("digits", ["13812345678", "12#", "5"])
def test_dialled_digits_are_no_caller_id(tmp_path: Path, digits: str) -> None:
    audio = np.concatenate((silence(0.3), dtmf(digits), silence(1.0)))
    assert decode_file(save(tmp_path / "dialled.wav", audio)).messages == []


def test_json_lines_and_exit_code_0(tmp_path: Path) -> None:
    good = save(tmp_path / "good.wav", call())
    quiet = save(tmp_path / "quiet.wav", silence(1.0))
    answer = CliRunner().invoke(callerid_command, [str(good), str(quiet), "--json"])
    assert answer.exit_code == 0
    first, second = (json.loads(line) for line in answer.output.splitlines())
    assert list(first) == ["file", "messages", "error"]
    assert (first["file"], first["error"]) == (str(good), None)
    assert list(first["messages"][0]) == FIELDS
    assert first["messages"][0]["number"] == "13812345678"
    assert (second["messages"], second["error"]) == ([], None)


def test_nothing_heard_is_exit_code_1(tmp_path: Path) -> None:
    answer = CliRunner().invoke(callerid_command, [str(save(tmp_path / "quiet.wav", silence(1.0)))])
    assert answer.exit_code == 1
    assert "no caller ID" in answer.output


def test_bad_files_are_exit_code_2(tmp_path: Path) -> None:
    empty, text, hollow = tmp_path / "empty.wav", tmp_path / "text.wav", tmp_path / "hollow.wav"
    empty.write_bytes(b"")
    text.write_text("this is no audio")
    soundfile.write(hollow, np.zeros(0), 8000)
    bad = [tmp_path / "missing.wav", empty, text, hollow, tmp_path]
    good = save(tmp_path / "good.wav", call())
    answer = CliRunner().invoke(callerid_command, [*map(str, bad), str(good), "--json"])
    assert answer.exit_code == 2
    results = [json.loads(line) for line in answer.output.splitlines()]
    assert [result["messages"] for result in results[:-1]] == [[]] * len(bad)
    assert all(result["error"] for result in results[:-1])
    assert results[-1]["messages"][0]["number"] == "13812345678"


def test_the_table_is_for_people(tmp_path: Path) -> None:
    answer = CliRunner().invoke(callerid_command, [str(save(tmp_path / "good.wav", call()))])
    assert answer.exit_code == 0
    assert "13812345678" in answer.output
    assert "张三" in answer.output
