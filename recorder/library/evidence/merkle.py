"""The Merkle tree of an evidence log (RFC 9162, section 2.1): leaves come in, roots and proofs come out.

All hashes are SHA-256, 32 raw bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

EMPTY_ROOT = hashlib.sha256().digest()
"""The root of a tree without leaves (RFC 9162, section 2.1.1)."""


def leaf_hash(commitment: bytes) -> bytes:
    """The hash of a leaf (RFC 9162, section 2.1.1)."""
    return hashlib.sha256(b"\0" + commitment).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node (RFC 9162, section 2.1.1)."""
    return hashlib.sha256(b"\1" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: an append and a root take O(log n), and no leaf is kept."""

    def __init__(self, size: int = 0, complete: Iterable[bytes] = ()) -> None:
        """``complete``: of an earlier frontier of this size. Raises ValueError when there can be no such."""
        self.size = size
        self._complete = list(complete)
        if len(self._complete) != size.bit_count() or any(len(node) != 32 for node in self._complete):
            raise ValueError(f"no frontier of {size} leaves")

    @property
    def complete(self) -> list[bytes]:
        """Roots of the complete subtrees from the left, the largest first."""
        return list(self._complete)

    def append(self, leaf: bytes) -> None:
        """Add the hash of the next leaf."""
        size, node = self.size, leaf
        while size & 1:
            node = node_hash(self._complete.pop(), node)
            size >>= 1
        self._complete.append(node)
        self.size += 1

    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self._complete:
            return EMPTY_ROOT
        node = self._complete[-1]
        for left in self._complete[-2::-1]:
            node = node_hash(left, node)
        return node


def inclusion_path(leaves: Iterable[bytes], index: int, size: int) -> list[bytes]:
    """The inclusion proof (RFC 9162, section 2.1.3.1) of leaf ``index`` in the tree of the first ``size`` leaves.

    ``leaves`` are hashes of leaves and are read once. Raises ValueError when there are fewer than ``size``.
    """
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    siblings = sorted(_siblings(index, size))
    trees = [Frontier() for _ in siblings]
    at = position = 0
    for position, leaf in enumerate(leaves, 1):
        if position > size:
            break
        while at < len(siblings) and siblings[at][1] < position:
            at += 1
        if at < len(siblings) and siblings[at][0] < position:
            trees[at].append(leaf)
    if position < size:
        raise ValueError(f"{position} leaves, expected {size}")
    roots = {where: tree.root() for where, tree in zip(siblings, trees, strict=True)}
    return [roots[where] for where in _siblings(index, size)]


def _siblings(index: int, size: int) -> list[tuple[int, int]]:
    """Ranges of leaves whose subtrees stand beside the way from leaf ``index`` to the root, from below."""
    low, high, found = 0, size, []
    while high - low > 1:
        middle = low + (1 << ((high - low - 1).bit_length() - 1))
        if index < middle:
            found.append((middle, high))
            high = middle
        else:
            found.append((low, middle))
            low = middle
    return found[::-1]


def root_of_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that an inclusion proof leads to (RFC 9162, section 2.1.3.2); None when it fits no such tree."""
    if not 0 <= index < size:
        return None
    first, last, node = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if first & 1 or first == last:
            node = node_hash(sibling, node)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        first, last = first >> 1, last >> 1
    return node if last == 0 else None
