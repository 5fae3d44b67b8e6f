"""The logs of a box against their heads, their anchors and each other."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from firmware.config import Home
from recorder.library.evidence.anchors import anchor_paths
from recorder.library.evidence.files import GENESIS, evidence_folder
from recorder.library.verification.findings import Finding
from recorder.library.verification.index import EvidenceIndex
from recorder.library.verification.verifier import tapdeck_verify as verifier
from recorder.library.verification.verifier.tapdeck_verify import Anchor, Entry, Head, Malformed, Problem

_ASIDE = ".set-aside"


def check_logs(
    home: Home, simulated: bool, devices: Collection[str], held: Iterable[Path], now_ms: int, index: EvidenceIndex
) -> Iterator[Finding]:
    """Every log of the device or of practice; what it names goes into the index.

    ``held``: anchors from outside, which count beside the box's own; those of other logs are left alone.
    """
    folder = evidence_folder(home, simulated)
    anchors: list[Anchor] = []
    yield from _read_anchors(anchor_paths(home, simulated), devices, anchors, in_chain=True)
    yield from _read_anchors(held, devices, anchors, in_chain=False)
    follows = dict(_set_aside_logs(folder, devices))
    logs: dict[str, list[Path]] = {name: [] for one in anchors for name in one.heads}
    for path in sorted(folder.glob("*.log")) + sorted(folder.glob(f"*{_ASIDE}")) + sorted(folder.glob("*.heads")):
        bears = path.name.removesuffix(".heads").removesuffix(".log")
        bears = bears.removesuffix(_ASIDE).rpartition("-")[0] if bears.endswith(_ASIDE) else bears
        logs.setdefault(bears, []).extend([path] if path.suffix != ".heads" else [])
    for name, paths in sorted(logs.items()):
        if not any(path.suffix == ".log" for path in paths):
            yield Finding("log_missing", name)
        said = {one.heads[name] for one in anchors if name in one.heads}
        unsaid = [said] if not paths else []
        for path in paths:
            problems: list[Problem] = []
            yield from _check_log(path, name, said, devices, now_ms, index, problems)
            unsaid.append({(one.root, one.at) for one in problems})
        # A log that was set aside left its name to the next: an anchor speaks of one of the two.
        for _, size in sorted(set.intersection(*unsaid), key=lambda head: head[1]):
            yield Finding("anchor_differs", name, {"at": size})
    for path in sorted(folder.glob(f"*{_ASIDE}")):
        known = follows.pop(path.name, None) == _hash(path)
        yield Finding("set_aside" if known else "set_aside_unnamed", path.name)
    for name in follows:
        yield Finding("set_aside_missing", name)


def _read_anchors(
    paths: Iterable[Path], devices: Collection[str], anchors: list[Anchor], *, in_chain: bool
) -> Iterator[Finding]:
    number, previous = 1, GENESIS
    for path in paths:
        try:
            anchor = verifier.read_anchor(verifier.parse(verifier.read_small(path)))
        except Malformed as error:
            yield Finding("anchor_damaged", path.name, {"why": str(error)})
            number, previous = number + 1, ""
            continue
        if anchor.device not in devices:
            if in_chain:
                yield Finding("anchor_foreign", path.name, {"device": anchor.device})
            continue
        if in_chain and (anchor.number, anchor.previous) != (number, previous or anchor.previous):
            yield Finding("anchor_chain", path.name, {"number": anchor.number})
        number, previous = anchor.number + 1, anchor.digest
        anchors.append(anchor)


def _set_aside_logs(folder: Path, devices: Collection[str]) -> Iterator[tuple[str, str]]:
    """Name and hash of every log that the first manifest of another names as its predecessor."""
    for path in folder.glob("*.begun.json"):
        try:
            manifest, key = verifier.open_signed(verifier.parse(verifier.read_small(path)), "manifest")
            follows = manifest.get("follows")
            if verifier.device_of(key) in devices and follows is not None:
                yield verifier.field(follows, "file", str), verifier.field(follows, "sha256", str)
        except Malformed:
            continue  # it is named as a manifest


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_log(
    path: Path,
    name: str,
    said: Collection[tuple[str, int]],
    devices: Collection[str],
    now_ms: int,
    index: EvidenceIndex,
    anchor_problems: list[Problem],
) -> Iterator[Finding]:
    heads = path.with_name(f"{path.name.removesuffix('.log')}.heads")
    if not heads.is_file():
        yield Finding("heads_missing", path.name)
    last, foreign, aside = None, set(), path.suffix != ".log"
    for item in verifier.check_log(_lines(path), _lines(heads), said):
        if isinstance(item, Entry):
            _add(index, path, item, is_new=False)
        elif isinstance(item, Head):
            last = item
            if item.device not in devices and item.device not in foreign:
                foreign.add(item.device)
                yield Finding("head_foreign", path.name, {"device": item.device})
            if item.log != name and item.log not in foreign:
                foreign.add(item.log)
                yield Finding("head_of_another_log", path.name, {"log": item.log})
        elif item.root:
            anchor_problems.append(item)
        else:
            yield Finding(item.code, path.name, {"at": item.at, "from_ms": item.from_ms, "to_ms": item.to_ms})
    if not aside and last is not None and last.reason != "stop" and now_ms - last.at_ms > verifier.GAP_MS:
        yield Finding("silent", path.name, {"from_ms": last.at_ms})


def _add(index: EvidenceIndex, path: Path, entry: Entry, *, is_new: bool) -> None:
    index.add(
        "entries", path.name, entry.number, entry.manifest_id, entry.commitment, entry.kind, entry.at_ms, int(is_new)
    )


def read_on(home: Home, simulated: bool, index: EvidenceIndex) -> None:
    """Take up what was entered since the logs were checked: the box goes on, and its manifests are there first."""
    for path in sorted(evidence_folder(home, simulated).glob("*.log")):
        (seen,) = next(index.ask("SELECT coalesce(max(number), -1) FROM entries WHERE log = ?", path.name))
        for item in verifier.read_entries(_lines(path)):
            if isinstance(item, Entry) and item.number > seen:
                _add(index, path, item, is_new=True)


def _lines(path: Path) -> Iterator[bytes]:
    if path.is_file():
        with path.open("rb") as file:
            yield from file
