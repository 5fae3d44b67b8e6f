"""Driver of the PCM socket card: feeds a recorder from another process, as the benchmarks do."""

from __future__ import annotations

import contextlib
import select
import socket
import time

from drivers.api import Capabilities, CardIdentity, LineEvent, LinkCounters, PcmBlock, ResumePoint
from drivers.pcm_socket.wire import (
    FRAME,
    GREETING,
    KIND_EVENT,
    KIND_PCM,
    MOST_BODY_BYTES,
    MOST_SAMPLE,
    unpack_event,
    unpack_greeting,
    unpack_pcm,
)
from firmware.errors import LineCardError, LineCardGone, LineCardProtocolError

GREETING_TIMEOUT_S = FRAME_TIMEOUT_S = 5.0
LONGEST_JUMP_S = 86_400
"""A card that claims to have lost more than a day is not believed."""


class PcmSocketCard:
    """A card at the Unix socket ``address``. It keeps nothing: what was sent while nobody read is gone.

    Thread: one. Raises LineCardGone, LineCardProtocolError.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._socket: socket.socket | None = None
        self.identity = CardIdentity("pcm_socket", address.rsplit("/", 1)[-1], "PCM socket")
        self.capabilities = Capabilities(channels=0)
        self.boot_id = ""
        self.counters = LinkCounters()
        self._next: int | None = None
        self._resuming = False

    def open(self, resume: ResumePoint | None = None) -> None:
        """Connect and read the greeting."""
        self.close()
        self.counters = LinkCounters()
        self._socket = link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        link.settimeout(GREETING_TIMEOUT_S)
        try:
            link.connect(self._address)
            greeting = unpack_greeting(self._exactly(GREETING.size))
        except OSError as error:
            self.close()
            raise LineCardGone(f"{self._address}: {error}") from error
        except LineCardError:
            self.close()
            raise
        self.boot_id = greeting.boot_id
        self.capabilities = Capabilities(greeting.ports, greeting.sample_rate_hz, two_way=greeting.two_way)
        self._next = resume.next_sample if resume and resume.boot_id == greeting.boot_id else None
        self._resuming = self._next is not None

    def read(self, timeout_s: float) -> PcmBlock | LineEvent | None:
        """Next block or event, None after ``timeout_s``."""
        link = self._open_socket()
        try:
            if not select.select([link], [], [], timeout_s)[0]:
                return None
            link.settimeout(FRAME_TIMEOUT_S)
            kind, length, at_sample = FRAME.unpack(self._exactly(FRAME.size))
            if length > MOST_BODY_BYTES or at_sample > MOST_SAMPLE:
                raise LineCardProtocolError(f"{self._address}: a frame of {length} bytes at sample {at_sample}")
            body = self._exactly(length)
        except OSError as error:  # in the middle of a frame silence means the same
            raise LineCardGone(f"{self._address}: {error}") from error
        self.counters.frames += 1
        if kind == KIND_EVENT:
            return unpack_event(body, at_sample, self.capabilities.channels)
        if kind != KIND_PCM:
            raise LineCardProtocolError(f"a frame of unknown kind {kind}")
        samples = unpack_pcm(body, self.capabilities.tracks)
        missing = at_sample - self._next if self._next is not None else 0
        if self._resuming:  # it may send again what is known already
            missing, self._resuming = max(0, missing), False
        if not 0 <= missing <= LONGEST_JUMP_S * self.capabilities.sample_rate_hz:
            raise LineCardProtocolError(f"{self._address}: from sample {self._next} to {at_sample}")
        self.counters.lost_samples += missing
        self._next = at_sample + int(samples.shape[1])
        lasted_ns = samples.shape[1] * 1_000_000_000 // self.capabilities.sample_rate_hz
        return PcmBlock(samples, at_sample, time.monotonic_ns() - lasted_ns, time.time_ns() - lasted_ns, missing)

    def close(self) -> None:
        """Idempotent, never raises."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None

    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise LineCardGone(f"{self._address}: not open")
        return self._socket

    def _exactly(self, size: int) -> bytes:
        link = self._open_socket()
        buffer = bytearray(size)
        view, got = memoryview(buffer), 0
        while got < size:
            n = link.recv_into(view[got:])
            if n == 0:
                raise LineCardGone(f"{self._address}: closed")
            got += n
        return bytes(buffer)


def open_card(address: str) -> PcmSocketCard:
    """The registry's factory."""
    return PcmSocketCard(address)
