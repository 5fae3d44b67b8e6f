"""The Merkle tree against the definitions of RFC 9162, written down once more as they stand there."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.library.evidence.merkle import EMPTY_ROOT, Frontier, inclusion_path, leaf_hash, node_hash, root_of_path

# Leaves and roots of the reference tests of Certificate Transparency (google/certificate-transparency, merkle_tree).
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def tree_hash(leaves: list[bytes]) -> bytes:
    """MTH of RFC 9162, section 2.1.1."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    split = largest_power_below(len(leaves))
    return node_hash(tree_hash(leaves[:split]), tree_hash(leaves[split:]))


def path_of(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 9162, section 2.1.3.1."""
    if len(leaves) == 1:
        return []
    split = largest_power_below(len(leaves))
    if index < split:
        return [*path_of(index, leaves[:split]), tree_hash(leaves[split:])]
    return [*path_of(index - split, leaves[split:]), tree_hash(leaves[:split])]


def largest_power_below(count: int) -> int:
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def leaves_of(count: int) -> list[bytes]:
    return [leaf_hash(number.to_bytes(4, "big")) for number in range(count)]


def test_roots_are_those_of_the_reference() -> None:
    tree = Frontier()
    assert tree.root() == EMPTY_ROOT == hashlib.sha256(b"").digest()
    for content, root in zip(INPUTS, ROOTS, strict=True):
        tree.append(leaf_hash(bytes.fromhex(content)))
        assert tree.root().hex() == root


def test_every_tree_and_every_path() -> None:
    leaves, tree = leaves_of(70), Frontier()
    for size in range(1, 71):
        tree.append(leaves[size - 1])
        assert tree.root() == tree_hash(leaves[:size])
        for index in range(size):
            path = inclusion_path(iter(leaves), index, size)
            assert path == path_of(index, leaves[:size])
            assert root_of_path(leaves[index], index, size, path) == tree.root()


@given(st.integers(1, 300), st.data())
def test_a_path_proves_nothing_else(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaves = leaves_of(size)
    root, path = tree_hash(leaves), inclusion_path(leaves, index, size)
    other = data.draw(st.integers(0, size - 1).filter(lambda number: number != index)) if size > 1 else None
    if other is not None:
        assert root_of_path(leaves[other], index, size, path) != root
        assert root_of_path(leaves[index], other, size, path) != root
    assert root_of_path(leaves[index], index, size, [*path, root]) is None
    assert not path or root_of_path(leaves[index], index, size, path[:-1]) is None
    assert root_of_path(leaves[index], size, size, path) is None


def test_a_leaf_that_is_not_there_has_no_path() -> None:
    for index, size in ((3, 3), (-1, 3), (0, 0), (0, 9)):
        with pytest.raises(ValueError, match="lea"):
            inclusion_path(leaves_of(8), index, size)


def test_memory_grows_with_the_logarithm() -> None:
    tree = Frontier()
    for leaf in leaves_of(5000):
        tree.append(leaf)
    assert len(tree.complete) == (5000).bit_count()


def test_a_frontier_goes_on_where_it_was_left() -> None:
    tree, leaves = Frontier(), leaves_of(40)
    for size, leaf in enumerate(leaves):
        again = Frontier(size, tree.complete)
        for later in leaves[size:]:
            again.append(later)
        assert again.root() == tree_hash(leaves)
        tree.append(leaf)
    for size, complete in ((3, leaves[:1]), (1, [b"short"]), (0, leaves[:1])):
        with pytest.raises(ValueError, match="frontier"):
            Frontier(size, complete)
