"""A line card of many ports over a PCM socket, played in real time by the test itself; it holds back what is not read.

What a port hears is known to the sample: noise of its own, over and over.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from drivers.api import EventKind, LineEvent, Pcm
from drivers.pcm_socket.wire import Greeting, pack_event, pack_greeting, pack_pcm_head

RATE_HZ = 8000
SLICE_SAMPLES = 400
LOOP_SAMPLES = 40_009
"""No multiple of anything on the tape: audio in the wrong place is other audio."""
BUFFER_S = 4
"""As a line card holds."""


class BenchCard:
    """Serves one recorder after another at ``address``, each in a power-up of its own.

    On the first ``busy`` ports a call begins every ``period_s`` (one port after the other) and lasts ``talk_s``.
    """

    def __init__(self, address: Path, ports: int, busy: int, talk_s: float = 3.0, period_s: float = 6.0) -> None:
        self.address, self.ports = address, ports
        self._busy, self._talk_s, self._period_s = busy, talk_s, period_s
        self._noise = np.random.default_rng(7).integers(-2000, 2000, (ports, LOOP_SAMPLES), np.int16)
        self.heard = 0
        """Samples that the present power-up heard."""
        self.lost = 0
        """Slices that nobody read in time."""
        self.quiet = threading.Event()
        """Set: no call begins any more."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.address))
        self._listener.listen(4)
        self._listener.settimeout(0.1)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        self._listener.close()

    def sound(self, port: int, first: int, samples: int) -> Pcm:
        """What a port heard there, int16 (samples,)."""
        return np.take(self._noise[port], np.arange(first, first + samples) % LOOP_SAMPLES)

    def sound_of_all(self, first: int, samples: int) -> Pcm:
        """What all ports heard there, int16 (ports, samples)."""
        at = np.arange(first, first + samples) % LOOP_SAMPLES
        return np.ascontiguousarray(np.take(self._noise, at, axis=1))

    def _events(self, first: int) -> list[LineEvent]:
        events = []
        for port in range(self._busy):
            begin = 1.0 + port * self._period_s / self._busy
            for kind, offset_s in ((EventKind.OFF_HOOK, begin), (EventKind.ON_HOOK, begin + self._talk_s)):
                if kind is EventKind.OFF_HOOK and self.quiet.is_set():
                    continue
                since = first - int(offset_s * RATE_HZ)
                period = int(self._period_s * RATE_HZ)
                if since > -SLICE_SAMPLES and -since % period < SLICE_SAMPLES:
                    events.append(LineEvent(kind, port, first + -since % period))
        return events

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                link, _ = self._listener.accept()
            except TimeoutError:
                continue
            with link:
                self._play(link)

    def _play(self, link: socket.socket) -> None:
        link.sendall(pack_greeting(Greeting(self.ports, RATE_HZ, os.urandom(16).hex())))
        for port in range(self.ports):
            link.sendall(pack_event(LineEvent(EventKind.LINE_PRESENT, port, 0)))
            link.sendall(pack_event(LineEvent(EventKind.ON_HOOK, port, 0)))
        link.setblocking(False)
        selector = selectors.DefaultSelector()
        selector.register(link, selectors.EVENT_WRITE)
        waiting: deque[memoryview] = deque()
        began, self.heard = time.monotonic(), 0
        try:
            while not self._stop.is_set():
                left_s = began + (self.heard + SLICE_SAMPLES) / RATE_HZ - time.monotonic()
                if left_s > 0:
                    if waiting and selector.select(left_s):
                        _send(link, waiting)
                    elif not waiting:
                        time.sleep(left_s)
                    continue
                if len(waiting) > 2 * BUFFER_S * RATE_HZ // SLICE_SAMPLES:
                    self.lost += 1
                else:
                    pcm = self.sound_of_all(self.heard, SLICE_SAMPLES)
                    head = b"".join(map(pack_event, self._events(self.heard))) + pack_pcm_head(self.heard, pcm)
                    waiting += [memoryview(head), pcm.data.cast("B")]
                self.heard += SLICE_SAMPLES
                _send(link, waiting)
        except OSError:
            return
        finally:
            selector.close()


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
