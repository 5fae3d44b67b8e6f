"""Encrypted recordings: a key of its own for each, AES-256-GCM in chunks, readable from any place in the middle.

Layout of ``NAME.flac.tde`` (integers big-endian)::

    magic "TDE1" · chunk_bytes u32 · plain_bytes u64 · length of id u16 · recording id UTF-8
    chunk 0 · chunk 1 · … each chunk_bytes of audio (the last one less) and its 16-byte tag

Nonce: the chunk's number. Additional data: the whole header, the chunk's number and whether it is the last one. So
no chunk can be altered, moved, left out, doubled, cut off or taken from another recording unnoticed. A key encrypts
one content only: whoever encrypts again makes a new key.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from firmware.config import Home
from firmware.durable import sync_folder
from firmware.errors import BadInput, NotFound, StoreError
from recorder.library.audio import vault_keys

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ENDING = ".tde"
CIPHER = "AES-256-GCM"
CHUNK_BYTES = 64 * 1024
_MAGIC = b"TDE1"
_HEADER = struct.Struct(">4sIQH")
_PLACE = struct.Struct(">QB")
_TAG_BYTES = 16  # NIST SP 800-38D, section 5.2.1.2
_MOST_CHUNK_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Encrypted:
    """An encrypted recording: content of ``NAME.flac.tde``, of ``NAME.key.json``, and ``stored`` of the manifest.

    ``stored`` has no ``file``: whoever names the file adds it.
    """

    content: bytes
    key_file: bytes
    stored: dict[str, Any]


def encrypt_recording(home: Home, recording_id: str, audio: bytes | memoryview) -> Encrypted:
    """Encrypt under a new key, wrapped for the device and the recovery key. Raises StoreError: keys unusable."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key = AESGCM.generate_key(256)
    key_file = vault_keys.wrap_for_all(home, recording_id, key)
    layout = _Layout.of(recording_id, len(audio))
    cipher = AESGCM(key)
    view = memoryview(audio).cast("B")
    parts = [layout.header]
    for index in range(layout.chunks):
        part = view[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]
        parts.append(cipher.encrypt(layout.nonce(index), part, layout.place(index)))
    content = b"".join(parts)
    stored = {
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "cipher": CIPHER,
        "chunk_bytes": CHUNK_BYTES,
    }
    return Encrypted(content, key_file, stored)


def is_encrypted(path: Path) -> bool:
    """Whether a recording is stored encrypted, by its name."""
    return path.suffix == ENDING


def key_path(audio: Path) -> Path:
    """Where the key of the encrypted file ``NAME.flac.tde`` is: ``NAME.key.json`` beside it."""
    return audio.with_name(f"{audio.name.removesuffix(ENDING).rpartition('.')[0]}.key.json")


def open_recording(home: Home, path: Path) -> BinaryIO:
    """The audio inside an encrypted file, decrypted as it is read: readable, seekable, one chunk in memory.

    Reading raises StoreError where the file is damaged. Raises NotFound: file or key is gone; StoreError.
    """
    return open_with(path, lambda: vault_keys.device_key(home))


def open_with(path: Path, private: Callable[[], Any]) -> BinaryIO:
    """As ``open_recording``, with the X25519 private key that ``private`` gives; also raises Refused, BadInput."""
    try:
        wrapped = vault_keys.read_key_file(key_path(path).read_bytes())
    except FileNotFoundError as error:
        raise NotFound("the key of this recording is gone, and the recording with it") from error
    except OSError as error:
        raise StoreError(f"{key_path(path)}: {error.strerror}") from error
    try:
        file = path.open("rb", buffering=0)
    except OSError as error:
        raise NotFound("the audio of this recording is not there") from error
    try:
        plain = _Plain(file, path, wrapped.recording_id, vault_keys.unwrap(wrapped, private()))
    except BaseException:
        file.close()
        raise
    return io.BufferedReader(plain)


