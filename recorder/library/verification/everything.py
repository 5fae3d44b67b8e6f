"""``tapdeck verify --all``: everything that the box says about itself, against everything else that it says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from firmware.clock import now_ms
from firmware.config import Home
from firmware.errors import StoreError
from firmware.store.connection import open_store
from recorder.library.evidence.earlier import KIND as EARLIER_KIND
from recorder.library.evidence.earlier import EarlierDevice, earlier_devices
from recorder.library.evidence.public_key import public_key_path, read_public_device
from recorder.library.evidence.signing import device_id
from recorder.library.verification import index as evidence_index
from recorder.library.verification.check_files import FileCheck
from recorder.library.verification.check_logs import check_earlier, check_logs, read_on
from recorder.library.verification.check_rows import Rows, is_just_deleted, unfinished_removals
from recorder.library.verification.findings import Finding
from recorder.library.verification.index import EvidenceIndex
from recorder.library.verification.verifier import tapdeck_verify as verifier
from recorder.library.verification.verifier.tapdeck_verify import Malformed

LATE_MS = 3_600_000
TAPE_CLOCK_MS = 2_000
TAPE_DRIFT_PPM = 500
"""A sound card's clock may differ from the wall clock by so much."""


class Summary(msgspec.Struct):
    """What was looked at, filled on the way."""

    manifests: int = 0
    audio_bytes: int = 0
    errors: int = 0
    warnings: int = 0


def devices_of(home: Home) -> dict[bool, str]:
    """The ids of the box's own keys, by ``simulated``; without those that it never had. Raises StoreError."""
    pems = {False: home.keys / "device.pem", True: home.keys / "practice.pem"}
    return {simulated: device_id(home, simulated) for simulated, pem in pems.items() if pem.exists()}


def verify_box(
    home: Home,
    summary: Summary,
    *,
    fast: bool = False,
    devices: Collection[str] = (),
    anchors: Sequence[Path] = (),
    at_ms: int | None = None,
    progress: Callable[[Summary], None] = lambda summary: None,
) -> Iterator[Finding]:
    """Check the whole box; findings come as they are found. Nothing is written, and memory does not grow.

    ``devices``: the only ids that may sign, with the earlier devices that they name; empty: the box's own keys.
    ``anchors``: files from outside. ``at_ms``: the time, if it is not now. Raises StoreError, OSError.
    """
    now = now_ms() if at_ms is None else at_ms
    own = devices_of(home)
    present = set(devices) or set(own.values())
    earlier = earlier_devices(home, present)
    known = present | {one.device for one in earlier}
    with closing(EvidenceIndex()) as index, closing(open_store(home.calls_db, readonly=True).conn) as connection:
        rows = Rows(home, connection, known)
        looked = _Looked(present, known, own, earlier, _by_kind(anchors, own, earlier))
        for finding in _findings(home, summary, looked, now, index, rows, fast, progress):
            summary.errors += finding.severity == "error"
            summary.warnings += finding.severity == "warning"
            yield finding


@dataclass(frozen=True, slots=True)
class _Looked:
    """Whose signatures count. ``present``: of what goes on; ``known``: these and the earlier ones; ``anchors``: from
    outside, of the device, of practice, of earlier devices (None).
    """

    present: Collection[str]
    known: Collection[str]
    own: Mapping[bool, str]
    earlier: Sequence[EarlierDevice]
    anchors: Mapping[bool | None, Sequence[Path]]


def _by_kind(
    anchors: Sequence[Path], own: Mapping[bool, str], earlier: Sequence[EarlierDevice]
) -> dict[bool | None, list[Path]]:
    """Of which logs anchors speak, by the key that signed them."""
    found: dict[bool | None, list[Path]] = {False: [], True: [], None: []}
    gone = {one.device for one in earlier}
    for path in anchors:
        try:
            device = verifier.read_anchor(verifier.parse(verifier.read_small(path))).device
        except Malformed:
            device = ""  # check_logs names it
        found[None if device in gone else device == own.get(True)].append(path)
    return found


