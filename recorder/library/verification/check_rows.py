"""Rows of the store against the manifests of what they describe."""

from __future__ import annotations

import glob
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

from firmware.config import Home
from recorder.library.verification.findings import Finding
from recorder.library.verification.index import EvidenceIndex
from recorder.library.verification.verifier import tapdeck_verify as verifier
from recorder.library.verification.verifier.tapdeck_verify import Malformed

CALL_COLUMNS = (
    "channel", "card_id", "direction", "result", "caller_number", "caller_name", "absence", "dialled_number",
    "started_ms", "answered_ms", "ended_ms", "ring_ms", "talk_ms", "simulated", "machine",
)  # fmt: skip
_FROM_THE_START = ("channel", "card_id", "direction", "started_ms", "simulated")
"""What a call has from its first moment: all that can be compared when a segment was cut while it went on."""
NOT_YET_MS = 3_600_000
"""What ended so recently may not be in the evidence yet."""


class Rows:
    """Looks rows up by id. Thread: one.

    The box goes on meanwhile. It writes a manifest before its row, so what misses the other is looked at again.
    """

    def __init__(self, home: Home, calls: sqlite3.Connection, devices: Collection[str]) -> None:
        self._home, self._db, self._devices = home, calls, devices
        self._missing: list[tuple[str, str, str]] = []

    def check(self, file: str, manifest: Mapping[str, Any], call: Mapping[str, Any] | None) -> Iterator[Finding]:
        """The rows of a recording, a conversion or a call."""
        if manifest["kind"] in ("recording", "conversion"):
            identifier = _recording_id(manifest)
            row = self._db.execute("SELECT * FROM recordings WHERE id = ?", (identifier,)).fetchone()
            if row is None:
                self._missing.append((file, "recordings", identifier))
            elif row["state"] != "deleted":
                is_master = row["converted_from"] is not None and manifest["kind"] == "recording"
                wanted = _recording(manifest, is_master)
                if row["state"] == "lost" and (self._home.root / file).with_name(str(wanted.get("file"))).is_file():
                    wanted["state"] = "ready"
                found = list(_compare(file, dict(row), wanted))
                if found and identifier in unfinished_removals(self._home, self._devices):
                    found = [Finding("removal_unfinished", file, {"id": identifier})]
                yield from found
        if call is not None:
            row = self._db.execute("SELECT * FROM calls WHERE id = ?", (call.get("id"),)).fetchone()
            columns = CALL_COLUMNS if call.get("state") == "ended" else _FROM_THE_START
            if row is None:
                self._missing.append((file, "calls", str(call.get("id"))))
            else:
                yield from _compare(file, dict(row), {name: call[name] for name in columns if name in call})

    def missing(self) -> Iterator[Finding]:
        """Manifests of which the store knows nothing."""
        for file, table, identifier in self._missing:
            if self._db.execute(f"SELECT 1 FROM {table} WHERE id = ?", (identifier,)).fetchone() is None:
                yield Finding("row_missing", file, {"table": table, "id": identifier})

    def is_unfinished(self, kind: str, identifier: str) -> bool:
        """Whether the store expects a manifest that no log names yet: its writer is at it, or was killed there."""
        if kind == "recording":
            asked = "SELECT 1 FROM recordings WHERE id = ? AND state = 'pending'"
        else:
            asked = "SELECT 1 FROM calls WHERE id = ? AND manifest IS NULL"
        return self._db.execute(asked, (identifier,)).fetchone() is not None

    def without_evidence(self, index: EvidenceIndex, now_ms: int) -> Iterator[Finding]:
        """Rows that no manifest and no tombstone speaks of. Ask when the index is ready."""
        for row in self._db.execute("SELECT id, state, path FROM recordings"):
            if row["state"] == "deleted":
                gone = self._home.recordings / (row["path"] or "-")
                if not _is_buried(index, row["id"]) and not is_just_deleted(index, self._home, gone):
                    yield Finding("deleted_without_tombstone", "store", {"id": row["id"]})
            elif row["state"] == "ready" and not _is_known(index, row["id"]) and not self._is_new(row):
                yield Finding("row_without_manifest", "store", {"table": "recording", "id": row["id"]})
        for row in self._db.execute("SELECT id, ended_ms, manifest FROM calls WHERE state = 'ended'"):
            if index.has("SELECT 1 FROM manifests WHERE call_id = ? AND call_state = 'ended'", row["id"]):
                continue
            if _is_buried(index, row["id"]) or self._has_graves(index, row["id"]):
                continue
            if row["manifest"] is not None and self._is_genuine(row["manifest"], row["id"], has_ended=True):
                continue
            is_told = index.has("SELECT 1 FROM manifests WHERE call_id = ?", row["id"]) or _is_known(index, row["id"])
            is_fresh = row["manifest"] is None and now_ms - (row["ended_ms"] or 0) < NOT_YET_MS
            code = "row_not_yet" if is_fresh else "end_not_in_evidence" if is_told else "row_without_manifest"
            yield Finding(code, "store", {"table": "call", "id": row["id"]})

    def _is_new(self, row: sqlite3.Row) -> bool:
        return self._is_genuine(str(PurePath(str(row["path"]).removesuffix(".tde")).with_suffix(".json")), row["id"])

    def _is_genuine(self, path: str, identifier: str, *, has_ended: bool = False) -> bool:
        """Whether a manifest that was not there before speaks of this recording or call, and of the call's end."""
        try:
            file = verifier.parse(verifier.read_small(self._home.recordings / path.replace("\0", "")))
            manifest, key = verifier.open_signed(file, "manifest")
        except Malformed:
            return False
        call = manifest.get("call")
        if has_ended and not (isinstance(call, dict) and call.get("state") == "ended"):
            return False
        of = (manifest.get("id"), call.get("id") if isinstance(call, dict) else None)
        return verifier.device_of(key) in self._devices and identifier in of

    def _has_graves(self, index: EvidenceIndex, call_id: str) -> bool:
        """Whether the recordings that described a call were deleted with their manifests."""
        rows = self._db.execute("SELECT id FROM recordings WHERE call_id = ?", (call_id,)).fetchall()
        return any(_is_buried(index, row["id"]) for row in rows)


