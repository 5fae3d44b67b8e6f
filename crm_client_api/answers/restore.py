"""What the API says about a restore: another box's backup that takes the place of a new one."""

from __future__ import annotations

from typing import Literal

import msgspec


class RestoreBackup(msgspec.Struct, frozen=True):
    """A backup as its head tells of it; only the passphrase proves that. ``recordings``: how many lie beside it, null
    without.
    """

    name: str
    made_at: str
    device: str
    software: str
    bytes: int
    recordings: int | None


class RestoreServer(msgspec.Struct, frozen=True):
    """An SFTP server that nobody has confirmed yet: the ``fingerprint`` of its key, and the ``key_line`` by which it
    lets this box in, for its ``authorized_keys``.
    """

    fingerprint: str
    key_line: str


class RestoreFound(msgspec.Struct, frozen=True):
    """The backups that lie somewhere, newest first. ``server``: look again with its fingerprint once it is the right
    one; null for all else.
    """

    backups: list[RestoreBackup]
    server: RestoreServer | None


class RestoreProgress(msgspec.Struct, frozen=True):
    """How far the restore is. ``preparing``: the box works on meanwhile; ``restarting``: all is proved, the box starts
    again, and everybody is logged out; ``failed``: nothing was changed, ``error_code`` says why.

    ``done``, ``all``: bytes of the file while ``unpacking``, else recordings, or 0. ``absent``: recordings that do not
    lie beside the backup, or are damaged.
    """

    state: Literal["preparing", "restarting", "failed"]
    phase: Literal["unpacking", "recordings", "settling"]
    done: int
    all: int
    name: str
    made_at: str
    device: str
    absent: int
    error_code: str
    error: str


class RestoreInfo(msgspec.Struct, frozen=True):
    """Whether a backup may take over here: only while the box is new. ``calls``: so many it recorded already; their
    recordings stay, all else goes aside.
    """

    possible: bool
    calls: int
    progress: RestoreProgress | None
