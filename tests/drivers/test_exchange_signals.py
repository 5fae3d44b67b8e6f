"""Caller ID, DTMF, tones and speech of the simulated exchange, measured by plain arithmetic and foreign decoders."""

from __future__ import annotations

import itertools
import subprocess
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from exchange_helpers import Spandsp, level_dbm0, loud_spans_ms, make_voices, render, strongest_hz

from drivers.exchange.calls import Absence, IncomingCall, LineSettings, OutgoingCall
from drivers.exchange.lines import Exchange
from drivers.exchange.speech import DEFAULT_SPEECH_DIR, SpeechLibrary
from firmware.errors import ConfigError

LOW_HZ = np.array([697, 770, 852, 941])
HIGH_HZ = np.array([1209, 1336, 1477, 1633])
KEYS = ["123A", "456B", "789C", "*0#D"]


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_voices(tmp_path_factory.mktemp("speech"))


def fsk_call(
    number: str | None = "01062345678", name: str | None = "王伟明", absence: Absence | None = None, seed: int = 0
) -> tuple[Exchange, npt.NDArray[np.int16]]:
    exchange = Exchange(1, seed, [LineSettings()], opened_at=datetime(2026, 11, 21, 8, 59))
    exchange.place(IncomingCall(0, 61.0, number, name, absence, rings=2))
    render(exchange, 60.0)
    return exchange, render(exchange, 12.0).audio[0]


def demodulate(wave: npt.NDArray[np.int16]) -> list[int]:
    """Bits of Bell 202: for each bit time, the stronger of 1200 and 2200 Hz by correlation at that bit's samples."""
    n = np.arange(len(wave))
    heard = [np.convolve(wave * np.exp(-2j * np.pi * hz / 8000 * n), np.ones(7), "same") for hz in (1200, 2200)]
    mark = np.abs(heard[0]) > np.abs(heard[1])
    return [int(mark[round((i + 0.5) * 8000 / 1200)]) for i in range(int(len(wave) * 1200 / 8000))]


def test_fsk_is_where_and_as_loud_as_it_should_be() -> None:
    for seed in range(6):
        exchange, audio = fsk_call(seed=seed)
        ((start_ms, stop_ms),) = [s for s in loud_spans_ms(audio, -22.0) if s[1] - s[0] > 100]
        assert 500 - 8 <= start_ms - 2000 <= 700 + 8
        assert stop_ms < 6000
        end = exchange.truth[0].caller_id_end_sample
        assert end is not None
        assert stop_ms + 60_000 == pytest.approx(end / 8, abs=8)
        level = level_dbm0(audio[(start_ms + 20) * 8 : (stop_ms - 20) * 8])
        assert -16.5 < level < -12.0


def test_fsk_has_seizure_mark_and_exact_baud() -> None:
    _, audio = fsk_call()
    ((start_ms, stop_ms),) = [s for s in loud_spans_ms(audio, -22.0) if s[1] - s[0] > 100]
    # The mark section is a pure 1200 Hz; data begin 480 bits = 400 ms after the start.
    mark = audio[(start_ms + 265) * 8 : (start_ms + 390) * 8]
    assert strongest_hz(mark) == pytest.approx(1200, abs=1)
    seizure = audio[(start_ms + 10) * 8 : (start_ms + 240) * 8].astype(float)
    spectrum = np.abs(np.fft.rfft(seizure * np.hanning(len(seizure))))
    hz = np.fft.rfftfreq(len(seizure), 1 / 8000)
    # Two bits hold 1 + 11/6 cycles: the spectrum has lines at 1700 Hz and every 600 Hz from there.
    on_lines = np.abs((hz - 1700 + 300) % 600 - 300) < 15
    assert np.square(spectrum[on_lines]).sum() > 0.98 * np.square(spectrum).sum()
    message_bytes = 2 + 10 + 13 + 8 + 1
    wanted_ms = (300 + 180 + message_bytes * 10 + 10) / 1.2
    assert stop_ms - start_ms == pytest.approx(wanted_ms, abs=10)


def test_fsk_read_bit_by_bit_is_the_message_of_the_standard() -> None:
    exchange, audio = fsk_call()
    render(exchange, 4.0)
    end = exchange.truth[0].caller_id_end_sample
    assert end is not None
    bits_sent = 300 + 180 + (2 + 10 + 13 + 8 + 1) * 10 + 10
    start = end - 60 * 8000 - bits_sent * 8000 // 1200
    bits = demodulate(audio[start : end - 60 * 8000])
    assert bits[:300] == [0, 1] * 150
    assert bits[300:480] == [1] * 180
    frames = np.array(bits[480 : 480 + 34 * 10]).reshape(-1, 10)
    assert not frames[:, 0].any()
    assert frames[:, 9].all()
    message = bytes(np.packbits(frames[:, 1:9].astype(np.uint8), axis=1, bitorder="little").ravel())
    assert sum(message) % 256 == 0
    assert message[:2] == bytes([0x80, len(message) - 3])
    assert message[2:-1] == b"\x01\x0811210900" + b"\x02\x0b01062345678" + b"\x07\x06" + "王伟明".encode("gbk")


