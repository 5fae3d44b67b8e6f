"""Ports with two tracks: near and far are heard apart, and folded to the port that they belong to."""

from __future__ import annotations

import numpy as np
import pytest
from bank_runner import prompts
from line_signals import Audio, dtmf, fsk, mdmf, pcm, ring_burst, silence, sine

from drivers.api import EventKind, LineEvent, Pcm
from recorder.signals import Signal, Tone, ToneHeard, VoiceActivity
from recorder.two_way import PortBank

RATE_HZ, BLOCK = 8000, 800
SECONDS = 12


def rows(**sounds: Audio) -> Pcm:
    """Two ports; sounds by track: ``near0``, ``far0``, ``near1``, ``far1``."""
    tracks = [sounds.get(name, silence(0)) for name in ("near0", "far0", "near1", "far1")]
    return np.stack([pcm(track, silence(SECONDS))[: SECONDS * RATE_HZ] for track in tracks])


def heard(samples: Pcm, *, on_hook: bool, hears_voice: bool = False, ports: int = 2) -> list[Signal]:
    bank = PortBank(ports, len(samples), RATE_HZ)
    hooks, voices = np.full(ports, on_hook), np.full(ports, hears_voice)
    signals: list[Signal] = []
    for first in range(0, samples.shape[1], BLOCK):
        signals += bank.process(np.ascontiguousarray(samples[:, first : first + BLOCK]), first, hooks, voices)
    return signals


def spoken() -> Audio:
    return np.concatenate((silence(1), prompts(6.0).astype(np.float64), silence(2)))


def test_digits_count_from_near_only() -> None:
    code = np.concatenate((silence(0.5), dtmf("*7#", 80, 80)))
    near = [signal for signal in heard(rows(near1=code), on_hook=False) if isinstance(signal, LineEvent)]
    assert [(event.kind, event.port, event.value) for event in near] == [(EventKind.DIGITS, 1, key) for key in "*7#"]
    assert [signal for signal in heard(rows(far1=code), on_hook=False) if isinstance(signal, LineEvent)] == []


def test_caller_id_and_tones_count_from_far_only() -> None:
    message = np.concatenate((silence(0.3), fsk(mdmf((0x02, b"13812345678")))))
    assert [signal.port for signal in heard(rows(far1=message), on_hook=True)] == [1]
    assert heard(rows(near1=message), on_hook=True) == []
    dial = sine(3.0)
    assert ToneHeard in {type(signal) for signal in heard(rows(far0=dial), on_hook=False)}
    tones = [signal for signal in heard(rows(far0=dial, near1=dial), on_hook=False) if isinstance(signal, ToneHeard)]
    assert {(signal.port, signal.tone) for signal in tones} == {(0, Tone.DIAL), (0, None)}


def test_fax_tones_count_from_either_side() -> None:
    answer = np.concatenate((silence(0.5), sine(3.0, 2100.0)))
    for name in ("near0", "far0"):
        tones = [
            signal.tone for signal in heard(rows(**{name: answer}), on_hook=False) if isinstance(signal, ToneHeard)
        ]
        assert tones == [Tone.FAX_ANSWER, None]
    both = rows(far0=sine(6.0), near0=answer)
    tones = [signal.tone for signal in heard(both, on_hook=False) if isinstance(signal, ToneHeard)]
    assert tones == [Tone.DIAL, None]


def test_each_port_has_the_tones_of_its_country_on_both_tracks() -> None:
    dial = sine(3.0, 350.0) + sine(3.0, 440.0)
    samples = rows(far0=dial, far1=dial)
    bank = PortBank(2, 4, RATE_HZ)
    bank.choose_tones(1, "us")
    signals = bank.process(samples, 0, np.full(2, False), np.full(2, False))
    told = [(signal.port, signal.tone) for signal in signals if isinstance(signal, ToneHeard)]
    assert told == [(1, Tone.DIAL), (1, None)]


