"""A tape as a recorder would have written it, rendered by the simulated exchange; and a store with its channels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from drivers.api import Capabilities, CardIdentity, EventKind, LineCard, LineEvent, Pcm, PcmBlock, ResumePoint
from drivers.api import LinkCounters as Counters
from drivers.exchange.script import Script
from drivers.exchange_card.meter import LineMeter
from drivers.g711 import decode_alaw, encode_alaw
from firmware.config import Home
from firmware.store.connection import open_store
from recorder.journal import Journal
from recorder.tape.format import geometry_for
from recorder.tape.reader import TapeReader
from recorder.tape.writer import TapeWriter

RATE_HZ = 8000
BLOCK = 800
BOOT = "00112233445566778899aabbccddee00"
WALL_NS = 1_800_000_000_000_000_000
CARD_ID = "test-1"


class QuietCard:
    """A card that only says what it is."""

    def __init__(self, ports: int) -> None:
        self.identity = CardIdentity("test", "1", "Test card")
        self.capabilities = Capabilities(ports, RATE_HZ)
        self.boot_id = BOOT
        self.counters = Counters()

    def open(self, resume: ResumePoint | None = None) -> None:
        """Nothing to open."""

    def read(self, timeout_s: float) -> PcmBlock | LineEvent | None:
        """Nothing to say."""

    def close(self) -> None:
        """Nothing to close."""


def registered(home: Home, ports: int) -> list[int]:
    """Make the card known; its channel numbers."""
    card: LineCard = QuietCard(ports)
    journal = Journal(home, CARD_ID)
    channels = journal.register(card, "test", "here", False)
    journal.close()
    return channels


def put(tape: TapeWriter, samples: Pcm, first: int) -> None:
    wall_ns = WALL_NS + first * 1_000_000_000 // RATE_HZ
    tape.append(PcmBlock(np.ascontiguousarray(samples), first, first * 125_000, wall_ns), wall_ns)
    tape.spool.write_out()


def noise(tracks: int, samples: int, seed: int = 1) -> Pcm:
    return np.random.default_rng(seed).integers(-3000, 3000, (tracks, samples), np.int16)


def noise_tape(path: Path, tracks: int, samples: int, minutes: float = 0.5) -> Pcm:
    """A tape of noise; returns what is on it."""
    sent = noise(tracks, samples)
    tape = TapeWriter(path, geometry_for(tracks, RATE_HZ, minutes), CARD_ID)
    tape.join(BOOT, 0, 0)
    put(tape, sent, 0)
    tape.close()
    return sent


def scripted_tape(path: Path, script: Script, seconds: float) -> TapeReader:
    """Play a script as a line card would: audio in A-law, events up to 200 ms late."""
    exchange = script.exchange()
    meter = LineMeter(script.lines)
    tape = TapeWriter(path, geometry_for(script.lines, RATE_HZ, seconds / 60 + 1), CARD_ID)
    tape.join(BOOT, 0, 0)
    for port in range(script.lines):
        tape.note(LineEvent(EventKind.LINE_PRESENT, port, 0))
        tape.note(LineEvent(EventKind.ON_HOOK, port, 0))
    for first in range(0, int(seconds * RATE_HZ), BLOCK):
        frames = exchange.render(BLOCK)
        put(tape, decode_alaw(encode_alaw(np.ascontiguousarray(frames.audio))), first)
        for change in meter.measure(frames):
            tape.note(LineEvent(EventKind[change.kind.name], change.port, change.at_ms * RATE_HZ // 1000))
    tape.close()
    return TapeReader(path)


def rows(home: Home, query: str, *values: object) -> list[dict[str, Any]]:
    """Rows of calls.db."""
    db = open_store(home.calls_db, readonly=True)
    try:
        return [dict(row) for row in db.query(query, values)]
    finally:
        db.conn.close()
