"""Voltages, cadence, hook, noise and independence of chunk sizes of the simulated exchange."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from exchange_helpers import level_dbm0, make_voices, render, spans, strongest_hz

from drivers.exchange.calls import HangUp, Happening, IncomingCall, LineCut, LineSettings, OutgoingCall
from drivers.exchange.lines import Exchange
from firmware.errors import ConfigError


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_voices(tmp_path_factory.mktemp("speech"))


def busy_exchange(voices: Path) -> Exchange:
    exchange = Exchange(
        4,
        11,
        [
            LineSettings(),
            LineSettings("dtmf"),
            LineSettings(polarity_reversal=True),
            LineSettings("none", noise_dbm0=-50),
        ],
        voices,
    )
    exchange.place(IncomingCall(0, 0.503, "13812345678", "王伟明", answer_after_s=5.777, talk_s=6.1, hangup="far"))
    exchange.place(IncomingCall(1, 0.2, "01062345678", rings=2))
    exchange.place(OutgoingCall(2, 0.301, "0755#*12", answer_after_s=2.5, talk_s=8.0))
    exchange.place(IncomingCall(3, 1.0, give_up_after_s=0.731))
    exchange.place(LineCut(3, 4.0, 2.5))
    exchange.place(OutgoingCall(3, 8.0, "114", congested=True, give_up_after_s=5.0))
    return exchange


def test_any_chunk_size_gives_the_same_bits(voices: Path) -> None:
    whole = render(busy_exchange(voices), 18.0, chunk=144_000)
    for chunk in (80, 800, 4000, 7_120):
        exchange = busy_exchange(voices)
        parts = render(exchange, 18.0, chunk)
        assert exchange.position == 144_000
        assert np.array_equal(parts.audio, whole.audio), chunk
        assert np.array_equal(parts.loop_v, whole.loop_v), chunk
        assert np.array_equal(parts.ring_vrms, whole.ring_vrms), chunk


def test_order_of_placing_does_not_matter_and_another_seed_does(voices: Path) -> None:
    calls = [IncomingCall(0, 1.0, "10086", answer_after_s=2.0, talk_s=3.0), IncomingCall(0, 8.0, "95588", rings=1)]

    def audio(seed: int, reverse: bool) -> np.ndarray:
        exchange = Exchange(1, seed, speech_dir=voices)
        for call in reversed(calls) if reverse else calls:
            exchange.place(call)
        return render(exchange, 12.0).audio

    assert np.array_equal(audio(1, False), audio(1, True))
    assert not np.array_equal(audio(1, False), audio(2, False))


def test_frames_are_of_the_promised_shape_and_type() -> None:
    exchange = Exchange(3)
    exchange.render(80)
    frames = exchange.render(160)
    assert frames.first_sample == 80
    assert frames.audio.dtype == np.int16
    assert frames.audio.shape == (3, 160)
    assert frames.loop_v.dtype == np.float32
    assert frames.loop_v.shape == (3, 20)
    assert frames.ring_vrms.dtype == np.float32
    assert frames.ring_vrms.shape == (3, 20)
    assert frames.audio.flags.c_contiguous


def test_idle_lines_have_48_volts_and_their_own_noise() -> None:
    settings = [LineSettings(noise_dbm0=level) for level in (-70.0, -60.0, -45.0)]
    frames = render(Exchange(3, 7, settings), 5.0)
    assert np.all(np.abs(frames.loop_v - 48.0) < 2.0)
    assert len({round(float(v.mean()), 2) for v in frames.loop_v}) == 3
    assert not frames.ring_vrms.any()
    for row, wanted in zip(frames.audio, settings, strict=True):
        assert level_dbm0(row) == pytest.approx(wanted.noise_dbm0, abs=0.3)
    assert abs(np.corrcoef(frames.audio.astype(float))[0, 2]) < 0.03


def test_ringing_has_the_national_cadence_and_leaks_into_the_audio() -> None:
    exchange = Exchange(1)
    exchange.place(IncomingCall(0, 1.234, rings=3))
    frames = render(exchange, 18.0)
    ring = frames.ring_vrms[0]
    assert spans(ring > 0) == [(1234, 2234), (6234, 7234), (11234, 12234)]
    assert np.all(np.abs(ring[ring > 0] - 75.0) < 4.0)
    assert np.all(np.abs(frames.loop_v[0] - 48.0) < 2.0)
    burst = frames.audio[0, 1300 * 8 : 2200 * 8]
    assert strongest_hz(burst, 5) == pytest.approx(25, abs=0.5)
    assert -40 < level_dbm0(burst) < -25
    assert level_dbm0(frames.audio[0, 3000 * 8 : 6000 * 8]) < -60


def test_a_caller_who_gives_up_cuts_the_burst_short() -> None:
    exchange = Exchange(1)
    exchange.place(IncomingCall(0, 0.5, "13812345678", give_up_after_s=5.25))
    frames = render(exchange, 12.0)
    assert spans(frames.ring_vrms[0] > 0) == [(500, 1500), (5500, 5750)]


def test_off_hook_trips_the_ring_and_drops_the_loop_to_the_millisecond(voices: Path) -> None:
    exchange = Exchange(1, speech_dir=voices)
    exchange.place(IncomingCall(0, 1.0, answer_after_s=5.4, talk_s=3.21))
    frames = render(exchange, 12.0)
    assert spans(frames.ring_vrms[0] > 0) == [(1000, 2000), (6000, 6400)]
    loop = frames.loop_v[0]
    assert spans(loop < 20) == [(6400, 9610)]
    assert np.all(np.abs(loop[loop < 20] - 7.0) < 1.2)
    truth = exchange.truth[0]
    assert (truth.off_hook_sample, truth.on_hook_sample) == (6400 * 8, 9610 * 8)
    # The hook's click stands out of the noise at the very millisecond.
    assert np.abs(frames.audio[0, 6400 * 8 : 6405 * 8]).max() > 1000
    assert np.abs(frames.audio[0, 9610 * 8 : 9615 * 8]).max() > 1000


@pytest.mark.parametrize("hangup", ["near", "far"])
def test_polarity_reverses_at_the_answer_and_turns_back(voices: Path, hangup: HangUp) -> None:
    exchange = Exchange(2, 3, [LineSettings(polarity_reversal=True), LineSettings()], voices)
    for line in (0, 1):
        exchange.place(
            OutgoingCall(line, 1.0, "10086", answer_after_s=4.0, talk_s=5.0, hangup=hangup, far_hangup_delay_s=2.0)
        )
    frames = render(exchange, 16.0)
    reversed_ms = spans(frames.loop_v[0] < 0)
    dialled_ms = 1000 + 1000 + 5 * 80 + 4 * 80
    assert reversed_ms == [(dialled_ms + 4000, dialled_ms + 9000)]
    off_hook = spans(np.abs(frames.loop_v[0]) < 20)
    assert off_hook == [(1000, dialled_ms + 9000 + (2000 if hangup == "far" else 0))]
    assert np.all(frames.loop_v[1] > 0)
    assert exchange.truth[0].polarity_samples == tuple(8 * ms for ms in reversed_ms[0])
    assert exchange.truth[1].polarity_samples == ()


def test_a_cut_line_has_no_voltage_and_less_noise() -> None:
    exchange = Exchange(1, 0, [LineSettings(noise_dbm0=-50)])
    exchange.place(LineCut(0, 2.0, 3.0))
    frames = render(exchange, 8.0)
    loop = frames.loop_v[0]
    assert spans(np.abs(loop) < 1.0) == [(2000, 5000)]
    assert level_dbm0(frames.audio[0, 2200 * 8 : 5000 * 8]) == pytest.approx(-62, abs=0.5)
    assert level_dbm0(frames.audio[0, 5000 * 8 :]) == pytest.approx(-50, abs=0.5)
    assert exchange.truth == []


def test_nothing_ever_clips(voices: Path) -> None:
    exchange = Exchange(2, 5, [LineSettings(speech_dbm0=-10, noise_dbm0=-40)] * 2, voices)
    exchange.place(OutgoingCall(0, 0.5, "147*0#", answer_after_s=1.0, talk_s=20.0))
    exchange.place(IncomingCall(1, 0.5, "13812345678", answer_after_s=6.0, talk_s=20.0))
    assert np.abs(render(exchange, 30.0).audio.astype(int)).max() < 30_000


@pytest.mark.parametrize("samples", [0, -80, 79, 81, 8])
def test_a_crooked_number_of_samples_is_refused(samples: int) -> None:
    with pytest.raises(ConfigError, match="multiple of 80"):
        Exchange(1).render(samples)


def test_the_past_and_taken_lines_are_refused(voices: Path) -> None:
    exchange = Exchange(2, speech_dir=voices)
    exchange.place(IncomingCall(0, 10.0, answer_after_s=3.0, talk_s=5.0))
    for at_s, length_s in ((9.0, 2.0), (12.0, 1.0), (17.9, 1.0), (1.0, 60.0), (10.0, 0.5)):
        with pytest.raises(ConfigError, match=r"line 0 is taken from 10\.000 to"):
            exchange.place(LineCut(0, at_s, length_s))
    exchange.place(LineCut(1, 9.0, 2.0))
    exchange.place(LineCut(0, 9.0, 1.0))
    exchange.place(LineCut(0, 18.1, 1.0))
    with pytest.raises(ConfigError, match="lines 0 to 1"):
        exchange.place(LineCut(2, 1.0, 1.0))
    render(exchange, 3.0)
    with pytest.raises(ConfigError, match=r"in the past, it is 3\.000 s"):
        exchange.place(LineCut(0, 2.999, 1.0))
    exchange.place(LineCut(0, 3.0, 1.0))


def test_a_refused_call_leaves_no_trace(voices: Path) -> None:
    exchange, clean = Exchange(1, speech_dir=voices), Exchange(1, speech_dir=voices)
    for each in (exchange, clean):
        each.place(IncomingCall(0, 1.0, rings=1))
    with pytest.raises(ConfigError):
        exchange.place(OutgoingCall(0, 1.5, "1"))
    assert np.array_equal(render(exchange, 8.0).audio, render(clean, 8.0).audio)
    assert exchange.truth == clean.truth
    assert len(exchange.truth) == 1


def test_impossible_exchanges_are_refused() -> None:
    with pytest.raises(ConfigError, match="lines = 0"):
        Exchange(0)
    with pytest.raises(ConfigError, match="seed = -1"):
        Exchange(1, -1)
    with pytest.raises(ConfigError, match="settings: 1 given for 2 lines"):
        Exchange(2, settings=[LineSettings()])


def test_speed_is_shown(voices: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exchange = Exchange(8, speech_dir=voices)
    for line in range(8):
        exchange.place(IncomingCall(line, 1.0, "13812345678", answer_after_s=6.0, talk_s=22.0))
    begun = time.perf_counter()
    frames = render(exchange, 30.0, 800)
    took_s = time.perf_counter() - begun
    with capsys.disabled():
        print(f" [8 lines: {30.0 / took_s:.0f} times real time]", end="")
    assert frames.audio.shape == (8, 240_000)
    assert len(exchange.truth) == 8


def test_calls_placed_while_running_and_uneven_chunks_change_nothing(voices: Path) -> None:
    whole = render(busy_exchange(voices), 18.0)
    exchange = Exchange(4, 11, busy_exchange(voices).settings, voices)
    late: list[tuple[float, Happening]] = [
        (0.0, IncomingCall(1, 0.2, "01062345678", rings=2)),
        (0.25, OutgoingCall(2, 0.301, "0755#*12", answer_after_s=2.5, talk_s=8.0)),
        (0.5, IncomingCall(0, 0.503, "13812345678", "王伟明", answer_after_s=5.777, talk_s=6.1, hangup="far")),
        (0.99, IncomingCall(3, 1.0, give_up_after_s=0.731)),
        (3.5, LineCut(3, 4.0, 2.5)),
        (7.99, OutgoingCall(3, 8.0, "114", congested=True, give_up_after_s=5.0)),
    ]
    rng = np.random.default_rng(1)
    parts = []
    while exchange.position < 144_000:
        due_s = late[0][0] if late else 18.0
        if exchange.position >= due_s * 8000:
            exchange.place(late.pop(0)[1])
            continue
        left = min(round(due_s * 8000), 144_000) - exchange.position
        parts.append(exchange.render(min(int(rng.integers(1, 90)) * 80, left)).audio)
    assert np.array_equal(np.concatenate(parts, axis=1), whole.audio)