def test_only_far_speech_is_an_answer_but_either_begins_a_call() -> None:
    def ports(samples: Pcm, hears_voice: bool) -> set[int]:
        found = heard(samples, on_hook=hears_voice, hears_voice=hears_voice)
        return {signal.port for signal in found if isinstance(signal, VoiceActivity) and signal.active}

    samples = rows(near0=spoken(), far1=spoken())
    assert ports(samples, hears_voice=False) == {1}
    assert ports(samples, hears_voice=True) == {0, 1}


def test_speech_of_both_sides_is_one_stretch() -> None:
    both = rows(near0=spoken(), far0=np.concatenate((silence(3), spoken()))[: 11 * RATE_HZ])
    found = [one for one in heard(both, on_hook=True, hears_voice=True) if isinstance(one, VoiceActivity)]
    assert [one.active for one in found] == [index % 2 == 0 for index in range(len(found))]
    alone = heard(rows(near0=spoken()), on_hook=True, hears_voice=True)
    assert found[0].at_sample == alone[0].at_sample
    assert found[-1].at_sample > alone[-1].at_sample


def test_a_line_that_waits_hears_speech_only_when_it_should() -> None:
    samples = rows(near0=spoken(), near1=spoken())[::2]
    assert heard(samples, on_hook=True) == []
    assert {signal.port for signal in heard(samples, on_hook=True, hears_voice=True)} == {0, 1}


def test_the_level_is_that_of_the_louder_side() -> None:
    bank = PortBank(2, 4, RATE_HZ)
    samples = rows(near0=sine(12, level_dbm0=-20.0), far1=sine(12, level_dbm0=-10.0))
    bank.process(np.ascontiguousarray(samples[:, :BLOCK]), 0, np.ones(2, np.bool_), np.zeros(2, np.bool_))
    assert bank.levels_dbm0 == pytest.approx([-20.0, -10.0], abs=0.2)


def test_tracks_that_fit_no_port_are_refused() -> None:
    with pytest.raises(ValueError, match="3 tracks for 2 ports"):
        PortBank(2, 3, RATE_HZ)


@pytest.mark.parametrize("tracks", [2, 4])
def test_ringing_is_heard_where_the_card_does_not_tell_of_it(tracks: int) -> None:
    cadence = [*([ring_burst(1.0, -10.0), silence(4.0)] * 2)]
    samples = np.zeros((tracks, SECONDS * RATE_HZ), np.int16)
    samples[-1] = pcm(silence(0.5), *cadence, silence(SECONDS))[: SECONDS * RATE_HZ]
    told: dict[bool, list[LineEvent]] = {}
    for ring_sense in (True, False):
        bank = PortBank(2, tracks, RATE_HZ, ring_sense=ring_sense)
        hooks = np.ones(2, np.bool_)
        signals: list[Signal] = []
        for first in range(0, samples.shape[1], BLOCK):
            signals += bank.process(np.ascontiguousarray(samples[:, first : first + BLOCK]), first, hooks, ~hooks)
        told[ring_sense] = [signal for signal in signals if isinstance(signal, LineEvent)]
    assert told[True] == []
    assert [(event.kind, event.port) for event in told[False]] == [(EventKind.RING_ON, 1), (EventKind.RING_OFF, 1)] * 2
    at_s = [event.at_sample / RATE_HZ for event in told[False]]
    assert at_s == pytest.approx([0.5, 1.5, 5.5, 6.5], abs=0.05)


def test_a_channel_hears_speech_from_its_own_level_on() -> None:
    soft = spoken() * 10.0 ** (-20.0 / 20.0)
    samples = np.stack([pcm(soft, silence(2))] * 2)
    bank = PortBank(2, 2, RATE_HZ)
    bank.hear_voice_from(1, -20.0)
    hooks = np.zeros(2, np.bool_)
    ports = set()
    for first in range(0, samples.shape[1] // BLOCK * BLOCK, BLOCK):
        signals = bank.process(np.ascontiguousarray(samples[:, first : first + BLOCK]), first, hooks, hooks)
        ports |= {signal.port for signal in signals if isinstance(signal, VoiceActivity)}
    assert ports == {0}
