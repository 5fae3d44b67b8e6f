"""Devices that worked in this home before another one's backup took over (docs/evidence.md).

Each has its logs in a folder of its own, and a statement, signed by the device that took over, names its key and the
hash of every file there: what it recorded goes on being checked, and nothing can be taken from it or added.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from firmware.config import Home
from firmware.errors import StoreError
from recorder.library.evidence.files import EARLIER, SET_ASIDE, earlier_folder, evidence_folder, read_manifest
from recorder.library.evidence.signing import device_of

log = logging.getLogger("library")

KIND = "earlier_device"
_EVIDENCE = (".log", ".heads", ".json", SET_ASIDE)
"""How the names end of what is signed for; notes only spare reading."""


class _Earlier(msgspec.Struct, frozen=True):
    device: str
    public_key: str
    until_ms: int
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class EarlierDevice:
    """``until_ms``: when the backup took over (Unix ms UTC); ``files``: SHA-256 by the name below ``folder``."""

    device: str
    public_key: str
    simulated: bool
    until_ms: int
    files: Mapping[str, str]
    folder: Path
    statement: Path


def statements_in(folder: Path) -> list[Path]:
    """The statements of a device about earlier ones. ``folder``: where its logs are."""
    return sorted((folder / EARLIER).glob("*.json"))


def earlier_devices(home: Home, known: Collection[str]) -> list[EarlierDevice]:
    """Those that a device in ``known`` names, and those that these name; what is not genuine is passed over."""
    found: dict[str, EarlierDevice] = {}
    waiting = [evidence_folder(home, simulated) for simulated in (False, True)]
    while waiting:
        for path in statements_in(waiting.pop()):
            one = read_statement(home, path, {*known, *found})
            if one is not None and one.device not in found and one.device not in known:
                found[one.device] = one
                waiting.append(one.folder)
    return list(found.values())


def read_statement(home: Home, path: Path, known: Collection[str]) -> EarlierDevice | None:
    """What a statement says; None: it is none, or none of ``known`` signed it."""
    try:
        signed = read_manifest(path)
        if signed is None or not signed.is_genuine() or id_of(signed.public_key) not in known:
            return None
        if signed.manifest.get("kind") != KIND:
            return None
        said = msgspec.convert(signed.manifest.get("earlier"), _Earlier)
        if id_of(said.public_key) != said.device:
            return None
    except (StoreError, msgspec.ValidationError, binascii.Error, ValueError) as error:
        log.warning("%s: %s", path, error)
        return None
    simulated = signed.manifest.get("simulated") is True
    folder = earlier_folder(home) / said.device
    return EarlierDevice(said.device, said.public_key, simulated, said.until_ms, said.files, folder, path)


def id_of(public_key: str) -> str:
    """The device id of a key in base64. Raises ValueError."""
    return device_of(base64.b64decode(public_key, validate=True))


def hashes_of(folder: Path) -> Iterator[tuple[str, str]]:
    """Every file of an earlier device that is evidence, by its name there. Raises OSError."""
    for path in sorted(folder.rglob("*")):
        if path.name.endswith(_EVIDENCE) and path.is_file():
            with path.open("rb") as file:
                yield path.relative_to(folder).as_posix(), hashlib.file_digest(file, "sha256").hexdigest()


def changes_of(one: EarlierDevice) -> list[str]:
    """The files of an earlier device that are not what they were when the backup took over. Raises OSError."""
    there = dict(hashes_of(one.folder))
    return sorted(name for name in {*there, *one.files} if there.get(name) != one.files.get(name))
