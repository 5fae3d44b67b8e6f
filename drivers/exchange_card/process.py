"""Runs an emulated card on a pseudo-terminal: one thread, never blocked by the host."""

from __future__ import annotations

import select
import time

from drivers.exchange_card.card import SAMPLE_RATE_HZ, EmulatedCard
from drivers.exchange_card.pty import PtyLink
from firmware.notify import notify

_BATCH_BYTES = 16_384  # about what a pseudo-terminal takes
_MOST_SLICES = 50  # made between two looks at the host
_WAIT_S = 0.2  # longest wait, so that stop() is noticed
_SETTLE_S = 0.05
_NOTIFY_EVERY_S = 1.0


class CardProcess:
    """Moves bytes between ``card`` and ``link`` until stopped.

    ``real_time``: slices are made as the monotonic clock says; a host that does not read loses the oldest.
    Otherwise a slice is made only when the host has taken all before it: as fast as it reads, without loss.
    ``last_sample``: ends when the host has read up to there (only without ``real_time``). Thread: one;
    ``stop`` may come from a signal handler.
    """

    def __init__(self, card: EmulatedCard, link: PtyLink, real_time: bool, last_sample: int | None = None) -> None:
        self._card = card
        self._link = link
        self._real_time = real_time
        self._last_sample = last_sample
        self._out = memoryview(b"")
        self._stopped = False
        self._poll = select.poll()

    def stop(self) -> None:
        """End ``run`` within 0.2 s."""
        self._stopped = True

    def run(self) -> None:
        """Serve the host until ``stop``, or until ``last_sample`` was read."""
        start_s = time.monotonic() - self._card.next_sample / SAMPLE_RATE_HZ
        notify("READY=1")
        notified_s = time.monotonic()
        while not self._stopped:
            if time.monotonic() - notified_s >= _NOTIFY_EVERY_S:
                notify("WATCHDOG=1")
                notified_s = time.monotonic()
            wait_s = self._advance_to(time.monotonic() - start_s) if self._real_time else _WAIT_S
            self._fill()
            if not self._out and self._all_read():
                return
            self._exchange_bytes(wait_s)

    def _advance_to(self, now_s: float) -> float:
        """Make the slices that are due; return seconds until the next."""
        for _ in range(_MOST_SLICES):
            wait_s = self._card.next_sample / SAMPLE_RATE_HZ - now_s
            if wait_s > 0:
                return min(wait_s, _WAIT_S)
            self._card.advance()
        return 0.0

    def _fill(self) -> None:
        if self._out:
            return
        frames, size = [], 0
        while size < _BATCH_BYTES:
            frame = self._card.next_frame()
            if frame is None:
                if self._real_time or not self._card.streaming or self._is_done():
                    break
                self._card.advance()
                continue
            frames.append(frame)
            size += len(frame)
        self._out = memoryview(b"".join(frames))

    def _exchange_bytes(self, wait_s: float) -> None:
        events = select.POLLIN | (select.POLLOUT if self._out else 0)
        self._poll.register(self._link.fileno(), events)
        for _, happened in self._poll.poll(wait_s * 1000):
            if happened & select.POLLIN:
                self._card.receive(self._link.read())
            if happened & select.POLLOUT:
                self._out = self._out[self._link.write(self._out) :]

    def _is_done(self) -> bool:
        return self._last_sample is not None and self._card.sent_sample >= self._last_sample

    def _all_read(self) -> bool:
        """Whether the host has taken everything: looked at twice, as the kernel moves bytes behind our back."""
        if self._real_time or not self._is_done() or self._link.unread_bytes():
            return False
        time.sleep(_SETTLE_S)
        self._card.receive(self._link.read())
        return self._is_done() and not self._link.unread_bytes()
