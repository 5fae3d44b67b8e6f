"""Proofs taken from a tree that is kept are those that the library finds one by one."""

from __future__ import annotations

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st
from stick_office import StickOffice

from crm_client_api.take_home.proofs import Prover, Tree
from firmware.clock import now_ms
from recorder.library.evidence.anchors import add_receipt, anchor_paths, make_anchor
from recorder.library.evidence.merkle import Frontier, inclusion_path
from recorder.library.evidence.proof import proof_for


@settings(deadline=None)
@given(st.integers(1, 70), st.data())
def test_roots_and_paths_of_every_size(count, data):
    leaves = [hashlib.sha256(bytes([number])).digest() for number in range(count)]
    tree, frontier = Tree(), Frontier()
    roots = {}
    for leaf in leaves:
        tree.append(leaf)
        frontier.append(leaf)
        roots[frontier.size] = frontier.root()
    size = data.draw(st.integers(1, count))
    index = data.draw(st.integers(0, size - 1))
    assert tree.root(size) == roots[size]
    assert tree.path(index, size) == list(inclusion_path(iter(leaves), index, size))


def test_a_proof_is_the_one_that_the_library_gives(home, office):
    ids = []
    for number in range(7):
        ids.append(office.recorded()[1])
        if number in (1, 3, 5):
            make_anchor(home, True, now_ms() + number * 2000)
    add_receipt(home, True, anchor_paths(home, True)[1], {"kind": "webhook", "url": "x", "status": 200, "at_ms": 1})
    prover = Prover(home)
    for one in ids:
        assert prover.proof(one) == proof_for(home, one)
    assert prover.proof("no such manifest") is None


def test_a_log_that_is_damaged_proves_what_the_library_can_prove(home, exchange):
    exchange.wire(1)
    office = StickOffice(home, exchange)
    ids = [office.recorded()[1] for _ in range(4)]
    office.close()
    lines = office.log.path.read_bytes().splitlines(keepends=True)
    office.log.path.write_bytes(b"".join([*lines[:3], b"{torn\n", *lines[4:]]))
    prover = Prover(home)
    for one in ids:
        try:
            expected = proof_for(home, one)
        except Exception:
            expected = None
        assert prover.proof(one) == expected
