"""The card's own parts, and ``tapdeck exchange`` as a process behind a pseudo-terminal."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from serial_helpers import BOOT_ID, ScriptedLines, collect, joined, make_card

from drivers import g711
from drivers.api import EventKind, LineCard, LineEvent, PcmBlock, ResumePoint
from drivers.exchange.script import load_script
from drivers.exchange_card.card import BUFFER_MS, SLICE_SAMPLES, EmulatedCard
from drivers.exchange_card.meter import Debounced
from drivers.exchange_card.process import CardProcess
from drivers.exchange_card.pty import PtyLink
from drivers.exchange_card.ring import StreamFrame, StreamRing
from drivers.registry import open_card
from drivers.serial_card import messages as m
from drivers.serial_card.driver import SerialLineCard
from drivers.serial_card.frames import FrameReader, encode_frame
from drivers.serial_card.settings import ALL_PORTS, RULES, Refusal
from firmware.errors import ConfigError, LineCardGone

SCRIPT = {
    "lines": 2,
    "seed": 11,
    "calls": [
        {"kind": "incoming", "line": 0, "at_s": 1, "number": "13812345678", "answer_after_s": 6, "talk_s": 3},
        {"kind": "outgoing", "line": 1, "at_s": 2, "digits": "10086", "answer_after_s": 4, "talk_s": 5},
    ],
}


# The card's parts


def flags(text: str) -> npt.NDArray[np.bool_]:
    return np.array([[character == "x" for character in text]])


@pytest.mark.parametrize("pieces", [1, 3, 7, 40])
def test_debouncing_in_pieces_of_any_size(pieces: int) -> None:
    raw = flags("....xxxx..xxx.xxxxxxxx...x.....xxxxxx...")
    condition = Debounced(np.array([False]))
    changes = []
    for at in range(0, raw.shape[1], pieces):
        changes += condition.update(raw[:, at : at + pieces], at, np.array([5], np.int32))
    assert changes == [(0, 14), (0, 26), (0, 31)]
    assert condition.state.tolist() == [True]


def test_ring_keeps_what_it_promises() -> None:
    ring = StreamRing(320)
    for number in range(10):
        ring.append(StreamFrame(b"event", number * 160, 0, b""))
        ring.append(StreamFrame(b"pcm", number * 160, 160, b""))
    assert (ring.oldest_sample, ring.next_sample) == (1280, 1600)
    assert ring.seek(0) == ring.oldest_seq == 16
    assert ring.seek(1280) == 16
    assert ring.seek(1439) == 16
    assert ring.seek(1440) == 18  # the event before the PCM that begins there
    assert ring.seek(1600) == ring.seek(1 << 60) == ring.next_seq == 20
    assert ring.frame(20) is None
    assert ring.sample_at(18) == 1440


def talk(card: EmulatedCard, *messages: m.HostMessage) -> list[m.CardMessage]:
    for message in messages:
        card.receive(encode_frame(message.pack()))
    reader = FrameReader(card.counters)
    answers = []
    while (frame := card.next_frame()) is not None:
        answers += [m.from_card(body) for body in reader.feed(frame)]
    return answers


def test_hello_tells_the_buffer_and_ends_the_stream() -> None:
    card = make_card(ScriptedLines(2))
    talk(card, m.Start(BOOT_ID, None))
    assert card.streaming
    for _ in range(1000):
        card.advance()
    talk(card)
    (hello,) = talk(card, m.HelloRequest())
    assert not card.streaming
    assert isinstance(hello, m.Hello)
    assert (hello.oldest_sample, hello.next_sample) == (1001 * 160 - BUFFER_MS * 8, 1001 * 160)
    assert (hello.ports, hello.boot_id, hello.codecs, hello.buffer_ms) == (2, BOOT_ID, 7, 8000)


def test_start_for_another_power_up_is_answered_with_hello() -> None:
    card = make_card(ScriptedLines(2))
    (hello,) = talk(card, m.Start(b"anything", 0))
    assert isinstance(hello, m.Hello)
    assert not card.streaming


def test_every_setting_is_checked_against_its_range() -> None:
    card = make_card(ScriptedLines(2))
    for rule in RULES:
        for value in (rule.lowest, rule.highest, rule.default):
            (ack,) = talk(card, m.Set(ALL_PORTS, rule.setting, value))
            assert ack == m.SettingAck(ALL_PORTS, rule.setting, value)
        for value in (rule.lowest - 1, rule.highest + 1):
            (nak,) = talk(card, m.Set(ALL_PORTS, rule.setting, value))
            assert nak == m.SettingNak(ALL_PORTS, rule.setting, Refusal.OUT_OF_RANGE)
    assert talk(card, m.Set(0, 99, 1)) == [m.SettingNak(0, 99, Refusal.UNKNOWN_PARAMETER)]
    assert talk(card, m.Set(2, 1, 20_000)) == [m.SettingNak(2, 1, Refusal.NO_SUCH_PORT)]
    assert talk(card, m.Set(0, 7, 1)) == [m.SettingNak(0, 7, Refusal.ALL_PORTS_ONLY)]


def test_a_host_that_asks_without_reading_fills_no_memory() -> None:
    card = make_card(ScriptedLines(1))
    assert len(talk(card, *[m.Ping(number) for number in range(5000)])) <= 64


@pytest.mark.parametrize("ports", [0, 256])
def test_impossible_numbers_of_ports(ports: int) -> None:
    with pytest.raises(ConfigError, match="ports = "):
        EmulatedCard(ScriptedLines(1), ports, BOOT_ID, "x")


# The pseudo-terminal and the process in this process


def test_link_replaces_a_stale_link_but_no_file(tmp_path: Path) -> None:
    path = tmp_path / "card"
    path.symlink_to("/nonexistent")
    first = PtyLink(path)
    assert str(path.readlink()) == first.device
    second = PtyLink(path)
    first.close()
    assert str(path.readlink()) == second.device, "only the own link is taken away"
    second.close()
    second.close()
    assert not path.is_symlink()
    path.write_text("mine")
    with pytest.raises(ConfigError, match="exists and is no link"):
        PtyLink(path)
    assert path.read_text() == "mine"
    with pytest.raises(ConfigError, match="link = "):
        PtyLink(tmp_path / "missing" / "card")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Callable[[bool], tuple[Path, EmulatedCard, ScriptedLines]]]:
    stops = []

    def start(real_time: bool) -> tuple[Path, EmulatedCard, ScriptedLines]:
        lines = ScriptedLines(2)
        card = make_card(lines)
        link = PtyLink(tmp_path / "card")
        process = CardProcess(card, link, real_time)
        thread = threading.Thread(target=process.run)
        thread.start()
        stops.append((process, thread, link))
        return tmp_path / "card", card, lines

    yield start
    for process, thread, link in stops:
        process.stop()
        thread.join()
        link.close()


Start = Callable[[bool], tuple[Path, EmulatedCard, ScriptedLines]]


def test_at_full_speed_a_pausing_reader_loses_nothing(running: Start) -> None:
    path, card, lines = running(False)
    driver = SerialLineCard(str(path))
    driver.open()
    blocks, _ = collect(driver, 80_000)
    before = card.next_sample
    time.sleep(0.3)
    assert card.next_sample - before < 8 * 8000, "the card waits for its reader"
    blocks += collect(driver, 80_000)[0]
    driver.close()
    np.testing.assert_array_equal(joined(blocks), lines.heard(blocks[0].first_sample, joined(blocks).shape[1]))
    assert driver.counters.resend_requests == driver.counters.lost_samples == 0


def test_in_real_time_nothing_is_lost_and_nothing_comes_early(running: Start) -> None:
    path, _, lines = running(True)
    driver = SerialLineCard(str(path))
    began_s = time.monotonic()
    driver.open()
    blocks, _ = collect(driver, 8000)
    took_s = time.monotonic() - began_s
    driver.close()
    assert took_s > 0.9
    np.testing.assert_array_equal(joined(blocks), lines.heard(blocks[0].first_sample, joined(blocks).shape[1]))
    # a crystal of 200 ppm at most: labels are as far apart as the samples
    spread_ns = blocks[-1].monotonic_ns - blocks[0].monotonic_ns
    assert spread_ns <= (blocks[-1].first_sample - blocks[0].first_sample) * 125_000 * 1.001


def test_the_port_is_exclusive(running: Start) -> None:
    path, _, _ = running(False)
    first, second = SerialLineCard(str(path)), SerialLineCard(str(path))
    first.open()
    with pytest.raises(LineCardGone, match="lock"):
        second.open()
    first.close()
    second.open()
    second.close()


def test_a_host_that_vanished_without_stop_can_be_followed_by_another(running: Start) -> None:
    path, _, lines = running(False)
    vanishing = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os, sys\n"
            "from drivers.registry import open_card\n"
            "card = open_card('serial_card', sys.argv[1])\n"
            "card.open()\n"
            "while not hasattr(block := card.read(1.0), 'samples'): pass\n"
            "print(card.boot_id, block.first_sample + block.samples.shape[1], flush=True)\n"
            "os._exit(9)",
            str(path),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    boot_id, next_sample = vanishing.stdout.split()
    driver = SerialLineCard(str(path))
    driver.open(ResumePoint(boot_id, int(next_sample)))
    blocks, _ = collect(driver, 16_000)
    driver.close()
    assert blocks[0].first_sample == int(next_sample)
    np.testing.assert_array_equal(joined(blocks), lines.heard(int(next_sample), joined(blocks).shape[1]))


# tapdeck exchange


class Box:
    """``tapdeck exchange`` running."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.link = folder / "card"
        self.truth = folder / "truth"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "firmware", "exchange", "--link", self.link, "--truth", self.truth, *options]
        )
        while not self.link.is_symlink():
            assert self.process.poll() is None, "ended before it began"
            time.sleep(0.02)

    def truths(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.truth.read_text().splitlines()]


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Callable[..., Box]]:
    boxes: list[Box] = []

    def start(*options: str) -> Box:
        boxes.append(Box(tmp_path, *options))
        return boxes[-1]

    yield start
    for running_box in boxes:
        running_box.process.kill()
        running_box.process.wait()


