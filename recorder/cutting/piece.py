"""One recording, or a call without one, on its way from the tape to the disk."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from firmware.config import Home
from firmware.errors import StoreError
from recorder.cutting.manifest import (
    audio_facts,
    call_manifest,
    call_record,
    other_number,
    recording_manifest,
    recording_name,
)
from recorder.cutting.masters import Tags, encode_master
from recorder.cutting.peaks import peaks_of, peaks_path
from recorder.cutting.staging import drop, give_name, part_path, stage, sync, sync_names
from recorder.cutting.taped import SharedTape, Taped, joined
from recorder.library.evidence.log import EvidenceLog, SignedManifest, canonical, new_salt, read_manifest
from recorder.tape.format import Range

Row = Mapping[str, Any]
_WITHOUT_AUDIO = (".part", ".peaks", ".json")
_TOMBSTONE = ".tombstone.json"


@dataclass(frozen=True, slots=True)
class Piece:
    """What is staged of it. ``order`` is the row it is made for.

    ``signed`` is None when there is nothing left to keep, or nothing that may be kept: ``stone`` says that it was
    deleted. ``papers`` and ``outline`` get their names before ``audio``. ``is_old``: an earlier attempt finished its
    files, and the log may name it already.
    """

    order: Row
    folder: Path
    signed: SignedManifest | None
    papers: tuple[Path, ...] = ()
    outline: Path | None = None
    audio: Path | None = None
    is_old: bool = False
    stone: SignedManifest | None = None

    @property
    def id(self) -> str:
        """Of the recording or call."""
        return str(self.order["id"])

    def sync_content(self) -> None:
        """Bring what must not be lost to the medium; the outline can be made again. Raises StoreError."""
        for path in self.papers:
            sync(path)
        if self.audio is not None:
            sync(self.audio)

    def name_papers(self) -> None:
        """The manifest last: where it is, the rest of them is. Raises StoreError."""
        for path in (self.outline, *self.papers):
            if path is not None:
                give_name(path)

    def name_audio(self) -> None:
        """Raises StoreError."""
        if self.audio is not None:
            give_name(self.audio)

    def sync_names(self) -> None:
        """Raises StoreError."""
        if self.signed is not None:
            sync_names(self.folder)

    def drop(self) -> None:
        """Give up what has no name yet; never raises."""
        for path in (*self.papers, self.outline, self.audio):
            if path is not None:
                drop(path)


def recording_piece(
    home: Home, log: EvidenceLog, tape: SharedTape, order: Row, call: Row | None, encrypts: bool
) -> Piece:
    """Cut a recording from the tape, unless it is there, or was deleted: a store that lost its last word, or was made
    anew, orders it again. Raises StoreError.
    """
    name = home.recordings / recording_name(order, call)
    stone = _tombstone(name.parent, order["id"], log)
    if stone is not None:
        _remove(name.parent, order["id"], (".part",))
        signed = next((one for one in _manifests(name.parent, order["id"], log) if one[1].has_salt), (None, None))[1]
        return Piece(order, name.parent, signed, is_old=True, stone=stone)
    signed = _finished(name.parent, order["id"], log)
    if signed is not None:
        return Piece(order, name.parent, signed, is_old=True)
    tracks = range(order["port"] * order["tracks"], (order["port"] + 1) * order["tracks"])
    taped = tape.read_order(order["tape_epoch"], tracks, order["from_sample"], order["to_sample"])
    has_audio = _has_audio(name.parent, order["id"])
    if (taped.is_lost or taped.gaps) and has_audio:
        raise StoreError(f"{name}: its audio is there, but not as a manifest says, and the tape holds less of it")
    # What an earlier attempt left without its audio. Beside audio its key stays until another is in its place.
    _remove(name.parent, order["id"], (".part",) if has_audio else _WITHOUT_AUDIO)
    if taped.is_lost:
        return Piece(order, name.parent, None)
    staged = _Staged([])
    try:
        return _cut(home, log, name, order, call, taped, encrypts, staged)
    except BaseException:
        staged.drop()
        raise


@dataclass(frozen=True, slots=True)
class _Staged:
    """Files that are staged, to be dropped together."""

    paths: list[Path]

    def add(self, path: Path, content: bytes) -> Path:
        self.paths.append(path)
        stage(path, content)
        return path

    def drop(self) -> None:
        for path in self.paths:
            drop(path)


def _cut(
    home: Home, log: EvidenceLog, name: Path, order: Row, call: Row | None, taped: Taped, encrypts: bool,
    staged: _Staged,
) -> Piece:  # fmt: skip
    rate = order["sample_rate_hz"]
    pauses = _pauses(order)
    ranges: list[Range] = joined((pause["from_sample"], pause["to_sample"]) for pause in pauses)
    samples = taped.without(ranges)
    master = encode_master(samples, rate, order["wanted_format"], [*taped.gaps, *ranges], _tags(order, call))
    audio = name.with_name(f"{name.name}{master.ending}")
    facts = audio_facts(audio.name, master.format, master.content, rate, len(samples), samples.shape[1])
    outline = staged.add(peaks_path(audio), peaks_of(samples, rate))
    papers: list[Path] = []
    stored = None
    content = master.content
    if encrypts:
        from recorder.library.audio import vault

        sealed = vault.encrypt_recording(home, order["id"], master.content)
        audio = audio.with_name(f"{audio.name}{vault.ENDING}")
        papers.append(staged.add(vault.key_path(audio), sealed.key_file))
        stored = {"file": audio.name, **sealed.stored}
        content = sealed.content
    begun = log.describe("recording", order["id"])
    signed = log.sign(recording_manifest(begun, order, call, facts, stored, taped.missing, pauses))
    papers.append(staged.add(name.with_name(f"{name.name}.json"), canonical(signed) + b"\n"))
    staged.add(audio, content)
    return Piece(order, name.parent, signed, tuple(papers), outline, audio)


def call_piece(home: Home, log: EvidenceLog, call: Row) -> Piece:
    """Describe a call that has no recording. Raises StoreError."""
    path = home.recordings / f"{recording_name(call, call)}.json"
    signed = read_manifest(path) if path.exists() else None
    if signed is not None and signed.has_salt and _is_of(signed, call["id"], log):
        return Piece(call, path.parent, signed, is_old=True)
    signed = log.sign(call_manifest(log.describe("call", call["id"]), call))
    stage(path, canonical(signed) + b"\n")
    return Piece(call, path.parent, signed, (path,))


def found_of(home: Home, piece: Piece) -> dict[str, Any]:
    """What the store shall say of a recording."""
    told = {} if piece.signed is None else _told_by(home, piece.folder, piece.signed.manifest)
    if piece.stone is not None:
        return told | _deleted_by(piece.stone.manifest)
    if piece.signed is None:
        return {"state": "lost", "missing_samples": piece.order["to_sample"] - piece.order["from_sample"]}
    return told | {"state": "ready"}


def missing_by_reason(piece: Piece) -> dict[str, int]:
    """How many samples the recording lacks, by the reasons of docs/evidence.md."""
    found: Counter[str] = Counter()
    for gap in [] if piece.signed is None else piece.signed.manifest.get("gaps", []):
        found[gap["reason"]] += gap["to_sample"] - gap["from_sample"]
    return dict(found)


def _told_by(home: Home, folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    stored = manifest.get("stored")
    file = stored or manifest["audio"]
    return {
        "format": manifest["audio"]["format"],
        "path": (folder / file["file"]).relative_to(home.recordings).as_posix(),
        "missing_samples": manifest["missing_samples"],
        "bytes": file["bytes"],
        "sha256": file["sha256"],
        "encrypted": int(stored is not None),
    }


def _deleted_by(stone: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "state": "deleted",
        "deleted_ms": round(datetime.fromisoformat(stone["deleted_at"]).timestamp() * 1000),
        "deleted_rule": stone["rule"],
        "deleted_by": stone["by"],
    }


def _tombstone(folder: Path, identifier: str, log: EvidenceLog) -> SignedManifest | None:
    """The tombstone of a recording that was deleted: that is final while the tape still has it, too.

    Raises StoreError: there is one that does not say so in our own name; neither is the recording given up for it, nor
    is brought back what may have been deleted.
    """
    for path in _files_of(folder, identifier, (_TOMBSTONE,)):
        stone = read_manifest(path)
        if stone is None or not log.is_own(stone):
            raise StoreError(f"{path}: a tombstone that is damaged or not ours")
        if stone.manifest.get("of") == identifier and str(stone.manifest.get("what")).startswith("audio"):
            return stone
    return None


def _finished(folder: Path, identifier: str, log: EvidenceLog) -> SignedManifest | None:
    """The manifest of a recording that was finished before its cutter was killed, or its log refused.

    One that another key signed was put there, and our log must not vouch for it. The call may have gone on since, and
    its number become known: what was finished stays as it is. One of version 1 gets the salt that the log needs; so
    does one whose salt, which nobody signed, is damaged.
    """
    for path, signed in _manifests(folder, identifier, log):
        if not _audio_is_there(folder, signed):
            continue
        if not signed.has_salt:
            signed = msgspec.structs.replace(signed, salt=new_salt())
            stage(path, canonical(signed) + b"\n")
            sync(path)
            give_name(path)
        _remove(folder, identifier, (".part",))
        return signed
    return None


def _manifests(folder: Path, identifier: str, log: EvidenceLog) -> Iterator[tuple[Path, SignedManifest]]:
    for path in _files_of(folder, identifier, (f"_{identifier}.json",)):
        signed = read_manifest(path)
        if signed is not None and _is_of(signed, identifier, log):
            yield path, signed


def _is_of(signed: SignedManifest, identifier: str, log: EvidenceLog) -> bool:
    return signed.manifest.get("id") == identifier and log.is_own(signed)


def _audio_is_there(folder: Path, signed: SignedManifest) -> bool:
    """Whether the audio is the one that the manifest describes; it may have come to the medium without its name."""
    file = signed.manifest.get("stored") or signed.manifest["audio"]
    audio = folder / file["file"]
    if _sha256(audio) == file["sha256"]:
        return True
    if audio.exists() or _sha256(part_path(audio)) != file["sha256"]:
        return False
    give_name(audio)
    return True


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def _has_audio(folder: Path, identifier: str) -> bool:
    return any(not path.name.endswith(_WITHOUT_AUDIO) for path in _files_of(folder, identifier, ("",)))


def _remove(folder: Path, identifier: str, endings: tuple[str, ...]) -> None:
    for path in _files_of(folder, identifier, endings):
        if not path.name.endswith(_TOMBSTONE):
            path.unlink(missing_ok=True)


def _files_of(folder: Path, identifier: str, endings: tuple[str, ...]) -> list[Path]:
    try:
        names = os.listdir(folder)  # noqa: PTH208 - a folder of days of segments is looked through for each of them
    except FileNotFoundError:
        return []
    return [folder / name for name in names if f"_{identifier}." in f"_{name}" and name.endswith(endings)]


def _pauses(order: Row) -> list[dict[str, Any]]:
    """The pauses of an order, from its first sample."""
    first, last = order["from_sample"], order["to_sample"]
    found = []
    for pause in msgspec.json.decode(order["pauses"]):
        low, high = max(first, pause["from_sample"]), min(last, pause["to_sample"])
        if low < high:
            found.append({**pause, "from_sample": low - first, "to_sample": high - first})
    return found


_OF_THE_ORDER = (
    "id", "kind", "channel", "segment", "started_ms", "card_id", "port", "tape_epoch", "from_sample", "to_sample",
    "simulated",
)  # fmt: skip


def _tags(order: Row, call: Row | None) -> Tags:
    comment = {
        "tapdeck_call": None if call is None else call_record(call),
        "tapdeck_recording": {name: order[name] for name in _OF_THE_ORDER},
    }
    if call is None:
        return Tags(f"{order['kind']} recording", f"channel {order['channel']}", comment)
    title = f"{call['direction']} {other_number(call) or 'unknown'}"
    return Tags(title, call["caller_name"] or call["caller_number"] or "unknown", comment)
