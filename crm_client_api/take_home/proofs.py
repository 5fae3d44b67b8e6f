"""Proofs for many manifests at once: each log is read once, its Merkle tree kept while proofs are taken from it.

What is simple is done here: a log whose last head is genuine and of these very leaves. For anything else the
library's own search answers, manifest by manifest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from firmware.config import Home
from firmware.errors import NotFound, Refused, StoreError
from recorder.library.evidence.anchors import AnchorFile, read_anchor, readable_anchors_in
from recorder.library.evidence.files import heads_path, log_folders, log_name, read_leaves
from recorder.library.evidence.heads import HeadLine, last_head
from recorder.library.evidence.merkle import leaf_hash
from recorder.library.evidence.proof import proof_for

_HASH_BYTES = 32


class Tree:
    """A Merkle tree (RFC 9162, section 2.1.1) of which only whole subtrees are kept, 64 bytes a leaf."""

    def __init__(self) -> None:
        self._levels: list[bytearray] = [bytearray()]

    @property
    def size(self) -> int:
        """How many leaves it has."""
        return len(self._levels[0]) // _HASH_BYTES

    def append(self, leaf: bytes) -> None:
        """Add a leaf by its hash."""
        node = leaf
        for level, nodes in enumerate(self._levels):  # which grows on the way
            nodes += node
            if (len(nodes) // _HASH_BYTES) % 2:
                return
            node = _joined(bytes(nodes[-2 * _HASH_BYTES : -_HASH_BYTES]), node)
            if level + 1 == len(self._levels):
                self._levels.append(bytearray())

    def root(self, size: int) -> bytes:
        """The root of the first ``size`` leaves, at least one."""
        return self._node(size.bit_length(), 0, size)

    def path(self, index: int, size: int) -> list[bytes]:
        """The inclusion path of a leaf in the tree of the first ``size`` leaves."""
        found = []
        level = 0
        while 1 << level < size:
            other = index >> level ^ 1
            if other << level < size:
                found.append(self._node(level, other, size))
            level += 1
        return found

    def _node(self, level: int, index: int, size: int) -> bytes:
        """The node over the leaves from ``index << level``, of the first ``size``."""
        if index + 1 << level <= size:
            return bytes(self._levels[level][index * _HASH_BYTES : (index + 1) * _HASH_BYTES])
        left = 2 * index
        if left + 1 << level - 1 >= size:
            return self._node(level - 1, left, size)
        return _joined(self._node(level - 1, left, size), self._node(level - 1, left + 1, size))


def _joined(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class _Log:
    name: str
    tree: Tree
    head: HeadLine
    anchors: Sequence[tuple[AnchorFile, int]]
    """With the size that each gives the log, by their numbers; all genuine for these leaves."""


class Prover:
    """Takes proofs from the logs as they were when it was made, which raises nothing. Thread: one.

    Takes some 250 bytes a manifest while it lives.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._logs: list[_Log] = []
        self._at: dict[str, tuple[int, int]] = {}
        for folder in log_folders(home):
            for path in sorted(folder.glob("*.log")):
                try:
                    self._read(path)
                except (OSError, ValueError, StoreError):
                    continue  # ``proof_for`` says what is the matter with it

    def _read(self, path: Path) -> None:
        head = last_head(heads_path(path))
        if head is None or head.head.log != log_name(path):
            return
        tree, found = Tree(), dict[str, int]()
        for index, leaf in enumerate(read_leaves(path)):
            if leaf is None:
                return
            tree.append(leaf_hash(bytes.fromhex(leaf.commitment)))
            if index < head.head.tree_size:
                found[leaf.manifest_id] = index
        size = head.head.tree_size
        if not found or size > tree.size or tree.root(size).hex() != head.head.root:
            return
        anchors = list(self._anchors(path.parent, head, tree)) if tree.size else []
        self._logs.append(_Log(log_name(path), tree, head, anchors))
        for manifest_id, index in found.items():
            self._at.setdefault(manifest_id, (len(self._logs) - 1, index))

    def _anchors(self, folder: Path, head: HeadLine, tree: Tree) -> Iterable[tuple[AnchorFile, int]]:
        for file in readable_anchors_in(folder):
            anchor = read_anchor(file)
            said = next((one for one in anchor.anchor.heads if one.log == head.head.log), None)
            if said is None or anchor.anchor.device != head.head.device or not 0 < said.tree_size <= tree.size:
                continue
            if tree.root(said.tree_size).hex() == said.root:
                yield anchor, said.tree_size

    def proof(self, manifest_id: str) -> dict[str, Any] | None:
        """As ``proof_for``; None: there is none."""
        at = self._at.get(manifest_id)
        if at is None:
            try:
                return proof_for(self._home, manifest_id)
            except (NotFound, Refused):
                return None
        log, index = self._logs[at[0]], at[1]
        return {
            "manifest_id": manifest_id,
            "log": log.name,
            "index": index,
            "head": msgspec.to_builtins(log.head),
            "path": [node.hex() for node in log.tree.path(index, log.head.head.tree_size)],
            "anchors": [
                {"anchor": msgspec.to_builtins(anchor), "path": [node.hex() for node in log.tree.path(index, size)]}
                for anchor, size in _useful(log.anchors, index)
            ],
        }


def _useful(anchors: Sequence[tuple[AnchorFile, int]], index: int) -> list[tuple[AnchorFile, int]]:
    """The first that covers a leaf, the first with each kind of receipt, and the newest."""
    covering = [one for one in anchors if index < one[1]]
    chosen: dict[int, tuple[AnchorFile, int]] = {}
    kinds: set[str] = set()
    for position, one in enumerate(covering):
        new = {str(receipt.get("kind")) for receipt in one[0].receipts} - kinds
        if new or position in (0, len(covering) - 1):
            chosen[position] = one
            kinds |= new
    return list(chosen.values())
