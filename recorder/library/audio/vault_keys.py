"""Who can open encrypted recordings: the device's vault key, and the office's recovery key that is kept elsewhere.

A recording's own key is wrapped for each of them with HPKE (RFC 9180: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
AES-256-GCM), bound to the recording's id.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from firmware.config import Home
from firmware.durable import sync_folder, write_whole
from firmware.errors import BadInput, NotFound, Refused, StoreError

if TYPE_CHECKING:  # cryptography is loaded when the first recording is opened, not before
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.hpke import Suite

log = logging.getLogger("recorder")

KEY_FILE_VERSION = 1
WRAPPING = "HPKE X25519 HKDF-SHA256 AES-256-GCM"
SHORTEST_PASSPHRASE = 12
_INFO = b"tapdeck recording key\0"


class Wrapped(msgspec.Struct, frozen=True):
    """A recording's key for one receiver. ``public_key`` (whose) and ``key`` (HPKE ciphertext): base64."""

    receiver: str
    public_key: str
    key: str


class KeyFile(msgspec.Struct, frozen=True):
    """``NAME.key.json`` beside an encrypted recording. Without it, the recording is gone."""

    key_file_version: int
    recording_id: str
    wrapping: str
    wrapped: list[Wrapped]


def wrap_for_all(home: Home, recording_id: str, key: bytes) -> bytes:
    """The key file of a recording: for the device, and for the recovery key if there is one. Raises StoreError.

    A damaged key holds up no recording: without a usable recovery key the device's alone must do.
    """
    device = own_device_key(home).public_key()
    try:
        recovery = recovery_public_key(home)
    except StoreError as error:
        log.error("recordings are encrypted for the device alone: %s", error)
        recovery = None
    wrapped = [_wrap("device", device, recording_id, key)]
    if recovery is not None:
        wrapped.append(_wrap("recovery", recovery, recording_id, key))
    file = KeyFile(KEY_FILE_VERSION, recording_id, WRAPPING, wrapped)
    return msgspec.json.format(msgspec.json.encode(file), indent=1) + b"\n"


def read_key_file(content: bytes) -> KeyFile:
    """Raises BadInput."""
    try:
        file = msgspec.json.decode(content, type=KeyFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"the key file is damaged: {error}") from error
    if (file.key_file_version, file.wrapping) != (KEY_FILE_VERSION, WRAPPING):
        raise BadInput(f"the key file is of a kind that this version does not know: {file.wrapping!r}")
    return file


def unwrap(file: KeyFile, private: X25519PrivateKey) -> bytes:
    """The recording's key. Raises Refused when it is not wrapped for ``private``, BadInput when it is damaged."""
    from cryptography.exceptions import InvalidTag

    own = _raw(private.public_key())
    mine = [one for one in file.wrapped if one.public_key == own]
    if not mine:
        raise Refused(f"the key of recording {file.recording_id} is not wrapped for this key")
    try:
        return _suite().decrypt(base64.b64decode(mine[0].key, validate=True), private, _info(file.recording_id))
    except (InvalidTag, ValueError, binascii.Error) as error:
        raise BadInput(f"the wrapped key of recording {file.recording_id} is damaged") from error


def device_key(home: Home) -> X25519PrivateKey:
    """The device's vault key. Raises NotFound when there is none, StoreError."""
    path = home.vault / "vault.pem"
    try:
        return _load_private(path.read_bytes(), None)
    except FileNotFoundError as error:
        raise NotFound("this box has no vault key") from error
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    except BadInput as error:
        raise StoreError(f"{path}: {error}") from error


def own_device_key(home: Home) -> X25519PrivateKey:
    """The device's vault key, made at first use; a damaged one is set aside. Raises StoreError."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    path = home.vault / "vault.pem"
    try:
        with _alone(home.vault):
            if path.exists():
                try:
                    return _load_private(path.read_bytes(), None)
                except BadInput:
                    log.error("%s is damaged: it is set aside; what it encrypted needs the recovery key", path)
                    path.rename(path.with_name(f"vault-{secrets.token_hex(4)}.set-aside"))
            _place_new(path, _private_pem(X25519PrivateKey.generate(), None), 0o640)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    return device_key(home)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Recorders that make a key at once: nobody sets aside what another has just made. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def recovery_public_key(home: Home) -> X25519PublicKey | None:
    """The public part of the office's recovery key; None when none is configured. Raises StoreError."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    path = home.vault / "recovery-public.pem"
    try:
        key = load_pem_public_key(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise StoreError(f"{path}: not a public key") from error
    if not isinstance(key, X25519PublicKey):
        raise StoreError(f"{path}: not an X25519 key")
    return key


def make_recovery_key(home: Home, out: Path, passphrase: str, *, replace: bool) -> None:
    """Write a new recovery key to ``out``, under the passphrase, and keep its public part on the box.

    Raises Refused: there is one already, ``out`` exists, or the passphrase is short; StoreError.
    """
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise Refused(f"the passphrase has at least {SHORTEST_PASSPHRASE} characters")
    if recovery_public_key(home) is not None and not replace:
        raise Refused("there is a recovery key already; recordings made so far open with that one only")
    key = X25519PrivateKey.generate()
    try:
        _place_new(out, _private_pem(key, passphrase), 0o600)
    except FileExistsError as error:
        raise Refused(f"{out} exists already") from error
    except OSError as error:
        raise StoreError(f"{out}: {error.strerror}") from error
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    write_whole(home.vault / "recovery-public.pem", public)  # last: never a public part whose private part is nowhere


def load_recovery_key(file: Path, passphrase: str) -> X25519PrivateKey:
    """The private part that was kept outside. Raises BadInput: not such a key, or not its passphrase."""
    try:
        return _load_private(file.read_bytes(), passphrase)
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}") from error


def _load_private(pem: bytes, passphrase: str | None) -> X25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, passphrase.encode() if passphrase is not None else None)
    except (ValueError, TypeError) as error:
        raise BadInput("the key cannot be read: not a private key, or not its passphrase") from error
    if not isinstance(key, X25519PrivateKey):
        raise BadInput("not an X25519 key")
    return key


def _private_pem(key: X25519PrivateKey, passphrase: str | None) -> bytes:
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    protection = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)


def _place_new(path: Path, content: bytes, mode: int) -> None:
    """Put a file where none is, whole and synced. Raises FileExistsError: somebody was faster; OSError."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    finally:
        draft.unlink()
    sync_folder(path.parent)


def _suite() -> Suite:
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

    return Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def _info(recording_id: str) -> bytes:
    return _INFO + recording_id.encode()


def _wrap(receiver: str, public: X25519PublicKey, recording_id: str, key: bytes) -> Wrapped:
    sealed = _suite().encrypt(key, public, _info(recording_id))
    return Wrapped(receiver, _raw(public), base64.b64encode(sealed).decode())


def _raw(public: X25519PublicKey) -> str:
    return base64.b64encode(public.public_bytes_raw()).decode()
