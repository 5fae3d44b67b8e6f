"""The bank as a whole: no false alarms, hook state, gaps, block sizes, levels, latency."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from bank_runner import callers_of, port_callers_of, prompts, signals_of
from line_signals import dtmf, fsk, mdmf, noise, pcm, ring_burst, silence, sine

from drivers.api import EventKind, LineEvent
from recorder.detectors import DetectorBank
from recorder.signals import CallerId, ToneHeard, VoiceActivity

MESSAGE = mdmf((0x01, b"11211745"), (0x02, b"13812345678"))


def test_white_noise_is_no_caller_id() -> None:
    rng = np.random.default_rng(21)
    rows = np.stack([pcm(noise(8000 * 30, level, rng)) for level in (-45.0, -35.0, -25.0, -15.0, -5.0, -20.0)])
    assert port_callers_of(rows) == []


def test_speech_on_hook_is_no_caller_id() -> None:
    speech = prompts(240.0)
    rows = speech[: len(speech) // 8 * 8].reshape(8, -1)
    assert port_callers_of(rows) == []


def test_ringing_is_no_caller_id() -> None:
    assert callers_of(pcm(*[ring_burst(1.0), silence(4.0)] * 2)) == []


def test_speech_off_hook_is_only_voice() -> None:
    speech = prompts(120.0)
    rows = speech[: len(speech) // 8 * 8].reshape(8, -1)
    assert {type(signal) for signal in signals_of(rows, on_hook=False)} == {VoiceActivity}


@pytest.mark.parametrize("block_samples", [160, 4000])
def test_block_size_does_not_matter(block_samples: int) -> None:
    rng = np.random.default_rng(31)
    on_hook = np.concatenate((silence(0.3), fsk(MESSAGE), silence(0.4), dtmf("A13812345678C"), silence(1.0)))
    off_hook = np.concatenate((silence(0.3), sine(2.0), dtmf("13800138000", 60, 60), silence(0.7), sine(1.0)))
    for audio, hook in ((on_hook, True), (off_hook, False)):
        rows = pcm(audio + noise(len(audio), -45.0, rng))
        expected = signals_of(rows, on_hook=hook)
        assert len(expected) >= 2
        other = signals_of(rows, on_hook=hook, block_samples=block_samples)
        assert sorted(other, key=repr) == sorted(expected, key=repr)


def test_signals_go_by_hook_state() -> None:
    audio = pcm(silence(0.3), fsk(MESSAGE), silence(0.3), dtmf("123", 80, 80), silence(0.5))
    assert [type(signal) for signal in signals_of(audio, on_hook=True)] == [LineEvent]
    off_hook = [signal for signal in signals_of(audio, on_hook=False) if isinstance(signal, LineEvent)]
    assert [(event.kind, event.value) for event in off_hook] == [(EventKind.DIGITS, digit) for digit in "123"]


def test_each_port_for_itself_at_its_own_place() -> None:
    rows = np.zeros((4, 24000), dtype=np.int16)
    for port in (1, 3):
        start = 2000 * port
        message = pcm(fsk(mdmf((2, f"1390000{port}".encode()))))
        rows[port, start : start + len(message)] = message
    heard = [signal for signal in signals_of(rows, on_hook=True) if isinstance(signal, LineEvent)]
    assert [(event.port, event.source) for event in heard] == [(1, "in_band"), (3, "in_band")]
    for event in heard:
        caller = msgspec.json.decode(str(event.value), type=CallerId)
        assert caller.number == f"1390000{event.port}"
        length = len(fsk(mdmf((2, f"1390000{event.port}".encode()))))
        # The sender ends with four bits of mark after the last stop bit.
        assert event.at_sample == pytest.approx(2000 * event.port + length - 27, abs=8)


def test_a_caller_id_is_told_within_30_ms_and_its_block() -> None:
    audio = pcm(silence(0.3), fsk(MESSAGE), silence(1.0))
    bank, hook = DetectorBank(1), np.array([True])
    for start in range(0, len(audio) - 80, 80):
        heard = bank.process(audio[None, start : start + 80], start, hook)
        if heard:
            assert start + 80 - heard[0].at_sample <= 240 + 80
            return
    pytest.fail("no caller ID was heard")


def test_samples_of_the_card_clock() -> None:
    audio = pcm(silence(0.3), dtmf("5", 100, 100), silence(0.4))[None, :]
    audio = np.pad(audio, ((0, 0), (0, -audio.shape[1] % 80)))
    first = 987_654_321_000
    (event,) = DetectorBank(1).process(audio, first, np.array([False]))
    assert event.at_sample == pytest.approx(first + 2400, abs=24)


def test_a_gap_ends_what_was_going_on() -> None:
    bank, hook = DetectorBank(1), np.array([False])
    tone = pcm(sine(2.0))[None, :]
    began = bank.process(tone, 0, hook)
    assert [type(signal) for signal in began] == [ToneHeard]
    ended = bank.process(np.zeros((1, 800), dtype=np.int16), 50_000, hook)
    assert ended == [ToneHeard(0, 16_000, None)]


def test_going_on_hook_ends_a_tone() -> None:
    bank = DetectorBank(1)
    tone = pcm(sine(2.0))[None, :]
    bank.process(tone, 0, np.array([False]))
    ended = bank.process(tone[:, :800], 16_000, np.array([True]))
    assert [signal for signal in ended if isinstance(signal, ToneHeard)] == [ToneHeard(0, 16_000, None)]


def test_reset_forgets_a_half_heard_message() -> None:
    audio = pcm(silence(0.3), dtmf("A13812345678C"))
    half = len(audio) // 2 // 80 * 80
    rest = half + (len(audio) - half) // 80 * 80
    bank, hook = DetectorBank(1), np.array([True])
    heard = bank.process(audio[None, :half], 0, hook)
    bank.reset(0)
    heard += bank.process(audio[None, half:rest], half, hook)
    assert not [event for event in heard if "true" in str(getattr(event, "value", ""))]


def test_levels() -> None:
    rows = np.stack([pcm(sine(0.1, 1000.0, level)) for level in (3.1, -10.0, -40.0)] + [pcm(silence(0.1))])
    bank = DetectorBank(4)
    bank.process(rows, 0, np.zeros(4, dtype=np.bool_))
    assert bank.levels_dbm0.dtype == np.float32
    assert bank.levels_dbm0[:3] == pytest.approx([3.1, -10.0, -40.0], abs=0.1)
    assert bank.levels_dbm0[3] < -90.0


@pytest.mark.parametrize("shape", [(1, 800), (2, 790), (3, 800)])
def test_blocks_of_the_wrong_shape_are_refused(shape: tuple[int, int]) -> None:
    bank = DetectorBank(2)
    with pytest.raises(ValueError, match="block of shape"):
        bank.process(np.zeros(shape, dtype=np.int16), 0, np.zeros(2, dtype=np.bool_))


def test_other_rates_are_refused() -> None:
    with pytest.raises(ValueError, match="16000"):
        DetectorBank(1, 16000)
