"""The driver against a card that is spoilt, forged, reset or set up, on a line in memory."""

from __future__ import annotations

import random

import numpy as np
import pytest
from serial_helpers import (
    BOOT_ID,
    FakeClock,
    NullLine,
    ScriptedLines,
    Stretch,
    collect,
    joined,
    make_driver,
    make_line,
    mutate,
    read_on,
    resume_after,
    spoiler,
)

from drivers.api import EventKind, LineEvent, LinkCounters, PcmBlock
from drivers.exchange_card.card import EmulatedCard
from drivers.registry import driver_names, open_card
from drivers.serial_card import messages as m
from drivers.serial_card.driver import SerialLineCard
from drivers.serial_card.frames import FrameReader, encode_frame
from firmware.errors import ConfigError, LineCardGone, LineCardProtocolError

DAY_SAMPLES = 24 * 3600 * 8000


def spoil_one(which: int, kind: m.MessageType, how: str) -> object:
    """A manipulator that spoils the ``which``-th frame of that kind."""
    seen = 0

    def spoil(frame: bytes) -> bytes:
        nonlocal seen
        if frame[1] != kind:  # the type follows the first COBS code byte
            return frame
        seen += 1
        if seen != which:
            return frame
        return b"" if how == "lost" else frame[:9] + bytes([frame[9] ^ 0x40 or 1]) + frame[10:]

    return spoil


@pytest.mark.parametrize("how", ["lost", "flipped"])
@pytest.mark.parametrize("kind", [m.MessageType.PCM, m.MessageType.STATUS, m.MessageType.EVENT])
def test_a_spoilt_stream_frame_is_sent_again(how: str, kind: m.MessageType) -> None:
    ring = [Stretch(1, 500, 1500, ring_vrms=75.0)]
    line, lines = make_line(stretches=ring, to_host=spoil_one(2, kind, how))
    card = make_driver(line)
    card.open()
    blocks, events = collect(card, 16_000)
    np.testing.assert_array_equal(joined(blocks), lines.heard(blocks[0].first_sample, joined(blocks).shape[1]))
    assert card.counters.resend_requests == 1
    assert card.counters.lost_samples == 0
    assert card.counters.bad_frames == (how == "flipped")
    rings = [(e.kind, e.at_sample) for e in events if e.kind in (EventKind.RING_ON, EventKind.RING_OFF)]
    assert rings == [(EventKind.RING_ON, 4000), (EventKind.RING_OFF, 12_000)]


def test_a_noisy_line_both_ways_costs_nothing_but_time() -> None:
    line, lines = make_line(to_host=spoiler(4, 0.05), to_card=spoiler(5, 0.3), chunk_bytes=97)
    card = make_driver(line)
    card.open()
    blocks, events = collect(card, 400_000)
    np.testing.assert_array_equal(joined(blocks), lines.heard(blocks[0].first_sample, joined(blocks).shape[1]))
    assert card.counters.bad_frames > 50
    assert line.card.counters.bad_frames > 0
    voltages = [e.at_sample for e in events if e.kind is EventKind.VOLTAGE and e.port == 0]
    assert voltages == sorted(set(voltages))


def test_a_million_bytes_of_garbage_into_the_host() -> None:
    line, lines = make_line()
    card = make_driver(line)
    card.open()
    first, _ = collect(card, 1600)
    rng = random.Random(6)
    blocks = first
    for _ in range(100):
        line.inject(rng.randbytes(10_000))
        resumed_at = line.card.next_sample
        more, _ = collect(card, 160)
        assert line.card.next_sample - resumed_at <= 10 * 160, "not in step within ten frames"
        blocks += more
    np.testing.assert_array_equal(joined(blocks), lines.heard(blocks[0].first_sample, joined(blocks).shape[1]))
    assert card.counters.garbage_bytes > 990_000


