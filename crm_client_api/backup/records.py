"""What the office's store knows of backups: the key they are sealed by, and those that were made and tried out."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass

import msgspec
import sqlite_utils

from crm_client_api.backup.addresses import split_place
from crm_client_api.backup.keys import OwnKey
from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from firmware.clock import now_ms
from firmware.store.connection import write


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was tried out. Times: Unix ms UTC; ``recordings``: how many lie beside it, None when not asked for.

    ``place``: an address and the medium there (``addresses``); ``name``: of the file below ``places.FOLDER`` there;
    ``sha256``: of the file, "" when it was found there and not read since.
    """

    id: int
    made_ms: int
    tried_ms: int
    place: str
    name: str
    bytes: int
    sha256: str
    key_id: str
    recordings: int | None

    @property
    def address(self) -> str:
        """Where the medium was when the backup was made."""
        return split_place(self.place)[0]

    @property
    def medium(self) -> str:
        """The id of the medium."""
        return split_place(self.place)[1]


@dataclass(frozen=True, slots=True)
class Beside:
    """A sealed recording at a place: the bytes of its file, bytes and SHA-256 of its content."""

    object: str
    bytes: int
    content_bytes: int
    content_sha256: str


_MADE = "id, made_ms, tried_ms, place, name, bytes, sha256, key_id, recordings"


def read_key(crm: sqlite_utils.Database) -> OwnKey | None:
    """The key that backups are sealed and signed by; None before somebody set a passphrase."""
    return next(iter(read_keys(crm)), None)


def read_keys(crm: sqlite_utils.Database) -> list[OwnKey]:
    """All keys that there were, newest first."""
    rows = crm.conn.execute("SELECT key FROM backup_keys ORDER BY made_ms DESC, rowid DESC")
    return [msgspec.json.decode(row[0], type=OwnKey) for row in rows]


def set_key(crm: sqlite_utils.Database, key: OwnKey, actor: Actor) -> None:
    """Seal backups by this key from now on; older ones open with their own passphrase. Raises StoreError."""
    text = msgspec.json.encode(key).decode()
    with write(crm) as connection:
        connection.execute("INSERT INTO backup_keys VALUES (?,?,?,?)", (key.id, now_ms(), actor.staff_no, text))
        audit.append(connection, actor, "backup.passphrase", key.id)


def list_made(crm: sqlite_utils.Database, place: str | None = None) -> list[Made]:
    """Backups that are there, newest first; only those of one place."""
    rows = crm.conn.execute(
        f"SELECT {_MADE} FROM backups WHERE removed_ms IS NULL AND place = coalesce(?, place)"
        " ORDER BY made_ms DESC, id DESC",
        (place,),
    )
    return [Made(*row) for row in rows]


def note_made(connection: sqlite3.Connection, made: Made) -> None:
    """Enter a backup that was tried out, inside the caller's transaction; its id is given here."""
    connection.execute(
        "INSERT INTO backups (made_ms, tried_ms, place, name, bytes, sha256, key_id, recordings)"
        " VALUES (?,?,?,?,?,?,?,?) ON CONFLICT (place, name) DO UPDATE SET removed_ms = NULL"
        " WHERE bytes = excluded.bytes",
        (
            made.made_ms, made.tried_ms, made.place, made.name, made.bytes, made.sha256, made.key_id, made.recordings,
        ),
    )  # fmt: skip


def note_found(crm: sqlite_utils.Database, place: str, found: Collection[Made]) -> None:
    """These backups are at a place, and were not listed: they may name any recording there. Raises StoreError."""
    newest_ms = max((one.made_ms for one in found if one.recordings is not None), default=0)
    with write(crm) as connection:
        for one in found:
            note_made(connection, one)
        connection.execute(
            "UPDATE backup_recordings SET named_ms = max(named_ms, ?) WHERE place = ?", (newest_ms, place)
        )


def note_removed(crm: sqlite_utils.Database, ids: Collection[int]) -> None:
    """These backups are there no more. Raises StoreError."""
    with write(crm) as connection:
        connection.executemany("UPDATE backups SET removed_ms = ? WHERE id = ?", [(now_ms(), one) for one in ids])


def beside(crm: sqlite_utils.Database, place: str, name: str) -> Beside | None:
    """A recording that a place has."""
    row = crm.conn.execute(
        "SELECT object, bytes, content_bytes, content_sha256 FROM backup_recordings WHERE place = ? AND object = ?",
        (place, name),
    ).fetchone()
    return None if row is None else Beside(*row)


def note_beside(crm: sqlite_utils.Database, place: str, found: Collection[Beside], named_ms: int) -> None:
    """A place has these recordings, and the backup of ``named_ms`` names them. A clock that went back makes none of
    them older. Raises StoreError.
    """
    with write(crm) as connection:
        connection.executemany(
            "INSERT INTO backup_recordings VALUES (?,?,?,?,?,?) ON CONFLICT (place, object) DO UPDATE SET"
            " bytes = excluded.bytes, content_bytes = excluded.content_bytes,"
            " content_sha256 = excluded.content_sha256, named_ms = max(named_ms, excluded.named_ms)",
            [(place, one.object, one.bytes, one.content_bytes, one.content_sha256, named_ms) for one in found],
        )


def unnamed(crm: sqlite_utils.Database, place: str, before_ms: int, limit: int) -> list[str]:
    """Recordings at a place that no backup since then names."""
    rows = crm.conn.execute(
        "SELECT object FROM backup_recordings WHERE place = ? AND named_ms < ? LIMIT ?", (place, before_ms, limit)
    )
    return [str(row[0]) for row in rows]


def forget_beside(crm: sqlite_utils.Database, place: str, names: Collection[str]) -> None:
    """A place has these recordings no more. Raises StoreError."""
    with write(crm) as connection:
        connection.executemany(
            "DELETE FROM backup_recordings WHERE place = ? AND object = ?", [(place, name) for name in names]
        )
