"""Makes rows for calls and recordings of what lies in one folder. Nothing is written here.

Of several papers about one recording each says its part: the manifest what it is, a conversion in which format it is
now, a tombstone that it was deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from recorder.library.rebuilding.paperwork import (
    Audio,
    Named,
    Paper,
    RecordingKind,
    Tape,
    at_ms,
    parse_name,
    read_paper,
)
from recorder.library.rebuilding.rows import Row, call_row, ended_ms, recording_row
from recorder.library.rebuilding.shelf import Bundle, Shelf
from recorder.library.rebuilding.tags import Place, Tags, read_tags

Kind = Literal["damaged", "without_manifest", "unreadable", "duplicate", "wrong_size", "missing", "attempt"]
CONVERTED = "converted"
"""Rule of the tombstone of a master that a conversion stands for."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about one file that somebody should know."""

    kind: Kind
    path: str


@dataclass(frozen=True, slots=True)
class Found:
    """What goes into the store: a call, a recording or both. ``port`` of its card is not always known."""

    path: str
    call: Row | None
    recording: Row | None
    port: int | None = None


@dataclass(slots=True)
class Gathered:
    """All of one folder. ``unread``: why some of it could not be read; None: all was."""

    found: list[Found] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    unread: str | None = None


def gather(recordings: Path, shelf: Shelf, known: Collection[str]) -> Gathered:
    """Read the papers of one folder, but those of the ids ``known``. What cannot be read is left for another day."""
    gathered = Gathered()
    papers: dict[str, tuple[Bundle, list[Paper]]] = {}
    for bundle in shelf.bundles:
        if bundle.identifier in known:
            continue
        try:
            papers[bundle.stem] = bundle, _read_all(recordings, shelf.place, bundle, gathered.findings)
        except OSError as error:
            gathered.unread = str(error.strerror)
    audio = {name: size for bundle in shelf.bundles for name, size in bundle.audio.items()}
    tombstones = {paper.of: paper for _, read in papers.values() for paper in read if paper.kind == "tombstone"}
    conversions = {
        paper.master.manifest_id: paper
        for _, read in papers.values()
        for paper in read
        if paper.kind == "conversion" and paper.master is not None and paper.master.manifest_id not in known
        if _file_of(paper) in audio or _was_converted(tombstones.get(paper.master.manifest_id))
    }
    for bundle, read in papers.values():
        described = False
        for paper in read:
            if paper.kind == "tombstone":
                continue
            described = True
            if paper.kind == "call" and paper.call is not None and paper.id not in tombstones:
                path = f"{shelf.place}/{bundle.stem}.json"
                gathered.found.append(Found(path, call_row(paper, paper.call, path), None))
            elif paper.kind == "recording":
                now = conversions.pop(paper.id, paper)
                gathered.found.append(_of_recording(shelf.place, bundle, paper, now, tombstones, audio, gathered))
        if not described and bundle.audio:
            gathered.found.extend(_bare(recordings, shelf.place, bundle, gathered.findings))
    for identifier, now in conversions.items():  # their master's manifest is gone
        bundle = next(one for one, read in papers.values() if now in read)
        master = msgspec.structs.replace(now, id=identifier, kind="recording")
        gathered.found.append(_of_recording(shelf.place, bundle, master, now, tombstones, audio, gathered))
    return gathered


def _read_all(recordings: Path, place: str, bundle: Bundle, findings: list[Finding]) -> list[Paper]:
    read = []
    for name in (*bundle.papers, *bundle.tombstones):
        paper = read_paper(recordings / place / name)
        if paper is None:
            findings.append(Finding("damaged", f"{place}/{name}"))
        else:
            read.append(paper)
    return read


def _was_converted(tombstone: Paper | None) -> bool:
    return tombstone is not None and tombstone.rule == CONVERTED


def _file_of(paper: Paper) -> str:
    assert paper.audio is not None
    return paper.stored.file if paper.stored else paper.audio.file


