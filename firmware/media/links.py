"""The keeper's side of ``run/media.sock``: who is connected, what they ask, and the end of each connection."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable
from contextlib import suppress

import msgspec

from firmware.config import Home
from firmware.doorbell import ShortPath
from firmware.media.asking import SOCKET, Question
from firmware.media.stick import Link, Stick

_LONGEST_QUESTION = 4096
_MOST_LINKS = 64


class Links:
    """Thread: one, but ``wake`` from any. Whoever says nonsense is hung up on."""

    def __init__(self, home: Home, asked: Callable[[Link, Question], None], ended: Callable[[Link], None]) -> None:
        """``ended``: once for each link, whoever ended it. Raises OSError."""
        self._asked, self._ended = asked, ended
        self._links: set[Link] = set()
        self._path = home.run / SOCKET
        self._listening = _listen(home)
        self._woken, self._waker = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        for file in (self._woken, self._listening):
            file.setblocking(False)
            self._selector.register(file, selectors.EVENT_READ)
        self._waker.setblocking(False)

    def close(self) -> None:
        """Hang up on everybody."""
        for link in list(self._links):
            self.hang_up(link)
        self._selector.close()
        self._path.unlink(missing_ok=True)
        for file in (self._woken, self._waker, self._listening):
            file.close()

    def wake(self) -> None:
        """Let ``wait`` return."""
        with suppress(OSError):  # full: it is awake
            self._waker.send(b"!")

    def wait(self, timeout_s: float) -> None:
        """Until somebody asked something, came or went, or it was woken; that is dealt with."""
        for key, _ in self._selector.select(timeout_s):
            if key.fileobj is self._woken:
                with suppress(OSError):
                    self._woken.recv(4096)
            elif key.fileobj is self._listening:
                self._accept()
            elif key.data in self._links:  # one that was hung up on meanwhile says nothing
                self._hear(key.data)

    def hang_up_on(self, stick: Stick) -> None:
        """End the connections that are about this stick."""
        for link in [one for one in self._links if one.stick is stick]:
            self.hang_up(link)

    def hang_up(self, link: Link) -> None:
        """End a connection. Idempotent."""
        if link in self._links:
            self._links.discard(link)
            self._selector.unregister(link.connection)
            link.connection.close()
            self._ended(link)

    def _accept(self) -> None:
        with suppress(OSError):
            connection, _ = self._listening.accept()
            connection.setblocking(False)
            if len(self._links) >= _MOST_LINKS:
                connection.close()
                return
            link = Link(connection)
            self._links.add(link)
            self._selector.register(connection, selectors.EVENT_READ, link)

    def _hear(self, link: Link) -> None:
        try:
            piece = link.connection.recv(_LONGEST_QUESTION)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        link.unread += piece
        if not piece or len(link.unread) > _LONGEST_QUESTION:
            self.hang_up(link)
            return
        while b"\n" in link.unread:
            line, _, link.unread = link.unread.partition(b"\n")
            try:
                self._asked(link, msgspec.json.decode(line, type=Question))
            except msgspec.DecodeError:
                self.hang_up(link)
                return


def _listen(home: Home) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = ShortPath(home.run)
    try:
        (home.run / SOCKET).unlink(missing_ok=True)
        listening.bind(folder.path(SOCKET))
        listening.listen(8)
    except BaseException:
        listening.close()
        raise
    finally:
        folder.close()
    return listening
