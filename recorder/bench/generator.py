"""The other end of ``tapdeck bench``: a process that plays the pool into a PCM socket card, in real time.

It keeps real time whatever the recorder does: what cannot be sent within the card's buffer is lost and counted.
"""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections import deque
from pathlib import Path

import msgspec
import numpy as np

from drivers.api import EventKind, LineEvent, Pcm
from drivers.pcm_socket.wire import Greeting, pack_event, pack_greeting, pack_pcm_head
from recorder.bench.pool import render_pool

RATE_HZ = 8000
BLOCK_SAMPLES = 800
POOL_LINES = 32
BUFFER_BLOCKS = 40
"""4 s, as a line card holds."""


class Generated(msgspec.Struct, frozen=True):
    """What the generator reports when it is done."""

    samples: int
    lost_samples: int
    cpu_seconds: float
    late_ms: float


class FedLines:
    """Every channel plays a pool line with a start of its own, so that calls begin all the time."""

    def __init__(self, channels: int, seed: int) -> None:
        self._pool = pool = render_pool(min(POOL_LINES, channels), seed)
        self._loop = pool.pcm.shape[1]
        self._line = [channel % len(pool.events) for channel in range(channels)]
        step = self._loop // BLOCK_SAMPLES
        self._shift = [(channel * 37 % step) * BLOCK_SAMPLES for channel in range(channels)]

    def first_hook(self, channel: int) -> EventKind:
        """Whether the channel's pool line is off-hook where the channel begins."""
        before = [
            event.kind
            for event in self._pool.events[self._line[channel]]
            if event.kind in (EventKind.OFF_HOOK, EventKind.ON_HOOK) and event.at_sample < self._shift[channel]
        ]
        return before[-1] if before else EventKind.ON_HOOK

    def of_channel(self, channel: int, from_sample: int, to_sample: int) -> Pcm:
        """What a channel is fed, int16 (to_sample - from_sample,)."""
        at = np.arange(from_sample, to_sample) + self._shift[channel]
        fed: Pcm = self._pool.pcm[self._line[channel], at % self._loop]
        return fed

    def block(self, first_sample: int) -> tuple[list[LineEvent], Pcm]:
        """Events of the block, and int16 (channels, BLOCK_SAMPLES)."""
        pcm = np.empty((len(self._line), BLOCK_SAMPLES), np.int16)
        events: list[LineEvent] = []
        for channel, (line, shift) in enumerate(zip(self._line, self._shift, strict=True)):
            at = (first_sample + shift) % self._loop
            pcm[channel] = self._pool.pcm[line, at : at + BLOCK_SAMPLES]
            events.extend(
                LineEvent(event.kind, channel, first_sample + event.at_sample - at, event.value)
                for event in self._pool.events[line]
                if at <= event.at_sample < at + BLOCK_SAMPLES
            )
        return events, pcm


def generate(path: Path, channels: int, seconds: int, seed: int, report: Path) -> None:
    """Serve one recorder at the socket ``path`` for ``seconds``; the socket appears first, the report at the end."""
    lines = FedLines(channels, seed)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(1)
    link, _ = listener.accept()
    link.sendall(pack_greeting(Greeting(channels, RATE_HZ, os.urandom(16).hex())))
    for port in range(channels):
        link.sendall(pack_event(LineEvent(EventKind.LINE_PRESENT, port, 0)))
        link.sendall(pack_event(LineEvent(lines.first_hook(port), port, 0)))
    link.setblocking(False)
    cpu = time.process_time()
    done = _play(link, lines, seconds)
    link.close()
    result = Generated(done[0], done[1], time.process_time() - cpu, done[2])
    report.write_bytes(msgspec.json.encode(result))


def _play(link: socket.socket, lines: FedLines, seconds: int) -> tuple[int, int, float]:
    waiting: deque[memoryview] = deque()
    selector = selectors.DefaultSelector()
    selector.register(link, selectors.EVENT_WRITE)
    began, lost, latest_s = time.monotonic(), 0, 0.0
    total = seconds * RATE_HZ
    for first in range(0, total, BLOCK_SAMPLES):
        due = began + (first + BLOCK_SAMPLES) / RATE_HZ
        while (left := due - time.monotonic()) > 0:
            if waiting and selector.select(left):
                _send(link, waiting)
            elif not waiting:
                time.sleep(left)
        latest_s = max(latest_s, -left)
        if len(waiting) > 2 * BUFFER_BLOCKS:
            lost += BLOCK_SAMPLES
            continue
        events, pcm = lines.block(first)
        head = b"".join(map(pack_event, events)) + pack_pcm_head(first, pcm)
        waiting += [memoryview(head), pcm.data.cast("B")]
        _send(link, waiting)
    deadline = time.monotonic() + 10
    while waiting and time.monotonic() < deadline:
        selector.select(0.1)
        _send(link, waiting)
    return total, lost, latest_s * 1000


def _send(link: socket.socket, waiting: deque[memoryview]) -> None:
    try:
        while waiting:
            sent = link.send(waiting[0])
            if sent < len(waiting[0]):
                waiting[0] = waiting[0][sent:]
                return
            waiting.popleft()
    except BlockingIOError:
        return
