"""Everything about one telephone number: found, shown, exported, and erased where no hold protects it.

Each room that keeps something about numbers registers an eraser (entry points ``tapdeck.erasers``).
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

import msgspec
import sqlite_utils

from firmware.clock import now_ms, uuid7
from firmware.durable import write_whole
from firmware.errors import BadInput, Refused, StoreError
from firmware.store.connection import BUSY_TIMEOUT_MS
from recorder.library.evidence.log import canonical
from recorder.library.keeping.number_corrections import read_corrections
from recorder.library.keeping.number_keys import is_corrected, is_keyed_for
from recorder.library.keeping.task import Library, Stores
from recorder.numbers import match_key, site_of, spellings
from recorder.orders import REFUSALS

ERASERS = "tapdeck.erasers"
SALT_BYTES = 16
_EMPTY_WAL_TRIES = 20


@dataclass(frozen=True, slots=True)
class Subject:
    """The number that is asked about. ``key``: what all that are the same number have in common.

    ``spellings``: the usual ones, to be looked for within texts; ``key`` is among them.
    """

    number: str
    key: str
    spellings: frozenset[str]


class Found(msgspec.Struct, frozen=True):
    """One thing that is kept about the number. ``kind`` in the singular, as people call it; ``about``: JSON.

    ``kept`` says why it must stay, without a word about persons; None: it may go.
    """

    kind: str
    id: str
    about: dict[str, Any]
    kept: str | None = None


class Eraser(Protocol):
    """What one room keeps. All methods raise StoreError, sqlite3.Error, ConfigError."""

    def find(self, stores: Stores, subject: Subject) -> list[Found]:
        """Everything about the number."""

    def export(self, stores: Stores, found: Sequence[Found], folder: Path) -> None:
        """Write the files that belong to what was found; also raises OSError."""

    def erase(self, library: Library, subject: Subject, by: str) -> list[Found]:
        """Erase what may go, and say what is left and why. Interrupted and called again, it finishes."""


class Certificate(msgspec.Struct, frozen=True):
    """What was done. Counts are by kind; ``file`` is the signed certificate below the home directory."""

    id: str
    file: str
    found: dict[str, int]
    erased: dict[str, int]
    kept: list[dict[str, Any]]


def registered_erasers() -> list[Eraser]:
    """The erasers of all rooms, from the lowest floor up."""
    return [point.load()() for point in sorted(entry_points(group=ERASERS), key=lambda point: point.name)]


def subject_of(crm: sqlite_utils.Database, number: str) -> Subject:
    """Raises BadInput: that is no number."""
    site = site_of(crm)
    key = match_key(number, site)
    if not any(character.isdigit() for character in key):
        raise BadInput(f"{number!r} is not a telephone number")
    return Subject(number, key, frozenset({key, *spellings(number, site)}))


def find_all(stores: Stores, subject: Subject) -> list[Found]:
    """Everything about the number, on all floors. Raises Refused: the store is being made anew."""
    _require_whole(stores)
    return [one for eraser in registered_erasers() for one in eraser.find(stores, subject)]


def export_all(stores: Stores, subject: Subject, folder: Path) -> list[Found]:
    """Write everything into an empty folder: ``found.json``, and the files beside it; what was written.

    Raises BadInput: the folder holds something; Refused: the store is being made anew; StoreError.
    """
    _require_whole(stores)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise BadInput(f"{folder} is not empty")
        exported: list[Found] = []
        for eraser in registered_erasers():
            found = eraser.find(stores, subject)
            eraser.export(stores, found, folder)
            exported += found
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror}") from error
    write_whole(folder / "found.json", msgspec.json.format(msgspec.json.encode(exported), indent=1) + b"\n")
    return exported


def each_file(stores: Stores, subject: Subject, folder: Path) -> Iterator[Path]:
    """The files of everything about the number, one thing after the other, each once; it is removed after the look.

    Raises StoreError, OSError.
    """
    given: set[str] = set()
    for eraser in registered_erasers():
        for one in eraser.find(stores, subject):
            eraser.export(stores, [one], folder)
            for file in sorted(folder.iterdir()):
                if file.name not in given:
                    given.add(file.name)
                    yield file
                file.unlink()


def new_salt() -> str:
    """A salt for ``erase_number``."""
    return secrets.token_hex(SALT_BYTES)


def erase_number(library: Library, number: str, by: str, salt: str) -> Certificate:
    """Erase what no hold protects, and leave a signed certificate.

    ``salt`` (hexadecimal) makes the number's hash in the certificate; the box forgets it. Whoever was given it can
    show that the certificate is about the number, and nobody else can find the number by trying all.
    Raises BadInput; Refused: the store is being made anew; StoreError, sqlite3.Error, ConfigError: call it again.
    """
    _require_whole(library)
    subject = subject_of(library.crm, number)
    with overwriting(library.calls):
        erasers = registered_erasers()
        found = [one for eraser in erasers for one in eraser.find(library, subject)]
        left = [one for eraser in erasers for one in eraser.erase(library, subject, by)]
    return _certify(library, subject, by, salt, found, left)


def _require_whole(stores: Stores) -> None:
    """What cannot be found yet would stay, and the certificate would not say so. Raises Refused."""
    from recorder.library.rebuilding.reconciliation import load_pass

    now = load_pass(stores.calls)
    if now is not None and now.rebuilding and now.phase != "done":
        why = REFUSALS["order_rebuilding"]
        raise Refused(f"{why} and does not know all recordings yet: ask again when that is done")
    calls, corrections = stores.calls.conn, read_corrections(stores.crm.conn)
    if not is_keyed_for(calls, site_of(stores.crm)) or not is_corrected(calls, corrections):
        raise Refused(f"{REFUSALS['order_unsearchable']}: ask again in some minutes")


@contextmanager
def overwriting(db: sqlite_utils.Database) -> Iterator[None]:
    """While it lasts, what is deleted from the store is overwritten in the file, not only marked as free."""
    db.conn.execute("PRAGMA secure_delete = ON")
    try:
        yield
    finally:
        _empty_wal(db)
        db.conn.execute("PRAGMA secure_delete = OFF")


def _empty_wal(db: sqlite_utils.Database) -> None:
    """Empty the log beside the store, which holds the old pages. It never keeps a recorder waiting: where readers
    are in the way all the time, the pages are overwritten a little later by what is written next."""
    db.conn.execute("PRAGMA busy_timeout = 0")
    for _ in range(_EMPTY_WAL_TRIES):
        if not db.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            break
        time.sleep(0.1)
    db.conn.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")


def number_sha256(salt: str, key: str) -> str:
    """What a certificate says instead of the number: SHA-256(salt ‖ number), the number as E.164 or plain digits."""
    return hashlib.sha256(bytes.fromhex(salt) + key.encode()).hexdigest()


def _certify(
    library: Library, subject: Subject, by: str, salt: str, found: Sequence[Found], left: Sequence[Found]
) -> Certificate:
    log, at_ms = library.device_log, now_ms()
    identifier = uuid7(at_ms)
    counts, staying = Counter(one.kind for one in found), Counter(one.kind for one in left)
    erased = {kind: counts[kind] - staying[kind] for kind in sorted(counts) if counts[kind] > staying[kind]}
    why = Counter((one.kind, one.kept or "not erased") for one in left)
    kept = [{"kind": kind, "count": why[kind, reason], "reason": reason} for kind, reason in sorted(why)]
    manifest = log.describe("erasure", identifier) | {
        "at_ms": at_ms,
        "by": by,
        "number_sha256": number_sha256(salt, subject.key),
        "found": dict(sorted(counts.items())),
        "erased": erased,
        "kept": kept,
    }
    signed = log.sign(manifest)
    path = log.path.parent / "erasures" / f"{identifier}.json"
    write_whole(path, canonical(signed) + b"\n")
    log.enter(identifier, "erasure", at_ms, signed)
    file = path.relative_to(library.home.root).as_posix()
    return Certificate(identifier, file, manifest["found"], erased, kept)
