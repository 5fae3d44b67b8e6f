"""Evidence: signed manifests, and one append-only log a card that names every manifest in order.

Real cards sign with the device's key. Simulated cards have a practice log and a key of their own, so that no
practice call can ever pass for a real one.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import logging
import os
import secrets
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from firmware.config import Home
from firmware.durable import sync_folder
from firmware.errors import StoreError

log = logging.getLogger("recorder")

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


def read_manifest(path: Path) -> SignedManifest | None:
    """The manifest file at ``path``; None when it is damaged. Raises StoreError when it cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=SignedManifest)
    except msgspec.DecodeError:
        return None
    except OSError as error:
        raise StoreError(f"manifest {path}: {error.strerror}") from error


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
    draft = path.with_suffix(f".{secrets.token_hex(8)}")
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
    sync_folder(path.parent)


class EvidenceLog:
    """The log of one card. Thread: one writer."""

    def __init__(self, home: Home, card_id: str, simulated: bool) -> None:
        """Raises StoreError. A line torn by a power cut is cut off: its manifest is entered again.

        A log that is damaged anywhere else is set aside, not deleted, and a new one begun.
        """
        self._key = load_key(home, simulated)
        folder = home.evidence / ("practice" if simulated else "device")
        self.path = folder / f"{card_id}.log"
        try:
            folder.mkdir(exist_ok=True)
            if not self._recover():
                log.error("evidence log %s is damaged: it is set aside", self.path)
                self.path.rename(self.path.with_name(f"{card_id}-{secrets.token_hex(4)}.set-aside"))
                self._recover()
        except OSError as error:
            raise StoreError(f"evidence log {self.path}: {error.strerror}") from error

    def _recover(self) -> bool:
        """Read what was entered; False when a whole line is not what follows."""
        self._entered: dict[str, str] = {}
        self._index, self._previous, self._bytes = 0, GENESIS, 0
        if not self.path.exists():
            return True
        with self.path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break  # torn: ``enter`` writes over it
                try:
                    entry = msgspec.json.decode(line, type=LogEntry)
                except msgspec.DecodeError:
                    return False
                if (entry.index, entry.previous) != (self._index, self._previous):
                    return False
                self._count(entry, line)
        return True

    def _count(self, entry: LogEntry, line: bytes) -> None:
        self._entered[entry.manifest_id] = entry.manifest_sha256
        self._index, self._previous = entry.index + 1, hashlib.sha256(line[:-1]).hexdigest()
        self._bytes += len(line)

    def sign(self, manifest: dict[str, Any]) -> SignedManifest:
        """Sign a manifest."""
        public = self._key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        signature = self._key.sign(canonical(manifest))
        return SignedManifest(manifest, base64.b64encode(public).decode(), base64.b64encode(signature).decode())

    def names(self, manifest_id: str, signed: SignedManifest) -> bool:
        """Whether the log's last word about ``manifest_id`` is this very manifest."""
        return self._entered.get(manifest_id) == _digest(signed)

    def enter(self, manifest_id: str, at_ms: int, signed: SignedManifest) -> None:
        """Enter a manifest in the log, durably; one that is entered already is left alone. Raises StoreError.

        What an earlier attempt left behind (a full disk tears lines too) is written over.
        """
        if self.names(manifest_id, signed):
            return
        entry = LogEntry(self._index, at_ms, manifest_id, _digest(signed), self._previous)
        line = canonical(entry) + b"\n"
        try:
            with os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o660), "rb+", buffering=0) as file:
                file.truncate(self._bytes)
                file.seek(self._bytes)
                if file.write(line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
            if not self._index:
                sync_folder(self.path.parent)
        except OSError as error:
            raise StoreError(f"evidence log {self.path}: {error.strerror}") from error
        self._count(entry, line)


def _digest(signed: SignedManifest) -> str:
    return hashlib.sha256(canonical(signed)).hexdigest()
