"""What is signed: canonical JSON, Ed25519 (RFC 8032), and the keys of the device and of practice."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from firmware.config import Home
from firmware.durable import sync_folder
from firmware.errors import StoreError


def canonical(value: object) -> bytes:
    """JSON with sorted keys and no spaces: the bytes that are hashed and signed."""
    return msgspec.json.encode(value, order="sorted")


def sha256_hex(content: bytes | memoryview) -> str:
    """SHA-256 in lower-case hexadecimal."""
    return hashlib.sha256(content).hexdigest()


class Signer:
    """A signing key, with what everybody may know of it. Thread: safe."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        raw = key.public_key().public_bytes_raw()
        self.public_key = base64.b64encode(raw).decode()
        self.device = device_of(raw)

    def sign(self, value: object) -> str:
        """The signature over the canonical JSON of ``value``, in base64."""
        return base64.b64encode(self._key.sign(canonical(value))).decode()


def device_of(public_key: bytes) -> str:
    """The device id of a raw public key."""
    return hashlib.sha256(public_key).hexdigest()[:32]


def is_signed(value: object, public_key: str, signature: str) -> bool:
    """Whether the signature is that of the key over the canonical JSON of ``value``; all in base64."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(signature, validate=True), canonical(value))
    except (ValueError, InvalidSignature):
        return False
    return True


def signer(home: Home, simulated: bool) -> Signer:
    """The device's hand, or that of practice. Raises StoreError."""
    return Signer(load_key(home, simulated))


def device_id(home: Home, simulated: bool) -> str:
    """The device id of the box, or of its practice. Raises StoreError."""
    return signer(home, simulated).device


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
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
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
