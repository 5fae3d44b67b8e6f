"""Proofs: that a manifest is in the device's log, for somebody who has nothing but an exported recording."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import sqlite_utils

from firmware.config import Home
from firmware.durable import write_whole
from firmware.errors import BadInput, NotFound, Refused, StoreError
from recorder.library.evidence.anchors import AnchorFile, read_anchor, readable_anchors
from recorder.library.evidence.files import (
    LogEntry,
    evidence_folder,
    heads_path,
    log_path,
    read_entries,
    read_manifest,
)
from recorder.library.evidence.heads import last_head
from recorder.library.evidence.merkle import inclusion_path, leaf_hash


def proof_for(home: Home, manifest_id: str) -> dict[str, Any]:
    """The proof of docs/evidence.md for a manifest, in the tree of the newest head and of some anchors.

    Anchors: the first that covers it, the first with each kind of receipt, and the newest. Reads the log once for
    each of them. Raises NotFound: no log names it; Refused: no head covers it yet; StoreError: a log is damaged.
    """
    for simulated in (False, True):
        for path in sorted(evidence_folder(home, simulated).glob("*.log")):
            entry = _last_entry(path, manifest_id)
            if entry is not None:
                return _proof(home, simulated, path.name.removesuffix(".log"), entry)
    raise NotFound(f"no evidence log names {manifest_id}")


def _last_entry(path: Path, manifest_id: str) -> LogEntry | None:
    found = None
    try:
        for entry, _ in read_entries(path):
            if entry.manifest_id == manifest_id:
                found = entry
    except (OSError, ValueError) as error:
        raise StoreError(f"evidence log {path.name}: {error}") from error
    return found


def _proof(home: Home, simulated: bool, log: str, entry: LogEntry) -> dict[str, Any]:
    path = log_path(home, log, simulated)
    try:
        head = last_head(heads_path(path))
        if head is None or head.head.tree_size <= entry.index:
            raise Refused("no signed head covers it yet: ask again in a minute")
        anchors = [
            {"anchor": msgspec.to_builtins(anchor), "path": _path(path, entry.index, size)}
            for anchor, size in _useful(_covering(home, simulated, log, entry.index))
        ]
        return {
            "manifest_id": entry.manifest_id,
            "log": log,
            "index": entry.index,
            "head": msgspec.to_builtins(head),
            "path": _path(path, entry.index, head.head.tree_size),
            "anchors": anchors,
        }
    except (OSError, ValueError) as error:
        raise StoreError(f"evidence log {path.name}: {error}") from error


def _path(log: Path, index: int, size: int) -> list[str]:
    leaves = (leaf_hash(bytes.fromhex(entry.commitment)) for entry, _ in read_entries(log))
    return [node.hex() for node in inclusion_path(leaves, index, size)]


def _covering(home: Home, simulated: bool, log: str, index: int) -> Iterator[tuple[AnchorFile, int]]:
    for path in readable_anchors(home, simulated):
        anchor = read_anchor(path)
        size = next((head.tree_size for head in anchor.anchor.heads if head.log == log), 0)
        if size > index:
            yield anchor, size


def _useful(covering: Iterator[tuple[AnchorFile, int]]) -> Sequence[tuple[AnchorFile, int]]:
    chosen: dict[str, tuple[AnchorFile, int]] = {}
    newest = None
    for newest in covering:
        for name in ("first", *(str(receipt.get("kind")) for receipt in newest[0].receipts)):
            chosen.setdefault(name, newest)
    if newest is not None:
        chosen["newest"] = newest
    by_number = {one[0].anchor.number: one for one in chosen.values()}
    return [by_number[number] for number in sorted(by_number)]


def export(home: Home, calls: sqlite_utils.Database, recording_id: str, out: Path) -> list[Path]:
    """Copy a recording's audio and manifest to the folder ``out`` and put its proof beside them; returns the files.

    An encrypted recording is exported as it was before encryption. Raises NotFound, Refused, BadInput, StoreError.
    """
    from recorder.library.audio import names
    from recorder.library.audio.stored import open_audio

    row = calls.conn.execute("SELECT path FROM recordings WHERE id = ?", (recording_id,)).fetchone()
    if row is None or not row[0]:
        raise NotFound(f"there is no audio of a recording {recording_id}")
    manifest = home.recordings / names.manifest_file(row[0])
    signed = read_manifest(manifest)
    if signed is None:
        raise NotFound(f"the manifest of recording {recording_id} is damaged")
    proof = proof_for(home, str(signed.manifest["id"]))
    made = [out / Path(row[0]).name.removesuffix(".tde"), out / manifest.name, out / f"{manifest.stem}.proof.json"]
    try:
        out.mkdir(parents=True, exist_ok=True)
        with open_audio(home, row[0]) as audio, made[0].open("wb") as copy:
            shutil.copyfileobj(audio, copy)
        shutil.copyfile(manifest, made[1])
    except OSError as error:
        raise BadInput(f"{error.filename or out}: {error.strerror}") from error
    write_whole(made[2], msgspec.json.format(msgspec.json.encode(proof), indent=1) + b"\n")
    return made
