"""Evidence for people who ask: read from the box's logs, which only the recorder and the keeper write.

The API may not read the signing keys. It trusts the public key that the recorder publishes beside its logs, and no
other; whether that is the box's own, ``tapdeck verify --all`` says, and the fingerprint kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crm_client_api.answers.keeping import (
    AnchorInfo,
    Damaged,
    DeviceEvidence,
    EvidenceInfo,
    HeadInfo,
    RecordingEvidence,
    Silence,
    VerdictInfo,
)
from firmware.clock import iso_utc
from firmware.config import Home
from firmware.errors import NotFound, Refused, StoreError
from recorder.library.evidence.anchors import anchor_paths, read_anchor
from recorder.library.evidence.earlier import earlier_devices
from recorder.library.evidence.files import evidence_folder, read_manifest
from recorder.library.evidence.heads import HeadLine, last_head
from recorder.library.evidence.proof import proof_for
from recorder.library.evidence.public_key import read_public_device


def evidence_of_box(home: Home) -> EvidenceInfo:
    """Device and practice."""
    return EvidenceInfo(_device(home, simulated=False), _device(home, simulated=True))


def _device(home: Home, *, simulated: bool) -> DeviceEvidence:
    problems: list[str] = []
    device = _own_device(home, simulated, problems)
    heads = [one.head for one in _heads(home, simulated, problems)]
    problems += [f"{one.log}: signed by another device ({one.device})" for one in heads if one.device != device]
    return DeviceEvidence(
        device,
        [HeadInfo(head.log, head.tree_size, head.root, iso_utc(head.at_ms), head.reason) for head in heads],
        _last_anchor(home, simulated, problems),
        problems,
    )


def newest_heartbeat_ms(home: Home) -> int | None:
    """When the keeper last signed a head of its own log (Unix ms UTC); None before the first one."""
    signed = [
        line.head.at_ms
        for simulated in (False, True)
        for line in _heads(home, simulated, [])
        if line.head.log == "library"
    ]
    return max(signed, default=None)


def _own_device(home: Home, simulated: bool, problems: list[str]) -> str | None:
    """The only device whose signature counts; None: it is not known."""
    try:
        return read_public_device(home, simulated)
    except StoreError as error:
        problems.append(str(error))
        return None


def _heads(home: Home, simulated: bool, problems: list[str]) -> Iterator[HeadLine]:
    for path in sorted(evidence_folder(home, simulated).glob("*.heads")):
        if path.name.endswith(".set-aside.heads"):
            continue
        try:
            found = last_head(path)
        except (OSError, ValueError) as error:
            problems.append(f"{path.stem}: {error}")
            continue
        if found is not None:
            yield found


def _last_anchor(home: Home, simulated: bool, problems: list[str]) -> AnchorInfo | None:
    for path in anchor_paths(home, simulated)[-1:]:
        try:
            anchor = read_anchor(path)
        except StoreError as error:
            problems.append(str(error))
            return None
        receipts = sorted({str(receipt.get("kind")) for receipt in anchor.receipts})
        return AnchorInfo(anchor.anchor.number, iso_utc(anchor.anchor.at_ms), anchor.digest(), receipts)
    return None


def evidence_of_recording(home: Home, manifest: Path) -> RecordingEvidence:
    """The manifest file as it is, and the proof; null with the reason while there is none. Raises StoreError."""
    signed = read_manifest(manifest)
    if signed is None:
        raise StoreError("the manifest of this recording is damaged")
    try:
        proof, missing = proof_for(home, str(signed.manifest.get("id"))), ""
    except (NotFound, Refused) as error:
        proof, missing = None, str(error)
    return RecordingEvidence(
        {
            "manifest": signed.manifest, "salt": signed.salt,
            "public_key": signed.public_key, "signature": signed.signature,
        },
        proof,
        missing,
    )  # fmt: skip


def verdict_on(home: Home, recording_id: str, audio: Path, manifest: Path, *, simulated: bool) -> VerdictInfo:
    """Check manifest, audio and log as the stand-alone verifier does. Raises StoreError.

    ``audio``: the very file that is played. ``simulated``: what the store says, and whose key must have signed.
    """
    from recorder.library.verification.verifier import tapdeck_verify as verifier

    problems: list[str] = []
    device = _own_device(home, simulated, problems)
    devices = [] if device is None else [device]
    devices += [one.device for one in earlier_devices(home, devices) if one.simulated == simulated]
    result: dict[str, Any] = verifier.verify(manifest, verifier.Known(devices=devices))
    result["notes"] += problems
    if result["id"] is not None:
        _check_log(home, manifest, result)
        if not _is_of(manifest, recording_id) or result["simulated"] != simulated:
            result |= {"verdict": "manifest_altered", "self_consistent": False}
            result["notes"].append("this manifest is of another recording")
        elif result["file"] != audio.name and result["verdict"] in ("authentic", "unknown_device"):
            result |= {"verdict": "altered", "self_consistent": False}
            result["notes"].append(f"what is played is {audio.name}, which has no manifest")
    return VerdictInfo(
        verdict=result["verdict"],
        self_consistent=result["self_consistent"],
        key_known=result["key_known"],
        in_log=result["in_log"],
        anchored_before=[iso_utc(one["before_ms"]) for one in result["anchored"]],
        damage=[Damaged(one["kind"], one["from_ms"], one["to_ms"]) for one in result["damage"]],
        silences=[Silence(one["from_ms"], one["to_ms"], one["reason"]) for one in result["silences"]],
        notes=result["notes"],
        text={lang: verifier.describe(result, lang) for lang in ("en", "zh")},
    )


def _is_of(manifest: Path, recording_id: str) -> bool:
    """Whether it is the manifest of the recording, or of its conversion."""
    signed = read_manifest(manifest)
    if signed is None:
        return False
    master = signed.manifest.get("master")
    of_master = master.get("manifest_id") if isinstance(master, dict) else None
    return recording_id in (signed.manifest.get("id"), of_master)


def _check_log(home: Home, manifest: Path, result: dict[str, Any]) -> None:
    """Whether the box's own log holds the manifest."""
    from recorder.library.verification.verifier import tapdeck_verify as verifier

    try:
        commitment = verifier.commitment_of(verifier.parse(verifier.read_small(manifest)))
        proof = proof_for(home, result["id"])
        verifier.check_proof(proof, result["id"], commitment, result["device"])
        result["in_log"] = True
    except Refused as error:  # not covered by a head yet
        result["notes"].append(str(error))
    except (NotFound, verifier.Malformed) as error:
        result["in_log"] = False
        result["notes"].append(str(error))
        if result["verdict"] == "authentic":
            result |= {"verdict": "not_in_log", "self_consistent": False}
