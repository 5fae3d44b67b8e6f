"""The PCM socket card: exact audio and events, every loss counted, nothing believed that cannot be."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from contract import end_of, read_blocks
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.api import EventKind, LineEvent, Pcm, PcmBlock, ResumePoint
from drivers.pcm_socket.driver import LONGEST_JUMP_S, PcmSocketCard, open_card
from drivers.pcm_socket.wire import (
    FRAME,
    GREETING,
    KIND_PCM,
    MAGIC,
    MOST_BODY_BYTES,
    MOST_SAMPLE,
    Greeting,
    pack_event,
    pack_greeting,
    pack_pcm_head,
    unpack_event,
    unpack_greeting,
    unpack_pcm,
)
from firmware.errors import LineCardError, LineCardGone, LineCardProtocolError

PORTS, RATE_HZ, BLOCK = 3, 8000, 800
BOOT = "0123456789abcdef0123456789abcd00"
GREETED = pack_greeting(Greeting(PORTS, RATE_HZ, BOOT))


def heard(first: int, samples: int = BLOCK) -> Pcm:
    return np.random.default_rng(first).integers(-32768, 32767, (PORTS, samples), np.int16, endpoint=True)


def pcm(first: int, samples: int = BLOCK) -> bytes:
    block = heard(first, samples)
    return pack_pcm_head(first, block) + block.tobytes()


class Sender:
    """The process at the other end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        self.listener.listen(1)
        self.link: socket.socket | None = None

    def opened(self, resume: ResumePoint | None = None, greeting: bytes = GREETED, go_on: bool = True) -> PcmSocketCard:
        card = open_card(str(self.path))
        thread = threading.Thread(target=self._greet, args=(greeting, go_on))
        thread.start()
        try:
            card.open(resume)
        finally:
            thread.join()
        return card

    def _greet(self, greeting: bytes, go_on: bool) -> None:
        self.link, _ = self.listener.accept()
        self.link.sendall(greeting)
        if not go_on:
            self.link.shutdown(socket.SHUT_WR)

    def send(self, *frames: bytes) -> None:
        assert self.link is not None
        self.link.sendall(b"".join(frames))

    def hang_up(self) -> None:
        assert self.link is not None
        self.link.close()

    def close(self) -> None:
        self.listener.close()
        if self.link is not None:
            self.link.close()


@pytest.fixture
def sender(tmp_path: Path) -> Iterator[Sender]:
    sender = Sender(tmp_path / "card.sock")
    yield sender
    sender.close()


def test_open_tells_what_the_card_is(sender: Sender) -> None:
    card = sender.opened()
    assert card.identity.card_id == "pcm_socket-card.sock"
    assert (card.capabilities.channels, card.capabilities.sample_rate_hz, card.boot_id) == (PORTS, RATE_HZ, BOOT)
    card.close()


def test_a_card_with_two_directions_has_two_rows_a_port(sender: Sender) -> None:
    card = sender.opened(greeting=pack_greeting(Greeting(PORTS, RATE_HZ, BOOT, two_way=True)))
    capabilities = card.capabilities
    assert (capabilities.channels, capabilities.two_way, capabilities.tracks) == (PORTS, True, 2 * PORTS)
    both = np.vstack((heard(0), heard(800)))
    sender.send(pack_event(LineEvent(EventKind.OFF_HOOK, PORTS - 1, 90)), pack_pcm_head(0, both) + both.tobytes())
    blocks, events = read_blocks(card, 1)
    np.testing.assert_array_equal(blocks[0].samples, both)
    assert [event.port for event in events] == [PORTS - 1]
    sender.send(pack_event(LineEvent(EventKind.OFF_HOOK, PORTS, 90)))
    with pytest.raises(LineCardProtocolError):
        card.read(1.0)
    card.close()


def test_blocks_and_events_are_exact_and_in_order(sender: Sender) -> None:
    card = sender.opened()
    told = [
        LineEvent(EventKind.RING_ON, 2, 77, 75.5),
        LineEvent(EventKind.DIGITS, 0, 80, "12#"),
        LineEvent(EventKind.OFF_HOOK, 1, 90),
    ]
    sender.send(pcm(0), *map(pack_event, told), pcm(800), pcm(1600, 37))
    blocks, events = read_blocks(card, 3)
    assert events == told
    for block, first in zip(blocks, (0, 800, 1600), strict=True):
        np.testing.assert_array_equal(block.samples, heard(first, block.samples.shape[1]))
        assert (block.first_sample, block.missing) == (first, 0)
        assert block.samples.flags.c_contiguous
        assert abs(block.wall_ns / 1e9 - time.time()) < 60
    assert card.counters.frames == 6
    assert card.read(0.0) is None
    card.close()


def test_what_was_lost_is_counted(sender: Sender) -> None:
    card = sender.opened()
    sender.send(pcm(0), pcm(2000))
    blocks, _ = read_blocks(card, 2)
    assert blocks[1].missing == card.counters.lost_samples == 1200


