"""Sends all the streams: one thread writes to every socket, a few others look up what a client missed.

A stream holds no thread of its own. Waking one for every client and every event took most of the API's time, and
those that were woken together stood in each other's way.
"""

from __future__ import annotations

import logging
import os
import queue
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

from crm_client_api.push.audience import Client

HEARTBEAT_S = 15.0
BEAT = b": still here\n\n"
OPENERS = 4
"""So many streams may look into the stores for what they missed at the same time."""
_PIECE_BYTES = 64 * 1024
_PIECE_S = 0.03
"""So long an opener looks for one client before the others have their turn."""
_IN_A_ROW = 20
"""So many pieces one client gets before the others have their turn."""
_SWEEP_S = 0.25
_LAST_CHUNK = b"0\r\n\r\n"
_HANG_UP = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
_log = logging.getLogger(__name__)


class Source(Protocol):
    """What is sent: first ``missed`` to its end, then ``live``, which gives b"" when there is nothing more for now.

    A step that took its time and gave nothing to send is b"" in ``missed``, None in ``live``.

    ``close`` is called once, at the end.
    """

    client: Client

    def missed(self) -> Iterator[bytes]:
        """Pieces that may take a while to find."""

    def live(self) -> Iterator[bytes | None]:
        """Pieces that are there."""

    def close(self) -> None:
        """Nothing more is sent."""


class _Flow:
    """One connection. An opener or the sender has it, never both."""

    __slots__ = ("beat_s", "chunked", "link", "live", "missed", "opening", "source", "stuck", "stuck_s", "unsent")

    def __init__(self, source: Source, link: socket.socket, chunked: bool) -> None:
        self.source, self.link, self.chunked = source, link, chunked
        self.missed: Iterator[bytes] | None = source.missed()
        self.live = source.live()
        self.opening = True
        """An opener has it."""
        self.unsent = b""
        self.stuck = False
        """The client takes no more bytes for now, since ``stuck_s``."""
        self.stuck_s = 0.0
        self.beat_s = time.monotonic() + HEARTBEAT_S