def _of_recording(
    place: str,
    bundle: Bundle,
    paper: Paper,
    now: Paper,
    tombstones: Mapping[str, Paper],
    audio: Mapping[str, int],
    gathered: Gathered,
) -> Found:
    """A recording that ``paper`` describes and whose audio is as ``now`` says."""
    assert paper.audio is not None
    assert paper.tape is not None
    assert now.audio is not None
    name, tombstone = _file_of(now), tombstones.get(now.id) or tombstones.get(paper.id)
    if now is not paper and _was_converted(tombstone):
        tombstone = None
    size, wanted = audio.get(name), now.stored.bytes if now.stored else now.audio.bytes
    manifest = f"{place}/{bundle.stem}.json"
    row = recording_row(paper, paper.tape)
    row |= {
        "state": "ready" if size == wanted else "lost",
        "format": now.audio.format,
        "path": f"{place}/{name}",
        "bytes": wanted,
        "sha256": now.stored.sha256 if now.stored else now.audio.sha256,
        "encrypted": now.stored is not None,
        "converted_from": paper.audio.format if paper.audio.format != now.audio.format else None,
    }
    if tombstone is not None:
        # Audio that is still there: the keeper carries on with its deletion.
        row |= {"deleted_rule": tombstone.rule, "deleted_by": tombstone.by}
        if size is None:
            row |= {"state": "deleted", "deleted_ms": at_ms(tombstone.deleted_at)}
    elif size is None and now is paper:
        gathered.findings.append(Finding("attempt", manifest))
    call = None if paper.call is None else call_row(paper, paper.call, manifest, ended_ms(row))
    return Found(manifest, call, row, paper.tape.port)


def _bare(recordings: Path, place: str, bundle: Bundle, findings: list[Finding]) -> list[Found]:
    """Audio whose manifest is gone or damaged: its tags say what call it is, else only its name does."""
    found = []
    for name in sorted(bundle.audio):
        path, named = f"{place}/{name}", parse_name(bundle.stem)
        tagged = read_tags(recordings / place / name) if not name.endswith(".tde") else None
        if tagged is None or named is None:
            findings.append(Finding("unreadable", path))
            continue
        findings.append(Finding("without_manifest", path))
        audio, tags = tagged
        place_on_tape = tags.tapdeck_recording or _place_of_name(bundle.identifier, named, tags, audio)
        paper = Paper(
            kind="recording",
            id=bundle.identifier,
            simulated=place_on_tape.simulated,
            recording_kind=place_on_tape.kind,
            channel=place_on_tape.channel,
            segment=place_on_tape.segment,
            started_ms=place_on_tape.started_ms,
            call=_record(bundle.identifier, named, tags, place_on_tape),
            audio=audio,
        )
        tape = Tape(place_on_tape.card_id, place_on_tape.tape_epoch, place_on_tape.from_sample, place_on_tape.to_sample)
        row = recording_row(paper, tape) | {
            "state": "ready",
            "format": audio.format,
            "path": path,
            "bytes": audio.bytes,
            "sha256": audio.sha256,
        }
        manifest = f"{place}/{bundle.stem}.json"
        call = None if paper.call is None else call_row(paper, paper.call, manifest, ended_ms(row))
        found.append(Found(path, call, row))
    return found


def _place_of_name(identifier: str, named: Named, tags: Tags, audio: Audio) -> Place:
    """Of which tape it was is not known: the id keeps two such recordings apart."""
    record = tags.tapdeck_call or {}
    kind = _KINDS.get(named.way, "call")
    card_id = str(record.get("card_id") or "")
    simulated = bool(record.get("simulated"))
    return Place(named.channel, named.started_ms, card_id, identifier, 0, audio.samples, None, kind, 0, simulated)


def _record(identifier: str, named: Named, tags: Tags, place: Place) -> dict[str, Any] | None:
    """The call record of the tags; for want of one, what the name tells."""
    if tags.tapdeck_call is not None or place.kind != "call":
        return tags.tapdeck_call
    incoming = named.way == "in"
    return {
        "id": identifier,
        "channel": place.channel,
        "card_id": place.card_id,
        "direction": "incoming" if incoming else "outgoing",
        "caller_number" if incoming else "dialled_number": named.number,
        "started_ms": place.started_ms,
    }


_KINDS: Mapping[str, RecordingKind] = {"cont": "continuous", "man": "manual"}
