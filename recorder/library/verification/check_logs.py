"""The logs of a box against their heads, their anchors and each other."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from firmware.config import Home
from recorder.library.evidence.anchors import anchors_in
from recorder.library.evidence.earlier import EarlierDevice, changes_of
from recorder.library.evidence.files import GENESIS, earlier_folder, evidence_folder
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
    yield from _check_folder(evidence_folder(home, simulated), "", devices, held, now_ms, index)


def check_earlier(
    home: Home, earlier: Collection[EarlierDevice], held: Iterable[Path], index: EvidenceIndex
) -> Iterator[Finding]:
    """The logs of devices that worked here before a backup took over; each ended with that, and stays as it was."""
    held = list(held)
    for one in earlier:
        prefix = f"{one.folder.parent.name}/{one.device}/"
        for name in changes_of(one):
            yield Finding("earlier_changed", f"{prefix}{name}")
        yield from _check_folder(one.folder, prefix, {one.device}, held, None, index)
        entered = "SELECT 1 FROM entries WHERE substr(log, 1, ?) = ? AND kind <> 'log_begun'"
        code = "earlier_device" if index.has(entered, len(prefix), prefix) else "earlier_device_idle"
        yield Finding(code, one.device, {"until_ms": one.until_ms})
    named = {one.device for one in earlier}
    for folder in sorted(earlier_folder(home).glob("*")):
        if folder.name not in named:
            yield Finding("earlier_unnamed", f"{folder.parent.name}/{folder.name}")


def _check_folder(
    folder: Path, prefix: str, devices: Collection[str], held: Iterable[Path], now_ms: int | None, index: EvidenceIndex
) -> Iterator[Finding]:
    """``prefix``: for the names of logs; ``now_ms`` None: they do not go on."""
    anchors: list[Anchor] = []
    yield from _read_anchors(anchors_in(folder), devices, anchors, in_chain=True)
    yield from _read_anchors(held, devices, anchors, in_chain=False)
    follows = dict(_set_aside_logs(folder, devices))
    logs: dict[str, list[Path]] = {name: [] for one in anchors for name in one.heads}
    for path in sorted(folder.glob("*.log")) + sorted(folder.glob(f"*{_ASIDE}")) + sorted(folder.glob("*.heads")):
        bears = path.name.removesuffix(".heads").removesuffix(".log")
        bears = bears.removesuffix(_ASIDE).rpartition("-")[0] if bears.endswith(_ASIDE) else bears
        logs.setdefault(bears, []).extend([path] if path.suffix != ".heads" else [])
    for name, paths in sorted(logs.items()):
        if not any(path.suffix == ".log" for path in paths):
            yield Finding("log_missing", f"{prefix}{name}")
        said = {one.heads[name] for one in anchors if name in one.heads}
        unsaid = [said] if not paths else []
        for path in paths:
            problems: list[Problem] = []
            yield from _check_log(path, prefix, name, said, devices, now_ms, index, problems)
            unsaid.append({(one.root, one.at) for one in problems})
        # A log that was set aside left its name to the next: an anchor speaks of one of the two.
        for _, size in sorted(set.intersection(*unsaid), key=lambda head: head[1]):
            yield Finding("anchor_differs", f"{prefix}{name}", {"at": size})
    for path in sorted(folder.glob(f"*{_ASIDE}")):
        known = follows.pop(path.name, None) == _hash(path)
        yield Finding("set_aside" if known else "set_aside_unnamed", f"{prefix}{path.name}")
    for name in follows:
        yield Finding("set_aside_missing", f"{prefix}{name}")


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
    prefix: str,
    name: str,
    said: Collection[tuple[str, int]],
    devices: Collection[str],
    now_ms: int | None,
    index: EvidenceIndex,
    anchor_problems: list[Problem],
) -> Iterator[Finding]:
    heads = path.with_name(f"{path.name.removesuffix('.log')}.heads")
    shown, ends = f"{prefix}{path.name}", path.suffix != ".log"
    if not heads.is_file():
        yield Finding("heads_missing", shown)
    last, foreign = None, set()
    for item in verifier.check_log(_lines(path), _lines(heads), said):
        if isinstance(item, Entry):
            _add(index, shown, item, is_new=False)
        elif isinstance(item, Head):
            last = item
            if item.device not in devices and item.device not in foreign:
                foreign.add(item.device)
                yield Finding("head_foreign", shown, {"device": item.device})
            if item.log != name and item.log not in foreign:
                foreign.add(item.log)
                yield Finding("head_of_another_log", shown, {"log": item.log})
        elif item.root:
            anchor_problems.append(item)
        else:
            yield Finding(item.code, shown, {"at": item.at, "from_ms": item.from_ms, "to_ms": item.to_ms})
    if ends or now_ms is None or last is None or last.reason == "stop":
        return
    if now_ms - last.at_ms > verifier.GAP_MS:
        yield Finding("silent", shown, {"from_ms": last.at_ms})


def _add(index: EvidenceIndex, log: str, entry: Entry, *, is_new: bool) -> None:
    index.add("entries", log, entry.number, entry.manifest_id, entry.commitment, entry.kind, entry.at_ms, int(is_new))


def read_on(home: Home, simulated: bool, index: EvidenceIndex) -> None:
    """Take up what was entered since the logs were checked: the box goes on, and its manifests are there first."""
    for path in sorted(evidence_folder(home, simulated).glob("*.log")):
        (seen,) = next(index.ask("SELECT coalesce(max(number), -1) FROM entries WHERE log = ?", path.name))
        for item in verifier.read_entries(_lines(path)):
            if isinstance(item, Entry) and item.number > seen:
                _add(index, path.name, item, is_new=True)


def _lines(path: Path) -> Iterator[bytes]:
    if path.is_file():
        with path.open("rb") as file:
            yield from file