def unfinished_removals(home: Home, devices: Collection[str]) -> Collection[str]:
    """Manifests and recordings that genuine removals speak of: the box is at it, or was killed there."""
    found: set[str] = set()
    for path in (home.root / "removals").glob("*.json"):
        try:
            for removal in verifier.parse(verifier.read_small(path)):
                for name in ("tombstone", "successor"):
                    if removal.get(name) is not None:
                        manifest, key = verifier.open_signed(removal[name], "manifest")
                        names = {manifest["id"], manifest.get("of", manifest["id"])}
                        found |= names if verifier.device_of(key) in devices else set()
        except (Malformed, AttributeError, KeyError, TypeError):
            continue
    return found


def is_just_deleted(index: EvidenceIndex, home: Home, audio: Path) -> bool:
    """Whether a tombstone appeared beside it since the files were looked at; the next check judges that."""
    stones = audio.parent.glob(f"{glob.escape(audio.name.partition('.')[0])}.*tombstone.json")
    names = [stone.relative_to(home.root).as_posix() for stone in stones]
    return any(not index.has("SELECT 1 FROM manifests WHERE file = ?", name) for name in names)


def _is_known(index: EvidenceIndex, identifier: str) -> bool:
    return index.has("SELECT 1 FROM manifests WHERE id = ?", identifier) or _is_buried(index, identifier)


def _is_buried(index: EvidenceIndex, identifier: str) -> bool:
    """Whether a tombstone speaks of it. That of a conversion names its master, the row's id, by commitment only."""
    return index.has("SELECT 1 FROM graves WHERE of_id = ?", identifier) or index.has(
        "SELECT 1 FROM entries JOIN graves ON of_commitment = commitment WHERE manifest_id = ?", identifier
    )


def _recording_id(manifest: Mapping[str, Any]) -> str:
    """A converted recording keeps its row; its new manifest has an id of its own."""
    master = manifest.get("master")
    return str(master.get("manifest_id") if isinstance(master, dict) else manifest["id"])


def _recording(manifest: Mapping[str, Any], is_master: bool) -> dict[str, Any]:
    """The columns of ``recordings`` that a manifest speaks of; ``is_master``: another file took its place."""
    call = manifest.get("call")
    audio, tape, stored = manifest.get("audio"), manifest.get("tape"), manifest.get("stored")
    wanted = {name: manifest[name] for name in ("channel", "segment", "started_ms", "missing_samples", "simulated")
              if name in manifest}  # fmt: skip
    if "call" in manifest:
        wanted["call_id"] = call.get("id") if isinstance(call, dict) else None
    if "recording_kind" in manifest:
        wanted["kind"] = manifest["recording_kind"]
    if isinstance(audio, dict):
        kept = stored if isinstance(stored, dict) else audio
        if not is_master:
            wanted |= {"format": audio.get("format"), "sha256": kept.get("sha256"), "file": kept.get("file")}
        if isinstance(tape, dict) and isinstance(audio.get("samples"), int) and manifest["kind"] == "recording":
            wanted["duration_ms"] = audio["samples"] * 1000 // max(int(audio.get("sample_rate_hz", 0)), 1)
    if isinstance(tape, dict):
        wanted |= {"card_id": tape.get("card"), "tape_epoch": tape.get("epoch")}
        wanted |= {name: tape[name] for name in ("from_sample", "to_sample") if name in tape}
    return wanted


def _compare(file: str, row: dict[str, Any], wanted: Mapping[str, Any]) -> Iterator[Finding]:
    row["file"] = PurePath(row["path"]).name if row.get("path") else None
    for column, value in wanted.items():
        if row.get(column) != value:
            yield Finding("row_differs", file, {"column": column, "found": row.get(column), "wanted": value})
