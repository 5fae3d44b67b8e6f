"""A box with a working day behind it, somebody outside who keeps its anchors, and a forger who has its key."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from evidence_material import CARD, Box, read

from firmware.config import Home
from recorder.library.evidence.anchors import anchors_folder, make_anchor
from recorder.library.evidence.files import GENESIS, SignedManifest
from recorder.library.evidence.heads import Head, HeadLine
from recorder.library.evidence.merkle import Frontier, leaf_hash
from recorder.library.evidence.signing import Signer, canonical, sha256_hex, signer
from recorder.library.verification.everything import Summary, verify_box
from recorder.library.verification.findings import Finding

Manifest = dict[str, Any]


class Scene:
    """A box with a working day in its logs, and what the attacker wants to change: ``target``, not the last call."""

    def __init__(self, home: Home, monkeypatch: pytest.MonkeyPatch, anchored: bool) -> None:
        self.box = box = Box(home, monkeypatch)
        self.device, self.outside = box.log.device, home.root.parent / "outside"
        self.outside.mkdir()
        box.run(2)
        box.record("13800000001", 3)
        box.run(1)
        self.snapshot("running")
        box.stop()
        self.snapshot("stopped")
        box.now_ms += 2000
        box.start()
        box.run(2)
        self.target = box.record("13800000002", 6)
        box.run(1)
        self.other = box.record("13800000003", 6)
        box.run(1)
        self.missed = box.miss("13800000004")
        self.tombstone = box.delete(box.record("13800000005", 2))
        box.run(1)
        if anchored:
            shutil.copy(make_anchor(home, False, box.now_ms), self.outside)
        box.run(8)
        self.last = box.record("13800000006", 3)
        box.run(1)

    @property
    def logs(self) -> Path:
        return self.box.log.path.parent

    def snapshot(self, name: str) -> None:
        shutil.copytree(self.logs, self.box.home.root.parent / name)

    def restore(self, name: str) -> None:
        """Put logs and heads of an earlier moment back, and remove what came later."""
        for path in self.logs.glob("*.*"):
            path.unlink()
        shutil.copytree(self.box.home.root.parent / name, self.logs, dirs_exist_ok=True)
        shutil.rmtree(self.logs / "anchors", ignore_errors=True)
        for path in (self.target, self.other, self.missed, self.last, self.tombstone.with_suffix("").with_suffix("")):
            for one in path.parent.glob(f"{path.name.split('.')[0]}.*"):
                one.unlink()
        for table in ("recordings", "calls"):
            self.box.sql(f"DELETE FROM {table} WHERE rowid > 1")

    def restart(self) -> None:
        """The box comes up again and goes on."""
        self.box.start()
        self.box.run(1)

    def findings(self) -> list[Finding]:
        """What the box's own check finds, with the anchors that somebody outside holds."""
        found = verify_box(
            self.box.home, Summary(), devices=[self.device], anchors=sorted(self.outside.iterdir()),
            at_ms=self.box.now_ms,
        )  # fmt: skip
        return list(found)


def serious(findings: list[Finding]) -> set[str]:
    return {one.code for one in findings if one.severity != "note"}


# What a forger does who has the device's key


@dataclass
class Forgery:
    """All evidence written anew, with times and order as wanted, and signed with the device's own key.

    ``edit`` changes a manifest, or drops it by returning None; ``insert``: manifests to add before the last entry.
    """

    edit: Callable[[Manifest], Manifest | None] = lambda manifest: manifest
    insert: list[Manifest] = field(default_factory=list)
    order: Callable[[list[Manifest]], list[Manifest]] = lambda manifests: manifests

    def commit(self, box: Box) -> None:
        shutil.rmtree(anchors_folder(box.home, False), ignore_errors=True)
        hand = signer(box.home, False)
        files = {read(path).manifest["id"]: path for path in self._manifests(box)}
        for log in box.log.path.parent.glob("*.log"):
            self._write(box, log, hand, files)

    @staticmethod
    def _manifests(box: Box) -> Iterator[Path]:
        yield from box.home.recordings.rglob("*.json")
        yield from box.log.path.parent.glob("*.begun.json")

    def _write(self, box: Box, log: Path, hand: Signer, files: dict[str, Path]) -> None:
        entries = [json.loads(line) for line in log.read_bytes().splitlines()]
        times = {entry["manifest_id"]: entry["at_ms"] for entry in entries}
        manifests = [read(files[entry["manifest_id"]]).manifest for entry in entries if entry["manifest_id"] in files]
        if log.stem == CARD:
            manifests = self.order(manifests[:-1] + self.insert + manifests[-1:])
        lines, tree, previous, roots, placed_ms, last_ms = b"", Frontier(), GENESIS, [Frontier().root()], [], 0
        for manifest in manifests:
            edited = self.edit(manifest)
            if edited is None:
                continue
            path = files.get(manifest["id"]) or box.home.recordings / f"{manifest['id']}.json"
            signed = SignedManifest(edited, hand.public_key, hand.sign(edited), uuid.uuid4().hex * 2)
            path.write_bytes(msgspec.json.encode(signed))
            last_ms = max(last_ms, times.get(manifest["id"], last_ms))
            line = canonical({"at_ms": last_ms, "commitment": signed.commitment(), "index": tree.size,
                              "kind": edited["kind"], "manifest_id": edited["id"], "previous": previous})  # fmt: skip
            lines, previous = lines + line + b"\n", sha256_hex(line)
            tree.append(leaf_hash(bytes.fromhex(signed.commitment())))
            roots.append(tree.root())
            placed_ms.append(last_ms)
        log.write_bytes(lines)
        self._write_heads(log.with_suffix(".heads"), hand, roots, placed_ms)

    @staticmethod
    def _write_heads(path: Path, hand: Signer, roots: list[bytes], placed_ms: list[int]) -> None:
        heads, previous = b"", GENESIS
        old = [msgspec.json.decode(line, type=HeadLine) for line in path.read_bytes().splitlines()]
        for number, one in enumerate(old):
            is_last = number + 1 == len(old)
            size = len(placed_ms) if is_last else sum(at_ms <= one.head.at_ms for at_ms in placed_ms)
            head = msgspec.structs.replace(one.head, root=roots[size].hex(), tree_size=size, previous=previous)
            assert isinstance(head, Head)
            line = canonical(HeadLine(head, hand.public_key, hand.sign(head)))
            heads, previous = heads + line + b"\n", sha256_hex(line)
        path.write_bytes(heads)
