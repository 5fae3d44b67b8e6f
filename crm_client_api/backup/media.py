"""Which medium is at a place now, and what lies on it: disks take turns, and other boxes write to the same share."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import sqlite_utils

from crm_client_api.backup import records
from crm_client_api.backup.far import Lying, sizes_in
from crm_client_api.backup.finding import MOST_NAMES, Found, found_in
from crm_client_api.backup.keys import OwnKey
from crm_client_api.backup.places import Place
from crm_client_api.backup.records import Made
from recorder.library.archive.target import TargetError

MARK = "this-place"
"""Each medium has this file in our folder, and is known by its content, whichever box wrote it."""
_ID_CHARACTERS = 16
_MOST_MARK_BYTES = 1 << 16


def recognise(place: Place, draft: Path) -> str:
    """The id of the medium at a place; one without a mark gets one. ``draft``: a folder for it. Raises BoxError."""
    found = place.sha256(MARK)
    if found is None:
        mark = draft / MARK
        mark.write_bytes(secrets.token_hex(32).encode())
        place.put(MARK, mark)
        found = place.sha256(MARK)
        if found is None:
            raise TargetError(f"{MARK} cannot be read back: the medium is failing")
    return found[:_ID_CHARACTERS]


def medium_in(folder: Lying) -> str | None:
    """The id of the medium whose backups lie in ``folder``, or were fetched into it; None without a mark."""
    with suppress(OSError), (folder / MARK).open("rb") as mark:
        return hashlib.sha256(mark.read(_MOST_MARK_BYTES)).hexdigest()[:_ID_CHARACTERS]
    return None


def is_own(keys: Sequence[OwnKey], device: str) -> Callable[[str], bool]:
    """Whether a file of this name, as in our folder, is of this box: another one may be writing beside it."""
    folders = tuple(f"recordings/{key.id}/" for key in keys)
    return lambda name: name.startswith(folders) or ("/" not in name and f"-{name_of(device)}-" in name)


def name_of(device: str) -> str:
    """How a device is called in names of backups."""
    return device[:8] or "new"


def relist(crm: sqlite_utils.Database, place: str, folder: Lying, *, is_all: bool = True) -> None:
    """Let the list say what is there: a restore brings the list of another day, and people tidy up.

    ``folder``: where the backups of ``place`` lie, or, unless ``is_all``, a part of them. Only what this box signed is
    entered. Raises BoxError, OSError.
    """
    there = {one.path.name: one for one in found_in(folder)}
    listed = records.list_made(crm, place)
    sizes = sizes_in(folder, MOST_NAMES)
    gone = [one for one in listed if sizes.get(one.name) != one.bytes]
    if gone and is_all:
        records.note_removed(crm, [one.id for one in gone])
    keys = records.read_keys(crm)
    names = {one.name for one in listed}
    found = [_made(one, place, key) for one in there.values() if one.path.name not in names for key in keys
             if key.made(one.opening.signed, one.opening.signature)]  # fmt: skip
    if found:
        records.note_found(crm, place, found)


def relist_restored(crm: sqlite_utils.Database, folder: Lying) -> None:
    """The same in a store that was restored out of ``folder``, where its medium is listed. Raises BoxError, OSError."""
    medium = medium_in(folder)
    places = {one.place for one in records.list_made(crm) if medium is not None and one.medium == medium}
    for place in places:
        relist(crm, place, folder, is_all=False)  # it may be what somebody fetched from a server


def _made(one: Found, place: str, key: OwnKey) -> Made:
    head = one.opening.head
    return Made(0, head.made_ms, head.made_ms, place, one.path.name, one.bytes, "", key.id, head.recordings)