def test_fsk_is_phase_continuous() -> None:
    _, audio = fsk_call()
    ((start_ms, stop_ms),) = [s for s in loud_spans_ms(audio, -22.0) if s[1] - s[0] > 100]
    wave = audio[(start_ms + 10) * 8 : (stop_ms - 10) * 8].astype(float)
    # The analytic signal's phase never advances by more than 2200 Hz allow, so there are no phase jumps.
    spectrum = np.fft.fft(wave)
    spectrum[len(wave) // 2 :] = 0
    hz = np.diff(np.unwrap(np.angle(np.fft.ifft(spectrum)))) * 8000 / (2 * np.pi)
    assert np.percentile(hz, 0.5) > 900
    assert np.percentile(hz, 99.5) < 2500


@pytest.mark.parametrize(
    ("number", "name", "absence", "fields"),
    [
        ("13812345678", None, None, b"\x02\x0b13812345678"),
        ("01062345678", "华兴建材", None, b"\x02\x0b01062345678\x07\x08" + "华兴建材".encode("gbk")),
        (None, None, "withheld", b"\x04\x01P"),
        (None, None, "unavailable", b"\x04\x01O"),
        ("1" * 20, "一" * 20, None, b"\x02\x14" + b"1" * 20 + b"\x07\x28" + ("一" * 20).encode("gbk")),
    ],
)
def test_spandsp_reads_the_fsk(number: str | None, name: str | None, absence: Absence | None, fields: bytes) -> None:
    _, audio = fsk_call(number, name, absence)
    body = b"\x01\x0811210900" + fields
    assert Spandsp().caller_ids(Spandsp.CLASS, audio) == [bytes([0x80, len(body)]) + body]


def test_a_weak_noisy_line_can_still_be_read() -> None:
    exchange = Exchange(1, 2, [LineSettings(loss_db=12.0, noise_dbm0=-48.0)])
    exchange.place(IncomingCall(0, 1.0, "13812345678", rings=2))
    (message,) = Spandsp().caller_ids(Spandsp.CLASS, render(exchange, 12.0).audio[0])
    assert b"13812345678" in message


def test_minimodem_reads_the_fsk(tmp_path: Path) -> None:
    _, audio = fsk_call()
    wav = tmp_path / "fsk.wav"
    soundfile.write(wav, audio, 8000)
    heard = subprocess.run(
        ["minimodem", "--rx", "callerid", "-f", str(wav)], capture_output=True, check=True, timeout=60
    ).stdout.decode("gbk")
    assert "11/21 09:00" in heard
    assert "01062345678" in heard
    assert "王伟明" in heard


def test_a_call_without_number_and_reason_sends_nothing() -> None:
    for settings, number in ((LineSettings(), None), (LineSettings("none"), "10086")):
        exchange = Exchange(1, settings=[settings])
        exchange.place(IncomingCall(0, 1.0, number, rings=2))
        audio = render(exchange, 14.0).audio[0]
        assert [s for s in loud_spans_ms(audio, -24.0) if s[1] - s[0] > 40] == []
        assert exchange.truth[0].number is None


def dtmf_keys(audio: npt.NDArray[np.int16], above_dbm0: float = -25.0) -> list[tuple[str, int, int]]:
    """Digits with start and end (ms), each by the FFT of its own tone."""
    found = []
    for a, b in loud_spans_ms(audio, above_dbm0):
        if b - a < 30:
            continue
        wave = audio[(a + 8) * 8 : (b - 8) * 8]
        low, high = strongest_hz(wave, 650, 1000), strongest_hz(wave, 1150, 1700)
        row, column = int(np.abs(LOW_HZ - low).argmin()), int(np.abs(HIGH_HZ - high).argmin())
        assert abs(LOW_HZ[row] - low) < 0.015 * low
        assert abs(HIGH_HZ[column] - high) < 0.015 * high
        found.append((KEYS[row][column], a, b))
    return found


def test_dtmf_caller_id_comes_before_the_first_ring() -> None:
    exchange = Exchange(1, settings=[LineSettings("dtmf")])
    exchange.place(IncomingCall(0, 1.0, "01062345678", rings=1))
    frames = render(exchange, 10.0)
    keys = dtmf_keys(frames.audio[0])
    assert "".join(k[0] for k in keys) == "D01062345678C"
    for (_, a, b), (_, next_a, _) in itertools.pairwise(keys):
        assert b - a == pytest.approx(70, abs=8)
        assert next_a - a == pytest.approx(140, abs=3)
    ring_ms = int(np.flatnonzero(frames.ring_vrms[0])[0])
    assert 450 < ring_ms - keys[-1][2] < 650
    assert exchange.truth[0].ring_on_sample == ring_ms * 8
    assert exchange.truth[0].start_sample == 8000


def test_spandsp_reads_the_dtmf() -> None:
    exchange = Exchange(2, 9, settings=[LineSettings("dtmf"), LineSettings()])
    exchange.place(IncomingCall(0, 1.0, "13987654321", rings=1))
    exchange.place(OutgoingCall(1, 1.0, "0123456789*#ABCD", busy=True, give_up_after_s=5.0))
    frames = render(exchange, 12.0)
    assert b"13987654321" in Spandsp().caller_ids(Spandsp.CLIP_DTMF, frames.audio[0])[0]
    assert Spandsp().dtmf(frames.audio[0]) == "D13987654321C"
    assert Spandsp().dtmf(frames.audio[1]) == "0123456789*#ABCD"


def test_dialling_follows_the_dial_tone_with_the_asked_timing() -> None:
    exchange = Exchange(1)
    exchange.place(OutgoingCall(0, 1.0, "95#*8", dial_delay_s=1.5, tone_ms=100, pause_ms=120, give_up_after_s=0.5))
    audio = render(exchange, 5.0).audio[0]
    dial = audio[1300 * 8 : 2450 * 8]
    assert strongest_hz(dial) == pytest.approx(450, abs=0.5)
    assert -12.5 < level_dbm0(dial) < -7.5
    keys = dtmf_keys(audio[2400 * 8 + 800 :])
    assert "".join(k[0] for k in keys) == "95#*8"
    assert keys[0][1] == pytest.approx(0, abs=8)
    for (_, a, b), (_, next_a, _) in itertools.pairwise(keys):
        assert b - a == pytest.approx(100, abs=9)
        assert next_a - a == pytest.approx(220, abs=5)


@pytest.mark.parametrize(
    ("how", "on_ms", "off_ms"),
    [("", 1000, 4000), ("busy", 350, 350), ("congested", 700, 700)],
    ids=["ringback", "busy", "congestion"],
)
def test_progress_tones_have_frequency_and_cadence_of_china(how: str, on_ms: int, off_ms: int) -> None:
    exchange = Exchange(1)
    exchange.place(OutgoingCall(0, 1.0, "114", give_up_after_s=17.0, busy=how == "busy", congested=how == "congested"))
    audio = render(exchange, 20.0).audio[0]
    dialled_ms = 2000 + 3 * 80 + 2 * 80
    heard = [s for s in loud_spans_ms(audio[(dialled_ms + 100) * 8 :], -25.0) if s[1] - s[0] > 60]
    assert heard[0][0] == pytest.approx(700, abs=8)
    assert len(heard) >= 3
    for a, b in heard[:-1]:
        assert b - a == pytest.approx(on_ms, abs=8)
        wave = audio[(dialled_ms + 100 + a + 10) * 8 : (dialled_ms + 100 + b - 10) * 8]
        assert strongest_hz(wave) == pytest.approx(450, abs=1)
    for (a, _), (next_a, _) in itertools.pairwise(heard):
        assert next_a - a == pytest.approx(on_ms + off_ms, abs=3)


def test_busy_tone_tells_that_the_far_end_has_gone(voices: Path) -> None:
    exchange = Exchange(1, speech_dir=voices)
    exchange.place(IncomingCall(0, 1.0, answer_after_s=1.5, talk_s=4.0, hangup="far", far_hangup_delay_s=5.0))
    audio = render(exchange, 13.0).audio[0]
    heard = [s for s in loud_spans_ms(audio[6500 * 8 : 11_500 * 8], -25.0) if s[1] - s[0] > 60]
    assert len(heard) == 8
    assert all(a == pytest.approx(700 * i, abs=8) for i, (a, _) in enumerate(heard))
    assert strongest_hz(audio[6550 * 8 : 6800 * 8]) == pytest.approx(450, abs=1)


def test_both_speak_in_turns_the_near_one_first_and_louder(voices: Path) -> None:
    settings = LineSettings(speech_dbm0=-20.0, noise_dbm0=-75.0)
    exchange = Exchange(1, 3, [settings], voices)
    exchange.place(IncomingCall(0, 1.0, answer_after_s=2.0, talk_s=40.0))
    audio = render(exchange, 44.0).audio[0][3050 * 8 : 42_990 * 8]
    loud = loud_spans_ms(audio, -50.0)
    assert loud[0][0] == pytest.approx(100, abs=20)  # the first word, 150 ms after off-hook
    turns: list[list[int]] = []
    for a, b in loud:
        if turns and a - turns[-1][1] < 190:
            turns[-1][1] = b
        else:
            turns.append([a, b])
    assert len(turns) >= 10
    levels = np.array([level_dbm0(audio[a * 8 : b * 8]) for a, b in turns[:-1]])
    near, far = levels[0::2], levels[1::2]
    assert near.min() > far.max()
    assert -25 < near.mean() < -16
    assert 2.0 < near.mean() - far.mean() < 8.0


def test_the_called_party_speaks_first_on_an_outgoing_call(voices: Path) -> None:
    exchange = Exchange(1, 3, [LineSettings(noise_dbm0=-75.0)], voices)
    exchange.place(OutgoingCall(0, 1.0, "114", answer_after_s=7.0, talk_s=10.0))
    audio = render(exchange, 22.0).audio[0]
    answer_ms = 2000 + 3 * 80 + 2 * 80 + 7000
    first = next(s for s in loud_spans_ms(audio[answer_ms * 8 :], -50.0) if s[1] - s[0] > 20)
    assert first[0] == pytest.approx(150, abs=20)


def test_a_loss_quietens_what_the_exchange_sends_but_not_the_near_end(voices: Path) -> None:
    levels = {}
    for loss_db in (0.0, 10.0):
        exchange = Exchange(1, 3, [LineSettings(loss_db=loss_db)], voices)
        exchange.place(OutgoingCall(0, 1.0, "1", tone_ms=200, give_up_after_s=4.0))
        audio = render(exchange, 4.0).audio[0]
        levels[loss_db] = level_dbm0(audio[1300 * 8 : 1900 * 8]), level_dbm0(audio[2020 * 8 : 2180 * 8])
    assert levels[0.0][0] - levels[10.0][0] == pytest.approx(10.0, abs=0.2)
    assert levels[0.0][1] == pytest.approx(levels[10.0][1], abs=0.2)


def test_no_recordings_is_an_error_that_names_the_package(tmp_path: Path) -> None:
    exchange = Exchange(1, speech_dir=tmp_path)
    exchange.place(IncomingCall(0, 1.0, rings=1))
    with pytest.raises(ConfigError, match="asterisk-core-sounds-en-wav"):
        exchange.place(IncomingCall(0, 20.0, answer_after_s=1.0))
    (tmp_path / "broken.wav").write_bytes(b"RIFF but no wave")
    with pytest.raises(ConfigError, match=r"cannot read .*broken\.wav"):
        exchange.place(IncomingCall(0, 20.0, answer_after_s=1.0))


def test_speech_is_trimmed_levelled_and_resampled(tmp_path: Path) -> None:
    make_voices(tmp_path / "at8k", 1)
    (tmp_path / "at48k").mkdir()
    for path in sorted((tmp_path / "at8k" / "voice0").glob("*.wav")):
        wave, _ = soundfile.read(path)
        spectrum = np.fft.rfft(wave)
        up = np.fft.irfft(np.concatenate([spectrum, np.zeros(len(wave) * 3 + 1 - len(spectrum))]), len(wave) * 6) * 6
        soundfile.write(tmp_path / "at48k" / path.name, np.stack([up, up], axis=1), 48_000)
    slow, fast = SpeechLibrary(tmp_path / "at8k"), SpeechLibrary(tmp_path / "at48k")
    for choice in range(3):
        a, b = slow.utterance(0, choice), fast.utterance(0, choice)
        assert abs(len(a) - len(b)) <= 320
        assert -320 <= 12_000 + choice * 3200 - len(a) < 1200  # the silence before and behind is gone
        assert strongest_hz(a) == pytest.approx(strongest_hz(b), abs=4)
        assert 0.6 < float(np.sqrt(np.mean(np.square(a)))) <= 1.05


def test_recordings_with_tones_are_no_speech(tmp_path: Path) -> None:
    make_voices(tmp_path, 1)
    for path in sorted((tmp_path / "voice0").glob("*.wav")):
        wave, _ = soundfile.read(path)
        tone = 0.2 * np.sin(2 * np.pi * 950 * np.arange(2640) / 8000)
        if path.name != "1.wav":
            soundfile.write(path, np.concatenate([tone, wave]), 8000)
    library = SpeechLibrary(tmp_path)
    assert {id(library.utterance(0, i)) for i in range(6)} == {id(library.utterance(0, 1))}


def test_the_packaged_recordings_serve() -> None:
    library = SpeechLibrary(DEFAULT_SPEECH_DIR)
    for voice in range(library.voices):
        utterances = [library.utterance(voice, i) for i in range(0, 64, 8)]
        assert len({len(u) for u in utterances}) >= 5
        assert all(8000 <= len(u) <= 72_000 for u in utterances)