@pytest.mark.parametrize(("begins", "missing"), [(5000, 1000), (4000, 0), (3500, 0)])
def test_going_on_after_a_restart(sender: Sender, begins: int, missing: int) -> None:
    card = sender.opened(ResumePoint(BOOT, 4000))
    sender.send(pcm(begins), pcm(begins + BLOCK))
    blocks, _ = read_blocks(card, 2)
    assert [block.missing for block in blocks] == [missing, 0]
    assert end_of(blocks[-1]) == begins + 2 * BLOCK
    card.close()


def test_a_resume_point_of_another_power_up_is_not_used(sender: Sender) -> None:
    card = sender.opened(ResumePoint("an earlier one", 1 << 50))
    sender.send(pcm(0))
    assert read_blocks(card, 1)[0][0].missing == 0


@pytest.mark.parametrize("sent", [0, 1, FRAME.size, FRAME.size + 999])
def test_a_card_that_vanishes_is_gone(sender: Sender, sent: int) -> None:
    card = sender.opened()
    sender.send(pcm(0), pcm(800)[:sent])
    read_blocks(card, 1)
    sender.hang_up()
    with pytest.raises(LineCardGone):
        card.read(1.0)
    card.close()


def test_silence_in_the_middle_of_a_frame_is_no_time_out(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the frame would be taken for the head of the next."""
    monkeypatch.setattr("drivers.pcm_socket.driver.FRAME_TIMEOUT_S", 0.05)
    card = sender.opened()
    sender.send(pcm(0)[:100])
    with pytest.raises(LineCardGone):
        card.read(1.0)


def test_nobody_there(tmp_path: Path) -> None:
    card = open_card(str(tmp_path / "none.sock"))
    with pytest.raises(LineCardGone):
        card.open()
    with pytest.raises(LineCardGone):
        card.read(0.1)
    card.close()
    card.close()


@pytest.mark.parametrize(
    "greeting",
    [
        b"", MAGIC, bytes(range(GREETING.size)),
        struct.pack("<8sII16s", MAGIC, 0, RATE_HZ, b""), struct.pack("<8sII16s", MAGIC, 5000, RATE_HZ, b""),
        struct.pack("<8sII16s", MAGIC, 8, 7, b""),
    ],
)  # fmt: skip
def test_wrong_greetings_are_refused_and_the_next_is_taken(sender: Sender, greeting: bytes) -> None:
    with pytest.raises(LineCardError):
        sender.opened(greeting=greeting, go_on=False)
    card = sender.opened()
    sender.send(pcm(0))
    read_blocks(card, 1)
    card.close()


@pytest.mark.parametrize(
    "frame",
    [
        FRAME.pack(KIND_PCM, MOST_BODY_BYTES + 1, 800), FRAME.pack(KIND_PCM, 8, MOST_SAMPLE + 1),
        FRAME.pack(KIND_PCM, 7, 800) + bytes(7), FRAME.pack(9, 0, 800), pcm(0),
        pcm(800 + LONGEST_JUMP_S * RATE_HZ + 1), FRAME.pack(2, 2, 800) + b"{}",
        pack_event(LineEvent(EventKind.OFF_HOOK, PORTS, 800)), pack_event(LineEvent(EventKind.OFF_HOOK, -1, 800)),
    ],
)  # fmt: skip
def test_impossible_frames_are_refused(sender: Sender, frame: bytes) -> None:
    card = sender.opened()
    sender.send(pcm(0), frame)
    read_blocks(card, 1)
    with pytest.raises(LineCardProtocolError):
        card.read(1.0)
    card.close()


@given(body=st.binary(max_size=200), ports=st.integers(1, 255), at_sample=st.integers(0, MOST_SAMPLE))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_audio_event_or_refused(body: bytes, ports: int, at_sample: int) -> None:
    try:
        event = unpack_event(body, at_sample, ports)
        assert 0 <= event.port < ports
    except LineCardProtocolError:
        pass
    try:
        assert unpack_pcm(body, ports).shape == (ports, len(body) // (2 * ports))
    except LineCardProtocolError:
        assert len(body) % (2 * ports)
    if len(body) >= GREETING.size:
        with pytest.raises(LineCardProtocolError):
            unpack_greeting(b"X" + body[1 : GREETING.size])


def test_every_event_survives_the_wire() -> None:
    for kind in EventKind:
        event = LineEvent(kind, 1, 123, "1" if kind is EventKind.DIGITS else None)
        frame = pack_event(event)
        assert unpack_event(frame[FRAME.size :], FRAME.unpack(frame[: FRAME.size])[2], PORTS) == event


def test_blocks_are_whole_pcm_blocks(sender: Sender) -> None:
    card = sender.opened()
    sender.send(pcm(0))
    item = card.read(1.0)
    assert isinstance(item, PcmBlock)
    assert item.samples.shape == (PORTS, BLOCK)
    assert item.samples.dtype == np.int16
