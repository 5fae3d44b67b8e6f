"""The files of evidence as they lie on the disk (docs/evidence.md): manifests, lines of logs, and where they are."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from firmware.config import Home
from firmware.errors import StoreError
from recorder.library.evidence.signing import canonical, is_signed, sha256_hex

GENESIS = "0" * 64
"""What the first line of a log, or of its heads, names as its predecessor."""

SET_ASIDE = ".set-aside"
"""How the name of a log ends that was set aside."""

EARLIER = "earlier"
"""The folder of earlier devices; and, beside logs, that of the statements about them."""

_HASH = re.compile("[0-9a-f]{64}")


class SignedManifest(msgspec.Struct, frozen=True):
    """A manifest file. The signature (base64) is over the manifest's canonical JSON; ``salt`` is hexadecimal.

    Manifests of version 1 have no salt.
    """

    manifest: dict[str, Any]
    public_key: str
    signature: str
    salt: str = ""

    @property
    def has_salt(self) -> bool:
        """Whether the salt, which is not signed, is one."""
        return _HASH.fullmatch(self.salt) is not None

    def commitment(self) -> str:
        """What the log says of it: SHA-256(salt ‖ SHA-256(canonical manifest)), in hexadecimal."""
        return sha256_hex(bytes.fromhex(self.salt) + hashlib.sha256(canonical(self.manifest)).digest())

    def is_genuine(self) -> bool:
        """Whether the key that it names signed it."""
        return is_signed(self.manifest, self.public_key, self.signature)


class LogEntry(msgspec.Struct, frozen=True):
    """One line of an evidence log; the line's hash is the ``previous`` of the next."""

    at_ms: int
    commitment: str
    index: int
    kind: str
    manifest_id: str
    previous: str


class Leaf(msgspec.Struct, frozen=True):
    """What a line of an evidence log says of a manifest, whatever else stands in it."""

    commitment: str
    manifest_id: str


_manifests = msgspec.json.Decoder(SignedManifest)
_entries = msgspec.json.Decoder(LogEntry)
_leaves = msgspec.json.Decoder(Leaf)


def read_manifest(path: Path) -> SignedManifest | None:
    """The manifest file at ``path``; None when it is damaged. Raises StoreError when it cannot be read."""
    try:
        return _manifests.decode(path.read_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    except OSError as error:
        raise StoreError(f"manifest {path}: {error.strerror}") from error


def evidence_folder(home: Home, simulated: bool) -> Path:
    """Where the logs are."""
    return home.evidence / ("practice" if simulated else "device")


def earlier_folder(home: Home) -> Path:
    """Where the logs of earlier devices are, each in a folder that is called as its device."""
    return home.evidence / EARLIER


def log_folders(home: Home) -> Iterator[Path]:
    """Every folder with logs: device, practice, earlier devices."""
    yield from (evidence_folder(home, simulated) for simulated in (False, True))
    yield from sorted(one for one in earlier_folder(home).glob("*") if one.is_dir())


def log_path(home: Home, name: str, simulated: bool) -> Path:
    """The log ``name``: a card id, or ``library``."""
    return evidence_folder(home, simulated) / f"{name}.log"


def log_name(log_file: Path) -> str:
    """The name that a log's heads and anchors give it; one that was set aside keeps it."""
    if log_file.name.endswith(SET_ASIDE):
        return log_file.name.removesuffix(SET_ASIDE).rpartition("-")[0]
    return log_file.name.removesuffix(".log")


def heads_path(log_file: Path) -> Path:
    """The heads of a log, also of one that was set aside."""
    return log_file.with_name(f"{log_file.name.removesuffix('.log')}.heads")


def begun_path(log_file: Path) -> Path:
    """The manifest of a log's first leaf."""
    return log_file.with_name(f"{log_file.name.removesuffix('.log')}.begun.json")


def read_entries(
    path: Path, offset: int = 0, index: int = 0, previous: str = GENESIS
) -> Iterator[tuple[LogEntry, bytes]]:
    """Every whole line of a log, with its bytes. Raises OSError; ValueError: a line is not what follows.

    A torn line at the end is left out. ``offset``: where to begin, with line ``index`` after one whose hash is
    ``previous``.
    """
    with path.open("rb") as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            try:
                entry = _entries.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise ValueError(f"line {index + 1} cannot be read") from error
            if (entry.index, entry.previous) != (index, previous) or (entry.kind == "log_begun") != (index == 0):
                raise ValueError(f"line {index + 1} does not follow")
            if not _HASH.fullmatch(entry.commitment):
                raise ValueError(f"line {index + 1} names no commitment")
            yield entry, line
            previous, index = sha256_hex(line[:-1]), index + 1


def read_leaves(path: Path) -> Iterator[Leaf | None]:
    """Every whole line of a log, None in the place of one that cannot be read. Raises OSError.

    Whether lines follow each other is not looked at: what they say counts where a signed root is theirs.
    """
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            try:
                leaf = _leaves.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                yield None
            else:
                yield leaf if _HASH.fullmatch(leaf.commitment) else None