def test_a_million_bytes_of_garbage_and_mutated_frames_into_the_card() -> None:
    line, lines = make_line()
    card = make_driver(line)
    card.open()
    blocks, _ = collect(card, 1600)
    rng = random.Random(7)
    wishes = [m.Set(0, 1, 20_000), m.Ping(1), m.Set(200, 99, 1)]
    for _ in range(10_000):
        line.card.receive(rng.randbytes(100))
        line.card.receive(mutate(encode_frame(rng.choice(wishes).pack()), rng))
    line.card.receive(b"\0")
    blocks += collect(card, 16_000)[0]
    np.testing.assert_array_equal(joined(blocks), lines.heard(blocks[0].first_sample, joined(blocks).shape[1]))
    assert line.card.counters.bad_frames > 5_000
    assert line.card.counters.garbage_bytes > 1_000_000


def test_ten_thousand_mutated_frames_into_the_host() -> None:
    line, lines = make_line()
    card = make_driver(line)
    card.open()
    blocks, _ = collect(card, 1600)
    rng = random.Random(8)
    for number in range(10_000):
        good = m.Pcm(number, number * 160, m.Codec.ALAW, 0, 2, 8, rng.randbytes(16)).pack()
        line.inject(mutate(encode_frame(good), rng))
    line.inject(b"\0")
    blocks += collect(card, 16_000)[0]
    np.testing.assert_array_equal(joined(blocks), lines.heard(blocks[0].first_sample, joined(blocks).shape[1]))
    assert card.counters.bad_frames > 3_000


def forged_frames(seq: int, next_sample: int) -> list[m.CardMessage]:
    data = bytes(320)
    return [
        m.Pcm(seq, next_sample + DAY_SAMPLES * 400, m.Codec.ALAW, 0, 2, 160, data),
        m.Pcm(seq, next_sample + 160, m.Codec.ALAW, 0, 2, 160, data),
        m.Pcm(seq, next_sample, m.Codec.ALAW, 0, 1, 160, bytes(160)),
        m.Pcm(seq, next_sample, m.Codec.ALAW, 1, 2, 160, data),
        m.Pcm(seq, next_sample, m.Codec.ALAW, 0, 2, 60_000, bytes(120_000)),
        m.Pcm(seq + 5, m.MAX_SAMPLE, m.Codec.ALAW, 0, 2, 160, data),
        m.Event(seq, next_sample, 2, m.WireEvent.OFF_HOOK),
        m.Event(seq, m.MAX_SAMPLE, 0, m.WireEvent.OFF_HOOK),
        m.Status(seq, next_sample, (1, 2, 3), b"\1\1\1"),
        m.Position(next_sample, next_sample + 2 * DAY_SAMPLES, seq, b"\1\1", lost=True),
        m.Position(next_sample, next_sample - 160, seq, b"\1\1", lost=True),
        m.Position(next_sample, next_sample + 160, seq, b"\1\1\1", lost=True),
        m.Position(next_sample - 160, next_sample + 160, seq, b"\1\1", lost=True),
        m.SettingNak(9, 200, 200),
    ]


@pytest.mark.parametrize("which", range(14))
def test_a_forged_frame_with_a_good_crc_changes_nothing(which: int) -> None:
    line, lines = make_line()
    card = make_driver(line)
    card.open()
    blocks, _ = collect(card, 1600)
    end = blocks[-1].first_sample + 160
    # up to here the stream was 1 STATUS in 12 slices and no event: sequence = slices + statuses
    seq = end // 160 + end // 160 // 12
    line.inject(encode_frame(forged_frames(seq, end)[which].pack()))
    more, events = collect(card, 16_000)
    blocks += more
    np.testing.assert_array_equal(joined(blocks), lines.heard(blocks[0].first_sample, joined(blocks).shape[1]))
    assert {e.kind for e in events} == {EventKind.VOLTAGE}


