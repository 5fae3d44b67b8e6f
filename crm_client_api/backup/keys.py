"""Who can open backups: a key pair whose private half is known to nobody without the office's passphrase.

The box keeps the public half and the private half wrapped by the passphrase, so it makes backups every night without
knowing the passphrase, and could open none of them. The wrapped half stands in the head of every backup: whoever has
one file and the passphrase needs nothing else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from firmware.errors import BadInput, Refused

if TYPE_CHECKING:  # cryptography is loaded when the first backup is made or opened, not before
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.hpke import Suite

SHORTEST_PASSPHRASE, LONGEST_PASSPHRASE = 12, 200
LOG2_N = 17
"""128 MiB and half a second for each try (scrypt, RFC 7914)."""
_KEY_ABOUT = b"tapdeck backup key\0"
_FILE_ABOUT = b"tapdeck backup file\0"


class WrappedKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The private half under the passphrase: AES-256-GCM, its key by scrypt; bytes are in base64.

    The limits keep a made-up head from taking all memory.
    """

    kdf: Literal["scrypt"]
    log2_n: Annotated[int, msgspec.Meta(ge=10, le=20)]
    r: Annotated[int, msgspec.Meta(ge=1, le=16)]
    p: Annotated[int, msgspec.Meta(ge=1, le=4)]
    salt: Annotated[str, msgspec.Meta(max_length=100)]
    nonce: Annotated[str, msgspec.Meta(max_length=100)]
    sealed: Annotated[str, msgspec.Meta(max_length=200)]


class BackupKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the box knows of a key pair: it can seal by it, and not open. ``public``: X25519, raw, in base64."""

    public: Annotated[str, msgspec.Meta(max_length=100)]
    private: WrappedKey

    @property
    def id(self) -> str:
        """A short name of the pair: recordings in backups that one passphrase opens lie in one folder."""
        return hashlib.sha256(_bytes(self.public)).hexdigest()[:16]


def make_key(passphrase: str, log2_n: int = LOG2_N) -> BackupKey:
    """A new pair, wrapped by the passphrase. Raises Refused: the passphrase is too short or too long."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if not SHORTEST_PASSPHRASE <= len(passphrase) <= LONGEST_PASSPHRASE:
        raise Refused(f"the passphrase has {SHORTEST_PASSPHRASE} to {LONGEST_PASSPHRASE} characters")
    private = X25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    salt, nonce = os.urandom(32), os.urandom(12)
    wrapped = WrappedKey("scrypt", log2_n, 8, 1, _text(salt), _text(nonce), "")
    cipher = AESGCM(_derived(wrapped, passphrase))
    sealed = cipher.encrypt(nonce, private.private_bytes_raw(), _KEY_ABOUT + public)
    return BackupKey(_text(public), msgspec.structs.replace(wrapped, sealed=_text(sealed)))


def unlock(key: BackupKey, passphrase: str) -> X25519PrivateKey:
    """The private half. Raises Refused: another passphrase, or an altered head."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        cipher = AESGCM(_derived(key.private, passphrase))
        about = _KEY_ABOUT + _bytes(key.public)
        raw = cipher.decrypt(_bytes(key.private.nonce), _bytes(key.private.sealed), about)
        return X25519PrivateKey.from_private_bytes(raw)
    except (InvalidTag, ValueError, MemoryError) as error:
        raise Refused(
            "this passphrase does not open the backup, or its head was altered. 口令不正确,或备份文件头已被改动。"
        ) from error


def seal_file_key(key: BackupKey, file_key: bytes, file_id: str) -> str:
    """A file's own key for the owner of the pair (HPKE, RFC 9180), bound to the file's id; in base64."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    public = X25519PublicKey.from_public_bytes(_bytes(key.public))
    return _text(_suite().encrypt(file_key, public, _FILE_ABOUT + file_id.encode()))


def open_file_key(private: X25519PrivateKey, sealed: str, file_id: str) -> bytes:
    """A file's own key. Raises BadInput: it is not for this pair and this file."""
    from cryptography.exceptions import InvalidTag

    try:
        return bytes(_suite().decrypt(_bytes(sealed), private, _FILE_ABOUT + file_id.encode()))
    except (InvalidTag, ValueError) as error:
        raise BadInput("the head was altered: the key in it belongs to another file. 文件头已被改动。") from error


def _derived(wrapped: WrappedKey, passphrase: str) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    kdf = Scrypt(salt=_bytes(wrapped.salt), length=32, n=1 << wrapped.log2_n, r=wrapped.r, p=wrapped.p)
    return bytes(kdf.derive(passphrase.encode()))


def _suite() -> Suite:
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

    return Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInput("the head was altered. 文件头已被改动。") from error
