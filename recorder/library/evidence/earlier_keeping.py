"""Keeping the evidence of devices over whose home a backup takes over, and stating what it was (docs/evidence.md)."""

from __future__ import annotations

import base64
import binascii
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from firmware.clock import now_ms
from firmware.config import Home
from firmware.durable import sync_folder, write_whole
from recorder.library.evidence.earlier import KIND, hashes_of, id_of, read_statement, statements_in
from recorder.library.evidence.files import (
    EARLIER,
    SignedManifest,
    earlier_folder,
    evidence_folder,
    log_folders,
    read_manifest,
)
from recorder.library.evidence.log import MANIFEST_VERSION, EvidenceLog, software
from recorder.library.evidence.signing import canonical, sha256_hex, signer
from recorder.library.keeping.task import Library, Stopping


def keep_earlier(home: Home, aside: Path, until_ms: int) -> None:
    """Keep the evidence of the devices whose folders went into ``aside``, and state in our name what it is.

    By renames alone, and whoever is cut off begins again with the same result. What has no key, or is our own, stays
    where it is. Raises StoreError, OSError.
    """
    for simulated in (False, True):
        folder = aside / evidence_folder(home, simulated).name
        public_key = _published(folder)
        device = None if public_key is None else id_of(public_key)
        if device is None or device == signer(home, simulated).device:
            continue
        known = {device}
        inner = [one for path in statements_in(folder) if (one := read_statement(home, path, known)) is not None]
        for name in (*(one.device for one in inner), device):
            source = folder if name == device else aside / EARLIER / name
            place = earlier_folder(home) / name
            if source.is_dir() and not place.exists():
                place.parent.mkdir(exist_ok=True)
                source.rename(place)
                for changed in (place.parent, source.parent, home.evidence):
                    sync_folder(changed)
    for folder in log_folders(home):
        if folder.parent == earlier_folder(home) and not _is_named(home, folder.name):
            _state(home, folder, until_ms)


def _published(folder: Path) -> str | None:
    with suppress(OSError, binascii.Error, UnicodeDecodeError):
        text = (folder / "key.pub").read_text().strip()
        if len(base64.b64decode(text, validate=True)) == 32:
            return text
    return None


def _is_named(home: Home, device: str) -> bool:
    return any(path.stem == device for folder in log_folders(home) for path in statements_in(folder))


def _state(home: Home, folder: Path, until_ms: int) -> None:
    public_key = _published(folder)
    if public_key is None or id_of(public_key) != folder.name:
        return
    simulated = _is_practice(folder)
    hand = signer(home, simulated)
    manifest: dict[str, Any] = {
        "manifest_version": MANIFEST_VERSION,
        "kind": KIND,
        "id": str(uuid5(NAMESPACE_OID, f"{hand.device} {folder.name}")),
        "simulated": simulated,
        "software": software(),
        "device": hand.device,
        "clock": {"synchronised": None, "max_error_ms": None},
        "earlier": {
            "device": folder.name, "public_key": public_key, "until_ms": until_ms, "files": dict(hashes_of(folder)),
        },
    }  # fmt: skip
    signature = hand.sign(manifest)
    # No secret: what it salts names nobody, and whoever goes on after a power cut writes the same file.
    signed = SignedManifest(manifest, hand.public_key, signature, sha256_hex(signature.encode()))
    write_whole(evidence_folder(home, simulated) / EARLIER / f"{folder.name}.json", canonical(signed) + b"\n")


def _is_practice(folder: Path) -> bool:
    for path in sorted(folder.glob("*.begun.json")):
        signed = read_manifest(path)
        if signed is not None and signed.is_genuine():
            return signed.manifest.get("simulated") is True
    return False


class EarlierTask:
    """See ``LibraryTask``: enters what was stated while nobody worked, so that the next anchor covers it."""

    name = "earlier devices"
    every_s = 86_400.0

    def run(self, library: Library, stopping: Stopping) -> None:
        """Enter the statements that the logs do not name yet. Raises StoreError."""
        for evidence in (library.device_log, library.practice_log):
            _enter(evidence)


def _enter(evidence: EvidenceLog) -> None:
    for path in statements_in(evidence.path.parent):
        signed = read_manifest(path)
        if signed is None or not signed.has_salt or not evidence.is_own(signed):
            continue
        identifier = str(signed.manifest["id"])
        if signed.manifest.get("kind") == KIND and not evidence.names(identifier, signed):
            evidence.enter(identifier, KIND, now_ms(), signed)
