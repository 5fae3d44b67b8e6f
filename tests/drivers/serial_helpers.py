"""Lines with a known day, and a line between card and driver on which bytes can be spoilt."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from drivers import g711
from drivers.api import LineCard, LineEvent, PcmBlock, ResumePoint
from drivers.exchange_card.card import SLICE_SAMPLES, EmulatedCard
from drivers.serial_card.driver import HostClock, SerialLineCard
from firmware.errors import LineCardGone

BOOT_ID = bytes(range(1, 9))
SLICE_NS = 20_000_000
IDLE_V = 48.0


@dataclass(frozen=True)
class Stretch:
    """From ``from_ms`` until ``to_ms`` a port has these voltages instead of an idle line's."""

    port: int
    from_ms: int
    to_ms: int
    loop_v: float = IDLE_V
    ring_vrms: float = 0.0


@dataclass(frozen=True)
class Rendered:
    audio: npt.NDArray[np.int16]
    loop_v: npt.NDArray[np.float32]
    ring_vrms: npt.NDArray[np.float32]


class ScriptedLines:
    """Seeded noise on every line, the same for the same position, and scripted voltages."""

    def __init__(self, ports: int, stretches: Sequence[Stretch] = (), seed: int = 1) -> None:
        self.ports = ports
        self.stretches = stretches
        self.seed = seed
        self.position = 0

    def render(self, samples: int) -> Rendered:
        first, self.position = self.position, self.position + samples
        ms = np.arange(first // 8, self.position // 8)
        loop_v = np.full((self.ports, len(ms)), IDLE_V, np.float32)
        ring_vrms = np.zeros_like(loop_v)
        for s in self.stretches:
            inside = (ms >= s.from_ms) & (ms < s.to_ms)
            loop_v[s.port, inside] = s.loop_v
            ring_vrms[s.port, inside] = s.ring_vrms
        return Rendered(self.audio(first, samples), loop_v, ring_vrms)

    def audio(self, first_sample: int, samples: int) -> npt.NDArray[np.int16]:
        """What ``render`` gives from ``first_sample`` on, both multiples of a slice."""
        slices = range(first_sample // SLICE_SAMPLES, (first_sample + samples) // SLICE_SAMPLES)
        return np.concatenate(
            [
                np.random.default_rng([self.seed, number]).integers(
                    -32768, 32767, (self.ports, SLICE_SAMPLES), np.int16, endpoint=True
                )
                for number in slices
            ],
            axis=1,
        )

    def heard(self, first_sample: int, samples: int) -> npt.NDArray[np.int16]:
        """The same after A-law."""
        return g711.decode_alaw(g711.encode_alaw(self.audio(first_sample, samples)))


class FakeClock:
    """Time that passes only when the line says so."""

    def __init__(self) -> None:
        self.now_ns = 5_000_000_000
        self.wall_offset_ns = 1_700_000_000_000_000_000

    def host_clock(self) -> HostClock:
        return HostClock(lambda: self.now_ns, lambda: self.now_ns + self.wall_offset_ns)


Manipulator = Callable[[bytes], bytes]


@dataclass
class NullLine:
    """A transport whose other end is a card in the same process; each slice made lets 20 ms pass.

    ``to_host`` and ``to_card`` see every frame on its way and return what arrives of it.
    """

    card: EmulatedCard
    clock: FakeClock
    to_host: Manipulator = bytes
    to_card: Manipulator = bytes
    chunk_bytes: int = 1 << 20
    unplug_after_bytes: int | None = None
    mute: bool = False
    delivered_bytes: int = 0
    _pending: bytearray = field(default_factory=bytearray)

    def read(self, timeout_s: float) -> bytes:
        if self.unplug_after_bytes is not None and self.delivered_bytes >= self.unplug_after_bytes:
            raise LineCardGone("unplugged")
        if not self._pending:
            self._load()
        if not self._pending:
            self.clock.now_ns += max(int(timeout_s * 1e9), 1_000_000)
            return b""
        size = self.chunk_bytes
        if self.unplug_after_bytes is not None:
            size = min(size, self.unplug_after_bytes - self.delivered_bytes)
        data = bytes(self._pending[:size])
        del self._pending[:size]
        self.delivered_bytes += len(data)
        return data

    def inject(self, data: bytes) -> None:
        """Bytes from nowhere, towards the host."""
        self._pending += data

    def write(self, data: bytes) -> None:
        self.card.receive(self.to_card(data))

    def close(self) -> None:
        self._pending.clear()

    def _load(self) -> None:
        if self.mute:
            return
        while (frame := self.card.next_frame()) is not None:
            self._pending += self.to_host(frame)
        if self.card.streaming:
            self.advance(1)

    def advance(self, slices: int) -> None:
        """Let the card go on while nobody reads."""
        for _ in range(slices):
            self.card.advance()
            self.clock.now_ns += SLICE_NS


def make_card(lines: ScriptedLines) -> EmulatedCard:
    return EmulatedCard(lines, lines.ports, BOOT_ID, "T-1")


def make_line(ports: int = 2, stretches: Sequence[Stretch] = (), **line: object) -> tuple[NullLine, ScriptedLines]:
    lines = ScriptedLines(ports, stretches)
    return NullLine(make_card(lines), FakeClock(), **line), lines  # type: ignore[arg-type]


def make_driver(line: NullLine, **settings: object) -> SerialLineCard:
    return SerialLineCard("null", settings, connect=lambda: line, clock=line.clock.host_clock())


def collect(card: SerialLineCard, samples: int) -> tuple[list[PcmBlock], list[LineEvent]]:
    """Read until ``samples`` of PCM have come (lost ones count)."""
    blocks: list[PcmBlock] = []
    events: list[LineEvent] = []
    have = 0
    while have < samples:
        item = card.read(2.0)
        assert item is not None, "the stream stopped"
        if isinstance(item, PcmBlock):
            blocks.append(item)
            have += item.samples.shape[1] + item.missing
        else:
            events.append(item)
    return blocks, events


def read_on(card: LineCard) -> NoReturn:
    """Read until the card's error ends it."""
    while True:
        card.read(0.5)


def joined(blocks: list[PcmBlock]) -> npt.NDArray[np.int16]:
    """One array, after checking that the blocks join without a gap."""
    for before, after in pairwise(blocks):
        assert after.missing == 0
        assert after.first_sample == before.first_sample + before.samples.shape[1]
    return np.concatenate([block.samples for block in blocks], axis=1)


def resume_after(card: SerialLineCard, block: PcmBlock) -> ResumePoint:
    return ResumePoint(card.boot_id, block.first_sample + block.samples.shape[1])


def spoiler(seed: int, share: float) -> Manipulator:
    """Spoils that share of all frames: flipped bits, lost bytes, added bytes, lost frames."""
    rng = random.Random(seed)

    def spoil(frame: bytes) -> bytes:
        return mutate(frame, rng) if rng.random() < share else frame

    return spoil


def mutate(frame: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(frame))
    kind = rng.randrange(5)
    if kind == 0:
        return frame[:at] + bytes([frame[at] ^ (1 << rng.randrange(8))]) + frame[at + 1 :]
    if kind == 1:
        return frame[:at] + frame[at + rng.randint(1, 9) :]
    if kind == 2:
        return frame[:at] + rng.randbytes(rng.randint(1, 40)) + frame[at:]
    if kind == 3:
        return b""
    return frame[:at] + frame[: rng.randrange(len(frame))]
