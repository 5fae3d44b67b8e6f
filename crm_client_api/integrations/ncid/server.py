"""The sockets of the NCID server: one thread that never waits for a client, nor for a store.

A client that sends too long a line, or takes its lines too slowly, is let go; nobody else notices.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from crm_client_api.integrations.ncid.lines import GREETING, Hello, acknowledgement, answer_to, hear_hello, message_line
from firmware.errors import ConfigError

MOST_CLIENTS = 50
LONGEST_LINE_BYTES = 2048
MOST_UNSENT_BYTES = 256 * 1024
HELLO_S = 0.3
"""How long a client may take for each line of its HELLO; ncidd gives 10 ms, which slow networks miss."""
_TURN_S = 0.1
_MOST_TURNED_AWAY = 20
_KEEPALIVE_S = 60
_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Peer:
    """One connected client. Thread: ``send`` and ``close`` from any thread; the rest belongs to the server's."""

    socket: socket.socket
    address: str
    wake: Callable[[], None]
    hello: Hello = field(default_factory=Hello)
    hello_until_s: float | None = 0.0
    acknowledges: bool = False
    turned_away: bool = False
    _received: bytearray = field(default_factory=bytearray)
    _unsent: bytearray = field(default_factory=bytearray)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ending: bool = False
    _gone: bool = False

    def send(self, lines: Iterable[str]) -> None:
        """Queue lines; who does not take them is let go."""
        data = b"".join(line.encode("utf-8", "replace") + b"\r\n" for line in lines)
        with self._lock:
            if self._gone or self._ending:
                return
            if len(self._unsent) + len(data) > MOST_UNSENT_BYTES:
                self._gone = True
            else:
                self._unsent += data
        self.wake()

    def close(self, last_line: str = "") -> None:
        """Let the client go once it has what is queued, at once when it takes nothing. Idempotent."""
        if last_line:
            self.send([last_line])
        with self._lock:
            self._ending = True
        self.wake()

    @property
    def gone(self) -> bool:
        """Whether the connection is over, or has to be."""
        return self._gone

    def flush(self) -> None:
        """Send what the network takes now."""
        with self._lock:
            try:
                while self._unsent:
                    del self._unsent[: self.socket.send(self._unsent)]
            except BlockingIOError:
                self._gone = self._gone or self._ending
            except OSError:
                self._gone = True
            else:
                self._gone = self._gone or self._ending

    @property
    def has_unsent(self) -> bool:
        """Whether lines wait for the network."""
        return bool(self._unsent)

    def receive(self) -> list[str]:
        """The whole lines that came."""
        try:
            data = self.socket.recv(4096)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self._gone = True
            return []
        self._received += data
        *whole, rest = bytes(self._received).split(b"\n")
        self._received = bytearray(rest)
        if len(rest) > LONGEST_LINE_BYTES or any(len(line) > LONGEST_LINE_BYTES for line in whole):
            self._gone = True
            return []
        return [line.decode("utf-8", "replace").strip("\r") for line in whole]


class NcidServer:
    """Listens, greets, answers what needs no store; ``greeted``, ``reread`` and ``left`` are told of the rest.

    The three are called in the server's thread and must not wait. ``port`` 0 takes a free one.
    Raises ConfigError when the address cannot be had.
    """

    def __init__(
        self,
        address: str,
        port: int,
        greeted: Callable[[Peer], None],
        reread: Callable[[Peer], None],
        left: Callable[[Peer], None],
        now: Callable[[], datetime],
    ) -> None:
        self._greeted, self._reread, self._left, self._now = greeted, reread, left, now
        try:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            self._listening = socket.create_server((address, port), family=family, backlog=MOST_CLIENTS)
        except (OSError, OverflowError) as error:
            raise ConfigError(f"NCID cannot listen on {address}:{port}: {error}") from error
        self._listening.setblocking(False)
        self._waking, self._woken = socket.socketpair()
        self._waking.setblocking(False)
        self._woken.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._peers: set[Peer] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ncid", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._listening.getsockname()[1])

    @property
    def clients(self) -> int:
        """How many are connected."""
        return sum(not peer.turned_away for peer in self._peers)

    def start(self) -> None:
        """Serve in the background."""
        self._thread.start()

    def stop(self) -> None:
        """End every connection. Idempotent."""
        self._stopping.set()
        self._wake()
        if self._thread.is_alive():
            self._thread.join()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            self._waking.send(b"!")

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    self._turn()
                except Exception:
                    _log.exception("the NCID server goes on")
                    self._stopping.wait(_TURN_S)
        finally:
            for peer in list(self._peers):
                self._drop(peer)
            self._selector.close()
            for one in (self._listening, self._waking, self._woken):
                one.close()

    def _turn(self) -> None:
        for key, _ in self._selector.select(_TURN_S if self._waiting_for_hello() else 1.0):
            if key.fileobj is self._listening:
                self._accept()
            elif key.fileobj is self._woken:
                with contextlib.suppress(BlockingIOError):
                    while self._woken.recv(4096):
                        pass
            elif isinstance(key.data, Peer):
                for line in key.data.receive():
                    self._hear(key.data, line)
        now_s = time.monotonic()
        for peer in list(self._peers):
            if peer.hello_until_s is not None and now_s >= peer.hello_until_s and not peer.gone:
                peer.hello_until_s = None
                if peer.turned_away:  # now that its HELLO is read, closing does not reset the connection
                    peer.close(_too_many(self._now()))
                else:
                    self._greeted(peer)
            peer.flush()
            if peer.gone:
                self._drop(peer)
            else:
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.has_unsent else 0)
                self._selector.modify(peer.socket, wanted, peer)

    def _waiting_for_hello(self) -> bool:
        return any(peer.hello_until_s is not None for peer in self._peers)

    def _accept(self) -> None:
        try:
            accepted, where = self._listening.accept()
        except OSError:
            return
        if len(self._peers) >= MOST_CLIENTS + _MOST_TURNED_AWAY:
            accepted.close()
            return
        accepted.setblocking(False)
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_S)
        peer = Peer(accepted, str(where[0]), self._wake, hello_until_s=time.monotonic() + HELLO_S)
        peer.turned_away = self.clients >= MOST_CLIENTS
        self._peers.add(peer)
        self._selector.register(accepted, selectors.EVENT_READ, peer)
        if not peer.turned_away:
            peer.send(GREETING)

    def _hear(self, peer: Peer, line: str) -> None:
        if peer.hello_until_s is not None:
            heard = hear_hello(peer.hello, line)
            if heard != peer.hello:
                peer.hello, peer.hello_until_s = heard, time.monotonic() + HELLO_S
                return
        if line == "REQ: ACK":
            peer.acknowledges = True
        if line == "REQ: REREAD":
            self._reread(peer)
            return
        peer.send((*answer_to(line), *(acknowledgement(line) if peer.acknowledges else ())))

    def _drop(self, peer: Peer) -> None:
        self._peers.discard(peer)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(peer.socket)
        peer.socket.close()
        self._left(peer)


def _too_many(at: datetime) -> str:
    return f"MSG: Too many clients connected ({MOST_CLIENTS}) {at:%m/%d/%Y %H:%M:%S}"


def refusal(at: datetime) -> str:
    """What somebody is told whom no operator stands for."""
    return message_line("This client is not known here: an API token, or its address, names its operator", at)