def destroy_key(audio: Path) -> None:
    """Crypto-erase: overwrite and remove the key of the encrypted file ``audio``; the audio is then gone.

    Idempotent. Raises StoreError.
    """
    path = key_path(audio)
    try:
        with path.open("r+b", buffering=0) as file:
            file.write(os.urandom(path.stat().st_size))
            os.fsync(file.fileno())
        path.unlink()
        sync_folder(path.parent)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the chunks of one encrypted file are, and what each is bound to."""

    header: bytes
    recording_id: str
    chunk_bytes: int
    plain_bytes: int

    @classmethod
    def of(cls, recording_id: str, plain_bytes: int) -> _Layout:
        name = recording_id.encode()
        header = _HEADER.pack(_MAGIC, CHUNK_BYTES, plain_bytes, len(name)) + name
        return cls(header, recording_id, CHUNK_BYTES, plain_bytes)

    @classmethod
    def read(cls, file: io.FileIO) -> _Layout:
        """Raises BadInput."""
        fixed = file.read(_HEADER.size) or b""
        if len(fixed) != _HEADER.size or not fixed.startswith(_MAGIC):
            raise BadInput("not an encrypted recording")
        _, chunk_bytes, plain_bytes, id_bytes = _HEADER.unpack(fixed)
        name = file.read(id_bytes) or b""
        if len(name) != id_bytes or not 0 < chunk_bytes <= _MOST_CHUNK_BYTES:
            raise BadInput("its header is damaged")
        try:
            return cls(fixed + name, name.decode(), chunk_bytes, plain_bytes)
        except UnicodeDecodeError as error:
            raise BadInput("its header is damaged") from error

    @property
    def chunks(self) -> int:
        return max(1, -(-self.plain_bytes // self.chunk_bytes))

    @property
    def file_bytes(self) -> int:
        return len(self.header) + self.plain_bytes + self.chunks * _TAG_BYTES

    def offset(self, index: int) -> int:
        return len(self.header) + index * (self.chunk_bytes + _TAG_BYTES)

    def nonce(self, index: int) -> bytes:
        return index.to_bytes(12, "big")

    def place(self, index: int) -> bytes:
        return self.header + _PLACE.pack(index, index == self.chunks - 1)


class _Plain(io.RawIOBase):
    """The decrypted bytes of a file. Holds one chunk. Thread: one."""

    def __init__(self, file: io.FileIO, path: Path, recording_id: str, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._file, self._path = file, path
        self._position = 0
        self._chunk, self._index = b"", -1
        self._cipher: AESGCM = AESGCM(key)
        try:
            self._layout = _Layout.read(file)
            if self._layout.recording_id != recording_id:
                raise BadInput(f"its key is that of recording {recording_id}")
            if os.fstat(file.fileno()).st_size != self._layout.file_bytes:
                raise BadInput("it is not as long as its header says")
        except BadInput as error:
            raise StoreError(f"{path}: {error}") from error
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}") from error
        self._load(0)  # its tag vouches for the header

    def _load(self, index: int) -> None:
        from cryptography.exceptions import InvalidTag

        layout = self._layout
        try:
            sealed = os.pread(self._file.fileno(), layout.chunk_bytes + _TAG_BYTES, layout.offset(index))
            self._chunk = self._cipher.decrypt(layout.nonce(index), sealed, layout.place(index))
        except (InvalidTag, ValueError) as error:
            place = index * layout.chunk_bytes
            raise StoreError(f"{self._path}: damaged between bytes {place} and {place + layout.chunk_bytes}") from error
        except OSError as error:
            raise StoreError(f"{self._path}: {error.strerror}") from error
        self._index = index

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._layout.plain_bytes}[whence]
        if start + offset < 0:
            raise ValueError("negative position")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        left = self._layout.plain_bytes - self._position
        if left <= 0 or not len(view):
            return 0
        index, start = divmod(self._position, self._layout.chunk_bytes)
        if index != self._index:
            self._load(index)
        part = self._chunk[start : start + len(view)]
        view[: len(part)] = part
        self._position += len(part)
        return len(part)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
