"""The one way in which recordings are deleted, whatever the rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from firmware.clock import iso_utc, now_ms
from firmware.errors import StoreError
from recorder.library.audio import names
from recorder.library.evidence.log import SignedManifest, read_manifest
from recorder.library.keeping.task import Library
from recorder.library.storage.judge import Judge, Judged, Protection
from recorder.library.storage.removal import Removal, carry_out, make_tombstone, unfinished
from recorder.library.storage.stock import StoredRecording, find

AT_ONCE = 50
MUST_GO = frozenset({"never_list", "erasure", "discarded"})
"""What they name must not exist at all, so no archive is waited for, and copies go too. A hold stands above them."""
Refusal = Literal["absent", "unreachable", "unchecked"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of each recording. ``absent``: there is no such recording with audio, or its removal is under way;
    ``unreachable``: the disk does not let its folder be read; ``unchecked``: the copy in a required archive could not
    be looked at.
    """

    deleted: tuple[str, ...]
    refused: Mapping[str, Protection | Refusal]


def delete_recordings(
    library: Library, ids: Sequence[str], rule: str, by: str, reason: str, remove_manifest: bool = False
) -> Outcome:
    """Delete audio, and with ``remove_manifest`` the manifests too; held and unarchived recordings are refused.

    Each leaves a signed tombstone; ``reason`` stands in it and must name no person. With ``remove_manifest``
    recordings that were deleted earlier lose their manifests as well. The holds are those of this very moment.
    Raises StoreError, sqlite3.Error, ConfigError; what was begun is finished later.
    """
    deleted: list[str] = []
    refused: dict[str, Protection | Refusal] = dict.fromkeys(ids, "absent")
    states = ("ready", "deleted") if remove_manifest else ("ready",)
    for first in range(0, len(ids), AT_ONCE):
        some = set(ids[first : first + AT_ONCE])
        some -= unfinished(library, some)
        removals = []
        judge = Judge(library.calls, library.crm)
        judged = judge.judge(find(library.calls, some, states))
        unsafe: dict[str, Protection | Refusal] = {}
        if judge.required_targets and rule not in MUST_GO:
            may_go = [one.recording.id for one in judged if one.protection is None]
            unsafe = dict.fromkeys(some - set(may_go), "unchecked")
            unsafe |= _unconfirmed(library, judge.required_targets, may_go)
            judged = Judge(library.calls, library.crm).judge(find(library.calls, some, states))  # that took a while
        for one in judged:
            recording_id = one.recording.id
            why = protection(one, rule) or _unreachable(library, one.recording) or unsafe.get(recording_id)
            if why is None:
                removals.append(_removal(library, one.recording, rule, by, reason, remove_manifest))
                del refused[recording_id]
            else:
                refused[recording_id] = why
        carry_out(library, removals)
        deleted += [one.recording_id for one in removals]
    return Outcome(tuple(deleted), refused)


def _unconfirmed(library: Library, targets: Sequence[str], ids: Sequence[str]) -> Mapping[str, Protection | Refusal]:
    """The box's audio is the last but for what the archives have: they are asked whether they have it."""
    if not ids:
        return {}
    from recorder.library.archive.confirming import unconfirmed  # rarely wanted

    return unconfirmed(library, targets, ids)


def _unreachable(library: Library, recording: StoredRecording) -> Refusal | None:
    try:
        (library.home.recordings / recording.path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return "unreachable"
    return None


def protection(one: Judged, rule: str) -> Protection | None:
    """What protects a recording from this rule."""
    return None if one.protection == "unarchived" and rule in MUST_GO else one.protection


def _removal(
    library: Library, recording: StoredRecording, rule: str, by: str, reason: str, remove_manifest: bool
) -> Removal:
    path, at_ms = recording.path, now_ms()
    manifest = manifest_at(library, names.manifest_file(path))
    papers = names.papers(path)
    # The new tombstone takes the place of one that was left by a deletion that did not come to its end.
    own = PurePosixPath(path).with_name(f"{recording.id}.tombstone.json").as_posix()  # names tell the number
    without = (*papers, own) if remove_manifest else (names.manifest_file(path), names.tombstone_file(path))
    gone = [manifest_at(library, one) for one in without]
    tombstone = make_tombstone(
        library.log(recording.simulated),
        str(manifest.manifest["id"]) if manifest else recording.id,
        list(dict.fromkeys(commitment for one in gone if one is not None for commitment in _stood_for(one))),
        "audio and manifest" if remove_manifest else "audio",
        rule, by, reason, iso_utc(at_ms),
    )  # fmt: skip
    files, stone = names.audio_files(path), names.tombstone_file(path)
    if remove_manifest:
        files += papers
        stone = own
    row = {"state": "deleted", "deleted_ms": at_ms, "deleted_rule": rule, "deleted_by": by}
    return Removal(recording.id, recording.simulated, tombstone, stone, files, row, "recording_deleted")


def _stood_for(manifest: SignedManifest) -> list[str]:
    """Its commitment, and those that it spoke of as a tombstone: whatever takes its place speaks of all."""
    earlier = manifest.manifest.get("of_commitments")
    return [manifest.commitment(), *(map(str, earlier) if isinstance(earlier, list) else ())]


def manifest_at(library: Library, file: str) -> SignedManifest | None:
    """A manifest below the recordings folder; None: it is gone or damaged, and nothing is lost by that."""
    try:
        return read_manifest(library.home.recordings / file)
    except StoreError:
        return None
