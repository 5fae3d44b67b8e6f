"""Recordings in another coding (FLAC, MP3, Opus), each made once and kept in a small folder below ``run``.

``run`` is lost with the power, and on the box it is memory. What was not used for longest makes room for new copies.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal

import sqlite_utils

from firmware.config import Home
from firmware.errors import NotFound, StoreError

Coding = Literal["flac", "mp3", "opus"]
MOST_BYTES = 64 * 1024 * 1024
_PIECE_FRAMES = 16_384
_ID_CHARACTERS = 36
# libsndfile 1.2 garbles two-track MP3 that is written as int16.
_CODINGS: Mapping[Coding, tuple[str, str, str]] = {
    "flac": ("FLAC", "PCM_16", "int16"),
    "mp3": ("MP3", "MPEG_LAYER_III", "float32"),
    "opus": ("OGG", "OPUS", "float32"),
}
_making = threading.Lock()  # one at a time: encoding takes a whole core


class EncodedCopies:
    """The cache of a home. Thread: any."""

    def __init__(self, home: Home, most_bytes: int = MOST_BYTES) -> None:
        self._folder = home.run / "audio-cache"
        self._most_bytes = most_bytes
        shutil.rmtree(self._folder, ignore_errors=True)

    def open(self, identity: str, source: BinaryIO, coding: Coding, tags: Mapping[str, str]) -> tuple[BinaryIO, str]:
        """The copy of ``source``, open, and a name for these very bytes: made anew, a copy may differ in some.

        ``identity`` begins with the recording's id and names the content of ``source``, which is closed.

        Raises NotFound when the source cannot be decoded, StoreError when there is no room for the copy.
        """
        file = self._folder / f"{identity}.{coding}"
        with source:
            try:
                found = _taken(file)
                if found is None:
                    with _making:
                        found = _taken(file) or self._make(file, source, coding, tags)
            except OSError as error:
                raise StoreError(f"a recording cannot be encoded: {error.strerror}") from error
        return found, f"{identity}-{os.fstat(found.fileno()).st_mtime_ns:x}"

    def _make(self, file: Path, source: BinaryIO, coding: Coding, tags: Mapping[str, str]) -> BinaryIO:
        self._folder.mkdir(exist_ok=True)
        draft = file.with_suffix(".draft")
        try:
            with draft.open("wb+") as target:
                _encode(source, target, coding, tags)
            draft.replace(file)
        except BaseException:
            draft.unlink(missing_ok=True)  # the folder is memory, and a disk that is full stays so with it
            raise
        self._make_room(file)
        return file.open("rb")

    def _make_room(self, newest: Path) -> None:
        """What was used last stays, the newest in any case."""
        room_bytes = self._most_bytes - newest.stat().st_size
        others = [(one.stat(), one) for one in self._folder.iterdir() if one != newest]
        for about, one in sorted(others, key=lambda other: -other[0].st_atime_ns):
            room_bytes -= about.st_size
            if room_bytes < 0:
                one.unlink()

    def forget_deleted(self, calls: sqlite_utils.Database) -> None:
        """Remove the copies of recordings that are there no more: a deletion is one for copies too."""
        for file in self._folder.glob("*"):
            row = calls.conn.execute(
                "SELECT 1 FROM recordings WHERE id = ? AND state = 'ready' AND deleted_rule IS NULL",
                (file.name[:_ID_CHARACTERS],),
            ).fetchone()
            if row is None:
                file.unlink(missing_ok=True)


def encode_in_memory(source: BinaryIO, coding: Coding, tags: Mapping[str, str]) -> BinaryIO:
    """A copy that no disk ever sees, for what is stored encrypted. Closes ``source``. Raises NotFound, StoreError."""
    target = open(os.memfd_create("audio"), "wb+")  # noqa: PTH123, SIM115  no path; the caller closes it
    try:
        with source, _making:
            _encode(source, target, coding, tags)
    except BaseException:
        target.close()
        raise
    return target


def _taken(file: Path) -> BinaryIO | None:
    """The file, marked as used now (its time of change stays: it is part of the version)."""
    try:
        found = file.open("rb")
    except FileNotFoundError:
        return None
    os.utime(found.fileno(), ns=(time.time_ns(), os.fstat(found.fileno()).st_mtime_ns))
    return found


def _encode(source: BinaryIO, target: BinaryIO, coding: Coding, tags: Mapping[str, str]) -> None:
    import soundfile
    from mutagen.flac import FLAC
    from mutagen.mp3 import EasyMP3
    from mutagen.oggopus import OggOpus

    container, subtype, dtype = _CODINGS[coding]
    try:
        with soundfile.SoundFile(source) as sound:
            frames, rate, tracks = sound.frames, sound.samplerate, sound.channels
            with soundfile.SoundFile(target, "w", rate, tracks, subtype, format=container) as out:
                for piece in sound.blocks(_PIECE_FRAMES, dtype=dtype):
                    out.write(piece)
        target.flush()
        target.seek(0)
        if soundfile.SoundFile(target).frames != frames:  # libsndfile keeps quiet about a full disk
            raise StoreError("a recording cannot be encoded: the copy is not whole")
    except soundfile.SoundFileError as error:
        raise NotFound("the audio of this recording cannot be read") from error
    target.seek(0)
    tagged: Any = {"flac": FLAC, "mp3": EasyMP3, "opus": OggOpus}[coding](target)  # type: ignore[no-untyped-call]
    if tagged.tags is None:
        tagged.add_tags()
    tagged.update({name: [value] for name, value in tags.items()})
    target.seek(0)
    tagged.save(target)
    target.flush()
