"""Many clients of the event stream in one process of their own: real HTTP, one connection each, resumed when it breaks.

``python -m crm_client_api.bench.push_clients PORT FILE`` reads the session tokens, one a line, from its standard input,
prints ``ready`` when all streams are open, and writes what it saw to FILE at SIGTERM.
"""

from __future__ import annotations

import re
import selectors
import signal
import socket
import sys
import time
from pathlib import Path
from types import FrameType

import msgspec

_RETRY_S = 0.1
_CALL = re.compile(rb'data: \{"(?:call":\{")?id":"([0-9a-f-]+)"')
_STATE = re.compile(rb'"state":"([a-z]+)"')
_CALLER = re.compile(rb'"caller_number":("?)')


class Seen(msgspec.Struct):
    """What the clients got. ``popups``: client, call, CLOCK_MONOTONIC ns of arrival. ``accepted_ns``: when the last
    stream was opened."""

    popups: list[tuple[int, str, int]] = []
    calls: list[tuple[int, str, str]] = []
    boards: int = 0
    resets: int = 0
    reconnects: int = 0
    bytes: int = 0
    accepted_ns: int = 0


class _Client:
    def __init__(self, index: int, token: str) -> None:
        self.index, self.token = index, token
        self.last_id, self.buffer = "", b""
        self.open: socket.socket | None = None
        self.retry_s = 0.0
        self.accepted = False

    def connect(self, port: int) -> socket.socket:
        # HTTP/1.0: the stream comes as it is, without chunks.
        resume = f"Last-Event-ID: {self.last_id}\r\n" if self.last_id else ""
        who = f"Host: 127.0.0.1\r\nCookie: tapdeck_session={self.token}\r\n{resume}"
        link = socket.create_connection(("127.0.0.1", port), timeout=20)
        link.sendall(f"GET /api/v1/events HTTP/1.0\r\n{who}\r\n".encode())
        link.setblocking(False)
        self.buffer, self.accepted, self.open = b"", False, link
        return link

    def feed(self, data: bytes, at_ns: int, seen: Seen) -> bool:
        """Whether the stream goes on."""
        if not self.accepted:
            head, end, data = (self.buffer + data).partition(b"\r\n\r\n")
            if not end:
                self.buffer = head
                return True
            if b" 200 " not in head.split(b"\r\n")[0]:
                return False
            self.accepted, self.buffer = True, b""
            seen.accepted_ns = at_ns
        *frames, self.buffer = (self.buffer + data).split(b"\n\n")
        for one in frames:
            self._frame(one, at_ns, seen)
        return True

    def _frame(self, text: bytes, at_ns: int, seen: Seen) -> None:
        kind = b""
        for line in text.split(b"\n", 2)[:2]:
            if line.startswith(b"id: "):
                self.last_id = line[4:].decode()
            elif line.startswith(b"event: "):
                kind = line[7:]
        if kind == b"board":
            seen.boards += 1
        elif kind == b"reset":
            seen.resets += 1
        elif kind in (b"popup", b"call") and (found := _CALL.search(text)):
            call_id = found[1].decode()
            if kind == b"popup":
                seen.popups.append((self.index, call_id, at_ns))
            else:
                state, caller = _STATE.search(text), _CALLER.search(text)
                numbered = "numbered" if caller and caller[1] else ""
                seen.calls.append((self.index, call_id, f"{state[1].decode() if state else ''} {numbered}"))


def main(port: int, file: Path) -> None:
    """Follow all streams until SIGTERM."""
    stopping = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    clients = [_Client(index, token) for index, token in enumerate(sys.stdin.read().split())]
    seen, closed, selector = Seen(), list(clients), selectors.DefaultSelector()
    ready = False
    while not stopping:
        now = time.monotonic()
        for client in [one for one in closed if one.retry_s <= now]:
            try:
                selector.register(client.connect(port), selectors.EVENT_READ, client)
                closed.remove(client)
            except OSError:
                client.retry_s = now + _RETRY_S
        if not ready and all(client.accepted for client in clients):
            ready = True
            print("ready", flush=True)  # noqa: T201  the process that measures waits for it
        for key, _ in selector.select(0.05):
            client = key.data
            try:
                data = client.open.recv(1 << 16)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            at_ns = time.monotonic_ns()
            seen.bytes += len(data)
            if not data or not client.feed(data, at_ns, seen):
                selector.unregister(client.open)
                client.open.close()
                client.retry_s = time.monotonic() + _RETRY_S
                closed.append(client)
                seen.reconnects += 1
    file.write_bytes(msgspec.json.encode(seen))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
