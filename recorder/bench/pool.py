"""A pool of telephone lines rendered beforehand: one minute each, with its calls, to be played in a loop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from drivers.api import EventKind, LineEvent, Pcm
from drivers.exchange.calls import IncomingCall, LineSettings, OutgoingCall
from drivers.exchange.lines import SAMPLE_RATE_HZ, Exchange
from drivers.exchange_card.meter import LineMeter
from drivers.g711 import decode_alaw, encode_alaw

LOOP_S = 60
_STEP_SAMPLES = 8000


@dataclass(frozen=True, slots=True)
class LinePool:
    """``pcm``: int16 (lines, LOOP_S at 8 kHz) after A-law coding; ``events`` of each line, by rising sample."""

    pcm: Pcm
    events: list[list[LineEvent]]


def render_pool(lines: int, seed: int) -> LinePool:
    """Lines with one call of about 45 s each, incoming (FSK or DTMF caller ID) and outgoing, with real speech."""
    settings = [LineSettings(caller_id="dtmf" if line % 4 == 1 else "fsk") for line in range(lines)]
    exchange = Exchange(lines, seed, settings)
    for line in range(lines):
        number = f"138{10_000_000 + 7919 * line:08d}"
        if line % 4 == 3:
            exchange.place(OutgoingCall(line, 1.0, number, answer_after_s=5.0, talk_s=42.0))
        else:
            exchange.place(IncomingCall(line, 1.0, number, answer_after_s=6.5, talk_s=42.0))
    meter = LineMeter(lines)
    pcm: list[Pcm] = []
    events: list[list[LineEvent]] = [[] for _ in range(lines)]
    for _ in range(LOOP_S * SAMPLE_RATE_HZ // _STEP_SAMPLES):
        frames = exchange.render(_STEP_SAMPLES)
        pcm.append(decode_alaw(encode_alaw(np.ascontiguousarray(frames.audio))))
        for change in meter.measure(frames):
            kind = EventKind[change.kind.name]
            events[change.port].append(LineEvent(kind, change.port, change.at_ms * SAMPLE_RATE_HZ // 1000))
    return LinePool(np.ascontiguousarray(np.hstack(pcm)), events)
