"""Removing audio for good, so that a power cut at any instant leaves nothing half done.

What is to be removed is first written down as a whole (``removals/``, signed tombstones with it) and then carried out:
tombstone beside the recording, tombstone in the evidence log, row, files, event. After a crash all of it is done again
from the beginning; every step may be done twice. A conversion goes the same way: it removes the master.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from firmware import doorbell
from firmware.clock import iso_utc, now_ms, uuid7
from firmware.durable import sync_folder, write_whole
from firmware.errors import StoreError
from firmware.store import event_log
from firmware.store.connection import write
from firmware.store.event_log import Origin
from recorder.library.archive.owed import withdraw
from recorder.library.audio import vault
from recorder.library.evidence.log import EvidenceLog, NewEntry, SignedManifest, canonical
from recorder.library.keeping.task import Library

log = logging.getLogger("library")

_MARKS = ("never_list", "discarded")
"""Rules by which the recorder marks what the keeper is to delete."""


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


def finish_removals(library: Library, only: Collection[str] | None = None) -> int:
    """Do what was written down before a crash; returns how many. ``only``: what is about these recordings.

    One that cannot be done does not keep the others from being done. Raises StoreError: the first that could not be.
    """
    done, problem = 0, None
    _remove_drafts(library)
    for path in _written_down(library):
        try:
            removals = _read(path)
            if only is None or any(one.recording_id in only for one in removals):
                _finish(library, path, _not_held(library, removals))
                done += len(removals)
        except StoreError as error:
            problem = problem or error
    if problem is not None:
        raise problem
    return done


def unfinished(library: Library, recording_ids: Collection[str]) -> set[str]:
    """Of these recordings, those that an earlier removal is still about, after another attempt to finish it.

    Nothing new may be written down about them: it would be done before what is older.
    """
    with suppress(StoreError):
        finish_removals(library, recording_ids)
    found = set()
    for path in _written_down(library):
        with suppress(StoreError):
            found |= {one.recording_id for one in _read(path)}
    return found & set(recording_ids)


def _written_down(library: Library) -> list[Path]:
    return sorted(_folder(library).glob("*.json"))


def _remove_drafts(library: Library) -> None:
    """What a kill left half written was never begun, and tells names of files, and so a number."""
    for draft in _folder(library).glob("*.part"):
        with suppress(OSError):  # it is tried again the next time
            draft.unlink(missing_ok=True)


def _read(path: Path) -> list[Removal]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Removal])
    except (OSError, msgspec.DecodeError) as error:
        raise StoreError(f"{path}: {error}") from error


def _not_held(library: Library, removals: Sequence[Removal]) -> list[Removal]:
    """Those that no hold of this moment forbids. A conversion that was begun is finished: the recording stays."""
    from recorder.library.storage.judge import Judge
    from recorder.library.storage.stock import find

    deletions = [one.recording_id for one in removals if one.successor is None and _is_still_there(library, one)]
    found = find(library.calls, deletions, ("ready", "deleted"))
    judged = Judge(library.calls, library.crm).judge(found)
    held = {one.recording.id for one in judged if one.protection in ("held", "unread")}
    for one in removals:
        if one.successor is None and one.recording_id in held:
            log.warning("recording %s stays: a hold was set before it was gone", one.recording_id)
            _call_off(library, one)
    return [one for one in removals if one.successor is not None or one.recording_id not in held]


def _is_still_there(library: Library, one: Removal) -> bool:
    """Whether its audio is, and can be played: the key of an encrypted recording goes first."""
    audio = library.calls.conn.execute("SELECT path FROM recordings WHERE id = ?", (one.recording_id,)).fetchone()
    if audio is None or audio[0] not in one.files:
        return False
    file = library.home.recordings / audio[0]
    try:
        return file.exists() and (not vault.is_encrypted(file) or vault.key_path(file).exists())
    except OSError:  # nothing of it can be removed now either
        return False


def _call_off(library: Library, one: Removal) -> None:
    """The recording is what it was, also where its row said already that it is gone; a mark on it stays one.

    A tombstone that the log names already gets one of its own: no recording is said to be gone that is there.
    """
    withdraw(library.home, one.recording_id)
    evidence, file = library.log(one.simulated), library.home.recordings / one.tombstone_file
    stone = one.tombstone
    if evidence.names(stone.manifest["id"], stone):
        at_ms = now_ms()
        stopped = make_tombstone(
            evidence, stone.manifest["id"], [stone.commitment()], "tombstone", "hold", "box", "", iso_utc(at_ms)
        )
        write_whole(file, canonical(stopped) + b"\n")
        evidence.enter(stopped.manifest["id"], "tombstone", at_ms, stopped)
    else:
        file.unlink(missing_ok=True)
    with write(library.calls) as connection:
        connection.execute(
            "UPDATE recordings SET state = 'ready', deleted_ms = NULL,"
            " deleted_rule = CASE WHEN deleted_rule IN (?, ?) THEN deleted_rule END,"
            " deleted_by = CASE WHEN deleted_rule IN (?, ?) THEN deleted_by END WHERE id = ? AND state = 'deleted'",
            (*_MARKS, *_MARKS, one.recording_id),
        )


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