def read_to_the_end(card: LineCard) -> tuple[list[PcmBlock], list[LineEvent]]:
    blocks: list[PcmBlock] = []
    events: list[LineEvent] = []
    try:
        while True:
            item = card.read(5.0)
            if isinstance(item, PcmBlock):
                blocks.append(item)
            elif item is not None:
                events.append(item)
    except LineCardGone:
        return blocks, events


def test_a_script_is_heard_exactly_and_the_process_ends(box: Callable[..., Box], tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps(SCRIPT))
    exchange = box("--speed", "max", "--script", str(script), "--exit-when-done")
    card = open_card("serial_card", str(exchange.link))
    card.open()
    assert card.identity.card_id == "serial-SIM-11"
    blocks, events = read_to_the_end(card)
    assert exchange.process.wait(10) == 0
    assert not exchange.link.is_symlink()

    heard = joined(blocks)
    reference = load_script(script.read_bytes()).exchange()
    frames = reference.render((blocks[-1].first_sample // SLICE_SAMPLES + 1) * SLICE_SAMPLES)
    expected = g711.decode_alaw(g711.encode_alaw(frames.audio))[:, blocks[0].first_sample :]
    np.testing.assert_array_equal(heard, expected)

    truths = exchange.truths()
    assert [truth["direction"] for truth in truths] == ["in", "out"]
    last_end = max(int(str(truth["end_sample"])) for truth in truths)
    assert blocks[-1].first_sample + SLICE_SAMPLES >= last_end + 15 * 8000
    got = [(event.kind, event.port, event.at_sample) for event in events]
    for truth in truths:
        for kind, key in ((EventKind.OFF_HOOK, "off_hook_sample"), (EventKind.ON_HOOK, "on_hook_sample")):
            assert any(k is kind and p == truth["line"] and abs(at - truth[key]) <= 8 for k, p, at in got), (
                truth,
                kind,
            )


def test_office_day_and_a_clean_stop(box: Callable[..., Box]) -> None:
    exchange = box("--speed", "max", "--lines", "4", "--seed", "5", "--office-day")
    card = open_card("serial_card", str(exchange.link))
    card.open()
    assert card.identity.serial == "SIM-5"
    assert card.capabilities.channels == 4
    last = 0
    while last < 60 * 8000:
        item = card.read(5.0)
        assert item is not None
        last = item.first_sample if isinstance(item, PcmBlock) else last
    card.close()
    exchange.process.send_signal(signal.SIGTERM)
    assert exchange.process.wait(10) == 0
    assert not exchange.link.is_symlink()
    assert exchange.truths()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--script", "SCRIPT", "--lines", "3"], "brings its own"),
        (["--exit-when-done"], "needs --script"),
        (["--script", "/nonexistent"], "does not exist"),
        (["--lines", "0"], "1<=x<=255"),
    ],
)
def test_contradicting_options_are_refused(options: list[str], told: str, tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps(SCRIPT))
    command = [str(script) if option == "SCRIPT" else option for option in options]
    done = subprocess.run(
        [sys.executable, "-m", "firmware", "exchange", "--link", str(tmp_path / "card"), *command],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert told in done.stderr
