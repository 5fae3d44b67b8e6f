"""The sealed file: a clear head, then AES-256-GCM in chunks, written and read as a stream.

Layout (integers big-endian)::

    magic "TDBACKUP" · format version u16 · length of the head u32 · head, JSON · signature over all this, 64 bytes
    chunk 0 · chunk 1 · … each 1 MiB of content (the last one less, or none) and its 16-byte tag

Every file has a key of its own. Nonce: the chunk's number. Additional data: SHA-256 of everything before chunk 0, the
chunk's number (u64) and a byte that is 1 for the last chunk. So no byte can be altered, added, left out, moved or taken
from another file unnoticed. The signature says that the box chose the file's key, and nobody who lacks the passphrase
learns that key: so all that opens with it is the box's own. The content is compressed (gzip) before it is sealed.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Annotated, BinaryIO, Literal, Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crm_client_api.backup.far import Lying
from crm_client_api.backup.keys import BackupKey, OwnKey, Unlocked, open_file_key, seal_file_key, unlock
from crm_client_api.backup.refusals import OtherVersion
from firmware.errors import BadInput, Refused

FORMAT_VERSION = 2
"""1 was in no release: its files did not prove who made them."""
CHUNK_BYTES = 1 << 20
_MAGIC = b"TDBACKUP"
_FIXED = struct.Struct(">8sHI")
_PLACE = struct.Struct(">32sQB")
_TAG_BYTES = 16  # NIST SP 800-38D, section 5.2.1.2
_SIGNATURE_BYTES = 64  # RFC 8032, section 5.1.6
_MOST_HEAD_BYTES = 64 * 1024
_GZIP = 31  # zlib's name for a gzip head and end
_LEVELS = {"backup": 3, "recording": 0}  # recordings are compressed already
FORGED = (
    "this file was not made by the box that the passphrase is for, or its head was altered: nothing was changed, and"
    " none of it should be believed. 此文件不是该录音盒制作的,或文件头已被改动;请勿使用,未作任何更改。"
)
"""What is said of a file without a true signature."""
_ALTERED = "the file was altered or is damaged: nothing was changed. 备份文件已损坏或被改动,未作任何更改。"

Kind = Literal["backup", "recording"]
_Text = Annotated[str, msgspec.Meta(max_length=200)]


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in clear at the beginning of a file. ``id``: of the file; ``made_ms``: Unix ms UTC.

    ``device``: the device id of the box, "" when it has none yet; ``file_key``: see ``keys.seal_file_key``;
    ``recordings``: how many lie beside a backup, None without.
    """

    kind: Kind
    id: _Text
    made_ms: int
    device: _Text
    software: _Text
    key: BackupKey
    file_key: Annotated[str, msgspec.Meta(max_length=400)]
    recordings: int | None


@dataclass(frozen=True, slots=True)
class Opening:
    """What a file begins with. ``signature``: over ``signed``, all bytes before it."""

    head: Head
    signed: bytes
    signature: bytes

    @property
    def about(self) -> bytes:
        """The hash that all chunks are bound to."""
        return hashlib.sha256(self.signed + self.signature).digest()


class Output(Protocol):
    """Where bytes go."""

    def write(self, content: bytes, /) -> int:
        """Take what follows. Raises OSError."""


