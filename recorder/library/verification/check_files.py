"""Manifests and audio on the disk, one after the other: signatures, hashes, tags, and the rows of the store."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from firmware.config import Home
from recorder.library.evidence.anchors import ANCHORS
from recorder.library.evidence.files import log_folders
from recorder.library.verification.check_rows import Rows
from recorder.library.verification.findings import Finding
from recorder.library.verification.index import EvidenceIndex
from recorder.library.verification.verifier import tapdeck_verify as verifier
from recorder.library.verification.verifier.tapdeck_verify import AUDIO, Malformed

_NOT_RECORDINGS = (".restoring", ".restored", "before-restore-")


class FileCheck:
    """Checks one manifest at a time. ``fast``: sizes instead of hashes, and no tags."""

    def __init__(
        self,
        home: Home,
        devices: Collection[str],
        is_practice: Mapping[str, bool],
        rows: Rows,
        index: EvidenceIndex,
        fast: bool,
    ) -> None:
        """``is_practice``: of the box's own keys, by their ids."""
        self._home, self._devices, self._rows, self._index, self._fast = home, devices, rows, index, fast
        self._is_practice = is_practice
        self.manifests = self.audio_bytes = self.clock_unknown = 0

    def check_all(self) -> Iterator[Finding | None]:
        """Findings; None after each manifest."""
        for folder, names in self._folders():
            yield from self._check_folder(folder, names)
        for evidence in log_folders(self._home):
            for path in sorted(evidence.rglob("*.json")):
                if path.parent.name != ANCHORS:
                    yield from self._check_manifest(path, set())
        if self.clock_unknown:
            yield Finding("clock_unknown", "manifests", {"count": self.clock_unknown})

    def check_later(self) -> Iterator[Finding]:
        """Manifests that came while the others were checked: of what was converted or deleted meanwhile."""
        for path in (folder / name for folder, names in self._folders() for name in names if name.endswith(".json")):
            is_new = not self._index.has("SELECT 1 FROM manifests WHERE file = ?", self._name(path))
            if is_new and not path.name.endswith((".key.json", ".proof.json")):
                yield from self._check_manifest(path, set())

    def _folders(self) -> Iterator[tuple[Path, list[str]]]:
        """All folders of recordings, with the names of their files; not what a restore unpacks or has set aside."""
        top = self._home.recordings
        for folder, folders, names in os.walk(top):
            if Path(folder) == top:
                folders[:] = [name for name in folders if not name.startswith(_NOT_RECORDINGS)]
            folders.sort()
            yield Path(folder), sorted(names)

    def _check_folder(self, folder: Path, names: list[str]) -> Iterator[Finding | None]:
        claimed: set[str] = set()
        for name in names:
            if name.endswith(".json") and not name.endswith((".key.json", ".proof.json")):
                yield from self._check_manifest(folder / name, claimed)
                yield None
        for name in names:
            paper = f"{name.removesuffix('.tde').rpartition('.')[0]}.json"
            has_changed = not (folder / name).exists() or (paper not in names and (folder / paper).exists())
            if name.endswith(AUDIO) and name not in claimed and not has_changed:
                yield Finding("audio_without_manifest", self._name(folder / name))

    def _name(self, path: Path) -> str:
        return path.relative_to(self._home.root).as_posix()

    def _check_manifest(self, path: Path, claimed: set[str]) -> Iterator[Finding]:
        self.manifests += 1
        name = self._name(path)
        try:
            file = verifier.parse(verifier.read_small(path))
            manifest, key = verifier.open_signed(file, "manifest")
            identifier, kind = verifier.field(manifest, "id", str), verifier.field(manifest, "kind", str)
            commitment, device = verifier.commitment_of(file), verifier.device_of(key)
            if device not in self._devices:
                yield Finding("manifest_foreign", name, {"device": device})
            simulated = manifest.get("simulated") is True
            if simulated != self._is_practice.get(device, simulated):
                yield Finding("practice_mixed", name, {"simulated": simulated})
            clock = manifest.get("clock")
            self.clock_unknown += isinstance(clock, dict) and clock.get("synchronised") is False
            call = manifest.get("call") if isinstance(manifest.get("call"), dict) else None
            self._index.add(
                "manifests", identifier, commitment, kind, name, _ended_ms(manifest, call), str((call or {}).get("id")),
                str((call or {}).get("state")),
            )  # fmt: skip
            if kind == "tombstone":
                yield from self._note_grave(name, manifest, commitment)
            if kind in ("recording", "conversion"):
                yield from self._check_audio(path, manifest, call, claimed)
            yield from self._rows.check(name, manifest, call)
        except Malformed as error:
            claimed.update(f"{path.stem}{end}" for end in AUDIO)
            claimed.update(f"{path.stem}{end}.tde" for end in AUDIO)
            if path.exists():  # else it was deleted just now
                yield Finding("manifest_altered", name, {"why": str(error)})

    def _note_grave(self, name: str, manifest: Mapping[str, Any], commitment: bytes) -> Iterator[Finding]:
        of, what = verifier.field(manifest, "of", str), verifier.field(manifest, "what", str)
        for one in verifier.field(manifest, "of_commitments", list):
            self._index.add("stones", of, verifier.hex32({"of": one}, "of"), what, commitment)
        values = {"id": of, "what": what, "at": manifest.get("deleted_at")}
        yield Finding("tombstone", name, {**values, "by": manifest.get("by"), "rule": manifest.get("rule")})

    def _check_audio(
        self, path: Path, manifest: Mapping[str, Any], call: Mapping[str, Any] | None, claimed: set[str]
    ) -> Iterator[Finding]:
        audio, stored = verifier.field(manifest, "audio", dict), manifest.get("stored")
        is_encrypted = isinstance(stored, dict)
        whole = {**audio, **stored} if isinstance(stored, dict) else audio
        file = path.with_name(Path(verifier.field(whole, "file", str).replace("\0", "")).name or "-")
        claimed.add(file.name)
        tape = manifest.get("tape")
        if isinstance(tape, dict):
            values = [tape.get(name) for name in ("card", "epoch", "from_sample")]
            self._index.add("tapes", *values, manifest.get("started_ms"), audio.get("sample_rate_hz"), self._name(file))
        if not file.is_file():
            self._index.add("lost_audio", verifier.field(manifest, "id", str), self._name(file))
            return
        size = file.stat().st_size
        self.audio_bytes += size
        if self._fast:
            if size != verifier.field(whole, "bytes", int):
                yield Finding("audio_size", self._name(file), {"found": size, "wanted": whole["bytes"]})
            return
        if is_encrypted:
            whole = {name: value for name, value in whole.items() if name not in ("header", "seconds")}
        with file.open("rb") as opened:
            damage = verifier.check_audio(opened, whole)
        if damage:
            yield Finding("audio_damaged", self._name(file), {"damage": [one._asdict() for one in damage]})
        elif not is_encrypted and call is not None and manifest["kind"] == "recording":
            yield from self._check_tags(file, call)

    def _check_tags(self, file: Path, call: Mapping[str, Any]) -> Iterator[Finding]:
        for column, found in _call_in_tags(file).items():
            if column in call and call[column] != found:
                values = {"column": column, "found": found, "wanted": call[column]}
                yield Finding("tags_differ", self._name(file), values)


def _call_in_tags(file: Path) -> dict[str, Any]:
    """The call record in the tags, as far as there is one."""
    import soundfile

    try:
        with soundfile.SoundFile(file) as audio:
            comment = audio.comment
        call: dict[str, Any] = verifier.field(verifier.parse(comment.encode()), "tapdeck_call", dict)
    except (soundfile.SoundFileError, UnicodeError, Malformed):
        return {}
    return call


def _ended_ms(manifest: Mapping[str, Any], call: Mapping[str, Any] | None) -> int | None:
    """When the thing that a manifest describes was over."""
    audio, started = manifest.get("audio"), manifest.get("started_ms")
    if isinstance(audio, dict) and isinstance(started, int):
        return started + int(audio.get("samples", 0)) * 1000 // max(int(audio.get("sample_rate_hz", 0)), 1)
    ended = (call or {}).get("ended_ms")
    return ended if isinstance(ended, int) else None
