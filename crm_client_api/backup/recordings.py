"""Recordings beside a backup: each sealed in a file of its own, and written to a place once."""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import msgspec

from crm_client_api.backup import records
from crm_client_api.backup.contents import Kept, KeptList
from crm_client_api.backup.keys import OwnKey
from crm_client_api.backup.places import ENDING, Place
from crm_client_api.backup.records import Beside
from crm_client_api.backup.sealing import Hashing, Sealer, sync
from crm_client_api.courier.context import Context
from firmware.config import Home
from firmware.errors import StoreError
from recorder.library.archive.target import TargetError

_log = logging.getLogger(__name__)
_BATCH = 200
_PIECE_BYTES = 1 << 20
_READY = "FROM recordings WHERE state = 'ready' AND path IS NOT NULL AND sha256 IS NOT NULL"


class Bringing:
    """Brings to a place what it lacks; ``at``: where that is, as ``records`` have it. Thread: one."""

    def __init__(self, context: Context, key: OwnKey, at: str, place: Place, folder: Path, device: str) -> None:
        self._context, self._key, self._at, self._place = context, key, at, place
        self._spool, self._device = folder / f"recording{ENDING}", device
        self._list = folder / "recordings.jsonl"

    def bring(self, calls: Path, made_ms: int) -> KeptList:
        """All recordings of the copied store ``calls`` that can be read, as they lie beside the backup now.

        One that is gone from the box, cannot be read, or is not what the store says, is left out. Raises BoxError.
        """
        count = 0
        named: list[Beside] = []
        try:
            with (
                self._list.open("wb") as kept,
                closing(sqlite3.connect(f"{calls.absolute().as_uri()}?mode=ro", uri=True)) as store,
            ):
                whole = int(store.execute(f"SELECT count(*) {_READY}").fetchone()[0])
                for done, (path, sha256, size, vault_id) in enumerate(_ready(store)):
                    self._context.step("recordings", done, whole)
                    found = self._one(path, self._object(sha256, size, vault_id), "" if vault_id else sha256, made_ms)
                    if found is not None:
                        named.append(found)
                        one = Kept(path, found.object, found.content_bytes, found.content_sha256)
                        kept.write(msgspec.json.encode(one) + b"\n")
                        count += 1
                    if len(named) >= _BATCH:
                        self._note(named, made_ms)
        finally:
            self._note(named, made_ms)
        return KeptList(self._list, count)

    def _note(self, named: list[Beside], made_ms: int) -> None:
        if named:
            records.note_beside(self._context.crm, self._at, named, made_ms)
            named.clear()

    def _object(self, sha256: str, size: int, name: str) -> str:
        """Where a recording lies: the same content is the same file, also when its recording got another path."""
        what = hashlib.sha256(f"{sha256}\n{size}\n{name}".encode()).hexdigest()
        return f"recordings/{self._key.id}/{what[:2]}/{what}{ENDING}"

    def _one(self, path: str, name: str, sha256: str, made_ms: int) -> Beside | None:
        known = records.beside(self._context.crm, self._at, name)
        good = known is not None and sha256 in ("", known.content_sha256)
        if known is not None and good and self._place.holds(name, known.bytes) is not False:
            return known
        return self._write(self._context.home, path, name, sha256, made_ms)

    def _write(self, home: Home, path: str, name: str, sha256: str, made_ms: int) -> Beside | None:
        """``sha256``: what the content must have, "" when the store does not know it: that of an encrypted one."""
        try:
            source = os.open(home.recordings / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:  # deleted or converted meanwhile, or its disk is failing: the store of the box says so
            return None
        content, size = hashlib.sha256(), 0
        with os.fdopen(source, "rb") as audio, self._spool.open("wb") as spool:
            hashed = Hashing(spool)
            try:
                with Sealer(hashed, self._key, "recording", name, made_ms, self._device, version("tapdeck")) as sealer:
                    while piece := audio.read(_PIECE_BYTES):
                        content.update(piece)
                        size += sealer.write(piece)
            except OSError as error:
                raise StoreError(f"{path}: {error.strerror}") from error
            sync(spool)
        if sha256 not in ("", content.hexdigest()):
            _log.error("%s is damaged: the backup goes without it", path)
            return None
        self._place.put(name, self._spool)
        if self._place.sha256(name) != hashed.digest.hexdigest():
            self._place.remove(name)
            raise TargetError("what was read back is not what was written: the medium is failing")
        return Beside(name, self._spool.stat().st_size, size, content.hexdigest())


def _ready(store: sqlite3.Connection) -> Iterator[tuple[str, str, int, str]]:
    """Path, hash and bytes of each recording; an encrypted one has its id with it, for its bytes are its own."""
    rows = store.execute(
        f"SELECT path, sha256, coalesce(bytes, 0), CASE WHEN encrypted THEN id ELSE '' END {_READY} ORDER BY rowid"
    )
    for row in rows:
        yield str(row[0]), str(row[1]), int(row[2]), str(row[3])


def clear_recordings(context: Context, at: str, place: Place, oldest_ms: int) -> None:
    """Remove recordings that no backup since then names; ``at``: where that is. Raises BoxError."""
    while names := records.unnamed(context.crm, at, oldest_ms, _BATCH):
        for name in names:
            place.remove(name)
            context.step("clearing", 0, None)
        records.forget_beside(context.crm, at, names)
