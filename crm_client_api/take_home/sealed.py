"""Everything in encrypted volumes: AES ZIP files (WinZip AE-2, AES-256) that 7-Zip and others open with a passphrase.

A ZIP file shows the names in it to anybody, and ours hold numbers and customers: so each volume holds one plain ZIP
file with everything. A volume is made on the box, encrypted as it is written, and lands as one file.
"""

from __future__ import annotations

import hashlib
import shutil
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

import pyzipper

from crm_client_api.take_home.choice import VOLUME_BYTES
from crm_client_api.take_home.landing import BLOCK_BYTES, Landed, Landing
from firmware.errors import StoreError

_MEMORY_BYTES = 64 << 20
VOLUME = "volume:"
"""How the keys of volumes begin."""
HOW_TO_OPEN = "打开方法-HOW-TO-OPEN.txt"
HOW_TO_OPEN_TEXT = """\
这些文件已用口令加密（AES-256 ZIP）。
1. Windows：用 7-Zip（www.7-zip.org）解开每个 part-….zip，输入口令。Windows 自带的资源管理器打不开 AES 加密。
   macOS：用 Keka 或 The Unarchiver。Linux：7z x part-001.zip。手机：ZArchiver、iZip 等。
2. 每个里面有一个 files-….zip（不加密），把它们全部解压到同一个文件夹。
3. 打开该文件夹里的 index.html。
口令只在导出时输入，录音盒不保存。忘记口令，任何人都无法恢复。

These files are encrypted with a passphrase (AES-256 ZIP).
1. Windows: unpack every part-….zip with 7-Zip (www.7-zip.org). The Explorer of Windows cannot open AES.
   macOS: Keka or The Unarchiver. Linux: 7z x part-001.zip. Phones: ZArchiver, iZip and others.
2. In each is one files-….zip, which is not encrypted: unpack all of them into one folder.
3. Open index.html in that folder.
The passphrase was typed for the export only and is not kept on the box. Nobody can recover it.
"""


class Sealed:
    """Takes files as ``Landing`` does, into volumes of it. ``first``: the number of the next volume. Thread: one."""

    def __init__(self, landing: Landing, passphrase: str, folder: Path, first: int) -> None:
        self._landing, self._passphrase, self._folder = landing, passphrase.encode(), folder
        self._number = first
        self._file: Path | None = None
        self._outer: pyzipper.AESZipFile | None = None
        self._entry: IO[bytes] | None = None
        self._inner: zipfile.ZipFile | None = None
        self._bytes = 0
        self.contents: dict[str, list[Landed]] = {}
        """What is in each volume, by its place."""

    @property
    def _place(self) -> str:
        return f"part-{self._number:03d}.zip"

    def put(self, place: str, pieces: Iterable[bytes | memoryview], key: str = "") -> None:
        """Add a file to the volume; it lands with it. Raises StoreError: the box's disk; what ``pieces`` raises."""
        digest = hashlib.sha256()
        with SpooledTemporaryFile(_MEMORY_BYTES, dir=str(self._folder)) as whole:  # whole, or not at all
            for piece in pieces:
                digest.update(piece)
                _tried(self._place, whole.write, piece)
            size = whole.tell()
            whole.seek(0)
            _tried(self._place, self._add, place, size, whole)
        landed = Landed(place, size, digest.hexdigest(), key, self._place)
        self.contents.setdefault(self._place, []).append(landed)
        self._bytes += size
        if self._bytes >= VOLUME_BYTES:
            self._end()

    def _add(self, place: str, size: int, whole: IO[bytes]) -> None:
        about = zipfile.ZipInfo(place, time.localtime()[:6])
        about.external_attr = 0o644 << 16
        about.file_size = size
        with self._begin().open(about, "w") as entry:
            shutil.copyfileobj(whole, entry, BLOCK_BYTES)

    def barrier(self) -> None:
        """A volume is whole or not there, and nothing of it is used before all are unpacked."""

    def settle(self) -> None:
        """Let the last volume land, and wait for all of them."""
        self._end()
        self._landing.settle()

    def _begin(self) -> zipfile.ZipFile:
        if self._inner is None:
            self._file = self._folder / self._place
            self._outer = pyzipper.AESZipFile(self._file, "w", pyzipper.ZIP_STORED, encryption=pyzipper.WZ_AES)
            self._outer.setpassword(self._passphrase)
            self._outer.setencryption(pyzipper.WZ_AES, nbits=256)
            self._entry = self._outer.open(f"files-{self._number:03d}.zip", "w", force_zip64=True)
            self._inner = zipfile.ZipFile(self._entry, "w", zipfile.ZIP_STORED)
            self._bytes = 0
        return self._inner

    def _end(self) -> None:
        if self._inner is None or self._entry is None or self._outer is None or self._file is None:
            return
        try:
            self._inner.close()
            self._entry.close()
            self._outer.close()
        except OSError as error:
            raise StoreError(f"{self._place} cannot be made: {error.strerror}") from error
        self._inner = None
        self._landing.put(self._place, _pieces(self._file), f"{VOLUME}{self._number}")
        self._landing.flush()
        with suppress(OSError):
            self._file.unlink()
        self._number += 1


def _tried(volume: str, deed: Callable[..., object], *given: object) -> None:
    """Raises StoreError: the box's disk does not take it."""
    try:
        deed(*given)
    except OSError as error:
        raise StoreError(f"{volume} cannot be made: {error.strerror}") from error


def _pieces(file: Path) -> Iterator[bytes]:
    try:
        with file.open("rb") as source:
            while piece := source.read(BLOCK_BYTES):
                yield piece
    except OSError as error:
        raise StoreError(f"{file.name}: {error.strerror}") from error
