"""Evidence: signed manifests, and one append-only log a card that names every manifest in order.

Real cards sign with the device's key. Simulated cards have a practice log and a key of their own, so that no
practice call can ever pass for a real one.
"""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from firmware.config import Home
from firmware.errors import StoreError

GENESIS = "0" * 64
"""What the first entry of a log names as its predecessor."""


class SignedManifest(msgspec.Struct, frozen=True):
    """A manifest file: the canonical JSON text that was signed, with signature and public key in base64."""

    manifest: dict[str, Any]
    public_key: str
    signature: str


class LogEntry(msgspec.Struct, frozen=True):
    """One line of a card's evidence log; ``entry_sha256`` of a line is the ``previous`` of the next."""

    index: int
    at_ms: int
    manifest_id: str
    manifest_sha256: str
    previous: str


def canonical(value: object) -> bytes:
    """JSON with sorted keys and no spaces: the bytes that are hashed and signed."""
    return msgspec.json.encode(value, order="sorted")


def load_key(home: Home, simulated: bool) -> Ed25519PrivateKey:
    """The signing key of the device, or of practice; made at first use. Raises StoreError."""
    path = home.keys / ("practice.pem" if simulated else "device.pem")
    try:
        if not path.exists():
            _make_key(path)
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError) as error:
        raise StoreError(f"signing key {path}: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise StoreError(f"signing key {path}: not an Ed25519 key")
    return key


def _make_key(path: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    draft = path.with_suffix(f".{os.getpid()}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, pem)
        os.fsync(fd)
    finally:
        os.close(fd)
    try:
        os.link(draft, path)  # whoever is first wins
    except FileExistsError:
        pass
    finally:
        draft.unlink()


class EvidenceLog:
    """The log of one card. Thread: one writer."""

    def __init__(self, home: Home, card_id: str, simulated: bool) -> None:
        """Raises StoreError. A line torn by a power cut is cut off: its manifest is entered again."""
        self._key = load_key(home, simulated)
        folder = home.evidence / ("practice" if simulated else "device")
        folder.mkdir(exist_ok=True)
        self.path = folder / f"{card_id}.log"
        self._entered: set[str] = set()
        self._index, self._previous = 0, GENESIS
        self._recover()

    def _recover(self) -> None:
        if not self.path.exists():
            return
        with self.path.open("rb+") as file:
            whole = 0
            for line in file:
                if not line.endswith(b"\n"):
                    break
                entry = msgspec.json.decode(line, type=LogEntry)
                self._entered.add(entry.manifest_id)
                self._index, self._previous = entry.index + 1, hashlib.sha256(line[:-1]).hexdigest()
                whole += len(line)
            file.truncate(whole)

    def sign(self, manifest: dict[str, Any]) -> SignedManifest:
        """Sign a manifest."""
        public = self._key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        signature = self._key.sign(canonical(manifest))
        return SignedManifest(manifest, base64.b64encode(public).decode(), base64.b64encode(signature).decode())

    def enter(self, manifest_id: str, at_ms: int, signed: SignedManifest) -> None:
        """Enter a manifest in the log, durably; one that is entered already is left alone. Raises StoreError."""
        if manifest_id in self._entered:
            return
        digest = hashlib.sha256(canonical(signed)).hexdigest()
        line = canonical(LogEntry(self._index, at_ms, manifest_id, digest, self._previous))
        try:
            with self.path.open("ab") as file:
                file.write(line + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StoreError(f"evidence log {self.path}: {error.strerror}") from error
        self._entered.add(manifest_id)
        self._index, self._previous = self._index + 1, hashlib.sha256(line).hexdigest()
