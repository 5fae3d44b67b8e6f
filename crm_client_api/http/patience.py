"""Holding no thread for clients that say nothing, and cutting off those that say it too slowly.

cheroot gives every new connection a thread at once, and its timeout begins anew with every byte: a few hundred
connections that dribble would stop everybody else for as long as they like.
"""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from cheroot.wsgi import Server

REQUEST_LIMIT_S = 10.0
"""How long a client may take over the head of a request, or over what is left of a body that nobody wants."""
PIECE_LIMIT_S = 30.0
"""How long a client may take over a piece of a body (some 100 kB)."""
_SWEEP_S = 0.5
_WAITING_CONNECTIONS = 512
_MOST_SILENT = 8192
_DESCRIPTORS = 65_536


def raise_descriptor_limit() -> None:
    """Let this process have as many connections and files open as the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Patience:
    """Hangs up on who is too slow. Thread: any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends_s: dict[object, tuple[float, socket.socket]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._sweep, name="patience", daemon=True)

    def start(self) -> None:
        """Begin to look at the clock."""
        self._thread.start()

    def stop(self) -> None:
        """Hang up on nobody any more. Idempotent."""
        self._stopping.set()

    @contextmanager
    def within(self, limit_s: float, link: socket.socket) -> Iterator[None]:
        """Hang up when the body is not left in time; what reads from the socket then finds its end."""
        key = object()
        with self._lock:
            self._ends_s[key] = (time.monotonic() + limit_s, link)
        try:
            yield
        finally:
            with self._lock:
                self._ends_s.pop(key, None)

    def _sweep(self) -> None:
        while not self._stopping.wait(_SWEEP_S):
            now_s = time.monotonic()
            with self._lock:
                late = [key for key, (end_s, _) in self._ends_s.items() if end_s <= now_s]
                for key in late:  # under the lock: who has just come in time is not hung up on
                    with suppress(OSError):
                        self._ends_s.pop(key)[1].shutdown(socket.SHUT_RDWR)


class PatientServer(Server):
    """Gives a connection a thread when its first byte is there, and not before.

    Of connections that say nothing it keeps ``most_silent``: who has been silent longest goes, so that whoever comes
    next finds a descriptor free.
    """

    _connections: Any  # cheroot's manager of idle connections, made when the server begins to listen

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.request_queue_size = _WAITING_CONNECTIONS
        self.patience = Patience()
        self.most_silent = min(_MOST_SILENT, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        self._silent: OrderedDict[int, Any] = OrderedDict()

    def process_conn(self, conn: Any) -> None:
        """A new connection waits among the idle ones until it can be read."""
        if getattr(conn, "is_known", False):
            self._silent.pop(id(conn), None)
            super().process_conn(conn)
            return
        conn.is_known = True
        while self._silent and next(iter(self._silent.values())).socket.fileno() < 0:
            self._silent.popitem(last=False)  # its time was up
        self._silent[id(conn)] = conn
        if len(self._silent) > self.most_silent:
            with suppress(OSError):  # shut, it can be read, and is closed like any other that has ended
                self._silent.popitem(last=False)[1].socket.shutdown(socket.SHUT_RDWR)
        self._connections.put(conn)


class _Source(Protocol):
    def read(self, size: int | None = None) -> bytes: ...

    def readline(self, size: int | None = None) -> bytes: ...


class PatientInput:
    """The body of a request: each piece comes in time, or the client is hung up on."""

    def __init__(self, source: _Source, patience: Patience, link: socket.socket) -> None:
        self._source, self._patience, self._link = source, patience, link

    def read(self, size: int | None = None) -> bytes:
        """The next bytes; fewer when the client was hung up on."""
        with self._patience.within(PIECE_LIMIT_S, self._link):
            return self._source.read(size)

    def readline(self, size: int | None = None) -> bytes:
        """The next line."""
        with self._patience.within(PIECE_LIMIT_S, self._link):
            return self._source.readline(size)