def _findings(
    home: Home, summary: Summary, looked: _Looked, now: int, index: EvidenceIndex, rows: Rows, fast: bool,
    progress: Callable[[Summary], None],
) -> Iterator[Finding]:  # fmt: skip
    for simulated in (False, True):
        yield from _check_public_key(home, simulated, looked.own)
        yield from check_logs(home, simulated, looked.present, looked.anchors[simulated], now, index)
    yield from check_earlier(home, looked.earlier, looked.anchors[None], index)
    is_practice = {device: simulated for simulated, device in looked.own.items()}
    is_practice |= {one.device: one.simulated for one in looked.earlier}
    files = FileCheck(home, looked.known, is_practice, rows, index, fast)
    for found in files.check_all():
        if found is not None:
            yield found
            continue
        summary.manifests, summary.audio_bytes = files.manifests, files.audio_bytes
        progress(summary)
    summary.manifests, summary.audio_bytes = files.manifests, files.audio_bytes
    for simulated in (False, True):
        read_on(home, simulated, index)
    index.ready()
    if index.has(evidence_index.ENTRIES_WITHOUT_MANIFEST):
        yield from files.check_later()
        for simulated in (False, True):
            read_on(home, simulated, index)
    yield from _compare(home, index, rows, unfinished_removals(home, looked.known))
    yield from rows.missing()
    yield from rows.without_evidence(index, now)


def _check_public_key(home: Home, simulated: bool, own: Mapping[bool, str]) -> Iterator[Finding]:
    path = public_key_path(home, simulated)
    try:
        device = read_public_device(home, simulated)
    except StoreError:
        device = "?"
    if device is not None and device != own.get(simulated):
        yield Finding("public_key_differs", f"{path.parent.name}/{path.name}", {"device": device})


def _compare(home: Home, index: EvidenceIndex, rows: Rows, removals: Collection[str]) -> Iterator[Finding]:
    for file, identifier, kind in index.ask(evidence_index.MANIFESTS_NOT_IN_LOG):
        is_unfinished = identifier in removals or kind == EARLIER_KIND or rows.is_unfinished(kind, identifier)
        yield Finding("manifest_not_yet" if is_unfinished else "manifest_not_in_log", file)
    for log, number, identifier, kind, at_ms in index.ask(evidence_index.ENTRIES_WITHOUT_MANIFEST):
        if identifier in removals:
            yield Finding("removal_unfinished", log, {"id": identifier})
            continue
        yield Finding("manifest_missing", log, {"number": number, "id": identifier, "kind": kind, "at_ms": at_ms})
    for identifier, log in index.ask(evidence_index.ENTERED_TWICE):
        yield Finding("entered_twice", log, {"id": identifier})
    for file, identifier in index.ask(evidence_index.LOST_AUDIO):
        if identifier in removals:
            yield Finding("removal_unfinished", file, {"id": identifier})
        elif not (home.root / file).is_file() and not is_just_deleted(index, home, home.root / file):
            yield Finding("audio_missing", file)
    for file, ended_ms, at_ms in index.ask(evidence_index.ENTERED_LATE, LATE_MS):
        yield Finding("entered_late", file, {"ended_ms": ended_ms, "at_ms": at_ms})
    yield from _tape_clocks(index)


def _tape_clocks(index: EvidenceIndex) -> Iterator[Finding]:
    """On one tape, samples and wall clock run together; where they do not, somebody moved the clock."""
    last: tuple[Any, ...] = ()
    for card, epoch, sample, started_ms, rate, file in index.ask(evidence_index.TAPES):
        if not all(isinstance(one, int) and one >= 0 for one in (sample, started_ms, rate)) or not rate:
            continue
        at_ms = sample * 1000 // rate
        if last[:2] == (card, epoch):
            passed_ms, moved_ms = at_ms - last[2], (started_ms - at_ms) - last[3]
            if abs(moved_ms) > TAPE_CLOCK_MS + passed_ms * TAPE_DRIFT_PPM // 1_000_000:
                yield Finding("tape_clock", file, {"seconds": round(moved_ms / 1000)})
        last = (card, epoch, at_ms, started_ms - at_ms)
