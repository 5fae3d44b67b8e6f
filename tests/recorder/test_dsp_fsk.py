"""FSK caller ID: independent senders, the tolerances of the standards, and what must never be believed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from bank_runner import callers_of, port_callers_of, prompts, signals_of
from hypothesis import given, settings
from hypothesis import strategies as st
from line_signals import dtmf, fsk, mdmf, noise, pcm, ring_burst, silence, sine

from drivers.api import EventKind, LineEvent
from recorder.bench.spandsp import ACLIP, CLASS, CLIP, JCLIP, caller_id
from recorder.detectors import DetectorBank
from recorder.dsp.fsk import BIT_SAMPLES, FskBurst
from recorder.dsp.fsk_block import Characters, Grid
from recorder.signals import CallerId

NUMBER = "13812345678"
MESSAGE = mdmf((0x01, b"11211745"), (0x02, NUMBER.encode()), (0x07, b"WANG WEI"))
BELL = {"mark_hz": 1200.0, "space_hz": 2200.0}
V23 = {"mark_hz": 1300.0, "space_hz": 2100.0}


@pytest.mark.parametrize(("standard", "signalling"), [(CLASS, "fsk-bell202"), (CLIP, "fsk-v23"), (ACLIP, "fsk-v23")])
@pytest.mark.parametrize("alert", [False, True])
def test_messages_of_an_independent_sender(standard: int, signalling: str, alert: bool) -> None:
    fields = [(1, b"11211745"), (2, b"5551234567"), (7, b"JOHN DOE")]
    (caller,) = callers_of(caller_id(standard, fields, alert=alert))
    assert caller.signalling == signalling
    assert (caller.format, caller.number, caller.name) == ("mdmf", "5551234567", "JOHN DOE")
    assert (caller.date, caller.time, caller.valid) == ("11-21", "17:45", True)


def test_single_data_message_of_an_independent_sender() -> None:
    (caller,) = callers_of(caller_id(CLASS, [(0, b"112117455551234567")], kind=0x04))
    assert (caller.format, caller.number, caller.date, caller.time) == ("sdmf", "5551234567", "11-21", "17:45")


def test_japan() -> None:
    """Frames with parity, a CRC and four stop bits."""
    fields = [(0x02, b"0312345678"), (0x21, b"\x40"), (0x09, b"1234"), (0x22, b"\x40")]
    (caller,) = callers_of(caller_id(JCLIP, fields, kind=0x40))
    assert (caller.signalling, caller.format) == ("fsk-v23", "jclip")
    assert (caller.number, caller.dialled, caller.valid) == ("0312345678", "1234", True)


def test_minimodem_sends_bell_202(tmp_path: Path) -> None:
    program = shutil.which("minimodem")
    assert program, "this test needs minimodem: apt install minimodem"
    bits = [i & 1 for i in range(300)] + [1] * 180
    for byte in MESSAGE:
        bits += [0] + [byte >> k & 1 for k in range(8)] + [1]
    bits += [1] * (-len(bits) % 8 + 16)
    raw = np.packbits(np.array(bits, dtype=np.uint8), bitorder="little").tobytes()
    path = tmp_path / "sent.wav"
    options = ["--tx", "-R", "8000", "-M", "1200", "-S", "2200", "--startbits", "0", "--stopbits", "0"]
    subprocess.run([program, *options, "-f", str(path), "1200"], input=raw, check=True)
    audio, _ = soundfile.read(path, dtype="int16")
    (caller,) = callers_of(np.concatenate((np.zeros(4000, dtype=np.int16), audio)))
    assert (caller.signalling, caller.number, caller.name) == ("fsk-bell202", NUMBER, "WANG WEI")


TOLERANCES: dict[str, dict[str, float]] = {
    "nominal": {},
    "baud +1 %": {"baud": 1212.0},
    "baud -1 %": {"baud": 1188.0},
    "strongest, TIA-777": {"level_dbm0": -4.2},
    "weakest, SIN 242": {"level_dbm0": -37.8},
    "mark 6 dB under space": {"twist_db": -6.0},
    "mark 10 dB over space": {"twist_db": 10.0},
    "fill of 1 bit": {"fill_bits": 1},
    "fill of 10 bits": {"fill_bits": 10},
    "no seizure, as in call waiting": {"seizure_bits": 0, "mark_bits": 80},
    "short everything": {"seizure_bits": 20, "mark_bits": 30},
}


@pytest.mark.parametrize("name", TOLERANCES)
@pytest.mark.parametrize("modem", [BELL, V23], ids=["bell202", "v23"])
def test_tolerances_at_25_db(name: str, modem: dict[str, float]) -> None:
    rng = np.random.default_rng(11)
    options = modem | TOLERANCES[name]
    level = options.get("level_dbm0", -13.0)
    audio = np.concatenate((silence(0.4), fsk(MESSAGE, **options), silence(0.3)))  # type: ignore[arg-type]
    (caller,) = callers_of(pcm(audio + noise(len(audio), level - 25.0, rng)))
    assert (caller.number, caller.valid) == (NUMBER, True)


@pytest.mark.parametrize("deviation", [-0.01, 0.01])
@pytest.mark.parametrize("modem", [BELL, V23], ids=["bell202", "v23"])
def test_frequency_deviation_keeps_number_and_kind(deviation: float, modem: dict[str, float]) -> None:
    shifted = {name: tone_hz * (1.0 + deviation) for name, tone_hz in modem.items()}
    (caller,) = callers_of(pcm(silence(0.4), fsk(MESSAGE, **shifted), silence(0.3)))  # type: ignore[arg-type]
    assert caller.number == NUMBER
    assert caller.signalling == ("fsk-bell202" if modem is BELL else "fsk-v23")


@pytest.mark.parametrize(("snr_db", "at_least"), [(4.0, 19), (2.5, 14), (-1.5, 0)])
@pytest.mark.parametrize("modem", [BELL, V23], ids=["bell202", "v23"])
def test_strong_noise_hides_numbers_but_never_changes_them(
    modem: dict[str, float], snr_db: float, at_least: int
) -> None:
    rng = np.random.default_rng(3)
    numbers = ["".join(rng.choice(list("0123456789"), 11)) for _ in range(20)]
    audios = [
        np.concatenate((silence(0.2), fsk(mdmf((1, b"11211745"), (2, number.encode())), **modem), silence(0.3)))  # type: ignore[arg-type]
        for number in numbers
    ]
    rows = np.stack([pcm(audio + noise(len(audio), -13.0 - snr_db, rng)) for audio in audios])
    heard = [(port, caller.number) for port, caller in port_callers_of(rows) if caller.valid]
    assert all(number == numbers[port] for port, number in heard)
    assert len(heard) >= at_least


@pytest.mark.parametrize("modem", [BELL, V23], ids=["bell202", "v23"])
def test_loud_speech_right_before_a_weak_message(modem: dict[str, float]) -> None:
    speech = prompts(2.0)[:16000].astype(np.float64)
    audio = pcm(speech, fsk(MESSAGE, level_dbm0=-34.0, **modem), silence(0.3))  # type: ignore[arg-type]
    assert [caller.number for caller in callers_of(audio) if caller.valid] == [NUMBER]


def test_interfering_tones_of_gr_30() -> None:
    """Single tones: 18, 12 and 6 dB over the signal below 60, 120 and 200 Hz; 25 dB under it in the band."""
    base = np.concatenate((silence(0.4), fsk(MESSAGE, level_dbm0=-20.0), silence(0.3)))
    seconds = len(base) / 8000 + 0.01
    rows = [
        pcm(base + sine(seconds, tone_hz, -20.0 + over_db)[: len(base)])
        for tone_hz, over_db in ((50.0, 18.0), (100.0, 12.0), (180.0, 6.0), (1000.0, -25.0), (1700.0, -25.0))
    ]
    heard = port_callers_of(np.stack(rows))
    assert sorted((port, caller.number) for port, caller in heard) == [(port, NUMBER) for port in range(len(rows))]


@pytest.mark.parametrize("offset", [-4000, 2048])
def test_a_weak_message_on_a_line_card_with_an_offset(offset: int) -> None:
    audio = pcm(silence(0.3), fsk(MESSAGE, level_dbm0=-36.2, twist_db=-6.0), silence(0.3))
    assert [caller.number for caller in callers_of((audio + offset).astype(np.int16)) if caller.valid] == [NUMBER]


@pytest.mark.parametrize("level", [-13.0, -36.0])
def test_ring_burst_before_the_message(level: float) -> None:
    audio = pcm(ring_burst(1.0), silence(0.3), fsk(MESSAGE, level_dbm0=level), silence(0.3))
    assert [caller.number for caller in callers_of(audio)] == [NUMBER]


def test_long_message() -> None:
    filler = bytes(range(0x20, 0x7F))
    long = mdmf((0x01, b"11211745"), (0x02, NUMBER.encode()), (0x07, b"LONG NAME " * 5), (0x7E, filler))
    assert len(long) > 160
    (caller,) = callers_of(pcm(silence(0.3), fsk(long), silence(0.3)))
    assert (caller.number, caller.name) == (NUMBER, ("LONG NAME " * 5).strip())


def test_two_messages_on_one_line() -> None:
    second = mdmf((0x02, b"02087654321"))
    audio = pcm(silence(0.3), fsk(MESSAGE), silence(0.5), fsk(second, **V23), silence(0.3))  # type: ignore[arg-type]
    assert [caller.number for caller in callers_of(audio)] == [NUMBER, "02087654321"]


def test_message_waiting_lamp_is_no_call() -> None:
    lamp = mdmf((0x0B, b"\xff"))
    waiting = bytes([0x82, *lamp[1:-1]])
    whole = waiting + bytes([-sum(waiting) % 256])
    assert callers_of(pcm(silence(0.3), fsk(whole), silence(0.3))) == []


@pytest.mark.parametrize("place", [0.65, 0.7, 0.85, 0.95])
def test_a_hit_in_the_message_makes_it_damaged(place: float) -> None:
    rng = np.random.default_rng(5)
    clean = fsk(MESSAGE)
    hit = int(len(clean) * place)
    clean[hit : hit + 120] = rng.uniform(-20000, 20000, 120)
    (caller,) = callers_of(pcm(silence(0.3), clean, silence(0.4)))
    assert (caller.valid, caller.number) == (False, None)
    assert caller.partial


@settings(max_examples=40, deadline=None)
@given(at=st.integers(2, len(MESSAGE) - 1), bit=st.integers(0, 7))
def test_one_wrong_bit_is_never_valid(at: int, bit: int) -> None:
    data = bytearray(MESSAGE)
    data[at] ^= 1 << bit
    frames = FskBurst(fsk(bytes(data), seizure_bits=30, mark_bits=60).astype(np.float32)).frames()
    assert not any(frame.checksum_ok for frame in frames)


def test_wrong_checksum_is_told_as_damaged() -> None:
    data = MESSAGE[:-1] + bytes([MESSAGE[-1] ^ 0x01])
    (caller,) = callers_of(pcm(silence(0.3), fsk(data), silence(0.4)))
    assert (caller.valid, caller.number) == (False, None)
    assert caller.partial is not None
    assert NUMBER in caller.partial


def test_cut_message_is_told_as_damaged() -> None:
    clean = fsk(MESSAGE)
    (caller,) = callers_of(pcm(silence(0.3), clean[: int(len(clean) * 0.85)], silence(0.5)))
    assert (caller.valid, caller.number) == (False, None)


def test_a_message_without_its_mark_signal_is_found_only_where_it_is_looked_for() -> None:
    burst = FskBurst(fsk(MESSAGE, seizure_bits=0, mark_bits=0).astype(np.float32))
    (found,) = burst.frames()
    assert found.checksum_ok
    assert burst.frames(anywhere=False) == []
    assert burst.frames(ended=False) == []


def test_a_noisy_message_gets_its_second_look_once_it_is_over() -> None:
    """Framing lost a character in this noise. While more may come that is only unfinished; then the grid mends it."""
    mark_bits = 60
    clean = fsk(MESSAGE, seizure_bits=0, mark_bits=mark_bits).astype(np.float32)
    end = int((mark_bits + 10 * len(MESSAGE)) * 8000 / 1200)
    hiss = np.random.default_rng(42).normal(0, np.std(clean) * 0.45, end).astype(np.float32)
    burst = FskBurst(clean[:end] + hiss)
    assert [frame.checksum_ok for frame in burst.frames(ended=False)] == [False]
    (mended,) = burst.frames(ended=True, anywhere=False)
    assert mended.checksum_ok
    assert mended.data == MESSAGE


@pytest.mark.parametrize("modem", [BELL, V23], ids=["bell202", "v23"])
def test_a_message_whose_header_was_hit_is_told_as_damaged(modem: dict[str, float]) -> None:
    clean = fsk(MESSAGE, **modem)  # type: ignore[arg-type]
    begin = int(480 * 8000 / 1200)
    clean[begin + 20 : begin + 320] = np.random.default_rng(5).uniform(-20000, 20000, 300)
    (caller,) = callers_of(pcm(silence(0.3), clean, silence(0.4)))
    assert (caller.valid, caller.number) == (False, None)
    assert caller.partial is not None
    assert NUMBER in caller.partial


@pytest.mark.parametrize("message", [MESSAGE, mdmf((0x02, b"110")), mdmf((0x02, NUMBER.encode()), (0x07, b"A" * 40))])
@pytest.mark.parametrize("modem", [BELL, V23], ids=["bell202", "v23"])
def test_a_message_is_told_within_30_ms_of_its_last_bit(modem: dict[str, float], message: bytes) -> None:
    audio = pcm(silence(0.3), fsk(message, **modem), silence(0.4))  # type: ignore[arg-type]
    last_bit = int(0.3 * 8000 + (480 + 10 * len(message)) * 8000 / 1200)
    bank, on_hook = DetectorBank(1), np.ones(1, dtype=np.bool_)
    for start in range(0, len(audio) - 80, 80):
        if bank.process(audio[None, start : start + 80], start, on_hook):
            break
    assert 0 <= start + 80 - last_bit <= 240


@pytest.mark.parametrize("modem", [BELL, V23], ids=["bell202", "v23"])
def test_a_waiting_caller_is_heard_after_the_alerting_signal_only(modem: dict[str, float]) -> None:
    """Type 2: alert, answer of the telephone, 80 bits of mark, message (GR-30-CORE § 2.5)."""
    alert = sine(0.08, 2130.0, -16.0) + sine(0.08, 2750.0, -16.0)
    speech = prompts(3.0)[:24000].astype(np.float64)
    message = fsk(MESSAGE, seizure_bits=0, mark_bits=80, **modem)  # type: ignore[arg-type]
    rest = (silence(0.1), dtmf("D", 60.0), silence(0.2), message, silence(0.1), speech)
    assert waiting_callers(pcm(speech, silence(0.05), alert, *rest)) == [NUMBER]
    assert waiting_callers(pcm(speech, silence(0.05), *rest)) == []


def waiting_callers(audio: npt.NDArray[np.int16]) -> list[str | None]:
    """Numbers of callers who are heard off hook."""
    events = [signal for signal in signals_of(audio, on_hook=False) if isinstance(signal, LineEvent)]
    told = [str(event.value) for event in events if event.kind is EventKind.CALLER_ID]
    return [msgspec.json.decode(value, type=CallerId).number for value in told]


def test_a_mark_signal_that_goes_on_and_on_is_no_message() -> None:
    """All its characters are ones: nothing is known of the other tone."""
    rng = np.random.default_rng(4)
    mark = sine(2.0, 1200.0, -20.0)
    assert callers_of(pcm(silence(0.2), mark + noise(len(mark), -24.0, rng), silence(0.3))) == []


@pytest.mark.parametrize("bits_off", [-4, -3, -1, 2, 4])
def test_characters_are_laid_on_their_start_bits(bits_off: int) -> None:
    """Digits look like characters in other places, too."""
    begin = 60 * BIT_SAMPLES
    audio = fsk(MESSAGE, seizure_bits=0, mark_bits=60).astype(np.float32)
    gain = float(np.abs(audio).max())
    grid = Grid(begin + bits_off * BIT_SAMPLES, 10, BIT_SAMPLES, (2200.0, 1200.0), (gain, gain))
    laid = Characters(audio, grid, len(MESSAGE) - 1).framed()
    assert laid.grid.first == pytest.approx(begin, abs=0.5)
    assert laid.odds.argmax(axis=1).astype(np.uint8).tobytes() == MESSAGE[:-1]
