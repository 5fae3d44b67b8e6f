"""Proofs: that a manifest is in the device's log, for somebody who has nothing but an exported recording."""

from __future__ import annotations

import logging
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import sqlite_utils

from firmware.config import Home
from firmware.durable import write_whole
from firmware.errors import BadInput, NotFound, Refused
from recorder.library.evidence.anchors import AnchorFile, read_anchor, readable_anchors_in
from recorder.library.evidence.files import (
    SET_ASIDE,
    heads_path,
    log_folders,
    log_name,
    read_leaves,
    read_manifest,
)
from recorder.library.evidence.heads import HeadLine, last_head, read_heads
from recorder.library.evidence.log_aside import is_version_1
from recorder.library.evidence.merkle import Frontier, inclusion_path, leaf_hash

log = logging.getLogger("library")

_CANDIDATES = 16
"""So many of the newest heads are looked at for one whose signature holds."""


def proof_for(home: Home, manifest_id: str) -> dict[str, Any]:
    """The proof of docs/evidence.md for a manifest, in the tree of the newest head and of some anchors.

    Logs that were set aside prove what they have as well, and a damaged one as far as a signed head says what it was.
    Anchors: the first that covers it, the first with each kind of receipt, and the newest. Reads the log a few times.
    Raises NotFound: no log names it; Refused: no head covers it yet, or nobody can say because a log is damaged.
    """
    looked_at: list[tuple[Path, _Look | None]] = []
    for folder in log_folders(home):
        for path in [*sorted(folder.glob("*.log")), *sorted(folder.glob(f"*{SET_ASIDE}"))]:
            try:
                if is_version_1(path):
                    continue
                look = _look_through(path, manifest_id)
                looked_at.append((path, look))
                if look.at is not None and look.at < look.readable:
                    proof = _proof(path, manifest_id, look.at, look.readable)
                    if proof is not None:
                        return proof
            except (OSError, ValueError) as error:
                log.error("evidence log %s: %s", path.name, error)
                looked_at.append((path, None))
    damaged = [path.name for path, look in looked_at if look is None or not _agrees_with_head(path, look)]
    if any(look is not None and look.at is not None and path.name not in damaged for path, look in looked_at):
        raise Refused("no signed head covers it yet: ask again in a minute")
    if damaged:
        raise Refused(f"no log proves it, and nobody can say what a damaged one said: {', '.join(damaged)}")
    raise NotFound(f"no evidence log names {manifest_id}")


class _Look(NamedTuple):
    """Which leaf speaks of a manifest last, how many are known from the first on, and how many lines there are."""

    at: int | None
    readable: int
    lines: int


def _look_through(path: Path, manifest_id: str) -> _Look:
    found, readable, lines = None, 0, 0
    for index, leaf in enumerate(read_leaves(path)):
        readable += leaf is not None and readable == index
        if leaf is not None and leaf.manifest_id == manifest_id and (found is None or index < readable):
            found = index
        lines += 1
    return _Look(found, readable, lines)


def _agrees_with_head(path: Path, look: _Look) -> bool:
    """Whether all lines are known, and the newest genuine head is of these leaves: nothing that it covered is missing.

    Raises nothing.
    """
    if look.readable < look.lines:
        return False
    try:
        newest = _newest_genuine(path)
        return not look.lines if newest is None else _is_of(newest, path, look.readable)
    except OSError as error:
        log.error("evidence log %s: %s", path.name, error)
        return False


def _newest_genuine(path: Path) -> HeadLine | None:
    newest = _last_head(path)
    if newest is None:
        readable_heads = deque(read_heads(heads_path(path)), maxlen=_CANDIDATES)
        newest = next((line for line in reversed(readable_heads) if line.is_genuine()), None)
    return newest


def _is_of(line: HeadLine, path: Path, readable: int) -> bool:
    size = line.head.tree_size
    return size <= readable and _roots(path, {size}).get(size) == line.head.root


def _last_head(path: Path) -> HeadLine | None:
    try:
        return last_head(heads_path(path))
    except ValueError:
        return None


def _proof(path: Path, manifest_id: str, index: int, readable: int) -> dict[str, Any] | None:
    """The proof from this log, None when no signed head covers the leaf.

    Whatever else is wrong with the log: a root that the device signed leaves no doubt about the leaves below it.
    """
    head = _covering_head(path, index, readable)
    if head is None:
        return None
    anchors = [
        {"anchor": msgspec.to_builtins(anchor), "path": _path(path, index, size)}
        for anchor, size in _useful(_covering(path, head.head.device, index, readable))
    ]
    return {
        "manifest_id": manifest_id,
        "log": log_name(path),
        "index": index,
        "head": msgspec.to_builtins(head),
        "path": _path(path, index, head.head.tree_size),
        "anchors": anchors,
    }


def _covering_head(path: Path, index: int, readable: int) -> HeadLine | None:
    """The newest signed head that covers the leaf and is of these very leaves; nearly always it is the last one."""
    name = log_name(path)
    last = _last_head(path)
    if last is not None and last.head.log == name and index < last.head.tree_size and _is_of(last, path, readable):
        return last
    tree, leaves = Frontier(), _leaf_hashes(path)
    fitting: deque[HeadLine] = deque(maxlen=_CANDIDATES)
    for line in read_heads(heads_path(path)):
        head = line.head
        if head.tree_size > readable or head.log != name:
            continue
        while tree.size < head.tree_size:
            tree.append(next(leaves))
        if index < head.tree_size == tree.size and tree.root().hex() == head.root:
            fitting.append(line)
    return next((line for line in reversed(fitting) if line.is_genuine()), None)


def _leaf_hashes(path: Path) -> Iterator[bytes]:
    for leaf in read_leaves(path):
        if leaf is None:
            return
        yield leaf_hash(bytes.fromhex(leaf.commitment))


def _roots(path: Path, sizes: set[int]) -> dict[int, str]:
    """The roots that the tree had at these sizes."""
    tree, roots = Frontier(), dict[int, str]()
    for leaf in _leaf_hashes(path):
        tree.append(leaf)
        if tree.size in sizes:
            roots[tree.size] = tree.root().hex()
    return roots


def _path(path: Path, index: int, size: int) -> list[str]:
    return [node.hex() for node in inclusion_path(_leaf_hashes(path), index, size)]


def _covering(path: Path, device: str, index: int, readable: int) -> Iterator[tuple[AnchorFile, int]]:
    """The anchors of these very leaves, by number: a log that was set aside left its name to the next."""
    name = log_name(path)
    found = []
    for file in readable_anchors_in(path.parent):
        anchor = read_anchor(file)
        head = next((one for one in anchor.anchor.heads if one.log == name), None)
        if head is not None and anchor.anchor.device == device and index < head.tree_size <= readable:
            found.append((file, head))
    roots = _roots(path, {head.tree_size for _, head in found}) if found else {}
    for file, head in found:
        if roots.get(head.tree_size) == head.root:
            yield read_anchor(file), head.tree_size


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
