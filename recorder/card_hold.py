"""Who looks after a line card: its recorder, or another one that finishes what a card left behind. Never both."""

from __future__ import annotations

import fcntl
import os

from firmware.config import Home
from firmware.errors import StoreError


class CardHeld(StoreError):
    """Another process, or another object of this one, looks after the card."""


class CardHold:
    """The right to write about one card in the store: a lock on ``run/card-….lock``. Thread: one at a time."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._card_id: str | None = None
        self._fd = -1

    def take(self, card_id: str) -> None:
        """Hold this card, and no other any more. Raises CardHeld, StoreError."""
        if card_id == self._card_id:
            return
        self.release()
        path = self._home.run / f"card-{card_id}.lock"
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            raise CardHeld(f"card {card_id} is in other hands") from error
        self._fd, self._card_id = fd, card_id

    def release(self) -> None:
        """Let go of the card that is held, if any."""
        if self._card_id is not None:
            os.close(self._fd)
            self._card_id = None
