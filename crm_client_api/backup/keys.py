"""Who can open backups, and who can make them.

A key pair opens them, whose private half is known to nobody without the office's passphrase. The box keeps the public
half and the private half wrapped by the passphrase, so it makes backups every night without knowing the passphrase, and
could open none of them. The wrapped half stands in the head of every backup: whoever has one file and the passphrase
needs nothing else.

A second pair signs them. Its private half never leaves the box unsealed; its public half is wrapped together with what
opens backups. So whoever has the passphrase knows whose signature counts, and nobody else can name another one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from crm_client_api.backup.refusals import WrongPassphrase
from firmware.errors import BadInput, Refused

if TYPE_CHECKING:  # cryptography is loaded when the first backup is made or opened, not before
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.hpke import Suite

SHORTEST_PASSPHRASE, LONGEST_PASSPHRASE = 12, 200
LOG2_N = 17
"""128 MiB and half a second for each try (scrypt, RFC 7914)."""
_KEY_ABOUT = b"tapdeck backup key\0"
_FILE_ABOUT = b"tapdeck backup file\0"
_ORIGIN_ABOUT = b"tapdeck backup origin\0"
_RAW_BYTES = 32  # RFC 7748, section 5; RFC 8032, section 5.1.5


class WrappedKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What opens backups (X25519, private) and proves them (Ed25519, public), raw, one behind the other, under the
    passphrase: AES-256-GCM, its key by scrypt; bytes are in base64.

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
    """The key pair as everybody may know it, who can seal by it, and not open. ``public``: X25519, raw, in base64."""

    public: Annotated[str, msgspec.Meta(max_length=100)]
    private: WrappedKey

    @property
    def id(self) -> str:
        """A short name of the pair: recordings in backups that one passphrase opens lie in one folder."""
        return hashlib.sha256(_bytes(self.public)).hexdigest()[:16]


class OwnKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the box alone knows: by which pair it seals, and with what it signs (Ed25519, private, raw, in base64)."""

    key: BackupKey
    origin: str

    @property
    def id(self) -> str:
        """See ``BackupKey.id``."""
        return self.key.id

    def sign(self, content: bytes) -> bytes:
        """64 bytes by which ``Unlocked.made`` knows the content again."""
        return self._private().sign(_ORIGIN_ABOUT + content)

    def made(self, content: bytes, signature: bytes) -> bool:
        """Whether it was signed with this key."""
        return _is_signed(self._private().public_key(), content, signature)

    def _private(self) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(_bytes(self.origin))


@dataclass(frozen=True, slots=True)
class Unlocked:
    """What the passphrase gives."""

    private: X25519PrivateKey
    origin: Ed25519PublicKey

    def made(self, content: bytes, signature: bytes) -> bool:
        """Whether the box that the passphrase is for signed this."""
        return _is_signed(self.origin, content, signature)


def make_key(passphrase: str, log2_n: int = LOG2_N) -> OwnKey:
    """New pairs, wrapped by the passphrase. Raises Refused: the passphrase is too short or too long."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if not SHORTEST_PASSPHRASE <= len(passphrase) <= LONGEST_PASSPHRASE:
        raise Refused(f"the passphrase has {SHORTEST_PASSPHRASE} to {LONGEST_PASSPHRASE} characters")
    private, origin = X25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    salt, nonce = os.urandom(32), os.urandom(12)
    wrapped = WrappedKey("scrypt", log2_n, 8, 1, _text(salt), _text(nonce), "")
    cipher = AESGCM(_derived(wrapped, passphrase))
    known = private.private_bytes_raw() + origin.public_key().public_bytes_raw()
    sealed = cipher.encrypt(nonce, known, _KEY_ABOUT + public)
    key = BackupKey(_text(public), msgspec.structs.replace(wrapped, sealed=_text(sealed)))
    return OwnKey(key, _text(origin.private_bytes_raw()))


def unlock(key: BackupKey, passphrase: str) -> Unlocked:
    """What is wrapped. Raises WrongPassphrase: another one, or an altered head."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        cipher = AESGCM(_derived(key.private, passphrase))
        about = _KEY_ABOUT + _bytes(key.public)
        raw = cipher.decrypt(_bytes(key.private.nonce), _bytes(key.private.sealed), about)
        return Unlocked(
            X25519PrivateKey.from_private_bytes(raw[:_RAW_BYTES]), Ed25519PublicKey.from_public_bytes(raw[_RAW_BYTES:])
        )
    except (InvalidTag, ValueError, MemoryError) as error:
        raise WrongPassphrase(
            "this passphrase does not open the backup, or its head was altered. 口令不正确,或备份文件头已被改动。"
        ) from error


def _is_signed(public: Ed25519PublicKey, content: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        public.verify(signature, _ORIGIN_ABOUT + content)
    except InvalidSignature:
        return False
    return True


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
