"""The serial line card under the contract, over a line in memory and over a pseudo-terminal."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from contract import LineCardContract
from serial_helpers import ScriptedLines, make_card, make_driver, make_line

from drivers.exchange_card.process import CardProcess
from drivers.exchange_card.pty import PtyLink
from drivers.serial_card.driver import HostClock, SerialLineCard

HURRY = 2  # the driver's time-outs pass so much faster


class NullHarness:
    def __init__(self) -> None:
        self.line, self.lines = make_line(ports=3, chunk_bytes=700)

    def driver(self) -> SerialLineCard:
        return make_driver(self.line)

    def heard(self, first_sample: int, samples: int) -> npt.NDArray[np.int16]:
        return self.lines.heard(first_sample, samples)

    def disturb(self, data: bytes) -> None:
        self.line.inject(data)

    def pause(self, seconds: float) -> None:
        self.line.advance(int(seconds * 50))

    def step_wall_clock(self, seconds: float) -> None:
        self.line.clock.wall_offset_ns += int(seconds * 1e9)

    def unplug_mid_block(self) -> None:
        self.line.unplug_after_bytes = self.line.delivered_bytes + 2200

    def fall_silent(self) -> None:
        self.line.mute = True


class TestSerialLineCardOnNullLine(LineCardContract):
    @pytest.fixture
    def harness(self) -> NullHarness:
        return NullHarness()


class NoisyLink(PtyLink):
    """Sends ``noise`` before anything else, wherever the card just is."""

    noise = b""

    def write(self, data: memoryview) -> int:
        if not self.noise:
            return super().write(data)
        self.noise = self.noise[super().write(memoryview(self.noise)) :]
        return 0


class PtyHarness:
    """The card on a thread behind a real pseudo-terminal, without loss by speed."""

    def __init__(self, path: Path) -> None:
        self.lines = ScriptedLines(3)
        self.card = make_card(self.lines)
        self.link = NoisyLink(path)
        self.path = path
        self.wall_offset_ns = 0
        self._run()

    def _run(self) -> None:
        self.process = CardProcess(self.card, self.link, real_time=False)
        self.thread = threading.Thread(target=self.process.run)
        self.thread.start()

    def halt(self) -> None:
        self.process.stop()
        self.thread.join()

    def driver(self) -> SerialLineCard:
        clock = HostClock(lambda: time.monotonic_ns() * HURRY, lambda: time.time_ns() + self.wall_offset_ns)
        return SerialLineCard(str(self.path), clock=clock)

    def heard(self, first_sample: int, samples: int) -> npt.NDArray[np.int16]:
        return self.lines.heard(first_sample, samples)

    def disturb(self, data: bytes) -> None:
        self.link.noise += data

    def pause(self, seconds: float) -> None:
        self.halt()
        for _ in range(int(seconds * 50)):
            self.card.advance()
        self._run()

    def step_wall_clock(self, seconds: float) -> None:
        self.wall_offset_ns += int(seconds * 1e9)

    def unplug_mid_block(self) -> None:
        self.halt()
        self.link.close()

    def fall_silent(self) -> None:
        self.halt()

    def close(self) -> None:
        self.halt()
        self.link.close()


class TestSerialLineCardOnPty(LineCardContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> Iterator[PtyHarness]:
        harness = PtyHarness(tmp_path / "card")
        yield harness
        harness.close()