class Hashing:
    """A file to write to; what goes into it is hashed on the way."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def write(self, content: bytes, /) -> int:
        """See ``Output``."""
        self.digest.update(content)
        return self._file.write(content)


class Sealer:
    """A binary file to write to; what is written goes compressed and sealed into ``file``. Thread: one.

    Use as a context manager: only a block that ends well leaves a file that can be opened.
    """

    def __init__(
        self,
        file: Output,
        own: OwnKey,
        kind: Kind,
        file_id: str,
        made_ms: int,
        device: str,
        software: str,
        recordings: int | None = None,
    ) -> None:
        secret = AESGCM.generate_key(256)
        sealed = seal_file_key(own.key, secret, file_id)
        head = Head(kind, file_id, made_ms, device, software, own.key, sealed, recordings)
        self.file_key = secret
        """For reading the file back at once, while it is known."""
        text = msgspec.json.encode(head)
        signed = _FIXED.pack(_MAGIC, FORMAT_VERSION, len(text)) + text
        opening = Opening(head, signed, own.sign(signed))
        self._file, self._cipher, self._about = file, AESGCM(secret), opening.about
        self._press = zlib.compressobj(_LEVELS[kind], zlib.DEFLATED, _GZIP)
        self._waiting = bytearray()
        self._index = 0
        file.write(signed + opening.signature)

    def write(self, content: bytes | memoryview) -> int:
        """Seal what follows; returns how much that was. Raises OSError."""
        self._waiting += self._press.compress(content)
        while len(self._waiting) > CHUNK_BYTES:  # never the last chunk: nobody knows yet which one that is
            self._put(bytes(self._waiting[:CHUNK_BYTES]), last=False)
            del self._waiting[:CHUNK_BYTES]
        return len(content)

    def _put(self, plain: bytes, *, last: bool) -> None:
        about = _PLACE.pack(self._about, self._index, last)
        self._file.write(self._cipher.encrypt(self._index.to_bytes(12, "big"), plain, about))
        self._index += 1

    def __enter__(self) -> Sealer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            return
        self._waiting += self._press.flush()
        while len(self._waiting) > CHUNK_BYTES:
            self._put(bytes(self._waiting[:CHUNK_BYTES]), last=False)
            del self._waiting[:CHUNK_BYTES]
        self._put(bytes(self._waiting), last=True)


class Unlocker:
    """Opens files by a passphrase; the slow work for it is done once for each pair of keys. Thread: one."""

    def __init__(self, passphrase: str) -> None:
        self._passphrase = passphrase
        self._known: dict[str, Unlocked | Refused] = {}

    def file_key(self, opening: Opening) -> bytes:
        """The key of a file. Raises Refused: another passphrase; BadInput: somebody else made it, or altered it."""
        head = opening.head
        name = hashlib.sha256(msgspec.json.encode(head.key)).hexdigest()
        if name not in self._known:
            try:
                self._known[name] = unlock(head.key, self._passphrase)
            except Refused as error:
                self._known[name] = error
        known = self._known[name]
        if isinstance(known, Refused):
            raise known
        if not known.made(opening.signed, opening.signature):
            raise BadInput(FORGED)
        return open_file_key(known.private, head.file_key, head.id)


def read_opening(file: Content) -> Opening:
    """What a file begins with; only the passphrase shows whether it is true.

    Raises BadInput; Refused: made by a newer version.
    """
    fixed = file.read(_FIXED.size)
    if len(fixed) != _FIXED.size or not fixed.startswith(_MAGIC):
        raise BadInput("this is no backup of a Tapdeck box. 这不是录音盒的备份文件。")
    _, version, size = _FIXED.unpack(fixed)
    if version > FORMAT_VERSION:
        raise OtherVersion(
            f"this backup has the format {version}, and this version knows formats up to {FORMAT_VERSION}: update the"
            " box first. 备份由更新的版本制作,请先升级本机软件。"
        )
    if version < FORMAT_VERSION:
        raise OtherVersion(
            f"this backup has the format {version} of a test version, which does not prove who made it: it cannot be"
            " used. 此备份由测试版本制作,无法证明来源,不能使用。"
        )
    text = file.read(size) if size <= _MOST_HEAD_BYTES else b""
    signature = file.read(_SIGNATURE_BYTES)
    try:
        head = msgspec.json.decode(text, type=Head)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(_ALTERED) from error
    if len(text) != size or len(signature) != _SIGNATURE_BYTES or msgspec.json.encode(head) != text:
        raise BadInput(_ALTERED)
    return Opening(head, fixed + text, signature)


class Content(Protocol):
    """A file, from its beginning on."""

    def read(self, size: int, /) -> bytes:
        """So many bytes, fewer at the end only."""

    def tell(self) -> int:
        """How many were read."""


class Opened:
    """The content of a sealed file, as a stream; ``read`` gives only bytes that are proved to be those written.

    Raises BadInput where something was altered; what came before is genuine, so nobody acts on it before the end.
    ``told`` is called with how many bytes of the file were read. Thread: one.
    """

    def __init__(
        self, file: Content, file_key: Callable[[Opening], bytes], told: Callable[[int], None] = lambda done: None
    ) -> None:
        """Raises BadInput, Refused."""
        opening = read_opening(file)
        self.head, self._about = opening.head, opening.about
        self._cipher = AESGCM(file_key(opening))
        self._file, self._told = file, told
        self._unpress = zlib.decompressobj(_GZIP)
        self._next = file.read(CHUNK_BYTES + _TAG_BYTES)
        self._index, self._over = 0, False
        self._ready = b""

    def read(self, size: int) -> bytes:
        """So many bytes, fewer at the end only."""
        parts, left = [], size
        while left and (self._ready or self._more()):
            parts.append(self._ready[:left])
            self._ready = self._ready[left:]
            left -= len(parts[-1])
        return b"".join(parts)

    def _more(self) -> bool:
        """Whether there is more, and if so have it ready."""
        while not self._ready:
            if self._unpress.unconsumed_tail:
                self._ready = self._inflate(self._unpress.unconsumed_tail)
            elif self._over:
                if self._unpress.eof:
                    return False
                self._ready = self._inflate(b"")  # what a full measure left inside
                if not self._ready:
                    raise BadInput(_ALTERED)
            else:
                self._ready = self._inflate(self._chunk())
        return True

    def _inflate(self, content: bytes) -> bytes:
        try:
            return self._unpress.decompress(content, CHUNK_BYTES)
        except zlib.error as error:
            raise BadInput(_ALTERED) from error

    def _chunk(self) -> bytes:
        sealed, self._next = self._next, self._file.read(CHUNK_BYTES + _TAG_BYTES)
        self._over = not self._next
        place = _PLACE.pack(self._about, self._index, self._over)
        try:
            plain = self._cipher.decrypt(self._index.to_bytes(12, "big"), sealed, place)
        except (InvalidTag, ValueError) as error:
            raise BadInput(_ALTERED) from error
        self._index += 1
        self._told(self._file.tell())
        return plain


def opening_of(path: Lying) -> Opening:
    """What a file begins with. Raises BadInput, Refused, OSError, TargetError."""
    with path.open("rb") as file:
        return read_opening(file)


def sync(file: BinaryIO) -> None:
    """Bring what was written to the medium. Raises OSError."""
    file.flush()
    os.fsync(file.fileno())
