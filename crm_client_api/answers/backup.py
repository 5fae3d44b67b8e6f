"""What the API says about backups."""

from __future__ import annotations

import msgspec


class BackupInfo(msgspec.Struct, frozen=True):
    """A backup that was tried out. ``place``: an address; ``medium``: the id of the disk, stick or share there;
    ``recordings``: how many lie beside it, null without.
    """

    name: str
    made_at: str
    tried_at: str
    place: str
    medium: str
    bytes: int
    recordings: int | None


class BackupTry(msgspec.Struct, frozen=True):
    """The last job for a backup: as ``JobInfo`` says it, also when somebody else asked for it, or the night."""

    id: int
    at: str
    by: str
    state: str
    phase: str
    done: int
    all: int | None
    held: str
    error_code: str | None
    error: str | None


class Backups(msgspec.Struct, frozen=True):
    """How backups stand. ``passphrase_at``: since when backups open with the present passphrase, null: none was chosen.

    ``place``: where that of every night goes, "" for nowhere; ``next_at``: the next night. ``backups``: newest first.
    """

    passphrase_at: str | None
    place: str
    next_at: str | None
    last_try: BackupTry | None
    backups: list[BackupInfo]
