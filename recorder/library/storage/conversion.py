"""Old masters become Opus or MP3. The master goes only when its successor was heard to be the same.

The successor takes the master's name with another ending, and its manifest takes the place of the master's, which
stays as ``NAME.master.json``. See ``removal`` for how the change outlives a power cut.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from firmware.clock import iso_utc, now_ms, uuid7
from firmware.durable import write_whole
from firmware.errors import BadInput, NotFound
from firmware.parameters import get_all
from recorder.cutting.manifest import audio_facts
from recorder.library.audio import names, vault
from recorder.library.audio.stored import open_audio
from recorder.library.evidence.log import SignedManifest, canonical
from recorder.library.keeping.task import Library, Stopping
from recorder.library.rebuilding.reconciliation import past_is_missing
from recorder.library.storage.aging import aged_now_ms
from recorder.library.storage.deletion import manifest_at
from recorder.library.storage.judge import Judge
from recorder.library.storage.removal import Removal, carry_out, make_tombstone, unfinished
from recorder.library.storage.retention import DAY_MS, NOT_SET_BEFORE_MS
from recorder.library.storage.stock import StoredRecording, find

if TYPE_CHECKING:
    from recorder.library.storage.converter import ConvertedFormat

log = logging.getLogger("library")

RULE = "converted"
MASTER_FORMATS = frozenset({"flac", "alaw", "ulaw"})
_STAGED = ".part"


class ConversionTask:
    """See ``LibraryTask``. A recording that cannot be converted stays as it is and is left alone until a restart."""

    name = "conversion"
    every_s = 3600.0

    def __init__(self) -> None:
        self._refused: set[str] = set()

    def run(self, library: Library, stopping: Stopping) -> None:
        """Convert what is old enough and unprotected, oldest first."""
        parameters = get_all(library.crm, "system")
        days, wanted = parameters["convert_after_days"], parameters["convert_format"]
        if not isinstance(days, int) or not days or past_is_missing(library.calls):
            return
        before_ms = aged_now_ms(library.home) - days * DAY_MS
        for one in Judge(library.calls, library.crm).all(before_ms):
            recording = one.recording
            old = NOT_SET_BEFORE_MS <= recording.ended_ms <= before_ms
            if recording.format not in MASTER_FORMATS or not old or one.protection is not None:
                continue
            if recording.id in self._refused:
                continue
            if stopping():
                return
            try:
                convert(library, recording.id, "mp3" if wanted == "mp3" else "opus")
            except (BadInput, NotFound, OSError) as error:
                log.warning("recording %s is not converted: %s", recording.id, error)
                self._refused.add(recording.id)


def convert(library: Library, recording_id: str, wanted: ConvertedFormat) -> bool:
    """Convert one master; False when something protects it by now.

    Raises BadInput, NotFound, OSError (its audio cannot be read): it stays as it is; StoreError.
    """
    from recorder.library.storage.converter import decode, difference, encode

    recording = None if unfinished(library, [recording_id]) else _unprotected(library, recording_id)
    if recording is None:
        return False
    master = _master_manifest(library, recording)
    with open_audio(library.home, recording.path) as file:
        content = file.read()
    if hashlib.sha256(content).hexdigest() != master.manifest["audio"]["sha256"]:
        raise BadInput("it is not what its manifest says")
    sound = decode(content)
    converted = encode(sound, wanted)
    if len(converted) >= len(content):
        raise BadInput(f"as {wanted} it takes {len(converted)} bytes instead of {len(content)}")
    differs = difference(sound, decode(converted))
    if differs is not None:
        raise BadInput(f"as {wanted} it is not the same: {differs}")
    facts = audio_facts(
        f"{PurePosixPath(names.stem_of(recording.path)).name}.{wanted}",
        wanted, converted, sound.sample_rate_hz, sound.samples.shape[1], len(sound.samples),
    )  # fmt: skip
    if _unprotected(library, recording_id) != recording:  # a hold set while it was encoded
        return False
    _replace(library, recording, master, facts, converted)
    return True


def _unprotected(library: Library, recording_id: str) -> StoredRecording | None:
    """The recording, if there is one and nothing protects it now."""
    found = find(library.calls, [recording_id])
    if not found or Judge(library.calls, library.crm).judge(found)[0].protection is not None:
        return None
    return found[0]


def _master_manifest(library: Library, recording: StoredRecording) -> SignedManifest:
    signed = manifest_at(library, names.manifest_file(recording.path))
    if signed is None or signed.manifest.get("kind") != "recording" or not signed.is_genuine():
        raise BadInput("its manifest is gone or damaged")
    return signed


def _replace(
    library: Library, recording: StoredRecording, master: SignedManifest, facts: Mapping[str, Any], converted: bytes
) -> None:
    """Put the successor beside the master, whole and on the medium; then let it take the master's place."""
    stem = names.stem_of(recording.path)
    target, content, stored = f"{stem}.{facts['format']}", converted, None
    beside: dict[str, bytes] = {}
    if recording.encrypted:
        sealed = vault.encrypt_recording(library.home, recording.id, converted)
        target, content = f"{target}{vault.ENDING}", sealed.content
        stored = {"file": PurePosixPath(target).name, **sealed.stored}
        beside[vault.key_path(Path(target)).as_posix()] = sealed.key_file
    successor = _successor(library, recording, master, facts, stored)
    beside |= {names.manifest_file(target): canonical(successor) + b"\n", target: content}
    write_whole(library.home.recordings / names.master_manifest_file(target), canonical(master) + b"\n")
    for name, part in beside.items():
        write_whole(library.home.recordings / f"{name}{_STAGED}", part)
    tombstone = make_tombstone(
        library.log(recording.simulated), str(master.manifest["id"]), [master.commitment()], "audio", RULE, "box",
        f"converted to {facts['format']}", iso_utc(now_ms()),
    )  # fmt: skip
    file = stored or facts
    row = {
        "format": facts["format"], "path": target, "bytes": file["bytes"], "sha256": file["sha256"],
        "converted_from": recording.format,
    }  # fmt: skip
    removal = Removal(
        recording.id, recording.simulated, tombstone, names.master_tombstone_file(target), (recording.path,), row,
        "recording_converted", successor, {f"{name}{_STAGED}": name for name in beside},
    )  # fmt: skip
    carry_out(library, [removal])


def _successor(
    library: Library,
    recording: StoredRecording,
    master: SignedManifest,
    facts: Mapping[str, Any],
    stored: Mapping[str, Any] | None,
) -> SignedManifest:
    """The manifest of the conversion: what the master's says of call, tape, gaps and pauses, and which it was."""
    evidence = library.log(recording.simulated)
    since_version_2 = {
        "recording_kind": recording.kind, "channel": recording.channel, "started_ms": recording.started_ms,
        "pauses": [],
    }  # fmt: skip
    return evidence.sign(
        {
            **since_version_2,
            **master.manifest,
            **evidence.describe("conversion", uuid7(now_ms())),
            "audio": facts,
            "stored": stored,
            "master": {
                "manifest_id": master.manifest["id"],
                "commitment": master.commitment(),
                "audio_sha256": master.manifest["audio"]["sha256"],
            },
        }
    )
