"""A medium as everybody sees it: one file system on a USB stick, and what can be done with it now."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from firmware.config import Home
from firmware.errors import BoxError, Refused

State = Literal["seen", "mounted", "checking", "writing", "flushing", "safe_to_remove", "forbidden", "refused"]
"""``seen``: just plugged in, being looked at. ``mounted``: readable. ``checking``: looked over before it is written to.
``writing``: a job writes. ``flushing``: what was written goes to the stick: do not pull it out yet. ``safe_to_remove``:
pull it out now. ``forbidden``: the policy does not allow it. ``refused``: it cannot be used, ``reason`` says why."""

Reason = Literal[
    "", "policy_none", "policy_unknown",
    "empty", "no_file_system", "unsupported", "encrypted", "damaged", "io_errors", "not_answering", "too_many",
    "not_mountable", "no_right",
]  # fmt: skip
"""Why a medium is ``forbidden`` (``policy_…``) or ``refused``; "" in every other state."""

WriteRefusal = Literal[
    "gone", "forbidden", "unusable", "ejected", "busy",
    "write_protected", "unclean", "full", "file_too_large", "io_errors", "not_answering", "not_mountable",
    "keeper_away",
]  # fmt: skip
"""Why nobody may write to a medium, or why writing went wrong."""


class Medium(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file system on a stick. ``id`` is the same whenever the stick comes back, also in another socket.

    ``label``: what the owner of the stick calls it; ``name``: what the office calls a known stick. ``file_system``:
    vfat, exfat, ntfs, ext4 …; "" if there is none. ``free_bytes`` None: not mounted. ``unclean``: it was pulled out
    without goodbye and is checked before it is written to. ``write_protected``: by its switch. ``writer``: who writes.
    ``simulated``: a folder of a developer's machine, no stick. ``since_ms``: plugged in then (Unix ms UTC).
    """

    id: str
    label: str
    name: str
    known: bool
    model: str
    file_system: str
    partition: int | None
    size_bytes: int
    free_bytes: int | None
    state: State
    reason: Reason
    path: str | None
    unclean: bool
    write_protected: bool
    writer: str
    simulated: bool
    since_ms: int


class MediumRefused(Refused):
    """This cannot be done with the medium now; ``code`` says why."""

    def __init__(self, code: WriteRefusal, message: str) -> None:
        super().__init__(message)
        self.code = code


class MediumGone(BoxError):
    """The stick was pulled out, forbidden or lost by the keeper while a job used it: the job waits until it is back."""


def media_file(home: Home) -> Path:
    """Where the keeper tells which media there are."""
    return home.run / "media.json"


def read_media(home: Home) -> list[Medium]:
    """All media as the keeper told of them last, by when they were plugged in. Raises OSError."""
    try:
        return msgspec.json.decode(media_file(home).read_bytes(), type=list[Medium])
    except (FileNotFoundError, msgspec.DecodeError):
        return []


def find_medium(home: Home, medium_id: str) -> Medium | None:
    """One medium now, None while it is not plugged in. Raises OSError."""
    return next((one for one in read_media(home) if one.id == medium_id), None)