class Sender:
    """Thread: ``begin`` and ``stop`` any; its own send.

    A client that takes no bytes for ``send_timeout_s`` is cut off.
    """

    def __init__(self, send_timeout_s: float) -> None:
        self._send_timeout_s = send_timeout_s
        self._epoll = select.epoll()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._bell, select.EPOLLIN)
        self._urgent: deque[_Flow] = deque()
        self._ready: deque[_Flow] = deque()
        self._asleep = False
        self._stopping = False
        self._lock = threading.Lock()
        self._flows: dict[int, _Flow] = {}
        self._to_open: queue.SimpleQueue[_Flow | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self._openers = [
            threading.Thread(target=self._open, name=f"opener {number}", daemon=True) for number in range(OPENERS)
        ]

    def start(self) -> None:
        """Begin to send."""
        for thread in (self._thread, *self._openers):
            thread.start()

    def stop(self) -> None:
        """End all streams. Idempotent."""
        with self._lock:
            self._stopping = True
        self._ring()
        for _ in self._openers:
            self._to_open.put(None)
        for thread in (self._thread, *self._openers):
            if thread.is_alive():
                thread.join()
        for flow in list(self._flows.values()):
            self._end(flow)
        if self._bell >= 0:
            os.close(self._bell)
            self._bell = -1
            self._epoll.close()

    @property
    def alive(self) -> bool:
        """Whether streams are sent."""
        return self._thread.is_alive()

    def begin(self, source: Source, link: socket.socket, *, chunked: bool) -> None:
        """Take a connection over, behind the head of its answer; both are closed at the end, also when this raises.

        ``chunked``: in the transfer coding of HTTP/1.1. Raises OSError.
        """
        link.setblocking(False)
        flow = _Flow(source, link, chunked)
        with self._lock:
            if self._stopping:
                source.close()
                link.close()
                return
            self._flows[link.fileno()] = flow
        source.client.on_news = lambda urgent: self._call(flow, urgent)
        try:
            if link.family in (socket.AF_INET, socket.AF_INET6):  # or who vanished keeps the place for a quarter hour
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self._send_timeout_s * 1000))
            self._epoll.register(link.fileno(), select.EPOLLRDHUP)
        except (OSError, ValueError):  # too many, or stopped meanwhile
            self._end(flow)
            raise
        self._to_open.put(flow)

    def _call(self, flow: _Flow, urgent: bool) -> None:
        """There is something to do for this client; ``urgent``: before the others."""
        (self._urgent if urgent else self._ready).append(flow)
        if self._asleep:
            self._asleep = False
            self._ring()

    def _ring(self) -> None:
        if self._bell >= 0:
            os.eventfd_write(self._bell, 1)

    def _open(self) -> None:
        while (flow := self._to_open.get()) is not None:
            pieces: list[bytes] = []
            size = 0
            try:
                assert flow.missed is not None
                until_s = time.monotonic() + _PIECE_S
                for piece in flow.missed:
                    pieces.append(piece)
                    size += len(piece)
                    if size >= _PIECE_BYTES or time.monotonic() >= until_s:
                        break
                else:
                    flow.missed = None
            except Exception:
                _log.exception("cannot look up what a client missed")
                flow.source.client.close()
            if size:
                flow.unsent = _coded(flow, b"".join(pieces))
            flow.opening = False
            self._call(flow, urgent=False)

    def _run(self) -> None:
        sweep_s = time.monotonic()
        while not self._stopping:
            self._asleep = True
            wait_s = 0.0 if self._urgent or self._ready else _SWEEP_S
            for fd, what in self._epoll.poll(wait_s):
                self._on_socket(fd, what)
            self._asleep = False
            self._serve_urgent()
            for _ in range(len(self._ready)):
                self._serve(self._ready.popleft())
                self._serve_urgent()
            if time.monotonic() - sweep_s >= _SWEEP_S:
                sweep_s = time.monotonic()
                self._sweep(sweep_s)

    def _serve_urgent(self) -> None:
        """Calls go before levels, and before what people do."""
        while self._urgent:
            self._serve(self._urgent.popleft())

    def _on_socket(self, fd: int, what: int) -> None:
        if fd == self._bell:
            with suppress(BlockingIOError):
                os.eventfd_read(fd)
            return
        flow = self._flows.get(fd)
        if flow is None:
            return
        if what & _HANG_UP:
            with suppress(OSError):
                self._epoll.unregister(fd)
            flow.source.client.close()  # whoever has the flow sees it
        self._ready.append(flow)

    def _sweep(self, now_s: float) -> None:
        for flow in list(self._flows.values()):
            if flow.opening or flow.source.client.closed:
                continue
            if flow.stuck:
                if now_s - flow.stuck_s > self._send_timeout_s:
                    self._end(flow)
            elif now_s >= flow.beat_s and flow.missed is None and not flow.unsent:
                flow.beat_s = now_s + HEARTBEAT_S
                self._write(flow, _coded(flow, BEAT))

    def _serve(self, flow: _Flow) -> None:
        """Send what there is for one client; what fails ends its stream only."""
        try:
            self._send_to(flow)
        except Exception:
            _log.exception("cannot send to a client")
            self._end(flow)

    def _send_to(self, flow: _Flow) -> None:
        if flow.opening or flow.link.fileno() < 0:
            return
        if flow.source.client.closed:
            self._end(flow)
            return
        if flow.unsent and not self._write(flow, flow.unsent):
            return
        if flow.missed is not None:
            flow.opening = True
            self._to_open.put(flow)
            return
        for _ in range(_IN_A_ROW):
            try:
                piece = next(flow.live)
            except StopIteration:
                self._end(flow)
                return
            if piece is None:
                continue
            if not piece or not self._write(flow, _coded(flow, piece)):
                return
        self._ready.append(flow)

    def _write(self, flow: _Flow, content: bytes) -> bool:
        """Whether all of it was sent; the rest waits until the client takes it."""
        try:
            sent = flow.link.send(content)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._end(flow)
            return False
        flow.unsent = content[sent:]
        stuck = bool(flow.unsent)
        if stuck and (sent or not flow.stuck):
            flow.stuck_s = time.monotonic()
        if stuck != flow.stuck:
            flow.stuck = stuck
            try:
                self._epoll.modify(flow.link.fileno(), select.EPOLLRDHUP | (select.EPOLLOUT if stuck else 0))
            except OSError:
                self._end(flow)
                return False
        return not stuck

    def _end(self, flow: _Flow) -> None:
        fd = flow.link.fileno()
        if fd < 0:
            return
        self._flows.pop(fd, None)
        with suppress(OSError, ValueError):
            self._epoll.unregister(fd)
        if flow.chunked and not flow.unsent:
            with suppress(OSError):
                flow.link.send(_LAST_CHUNK)
        with suppress(OSError):
            flow.link.shutdown(socket.SHUT_RDWR)
        flow.link.close()
        try:
            flow.source.close()
        except Exception:
            _log.exception("cannot close a stream")


def _coded(flow: _Flow, content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content) if flow.chunked else content
