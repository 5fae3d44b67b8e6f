"""The bytes of stored recordings, whatever way they are stored."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from firmware.config import Home
from firmware.errors import NotFound
from recorder.library.audio import vault


def audio_path(home: Home, stored: str) -> Path:
    """Where a recording's file is; ``stored`` is ``recordings.path``. Raises NotFound: it is gone, or elsewhere."""
    file = (home.recordings / stored).resolve()
    if not file.is_relative_to(home.recordings.resolve()) or not file.is_file():
        raise NotFound("the audio of this recording is not there")
    return file


def open_audio(home: Home, stored: str) -> BinaryIO:
    """The audio file as it was before encryption: readable and seekable. Close it.

    Raises NotFound; StoreError, also while reading: an encrypted file or its key is damaged.
    """
    file = audio_path(home, stored)
    if vault.is_encrypted(file):
        return vault.open_recording(home, file)
    try:
        return file.open("rb")
    except OSError as error:
        raise NotFound("the audio of this recording cannot be read") from error
