"""Evidence: signed manifests, and append-only logs that name every manifest in order (docs/evidence.md).

Real cards sign with the device's key. Simulated cards have practice logs and a key of their own, so that no
practice call can ever pass for a real one.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from firmware.clock import now_ms, uuid7
from firmware.clock_quality import clock_quality
from firmware.config import Home
from firmware.durable import sync_folder, write_whole
from firmware.errors import StoreError
from recorder.library.evidence.files import (
    LogEntry,
    SignedManifest,
    begun_path,
    heads_path,
    log_path,
    read_entries,
    read_manifest,
)
from recorder.library.evidence.heads import HeadsFile, Reason, last_head
from recorder.library.evidence.log_aside import Aside, is_version_1
from recorder.library.evidence.log_lines import LogLines, NewEntry
from recorder.library.evidence.public_key import publish_key
from recorder.library.evidence.signing import canonical, device_id, load_key, signer
from recorder.library.evidence.untold import forget_untold, keep_untold, read_untold

__all__ = [
    "EvidenceLog", "LogEntry", "LogInUse", "NewEntry", "SignedManifest", "canonical", "device_id", "load_key",
    "new_salt", "read_entries", "read_manifest", "software",
]  # fmt: skip

log = logging.getLogger("recorder")

MANIFEST_VERSION = 2
HEARTBEAT_MS = 55_000
"""A head at least so old is followed by a heartbeat; whoever asks once a minute never asks too early."""


class LogInUse(StoreError):
    """Another process, or another object of this one, writes the log."""


def new_salt() -> str:
    """A salt for a manifest."""
    return secrets.token_hex(32)


class EvidenceLog:
    """One log, open for writing. Thread: one writer, guarded by a lock on ``run/evidence-….lock``.

    ``problems`` says what was found wrong at opening; the log goes on, or was set aside and a new one begun. ``untold``
    has what was found at earlier openings, too, without anybody being told: call ``told`` when an alarm stands.
    """

    def __init__(self, home: Home, name: str, simulated: bool) -> None:
        """Raises StoreError; LogInUse: somebody else writes it.

        A line torn by a power cut is cut off: its manifest is entered again. A log that is damaged anywhere else,
        or does not agree with its last head, is set aside, not deleted, and a new one begun.
        """
        self.name, self.simulated = name, simulated
        self.problems: list[str] = []
        self.untold: list[str] = []
        self._signer = signer(home, simulated)
        self.device = self._signer.device
        self.path = log_path(home, name, simulated)
        self._lock = _lock(home.run / f"evidence-{self.path.parent.name}-{name}.lock")
        try:
            if not self.path.parent.is_dir():
                self.path.parent.mkdir()
                sync_folder(self.path.parent.parent)
            self.untold += read_untold(self.path)
            self._open()
        except OSError as error:
            os.close(self._lock)
            raise StoreError(f"evidence log {self.path}: {error.strerror}") from error
        except BaseException:
            os.close(self._lock)
            raise
        problem = publish_key(home, simulated, self._signer)
        if problem is not None and not self.problems:  # another key was told of with the log
            self._found(problem)

    def _open(self) -> None:
        try:
            head = last_head(heads_path(self.path))
            if head is not None and (head.head.log, head.head.device) != (self.name, self.device):
                raise ValueError("its heads are of another log or device")
            self._lines = LogLines(self.path, None if head is None else head.head)
            if head is None and self._lines.tree.size and not self._names_begun():
                raise ValueError("its first manifest is not what it names")
        except ValueError as error:
            self._set_aside(str(error))
            self._lines = LogLines(self.path, None)
        self._heads = HeadsFile(heads_path(self.path), self.name, self._signer)
        if not self._lines.tree.size:
            self._begin()
        self._write_head("start", now_ms())

    def _names_begun(self) -> bool:
        """Whether the first leaf is of the manifest beside it; a log is set aside with a new one there."""
        path = begun_path(self.path)
        signed = read_manifest(path) if path.exists() else None
        return signed is not None and self._lines.recent.get(signed.manifest["id"]) == signed.commitment()

    def _set_aside(self, problem: str) -> None:
        if is_version_1(self.path):
            log.info("evidence log %s is of an older version: a new one follows it", self.path)
        else:
            log.error("evidence log %s is set aside: %s", self.path, problem)
            self._found(f"{self.path.name}: {problem}")
        aside = Aside(self.path)
        aside.take_begun()
        self._save_begun({"file": aside.path.name, "sha256": aside.sha256})
        aside.take_log()

    def _found(self, problem: str) -> None:
        self.problems.append(problem)
        self.untold.append(problem)
        keep_untold(self.path, self.untold)

    def told(self) -> None:
        """An alarm stands for what was untold; the next opening need not tell it again."""
        forget_untold(self.path)

    def _begin(self) -> None:
        """Enter the first leaf; its manifest may be there already, from an attempt that a power cut ended."""
        path = begun_path(self.path)
        signed = read_manifest(path) if path.exists() else None
        if signed is None or signed.public_key != self._signer.public_key or not signed.is_genuine():
            signed = self._save_begun(None)
        self._lines.append([NewEntry(signed.manifest["id"], "log_begun", now_ms(), signed)])

    def _save_begun(self, follows: dict[str, str] | None) -> SignedManifest:
        manifest = self.describe("log_begun", uuid7(now_ms()))
        signed = self.sign({**manifest, "log": self.name, "follows": follows})
        write_whole(begun_path(self.path), canonical(signed) + b"\n")
        return signed

    def describe(self, kind: str, identifier: str) -> dict[str, Any]:
        """What every manifest begins with."""
        return {
            "manifest_version": MANIFEST_VERSION,
            "kind": kind,
            "id": identifier,
            "simulated": self.simulated,
            "software": software(),
            "device": self.device,
            "clock": msgspec.to_builtins(clock_quality()),
        }

    def is_own(self, signed: SignedManifest) -> bool:
        """Whether our own key signed it."""
        return signed.public_key == self._signer.public_key and signed.is_genuine()

    def sign(self, manifest: dict[str, Any]) -> SignedManifest:
        """Sign a manifest, and give it a salt."""
        return SignedManifest(manifest, self._signer.public_key, self._signer.sign(manifest), new_salt())

    def entered(self, manifest_ids: Collection[str]) -> dict[str, str]:
        """The log's last word about each of these manifests, where it has one: commitments. Raises StoreError.

        Reads the whole log when it must, once.
        """
        with self._told():
            return self._lines.entered(manifest_ids)

    def names(self, manifest_id: str, signed: SignedManifest) -> bool:
        """Whether the log's last word about ``manifest_id`` is this very manifest. Raises StoreError."""
        return self.entered([manifest_id]).get(manifest_id) == signed.commitment()

    def enter(self, manifest_id: str, kind: str, at_ms: int, signed: SignedManifest) -> None:
        """As ``enter_many``, for one manifest."""
        self.enter_many([NewEntry(manifest_id, kind, at_ms, signed)])

    def enter_many(self, entries: Sequence[NewEntry]) -> None:
        """Enter manifests and a head, durably and in this order. Raises StoreError.

        What the log's last lines say already is left alone; of what may be older, ask ``entered`` first.
        """
        recent = self._lines.recent
        with self._told():
            self._lines.append([one for one in entries if recent.get(one.manifest_id) != one.signed.commitment()])
            if self._heads.tree_size != self._lines.tree.size:
                self._write_head("entry", max((one.at_ms for one in entries), default=now_ms()))
            self._lines.take_note()

    def heartbeat(self, at_ms: int) -> None:
        """Write a head if the last one is a minute old. Raises StoreError."""
        if 0 <= at_ms - self._heads.written_ms < HEARTBEAT_MS:
            return
        with self._told():
            self._write_head("heartbeat", at_ms)

    def _write_head(self, reason: Reason, at_ms: int) -> None:
        self._heads.write(reason, at_ms, self._lines.tree.root(), self._lines.tree.size)

    def close(self, orderly: bool = True) -> None:
        """Call once. ``orderly``: leave a head that says so; a disk that refuses it is only logged."""
        try:
            if orderly:
                self._write_head("stop", now_ms())
        except OSError as error:
            log.warning("evidence log %s: %s", self.path, error.strerror)
        finally:
            os.close(self._lock)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            raise StoreError(f"evidence log {self.path}: {error}") from error


@cache
def software() -> str:
    """Name and version, as manifests tell it."""
    return f"tapdeck {version('tapdeck')}"


def _lock(path: Path) -> int:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise LogInUse(f"evidence log {path.stem.removeprefix('evidence-')} is in use") from error
    return fd