def test_an_event_of_a_newer_card_is_counted_and_passed_over() -> None:
    def renumber(frame: bytes) -> bytes:
        if frame[1] != m.MessageType.EVENT:
            return frame
        (body,) = FrameReader(LinkCounters()).feed(frame)
        event = m.Event.unpack(body[1:])
        return encode_frame(m.Event(event.seq, event.at_sample, event.port, 77, 3).pack())

    line, _ = make_line(stretches=[Stretch(1, 600, 1500, ring_vrms=75.0)], to_host=renumber)
    card = make_driver(line)
    card.open()
    _, events = collect(card, 16_000)
    assert card.counters.extra == {"unknown_events": 2}
    assert card.counters.bad_frames == 0
    assert EventKind.RING_ON not in {e.kind for e in events}


def test_hardware_events_with_exact_times() -> None:
    day = [
        Stretch(0, 300, 1250, ring_vrms=75.0),
        Stretch(0, 1250, 4000, loop_v=7.5),
        Stretch(1, 1000, 2000, loop_v=-48.0),
        Stretch(2, 700, 760, loop_v=7.0),  # shorter than the hook debounce
        Stretch(2, 1503, 2604, loop_v=0.4),
    ]
    line, _ = make_line(ports=3, stretches=day)
    card = make_driver(line)
    card.open()
    _, events = collect(card, 40_000)
    start = [e for e in events if e.at_sample == 160 and e.kind is not EventKind.VOLTAGE]
    assert {(e.port, e.kind) for e in start} == {
        (port, kind) for port in range(3) for kind in (EventKind.LINE_PRESENT, EventKind.ON_HOOK)
    }
    seen = [(e.at_sample // 8, e.port, e.kind) for e in events if e not in start and e.kind is not EventKind.VOLTAGE]
    assert sorted(seen, key=lambda event: event[0]) == [
        (300, 0, EventKind.RING_ON),
        (1000, 1, EventKind.POLARITY_REVERSED),
        (1250, 0, EventKind.OFF_HOOK),
        (1250, 0, EventKind.RING_OFF),
        (1503, 2, EventKind.LINE_LOST),
        (2000, 1, EventKind.POLARITY_REVERSED),
        (2604, 2, EventKind.LINE_PRESENT),
        (2604, 2, EventKind.ON_HOOK),
        (4000, 0, EventKind.ON_HOOK),
    ]
    assert next(e.value for e in events if e.kind is EventKind.RING_ON) == pytest.approx(75.0)
    voltages = {(e.at_sample // 8, e.port): e.value for e in events if e.kind is EventKind.VOLTAGE}
    assert voltages[1180, 1] == -48.0
    assert voltages[460, 0] == 48.0


@pytest.mark.parametrize("hook_debounce_ms", [20, 100, 200])
def test_a_line_that_comes_back_tells_its_hook_state_once(hook_debounce_ms: int) -> None:
    line, _ = make_line(ports=1, stretches=[Stretch(0, 500, 900, loop_v=0.0), Stretch(0, 900, 1700, loop_v=7.0)])
    card = make_driver(line, hook_debounce_ms=hook_debounce_ms)
    card.open()
    _, events = collect(card, 16_000)
    seen = [(e.at_sample // 8, e.kind) for e in events if e.kind is not EventKind.VOLTAGE][2:]
    assert seen == [
        (500, EventKind.LINE_LOST),
        (900, EventKind.LINE_PRESENT),
        (900, EventKind.OFF_HOOK),
        (1700, EventKind.ON_HOOK),
    ]


def test_the_state_at_a_resume_point_is_that_of_the_past() -> None:
    line, _ = make_line(stretches=[Stretch(0, 1000, 2000, loop_v=7.0)])
    card = make_driver(line)
    card.open()
    blocks, _ = collect(card, 12_000)  # 1.5 s: off-hook
    card.close()
    line.advance(100)  # on-hook meanwhile
    again = make_driver(line)
    again.open(resume_after(card, blocks[-1]))
    _, events = collect(again, 16_000)
    hooks = [(e.kind, e.at_sample) for e in events if e.port == 0 and e.kind.name.endswith("HOOK")]
    assert hooks == [(EventKind.OFF_HOOK, blocks[-1].first_sample + 160), (EventKind.ON_HOOK, 16_000)]


def test_after_a_loss_the_state_is_told_again() -> None:
    line, _ = make_line(stretches=[Stretch(0, 1000, 60_000, loop_v=7.0)])
    card = make_driver(line)
    card.open()
    collect(card, 1600)
    line.advance(1000)  # the off-hook event is overwritten
    blocks, events = collect(card, 8000 * 15)
    gap = next(block for block in blocks if block.missing)
    assert LineEvent(EventKind.OFF_HOOK, 0, gap.first_sample) in events


@pytest.mark.parametrize("codec", ["alaw", "ulaw", "linear16"])
def test_settings_reach_the_card(codec: str) -> None:
    line, lines = make_line(to_card=spoiler(9, 0.3), stretches=[Stretch(0, 500, 3000, loop_v=22.0)])
    card = make_driver(line, codec=codec, off_hook_v=25, hook_debounce_ms=20)
    card.open()
    blocks, events = collect(card, 16_000)
    hook = [e.at_sample for e in events if e.kind is EventKind.OFF_HOOK]
    assert hook == [4000]
    sent = lines.audio(blocks[0].first_sample, joined(blocks).shape[1])
    if codec == "linear16":
        np.testing.assert_array_equal(joined(blocks)[:, 320:], sent[:, 320:])
    else:
        error = np.abs(joined(blocks).astype(np.int32) - sent)[:, 320:]
        assert np.all(error <= np.maximum(np.abs(sent[:, 320:].astype(np.int32)) // 16, 700))
        assert np.any(error)


def test_gain_while_the_stream_runs_and_for_one_port() -> None:
    line, lines = make_line()
    card = make_driver(line, codec="linear16")
    card.open()
    collect(card, 1600)
    card.apply({"gain_db": -20.0}, port=1)
    collect(card, 1600)
    blocks, _ = collect(card, 1600)
    sent = lines.audio(blocks[0].first_sample, 1600)
    np.testing.assert_array_equal(joined(blocks)[0], sent[0])
    np.testing.assert_array_equal(joined(blocks)[1], np.rint(sent[1] * 0.1).astype(np.int16))
    with pytest.raises(ConfigError, match="port = 2"):
        card.apply({"gain_db": 0.0}, port=2)


def test_of_two_values_soon_after_each_other_the_later_holds() -> None:
    """On a cable that loses settings: the answer to the first does not confirm the second."""
    for seed in range(40):
        line, lines = make_line(to_card=spoiler(seed, 0.4))
        card = make_driver(line, codec="linear16")
        card.open()
        collect(card, 800)
        card.apply({"gain_db": -20.0}, port=1)
        card.apply({"gain_db": 0.0}, port=1)
        collect(card, 40_000)
        blocks, _ = collect(card, 1600)
        sent = lines.audio(blocks[0].first_sample, 1600)
        np.testing.assert_array_equal(joined(blocks)[1], sent[1])


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("off_hook_v", 99, "from 5 to 40"),
        ("gain_db", "loud", "from -20 to 20"),
        ("hook_debounce_ms", 0, "from 20 to 200"),
        ("codec", "opus", "alaw, ulaw, linear16"),
        ("colour", 1, "unknown setting"),
        ("baud", 1, "from 9600"),
        ("gain_db", float("nan"), "from -20 to 20"),
    ],
)
def test_a_bad_setting_is_named_with_its_range(name: str, value: object, told: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} = .*{told}"):
        open_card("serial_card", "/dev/null", **{name: value})


def test_registry() -> None:
    assert "serial_card" in driver_names()
    card = open_card("serial_card", "/nonexistent/port")
    with pytest.raises(LineCardGone, match="/nonexistent/port"):
        card.open()
    with pytest.raises(ConfigError, match="driver = 'abacus'"):
        open_card("abacus", "x")


def test_a_card_of_another_version_is_refused() -> None:
    line, _ = make_line(to_host=lambda frame: encode_frame(bytes([m.MessageType.HELLO, 9]) + b"whatever"))
    with pytest.raises(LineCardProtocolError, match="version 9"):
        make_driver(line).open()


def test_something_that_never_says_hello_is_gone() -> None:
    line, _ = make_line(mute=True)
    card = make_driver(line)
    began_ns = line.clock.now_ns
    with pytest.raises(LineCardGone, match="no HELLO within 5 s"):
        card.open()
    assert (line.clock.now_ns - began_ns) / 1e9 == pytest.approx(5.0, abs=0.2)


def test_silence_is_asked_about_before_the_card_is_given_up() -> None:
    pings = []

    def watch(frame: bytes) -> bytes:
        if frame[1] == m.MessageType.PING:
            pings.append(line.clock.now_ns)
        return frame

    line, _ = make_line(to_card=watch)
    card = make_driver(line)
    card.open()
    collect(card, 1600)
    line.mute = True
    began_ns = line.clock.now_ns
    with pytest.raises(LineCardGone, match="silent"):
        read_on(card)
    assert (pings[0] - began_ns) / 1e9 == pytest.approx(2.0, abs=0.3)
    assert (line.clock.now_ns - began_ns) / 1e9 == pytest.approx(4.0, abs=0.3)


def test_a_pause_of_the_reader_is_no_silence_of_the_card() -> None:
    line, _ = make_line()
    card = make_driver(line)
    card.open()
    collect(card, 1600)
    line.clock.now_ns += 60_000_000_000
    line.mute = True
    assert card.read(0.5) is None
    line.mute = False
    assert collect(card, 1600)[0]


def test_a_card_that_only_answers_but_does_not_go_on_is_a_fault() -> None:
    def no_stream(frame: bytes) -> bytes:
        return b"" if frame[1] == m.MessageType.PCM else frame

    line, _ = make_line(to_host=no_stream)
    card = make_driver(line)
    card.open()
    with pytest.raises(LineCardProtocolError, match="stands still"):
        read_on(card)


def test_a_card_that_starts_anew_is_noticed() -> None:
    line, lines = make_line()
    card = make_driver(line)
    card.open()
    blocks, _ = collect(card, 1600)
    resume = resume_after(card, blocks[-1])
    lines.position = 0
    line.card = EmulatedCard(lines, 2, b"anew\0\0\0\0", "T-1")
    with pytest.raises(LineCardGone, match="started anew"):
        read_on(card)
    card.open(resume)
    assert card.boot_id == b"anew\0\0\0\0".hex()
    again, _ = collect(card, 1600)
    assert again[0].first_sample == 0
    assert again[0].missing == 0


def test_a_resume_point_in_the_future_is_refused() -> None:
    line, _ = make_line()
    card = make_driver(line)
    card.open()
    blocks, _ = collect(card, 160)
    future = resume_after(card, blocks[-1])
    card.close()
    with pytest.raises(LineCardProtocolError, match="asked to resume"):
        make_driver(line).open(type(future)(future.boot_id, 1 << 40))


def test_labels_of_a_backlog_are_those_of_when_it_was_heard() -> None:
    line, _ = make_line()
    card = make_driver(line)
    card.open()
    blocks, _ = collect(card, 1600)
    line.advance(150)
    late, _ = collect(card, 1600)
    for block in blocks + late:
        # each slice of the fake clock is 20 ms after the last; the card had made one before it was opened
        expected_ns = 5_000_000_000 + (block.first_sample - 160) * 125_000
        assert abs(block.monotonic_ns - expected_ns) <= 25_000_000


def test_255_ports() -> None:
    lines = ScriptedLines(255, [Stretch(254, 500, 9000, loop_v=7.0)])
    line = NullLine(EmulatedCard(lines, 255, BOOT_ID, "BIG"), FakeClock())
    card: SerialLineCard = make_driver(line, codec="linear16")
    card.open()
    blocks, events = collect(card, 8000)
    assert [(e.port, e.at_sample) for e in events if e.kind is EventKind.OFF_HOOK] == [(254, 4000)]
    assert blocks[-1].samples.shape == (255, 160)
    assert isinstance(blocks[-1], PcmBlock)
    np.testing.assert_array_equal(joined(blocks[2:]), lines.audio(blocks[2].first_sample, joined(blocks[2:]).shape[1]))
