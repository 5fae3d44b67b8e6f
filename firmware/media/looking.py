"""How the office looks for files on a stick and fetches one, without ever being held up by the stick."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from firmware.media import reader
from firmware.media.medium import Medium, MediumRefused

LOOK_WITHIN_S = 8.0
SILENT_FOR_S = 30.0
"""A stick from which nothing comes for so long is given up."""
READABLE = frozenset({"mounted", "writing"})
"""States in which a stick can be read."""
_PIECE_BYTES = 256 * 1024
_MOST_TOLD_BYTES = 1 << 20


class StickFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file on a stick: ``place`` below its top, with at most one folder; ``changed_ms``: Unix ms UTC, as it says."""

    place: str
    bytes: int
    changed_ms: int


class StickFiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fitting files, newest first. ``more``: the stick holds more than was looked at."""

    files: list[StickFile]
    more: bool


def fitting_files(medium: Medium, endings: tuple[str, ...], largest: int) -> StickFiles:
    """The files with these endings in the top folder and one below. Raises MediumRefused."""
    until_s = time.monotonic() + LOOK_WITHIN_S
    told = bytearray()
    with _reading("list", medium, str(largest), *endings) as child:
        for piece in _pieces(child, until_s, LOOK_WITHIN_S):
            told += piece
            if len(told) > _MOST_TOLD_BYTES:
                raise MediumRefused("io_errors", "the stick tells more than it can have")
    try:
        return msgspec.json.decode(bytes(told), type=StickFiles)
    except msgspec.DecodeError as error:
        raise MediumRefused("io_errors", "the stick cannot be read") from error


def file_pieces(medium: Medium, place: str, largest: int) -> Iterator[bytes]:
    """A file, piece by piece; never more than ``largest`` bytes. Raises MediumRefused."""
    count = 0
    with _reading("copy", medium, str(largest), place) as child:
        for piece in _pieces(child, None, SILENT_FOR_S):
            count += len(piece)
            if count > largest:
                raise MediumRefused("io_errors", "the file is larger than it said")
            yield piece


@contextmanager
def _reading(verb: str, medium: Medium, *given: str) -> Iterator[subprocess.Popen[bytes]]:
    """A reader at work; it is killed when it is still there, and not waited for: in the kernel it cannot die."""
    if medium.state not in READABLE or medium.path is None:
        raise MediumRefused("unusable", "this stick cannot be read now")
    command = [sys.executable, "-I", str(Path(reader.__file__)), verb, medium.path, *given]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        yield child
        code = child.wait(LOOK_WITHIN_S)
        if code == reader.UNUSUAL:
            raise MediumRefused("gone", "there is no such file on the stick")
        if code:
            raise MediumRefused("io_errors", "the stick cannot be read")
    except subprocess.TimeoutExpired as error:
        raise MediumRefused("not_answering", "the stick does not answer") from error
    finally:
        if child.poll() is None:
            child.kill()
        cast(BinaryIO, child.stdout).close()


def _pieces(child: subprocess.Popen[bytes], until_s: float | None, silent_for_s: float) -> Iterator[bytes]:
    fd = cast(BinaryIO, child.stdout).fileno()
    while True:
        within_s = silent_for_s if until_s is None else max(0.0, until_s - time.monotonic())
        if not select.select([fd], [], [], within_s)[0]:
            raise MediumRefused("not_answering", "the stick does not answer")
        piece = os.read(fd, _PIECE_BYTES)
        if not piece:
            return
        yield piece
