"""Frames and messages: round trips, garbage, and nothing believed that cannot be."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serial_helpers import BOOT_ID, mutate

from drivers.api import LinkCounters
from drivers.serial_card import messages as m
from drivers.serial_card.frames import MAX_FRAME_BYTES, FrameReader, encode_frame

MESSAGES: list[m.CardMessage | m.HostMessage] = [
    m.Hello(BOOT_ID, 8, 8000, 0b111, 8000, 5, 99, "型号", "S-1"),
    m.Position(1, 2, 3, b"\x01\x03"),
    m.Position(1, 2, 3, b"", lost=True),
    m.Pcm(7, 160, m.Codec.ALAW, 0, 2, 3, b"\0\1\2\3\4\5"),
    m.Pcm(7, 160, m.Codec.LINEAR16, 0, 1, 2, b"\0\1\2\3"),
    m.Event(8, 160, 1, m.WireEvent.RING_ON, 75_000),
    m.Event(8, 160, 1, m.WireEvent.RING_OFF),
    m.Status(9, 160, (48_000, -7_000), b"\x01\x03"),
    m.SettingAck(255, 1, 20_000),
    m.SettingNak(1, 99, 1),
    m.Pong(5, BOOT_ID),
    m.HelloRequest(),
    m.Start(BOOT_ID, None),
    m.Start(BOOT_ID, 0),
    m.Start(BOOT_ID, 1 << 40),
    m.Stop(),
    m.Resend(12),
    m.Set(255, 6, -200),
    m.Ping(5),
]


def unpack(body: bytes) -> m.CardMessage | m.HostMessage:
    return m.from_host(body) if body[0] & 0x80 else m.from_card(body)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_messages_survive_the_wire(message: m.CardMessage | m.HostMessage) -> None:
    counters = LinkCounters()
    (body,) = FrameReader(counters).feed(encode_frame(message.pack()))
    assert unpack(body) == message
    assert (counters.frames, counters.bad_frames, counters.garbage_bytes) == (1, 0, 0)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_shortened_and_lengthened_messages_are_refused(message: m.CardMessage | m.HostMessage) -> None:
    body = message.pack()
    for wrong in [body[:size] for size in range(1, len(body))] + [body + b"\1"]:
        with pytest.raises(m.MessageError):
            unpack(wrong)


@pytest.mark.parametrize(
    "body",
    [
        b"\x7f",
        b"\xff",
        struct.pack("<BIQBBBH", m.MessageType.PCM, 1, 1 << 63, 0, 0, 1, 1) + b"x",
        struct.pack("<BIQBBBH", m.MessageType.PCM, 1, 0, 9, 0, 1, 1) + b"x",
        struct.pack("<BIQBBBH", m.MessageType.PCM, 1, 0, 0, 0, 255, 65535) + b"x",
        struct.pack("<BIQBBBH", m.MessageType.PCM, 1, 0, 0, 0, 0, 0),
        struct.pack("<BIQBBi", m.MessageType.EVENT, 1, 1 << 63, 0, 1, 0),
        struct.pack("<BQQIB", m.MessageType.LOST, 0, 1 << 63, 0, 0),
        m.Hello(BOOT_ID, 0, 8000, 1, 0, 0, 0, "", "s").pack(),
        m.Hello(BOOT_ID, 1, 8001, 1, 0, 0, 0, "", "s").pack(),
        m.Hello(BOOT_ID, 1, 8000, 8, 0, 0, 0, "", "s").pack(),
        m.Hello(BOOT_ID, 1, 8000, 1, 0, 2, 1, "", "s").pack(),
        m.Hello(BOOT_ID, 1, 8000, 1, 0, 0, 0, "", "").pack(),
        m.Hello(BOOT_ID, 1, 8000, 1, 0, 0, 0, "", "a\nb").pack(),
    ],
)
def test_impossible_fields_are_refused(body: bytes) -> None:
    with pytest.raises(m.MessageError):
        unpack(body)


def test_another_protocol_version_is_told_apart() -> None:
    with pytest.raises(m.ProtocolVersionError, match="version 2"):
        m.from_card(bytes([m.MessageType.HELLO, 2, 1, 2, 3]))


@given(bodies=st.lists(st.binary(min_size=1, max_size=600), max_size=8), cut=st.integers(1, 50))
@settings(max_examples=100, deadline=None)
def test_any_bodies_in_any_pieces(bodies: list[bytes], cut: int) -> None:
    wire = b"".join(map(encode_frame, bodies))
    reader = FrameReader(LinkCounters())
    got = [body for at in range(0, len(wire), cut) for body in reader.feed(wire[at : at + cut])]
    assert got == bodies


def test_the_largest_card_fits_into_a_frame() -> None:
    body = m.Pcm(0, 0, m.Codec.LINEAR16, 0, 255, 160, bytes(255 * 160 * 2)).pack()
    assert len(encode_frame(body)) <= MAX_FRAME_BYTES
    assert FrameReader(LinkCounters()).feed(encode_frame(body)) == [body]


def test_endless_bytes_without_a_zero_are_not_hoarded() -> None:
    counters = LinkCounters()
    reader = FrameReader(counters)
    for _ in range(100):
        assert reader.feed(b"\x55" * 50_000) == []
    assert reader.feed(b"\0" + encode_frame(b"good")) == [b"good"]
    assert counters.bad_frames == 1
    assert counters.garbage_bytes == 5_000_000


def test_a_million_bytes_of_garbage_then_the_second_frame_is_read() -> None:
    rng = random.Random(2)
    counters = LinkCounters()
    reader = FrameReader(counters)
    for _ in range(250):
        assert reader.feed(rng.randbytes(4000)) == []
    # the end of the garbage may swallow the first frame
    assert reader.feed(encode_frame(b"first") + encode_frame(b"second"))[-1] == b"second"
    assert counters.bad_frames > 1000
    assert counters.garbage_bytes > 990_000


def test_mutated_frames_are_dropped_and_the_next_good_one_is_read() -> None:
    rng = random.Random(3)
    counters = LinkCounters()
    reader = FrameReader(counters)
    frame = encode_frame(rng.randbytes(300).replace(b"\0", b"\1"))
    good = encode_frame(b"good")
    intact = encode_frame(frame)
    for _ in range(10_000):
        got = reader.feed(mutate(intact, rng) + good + good)
        assert got[-1] == b"good"
        assert set(got) <= {b"good", frame}
    assert counters.bad_frames > 5000
