"""Live listening: channels straight from the tapes, about a block (100 ms) behind the line.

A listener only reads (``pread``): it cannot hold up the recorder, and one that is slow misses audio, nobody else does.
"""

from __future__ import annotations

import select
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.sessions import Session, read_standing
from crm_client_api.domain.settings import read_settings
from crm_client_api.stores import StorePool
from firmware.clock import now_ms
from firmware.errors import BoxError
from firmware.store.connection import write

if TYPE_CHECKING:
    from crm_client_api.audio.live_tape import LiveTape

POLL_MS = 10
RIGHTS_EVERY_S = 1.0
MOST_OF_AN_OPERATOR = 4


class ListenersFull(BoxError):
    """As many people listen as this box serves, or one operator listens too often; come back later."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A channel's block: PCM s16le, ``tracks`` interleaved. ``wall_ms`` (Unix ms): when its first sample was heard."""

    channel: int
    tracks: int
    sample_rate_hz: int
    first_sample: int
    wall_ms: int
    pcm: bytes


class Listeners:
    """Who listens. Thread: any."""

    def __init__(self, pool: StorePool, most: int) -> None:
        self.pool = pool
        self._most = most
        self._lock = threading.Lock()
        self._of_operator: Counter[str] = Counter()
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End all listening. Idempotent."""
        self._stopping.set()

    @property
    def stopping(self) -> bool:
        """Whether everybody is to go."""
        return self._stopping.is_set()

    def join(self, staff_no: str) -> None:
        """Take a place. Raises ListenersFull."""
        with self._lock:
            if self._stopping.is_set() or self._of_operator.total() >= self._most:
                raise ListenersFull(f"{self._most} people listen already")
            if self._of_operator[staff_no] >= MOST_OF_AN_OPERATOR:
                raise ListenersFull(f"an operator listens at most {MOST_OF_AN_OPERATOR} times at once")
            self._of_operator[staff_no] += 1

    def leave(self, staff_no: str) -> None:
        """Give the place back."""
        with self._lock:
            self._of_operator[staff_no] -= 1


class Listening:
    """An iterator over what one client gets. ``close`` must be called at the end. Raises ListenersFull when made.

    It ends when the client goes, the session ends or a channel leaves the operator's scope. Beginning and end stand
    in the audit log.
    """

    def __init__(
        self,
        listeners: Listeners,
        session: Session,
        address: str,
        channels: Sequence[int],
        tapes: Sequence[LiveTape],
        socket_fd: int,
        render: Callable[[Heard], bytes],
        head: bytes,
    ) -> None:
        self._listeners, self._session, self._channels = listeners, session, channels
        self._actor = Actor(session.operator.staff_no, address)
        self._tapes, self._render, self._head = tapes, render, head
        self._hang_up = select.poll()
        self._hang_up.register(socket_fd, select.POLLRDHUP)
        self._rights_at_s = time.monotonic() + RIGHTS_EVERY_S
        self._open = False
        try:
            listeners.join(self._actor.staff_no)
            self._open = True
            self._began_ms = now_ms()
            self._audit("live.listen", {})
        except BaseException:
            self.close()
            raise
        self._parts = self._run()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._parts)

    def _run(self) -> Iterator[bytes]:
        yield self._head
        while not self._hang_up.poll(self._wait_ms()) and self._may_go_on():
            for heard in chain.from_iterable(tape.news() for tape in self._tapes):
                if not self._may_go_on():  # who takes the blocks slowly is asked as often as anybody
                    return
                yield self._render(heard)
            if any(tape.is_over for tape in self._tapes):
                return

    def _wait_ms(self) -> float:
        return max(POLL_MS, 1000 * min(tape.quiet_s for tape in self._tapes))

    def _may_go_on(self) -> bool:
        if self._listeners.stopping:
            return False
        now_s = time.monotonic()
        if now_s >= self._rights_at_s:
            self._rights_at_s = now_s + RIGHTS_EVERY_S
            return self._has_rights()
        return True

    def _has_rights(self) -> bool:
        with self._listeners.pool.use() as stores:
            settings = read_settings(stores.crm)
            scope = settings.channel_scope(self._session.operator.viewer)
            standing = read_standing(stores.crm, now_ms(), settings.idle_logout_ms)
        return standing.holds(self._session) and all(scope.allows(channel) for channel in self._channels)

    def close(self) -> None:
        """Give the place back and note the end. Idempotent."""
        for tape in self._tapes:
            tape.close()
        self._tapes = ()
        if self._open:
            self._open = False
            self._listeners.leave(self._actor.staff_no)
            self._audit("live.end", {"ms": now_ms() - self._began_ms})

    def _audit(self, action: str, data: dict[str, object]) -> None:
        subject = ",".join(str(channel) for channel in self._channels)
        with self._listeners.pool.use() as stores, write(stores.crm) as connection:
            audit.append(connection, self._actor, action, subject, data)
