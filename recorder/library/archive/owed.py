"""Copies that are to be removed from archives, kept outside of the store: a store that was made anew must know them.

What is left of an erased recording on the box names it no more, so nobody could tell any more which files of an archive
are its own. The note goes with the last copy.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import msgspec

from firmware.config import Home
from firmware.durable import sync_folder, write_whole
from firmware.errors import StoreError

log = logging.getLogger("library")


class Owed(msgspec.Struct, frozen=True):
    """A recording whose copies are to be removed from ``targets``. ``path``: of its audio, below the recordings.

    ``erased``: the recording is gone. Until then it counts only beside the tombstone: a hold may come between.
    """

    recording_id: str
    path: str
    targets: list[str]
    erased: bool = False


def _folder(home: Home) -> Path:
    return home.root / "copies-to-remove"


def _file(home: Home, recording_id: str) -> Path:
    return _folder(home) / f"{recording_id}.json"


def owe(home: Home, note: Owed) -> None:
    """Note it, durably, also in the place of an earlier note. Raises StoreError."""
    if note.targets:
        write_whole(_file(home, note.recording_id), msgspec.json.encode(note))


def withdraw(home: Home, recording_id: str) -> None:
    """The recording stays, and so do its copies. Raises OSError."""
    _file(home, recording_id).unlink(missing_ok=True)


def owed(home: Home) -> Iterator[Owed]:
    """The notes of recordings that are gone; one that cannot be read is passed over."""
    for note in _notes(home):
        if note.erased or _is_buried(home, note):
            yield note


def _is_buried(home: Home, note: Owed) -> bool:
    stone = (home.recordings / note.path).with_name(f"{note.recording_id}.tombstone.json")
    try:
        return stone.is_file()
    except OSError as error:  # nobody can tell now: the next time
        log.error("%s: %s", stone, error)
        return False


def _notes(home: Home) -> Iterator[Owed]:
    for file in sorted(_folder(home).glob("*.json")):
        try:
            yield msgspec.json.decode(file.read_bytes(), type=Owed)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.error("%s: %s", file, error)


def settle(home: Home, recording_id: str, target: str) -> None:
    """There is no copy at this target any more. Raises StoreError."""
    file = _file(home, recording_id)
    try:
        note = msgspec.json.decode(file.read_bytes(), type=Owed)
        left = [one for one in note.targets if one != target]
        if left:
            write_whole(file, msgspec.json.encode(msgspec.structs.replace(note, targets=left)))
        else:
            file.with_suffix(".json.part").unlink(missing_ok=True)  # as a kill may have left it
            file.unlink()
            sync_folder(file.parent)
    except FileNotFoundError:
        return
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"{file}: {error}") from error
