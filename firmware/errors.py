"""The box's one family of errors. Library exceptions stop at the edge of a room, chained to one of these."""

from __future__ import annotations


class BoxError(Exception):
    """Root of all errors that the box raises itself. ``exit_code`` is what a daemon ends with."""

    exit_code = 1


class ConfigError(BoxError):
    """A setting is unknown, unreadable or out of range; the text names key, value and range.

    ``key``: which one, where that is known.
    """

    exit_code = 3

    def __init__(self, message: str, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


class LineCardError(BoxError):
    """Something is wrong with a line card."""

    exit_code = 4


class LineCardGone(LineCardError):
    """The card was unplugged, or says nothing any more."""


class LineCardProtocolError(LineCardError):
    """The card answers, but not in its protocol or in a version that we do not know."""


class StoreError(BoxError):
    """Something is wrong with a store, a tape or the disk under them."""

    exit_code = 5


class StoreBusy(StoreError):
    """Another writer held the store longer than the busy time-out."""


class StoreFull(StoreError):
    """The disk under the store is full."""


class NotFound(BoxError):
    """The thing asked for does not exist, or is out of the asker's scope (the two look the same)."""


class Refused(BoxError):
    """A rule forbids it; the text says which."""


class BadInput(BoxError):
    """What came from a person, a file or the network is malformed; the text says where."""
