"""Removing audio for good, so that a power cut at any instant leaves nothing half done.

What is to be removed is first written down as a whole (``removals/``, signed tombstones with it) and then carried out:
tombstone beside the recording, tombstone in the evidence log, row, files, event. After a crash all of it is done again
from the beginning; every step may be done twice. A conversion goes the same way: it removes the master.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from firmware import doorbell
from firmware.clock import now_ms, uuid7
from firmware.durable import sync_folder, write_whole
from firmware.errors import StoreError
from firmware.store import event_log
from firmware.store.connection import write
from firmware.store.event_log import Origin
from recorder.library.audio import vault
from recorder.library.evidence.log import EvidenceLog, NewEntry, SignedManifest, canonical
from recorder.library.keeping.task import Library


class Removal(msgspec.Struct, frozen=True):
    """One removal. Files are below the recordings folder; ``row``: columns of ``recordings`` and their new values.

    ``successor``: the manifest of what takes its place, and ``moves``: its files, from their present to their last
    names; both empty for a deletion. ``event``: its kind; its data is the row as it is afterwards.
    """

    recording_id: str
    simulated: bool
    tombstone: SignedManifest
    tombstone_file: str
    files: tuple[str, ...]
    row: Mapping[str, Any]
    event: str
    successor: SignedManifest | None = None
    moves: Mapping[str, str] = {}

    @property
    def entries(self) -> list[NewEntry]:
        """What the evidence log has to say of it."""
        manifests = [self.tombstone] if self.successor is None else [self.successor, self.tombstone]
        return [NewEntry(one.manifest["id"], one.manifest["kind"], now_ms(), one) for one in manifests]


def carry_out(library: Library, removals: Sequence[Removal]) -> None:
    """Write them down and do them. Raises StoreError: what is written down is done by ``finish_removals``."""
    if removals:
        path = _folder(library) / f"{uuid7(now_ms())}.json"
        write_whole(path, msgspec.json.encode(removals))
        _finish(library, path, removals)


def finish_removals(library: Library) -> int:
    """Do what was written down before a crash; returns how many. Raises StoreError."""
    done = 0
    folder = _folder(library)
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        try:
            removals = msgspec.json.decode(path.read_bytes(), type=list[Removal])
        except (OSError, msgspec.DecodeError) as error:
            raise StoreError(f"{path}: {error}") from error
        _finish(library, path, removals)
        done += len(removals)
    return done


def make_tombstone(
    log: EvidenceLog, of: str, of_commitments: Sequence[str], what: str, rule: str, by: str, reason: str, at: str
) -> SignedManifest:
    """A signed tombstone for the manifest ``of``; ``at``: ISO 8601. ``reason`` must name no person."""
    stone = {
        **log.describe("tombstone", uuid7(now_ms())),
        "of": of,
        "of_commitments": list(of_commitments),
        "what": what,
        "deleted_at": at,
        "by": by,
        "rule": rule,
        "reason": reason,
    }
    return log.sign(stone)


def _folder(library: Library) -> Path:
    return library.home.root / "removals"


def _finish(library: Library, path: Path, removals: Sequence[Removal]) -> None:
    recordings = library.home.recordings
    for one in removals:
        write_whole(recordings / one.tombstone_file, canonical(one.tombstone) + b"\n")
    for simulated in (False, True):
        entries = [entry for one in removals if one.simulated == simulated for entry in one.entries]
        if entries:
            library.log(simulated).enter_many(entries)
    try:
        _move_files(recordings, removals)
        _change_rows(library, removals)
        _remove_files(recordings, removals)
        _tell(library, removals)
        path.unlink()
        sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"{error.filename}: {error.strerror}") from error


def _move_files(recordings: Path, removals: Sequence[Removal]) -> None:
    """Raises OSError; StoreError: a file is at neither place, and nothing may be removed for it."""
    for one in removals:
        for source, target in one.moves.items():
            if (recordings / source).exists():
                (recordings / source).replace(recordings / target)
            elif not (recordings / target).exists():
                raise StoreError(f"{target} is gone: its master stays")
        for folder in {(recordings / target).parent for target in one.moves.values()}:
            sync_folder(folder)


def _change_rows(library: Library, removals: Sequence[Removal]) -> None:
    with write(library.calls) as connection:
        for one in removals:
            names = ", ".join(f"{name} = ?" for name in one.row)
            connection.execute(f"UPDATE recordings SET {names} WHERE id = ?", (*one.row.values(), one.recording_id))


def _remove_files(recordings: Path, removals: Sequence[Removal]) -> None:
    folders = set()
    for one in removals:
        for name in one.files:
            file = recordings / name
            if one.successor is None and vault.is_encrypted(file):
                vault.destroy_key(file)
            if file.parent.is_dir():
                file.unlink(missing_ok=True)
                folders.add(file.parent)
    for folder in folders:
        sync_folder(folder)


def _tell(library: Library, removals: Sequence[Removal]) -> None:
    """The events, each once: its origin is the tombstone."""
    with write(library.calls) as connection:
        for one in removals:
            row = connection.execute("SELECT * FROM recordings WHERE id = ?", (one.recording_id,)).fetchone()
            if row is not None:
                event_log.append(
                    connection,
                    at_ms=now_ms(),
                    kind=one.event,
                    channel=row["channel"],
                    call_id=row["call_id"],
                    origin=Origin("library", one.tombstone.manifest["id"], 0),
                    data=dict(row),
                )
    doorbell.ring(library.home.doorbells)
