"""What the keeper tells of media, and what it is told by the office: a file, the event log, the policy."""

from __future__ import annotations

import logging
import sqlite3
from collections import deque
from typing import Any

import msgspec
import sqlite_utils

from firmware import doorbell
from firmware.clock import now_ms
from firmware.config import Home
from firmware.errors import BoxError
from firmware.media.medium import Medium, media_file, read_media
from firmware.media.policy import Policy, read_policy
from firmware.store import event_log
from firmware.store.connection import open_store, write

_log = logging.getLogger("media")
_MOST_UNTOLD = 1000


class Teller:
    """Thread: one. A store that is away for a while costs nothing but time."""

    def __init__(self, home: Home) -> None:
        """Raises StoreError."""
        self._home = home
        self._crm = open_store(home.crm_db, readonly=True)
        self._calls = open_store(home.calls_db)
        self._told = _told_before(home)
        self._untold: deque[tuple[int, str, Any]] = deque(maxlen=_MOST_UNTOLD)
        self._problem = ""

    def close(self) -> None:
        """Close the stores."""
        self._calls.conn.close()
        self._crm.conn.close()

    def policy(self) -> Policy | None:
        """What is allowed now; None while that cannot be read."""
        try:
            return read_policy(self._crm)
        except (BoxError, sqlite3.Error) as error:
            self._complain(f"the policy cannot be read: {error}")
            return None

    def seen_since(self, medium_id: str) -> int | None:
        """Since when a medium is plugged in that was told of already, perhaps by an earlier keeper; Unix ms UTC."""
        return next((one.since_ms for one in self._told if one.id == medium_id), None)

    def tell(self, media: list[Medium]) -> None:
        """Let everybody know, if anything has changed."""
        media.sort(key=lambda one: (one.since_ms, one.id))
        if media != self._told or not media_file(self._home).exists():
            before = {one.id: one for one in self._told}
            after = {one.id: one for one in media}
            for one in before.values():
                if one.id not in after or _is_another(one, after[one.id]):
                    self._untold.append((now_ms(), "medium_gone", msgspec.to_builtins(one)))
            for one in media:
                known = before.get(one.id)
                if known is None or _is_another(known, one):
                    self._untold.append((now_ms(), "medium_present", msgspec.to_builtins(one)))
                elif known != one:
                    self._untold.append((now_ms(), "medium_changed", msgspec.to_builtins(one)))
            self._told = media
            self._write_file(media)
            doorbell.ring(self._home.doorbells)
        if self._untold:
            self._write_events(self._calls)

    def _write_file(self, media: list[Medium]) -> None:
        file = media_file(self._home)
        draft = file.with_suffix(".draft")
        try:
            draft.write_bytes(msgspec.json.encode(media))
            draft.replace(file)
        except OSError as error:
            self._complain(f"{file} cannot be written: {error.strerror}")

    def _write_events(self, calls: sqlite_utils.Database) -> None:
        try:
            with write(calls) as connection:
                for at_ms, kind, data in self._untold:
                    event_log.append(connection, at_ms=at_ms, kind=kind, data=data)
        except BoxError as error:
            self._complain(f"the event log cannot be written: {error}")
            return
        self._untold.clear()
        doorbell.ring(self._home.doorbells)

    def _complain(self, problem: str) -> None:
        """Once, not every second."""
        if problem != self._problem:
            _log.warning("%s", problem)
        self._problem = problem


def _told_before(home: Home) -> list[Medium]:
    try:
        return read_media(home)
    except OSError:
        return []


def _is_another(one: Medium, other: Medium) -> bool:
    """The same stick, plugged in again."""
    return one.since_ms != other.since_ms
